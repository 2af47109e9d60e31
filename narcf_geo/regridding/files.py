"""Regrid a file: NetCDF, Zarr, GeoTIFF or GRIB in; NetCDF, Zarr or GeoTIFF out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from narcf_geo.core.errors import MissingFileError, UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import EdgeKind
from narcf_geo.regridding.raster import bands
from narcf_geo.regridding.regridder import Quantity, regrid, regridded_names, valid
from narcf_geo.regridding.summary import Summary, integral_units, integrals
from narcf_geo.regridding.target import Box, grid_of_file, target_grid
from narcf_geo.regridding.weights import compute_weights
from narcf_geo.regridding.weights_file import stored_weights

RASTERS = (".tif", ".tiff")


def regrid_file(
    source_path: str | os.PathLike[str],
    target_path: str | os.PathLike[str],
    *,
    grid: Grid | float | Sequence[float] | None = None,
    like: str | os.PathLike[str] | None = None,
    bounds: Box | None = None,
    method: str = "conservative",
    min_coverage: float = 0.5,
    quantity: Quantity = "mean",
    edges: EdgeKind = "parallels",
    weights: str | os.PathLike[str] | None = None,
    variables: Sequence[str] | None = None,
) -> list[Summary]:
    """Regrid the variables of a file, block by block, and write the result whole.

    Parameters
    ----------
    source_path : path
        NetCDF, Zarr or GeoTIFF; any other format of `narcf_geo.open_fields` too.
    target_path : path
        ``.nc``, ``.zarr`` or ``.tif`` (one variable with at most one more dimension). An older file
        is replaced when the new one is whole.
    grid : Grid, float or pair of float, optional
        The target: a `Grid`, or a resolution in degrees, one for both directions or
        (longitude, latitude).
    like : path, optional
        A file whose grid is the target; instead of `grid`.
    bounds : tuple of float, optional
        West, south, east, north in degrees for a resolution; the extent of the source, moved
        outwards to whole cells, when not given.
    method, min_coverage, quantity, edges
        As in `regrid`.
    weights : path, optional
        A weight file to read, or to write when it is absent.
    variables : sequence of str, optional
        Those to regrid; all numeric ones on the grid when not given.

    Returns
    -------
    list of Summary
        One a variable.

    Raises
    ------
    UsageError
        For options that exclude each other, output formats that cannot hold the result, and an
        output that is one of the inputs or holds one.
    MissingFileError
        When there is no such file.
    NarcfError
        For files that cannot be read or have no grid.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> fine = Grid.regular(-100, 40, -96, 44, 1)
    >>> nee = xr.Dataset({"nee": (fine.dims, np.full(fine.shape, -1.5))}, fine.coords())
    >>> nee.to_netcdf(folder / "nee.nc")
    >>> summary = regrid_file(folder / "nee.nc", folder / "coarse.nc", grid=2)[0]
    >>> summary.coverage, round(summary.integral_after / summary.integral_before, 9)
    (1.0, 1.0)
    """
    started = time.perf_counter()
    source_path, target_path = Path(source_path), Path(target_path)
    _require_format(target_path)
    if not source_path.exists():
        raise MissingFileError(f"{source_path}: no such file")
    inputs = [Path(p) for p in (source_path, like, weights) if p is not None]
    require_replaceable(target_path, inputs, store=target_path.suffix == ".zarr")
    with _opened(source_path) as ds:
        if variables:
            missing = sorted(set(variables) - set(map(str, ds.data_vars)))
            if missing:
                raise UsageError(
                    f"expected variables among {sorted(map(str, ds.data_vars))} of {source_path}, "
                    f"found {missing}"
                )
        source = Grid.from_dataset(ds)
        target = _target(source, grid, like, bounds)
        made = (
            stored_weights(Path(weights), source, target, method, edges)
            if weights
            else compute_weights(source, target, method, edges)
        )
        names = list(variables) if variables else regridded_names(ds, source.dims)
        others = [n for n in ds.data_vars if n in regridded_names(ds, source.dims)]
        ds = ds.drop_vars([n for n in others if n not in names])
        out = regrid(
            ds, target, source=source, min_coverage=min_coverage, quantity=quantity, weights=made
        )
        chords = ", edges on great circles" if edges == "great_circles" else ""
        how = f"{method} ({quantity}, min_coverage {min_coverage:g}{chords}) to {target}"
        out = _described(out, source_path, names, how)
        sums = integrals(ds, out, names, made, quantity)
        values = _write(out, target_path, names, sums)
    seconds = time.perf_counter() - started
    return [
        Summary(
            variable=name,
            source_grid=repr(source),
            target_grid=repr(target),
            coverage=float(values[name, "coverage"]),
            integral_before=float(values[name, "before"]),
            integral_after=float(values[name, "after"]),
            units=integral_units(str(out[name].attrs.get("units", "")), quantity),
            seconds=seconds,
        )
        for name in names
    ]


def _opened(path: Path) -> xr.Dataset:
    """Open a file lazily, its numeric variables as dask arrays of moderate chunks.

    Times stay the numbers they are, so that odd calendars and climatologies pass unchanged.
    """
    ds = open_format(path, how=Opening(chunks="auto", decode_times=False))
    if set(ds.data_vars) != {"band_data"} or "band" not in ds.dims:
        return valid(ds)
    raster = ds.rename(band_data=re.sub(r"\W", "_", path.stem))
    return valid(raster.squeeze("band", drop=True) if ds.sizes["band"] == 1 else raster)


def _require_format(path: Path) -> None:
    if path.suffix.lower() not in (".nc", ".nc4", ".zarr", *RASTERS):
        raise UsageError(f"expected an output ending in .nc, .zarr or .tif, found {path.name!r}")


def _target(
    source: Grid,
    grid: Grid | float | Sequence[float] | None,
    like: str | os.PathLike[str] | None,
    bounds: Box | None,
) -> Grid:
    if like is None:
        if grid is None:
            raise UsageError("expected a grid (resolution in degrees), or a file to be like")
        return target_grid(grid, source, bounds)
    if grid is not None or bounds is not None:
        raise UsageError("expected a grid (and bounds), or a file to be like, found both")
    return grid_of_file(Path(like))


def _described(out: xr.Dataset, source_path: Path, names: Sequence[str], how: str) -> xr.Dataset:
    from narcf_geo.core.provenance import VERSION

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} narcf-geo {VERSION}: regridded from {source_path.name}, {how}"
    history = "\n".join(filter(None, [line, str(out.attrs.get("history", ""))]))
    out = out.assign_attrs(Conventions="CF-1.11", history=history)
    fields = {f for name in names for f in (name, f"{name}_valid_fraction")}
    for name, variable in out.variables.items():
        variable.encoding = {} if name in fields else {"_FillValue": None}
    return out


def _write(
    out: xr.Dataset, path: Path, names: Sequence[str], sums: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], Any]:
    """Write `out` and compute `sums` in the same pass over the source."""
    import dask

    with atomic_path(path) as temporary:
        if path.suffix.lower() in RASTERS:
            raster = bands(out, names)
            raster, values = dask.compute(raster, sums)
            raster.rio.to_raster(temporary, driver="GTiff", compress="DEFLATE", tiled=True)
            return values
        if path.suffix == ".zarr":
            job = out.to_zarr(temporary, mode="w", compute=False, consolidated=False)
        else:
            fields = [f for name in names for f in (name, f"{name}_valid_fraction")]
            encoding = {n: {"zlib": True, "shuffle": True, "complevel": 1} for n in fields}
            job = out.to_netcdf(temporary, engine="netcdf4", encoding=encoding, compute=False)
        _, values = dask.compute(job, sums)
    return values
