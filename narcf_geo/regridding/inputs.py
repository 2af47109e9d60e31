"""What is regridded: files, patterns and addresses, opened lazily as one dataset in blocks."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import xarray as xr

from narcf_geo.core import filenames
from narcf_geo.core.addresses import address_problem, is_address, shown
from narcf_geo.core.errors import MissingFileError, NarcfError, UsageError
from narcf_geo.fields.formats import DRIVERS, Opening, open_format
from narcf_geo.fields.joined import join_series

if TYPE_CHECKING:
    from narcf_geo.fields.remote import RemoteFile

Location = str | os.PathLike[str]

BLOCK_BYTES = 16 * 2**20
"""Size of a block of the source that is read at once, about."""


def expand(
    locations: Location | Iterable[Location], *, anonymous: bool = False
) -> list[Path | RemoteFile]:
    """Return the files that paths, patterns and addresses stand for.

    Parameters
    ----------
    locations : path, str or iterable of these
        The files of a pattern are sorted as people do: ``a_9.nc`` before ``a_10.nc``.
    anonymous : bool
        Read buckets without credentials.

    Raises
    ------
    MissingFileError
        When a path or a pattern leads to nothing.
    UsageError
        When an address is of a kind that is not read.

    Examples
    --------
    >>> expand("air_*.none")
    Traceback (most recent call last):
    narcf_geo.core.errors.MissingFileError: air_*.none: no file matches this pattern
    """
    if isinstance(locations, str | os.PathLike):
        locations = [locations]
    files: list[Path | RemoteFile] = []
    for location in locations:
        text = os.fspath(location)
        if is_address(text):
            files += _remote(text, anonymous)
        elif os.path.exists(text):
            files.append(Path(text))
        else:
            found = sorted(filenames.expand(text), key=lambda path: natural(str(path)))
            if not found:
                what = "file matches this pattern" if glob.has_magic(text) else "such file"
                raise MissingFileError(f"{text}: no {what}")
            files += found
    if not files:
        raise UsageError("expected a file to regrid, found none")
    return files


def natural(text: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts numbers in a text by their value.

    Examples
    --------
    >>> sorted(["a_10.nc", "a_9.nc"], key=natural)
    ['a_9.nc', 'a_10.nc']
    """
    parts = re.split(r"(\d+)", text)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]


def _remote(address: str, anonymous: bool) -> list[RemoteFile]:
    from narcf_geo.fields.remote import RemoteFile

    suffix = PurePosixPath(urlsplit(address).path.rstrip("/")).suffix.lower()
    driver = DRIVERS.get(suffix, suffix or "unknown")
    if problem := address_problem(address, driver):
        raise UsageError(f"{shown(address)}: {problem.partition(';')[0]}; get the file first")
    found = RemoteFile(address, driver, anonymous).matches()
    if not found:
        raise MissingFileError(f"{shown(address)}: no file matches this pattern")
    return sorted(found, key=lambda file: natural(file.address))


def open_inputs(files: Sequence[Path | RemoteFile], variables: Iterable[str] = ()) -> xr.Dataset:
    """Open files as they are, several joined along time; nothing is read but coordinates.

    Times stay the numbers they are, so that odd calendars and climatologies pass unchanged.

    Parameters
    ----------
    files : sequence of Path or RemoteFile
        Of one series where there are several.
    variables : iterable of str
        Those to keep of several files, with what belongs to them; by default all.

    Raises
    ------
    NarcfError
        When a file cannot be opened, or the files do not fit together.
    """
    datasets = [_opened(file) for file in files]
    if len(datasets) == 1:
        return datasets[0]
    wanted = set(variables)
    lazy = []
    for ds in datasets:
        others = [n for n, v in ds.data_vars.items() if wanted and n not in wanted and v.ndim >= 2]
        of_grid = {str(v) for a in ds.variables.values() for v in _named_by(a)}
        ds = ds.drop_vars([n for n in others if n not in of_grid])
        chunked = {n: _cut(v, v.dims[-2:]) for n, v in ds.data_vars.items() if v.ndim}
        lazy.append(ds.assign(chunked))
    return join_series(lazy, [str(file) for file in files])


def _named_by(variable: xr.Variable) -> list[str]:
    keys = ("bounds", "climatology", "grid_mapping", "coordinates", "cell_measures", "mesh")
    texts = (place.get(k) for place in (variable.attrs, variable.encoding) for k in keys)
    return [word for text in texts if text for word in str(text).split()]


def _opened(file: Path | RemoteFile) -> xr.Dataset:
    ds = open_format(file, how=Opening(chunks="none", decode_times=False))
    if not ds.variables and (groups := groups_of(file)):
        raise NarcfError(
            f"{file}: expected variables, found them only in groups ({', '.join(groups)}), which "
            f"are not read; take one out first, as with `ncks -G : -g {groups[0]}`"
        )
    if set(ds.data_vars) != {"band_data"} or "band" not in ds.dims:
        return ds
    name = re.sub(r"\W", "_", PurePosixPath(file.name).stem)
    raster = ds.rename(band_data=name)
    return raster.squeeze("band", drop=True) if ds.sizes["band"] == 1 else raster


def groups_of(file: Path | RemoteFile) -> list[str]:
    """Return the groups of a NetCDF file here, whose variables are not read."""
    if not isinstance(file, Path) or DRIVERS.get(file.suffix.lower()) != "netcdf":
        return []
    import netCDF4

    try:
        with netCDF4.Dataset(file) as opened:
            return list(opened.groups)
    except OSError:  # opened by another library
        return []


def in_blocks(ds: xr.Dataset, names: Iterable[str], plane: Sequence[str]) -> xr.Dataset:
    """Return `ds` with the variables `names` as dask arrays in blocks that are read at once."""
    return ds.assign({n: _cut(ds[n], plane) for n in names})


def _cut(array: xr.DataArray, plane: Sequence[object]) -> xr.DataArray:
    import dask

    with dask.config.set({"array.chunk-size": BLOCK_BYTES}):
        return array.chunk(blocks(array.variable, plane))


def blocks(variable: xr.Variable | xr.DataArray, plane: Sequence[object]) -> dict[str, int | str]:
    """Return the sizes of the blocks in which a variable is read.

    They are whole planes, and as many of them as are stored together or fit into about 16 MiB.
    Planes of more than twice that are cut into pieces of about 8 MiB.

    Examples
    --------
    >>> import numpy as np
    >>> air = xr.Variable(("time", "y", "x"), np.zeros((1, 277, 349), "f4")).isel(time=[0] * 500)
    >>> blocks(air, ("y", "x"))
    {'y': -1, 'x': -1, 'time': 43}
    """
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    stored = dict(variable.encoding.get("preferred_chunks") or {})
    if variable.chunks is not None:
        stored = {d: c[0] for d, c in zip(variable.dims, variable.chunks, strict=True)}
    lead = {
        d: max(1, min(int(stored.get(d, 1)), n)) for d, n in sizes.items() if d not in set(plane)
    }
    plane = [d for d in plane if d in sizes]
    size = variable.dtype.itemsize * math.prod(n for d, n in sizes.items() if d in plane)
    least = max(1, size * math.prod(lead.values()))
    if least > 2 * BLOCK_BYTES and size:
        from dask.array.core import normalize_chunks

        # Cut along the plane, at the edges of what is stored together: else it is read repeatedly.
        shape = tuple(sizes[d] for d in plane)
        before = [min(int(stored.get(d, n)), n) for d, n in zip(plane, shape, strict=True)]
        cut = normalize_chunks(
            ("auto",) * len(shape),
            shape,
            limit=BLOCK_BYTES // 2,
            dtype=variable.dtype,
            previous_chunks=tuple(
                (b,) * (n // b) + (n % b,) * (n % b > 0) for b, n in zip(before, shape, strict=True)
            ),
        )
        return {
            **{str(d): int(c[0]) for d, c in zip(plane, cut, strict=True)},
            **{str(d): n for d, n in lead.items()},
        }
    left = max(1, BLOCK_BYTES // least)
    for dim in reversed(list(lead)):
        times = max(1, min(left, -(-sizes[dim] // lead[dim])))
        lead[dim] = min(sizes[dim], lead[dim] * times)
        left //= times
    return {**{str(d): -1 for d in plane}, **{str(d): n for d, n in lead.items()}}
