"""Opening the native files of an entry with the driver it names, as one dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError
from narcf_geo.core.variables import VARIABLES
from narcf_geo.fields.axes import time_name
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.fields.joined import in_unit_of, require_one_calendar
from narcf_geo.fields.series import alike, along_time, joined_along
from narcf_geo.fields.stored import valid_only
from narcf_geo.grid.detect import plane_dims

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry
    from narcf_geo.fields.remote import RemoteFile


def open_native(
    entry: Entry,
    files: Sequence[Path | RemoteFile] | None = None,
    preprocess: Callable[[xr.Dataset, Any], xr.Dataset] | None = None,
) -> xr.Dataset:
    """Open the files of `entry` lazily, as one dataset.

    Several files are joined along time where they hold the same variables and merged otherwise;
    their grids must be the same. `preprocess` is given each file's dataset and path first.

    Raises
    ------
    NarcfError
        When a file cannot be opened with the entry's driver, or the files do not fit together.
    """
    ds = _opened(entry, files, preprocess)
    return ds if entry.metadata.crs is None else _with_crs(ds, entry)


def _with_crs(ds: xr.Dataset, entry: Entry) -> xr.Dataset:
    """Return `ds` with the CRS that the entry states for its x and y."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        mapping = CRS.from_user_input(entry.metadata.crs).to_cf()
    except CRSError as error:
        raise UsageError(
            f"{entry.where('metadata', 'crs')}: expected a CRS such as EPSG:5070, found "
            f"{entry.metadata.crs!r} ({error})"
        ) from None
    ds = ds.assign_coords(spatial_ref=((), 0, mapping))
    plane = plane_dims(ds)
    for array in ds.data_vars.values():
        if len(plane & set(map(str, array.dims))) == 2:
            array.attrs["grid_mapping"] = "spatial_ref"
            array.encoding.pop("grid_mapping", None)
    return ds


def _opened(
    entry: Entry,
    files: Sequence[Path | RemoteFile] | None,
    preprocess: Callable[[xr.Dataset, Any], xr.Dataset] | None,
) -> xr.Dataset:
    datasets = []
    for path in files or entry.data_files():
        dataset = dated_by_name(_open_one(entry, path), path, entry)
        datasets.append(preprocess(dataset, path) if preprocess else dataset)
    if len(datasets) == 1:
        return datasets[0]
    paths = list(files or entry.data_files())
    datasets = [along_time(dataset) for dataset in datasets]
    if not entry.metadata.climatology:
        require_one_calendar(datasets, paths, entry.where())
    try:
        return _merged([_joined(*group, entry) for group in alike(datasets, paths)], entry)
    except NarcfError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise NarcfError(
            f"{entry.where()}: its {len(datasets)} files do not fit together ({error}); list "
            "files of other grids, calendars or periods as sources of their own"
        ) from None


def _joined(
    datasets: list[xr.Dataset], paths: Sequence[Path | RemoteFile], entry: Entry
) -> xr.Dataset:
    """Return files of the same variables, one after the other along time."""
    if len(datasets) == 1:
        return datasets[0]
    if "time" not in datasets[0].dims:
        raise ValueError(f"{paths[0].name} and {paths[1].name} hold the same variables, no time")
    return joined_along("time", _in_one_unit(datasets, paths, entry))


def _merged(groups: list[xr.Dataset], entry: Entry) -> xr.Dataset:
    """Return files of unlike variables as one dataset; what the entry does not name may differ."""
    if len(groups) == 1:
        return groups[0]
    variables = entry.metadata.variables
    wanted = {v.name or k for k, v in variables.items()}
    wanted |= {str(v.land_fraction) for v in variables.values() if v.land_fraction}
    for name in sorted(wanted):
        if sum(name in group.data_vars for group in groups) > 1:
            raise ValueError(f"{name!r} is in files that hold different variables beside it")
    return xr.merge(groups, join="exact", compat="override", combine_attrs="override")


def dated_by_name(ds: xr.Dataset, path: Path | RemoteFile, entry: Entry) -> xr.Dataset:
    """Return `ds` with the month that the pattern of `urlpath` finds in the name of its file."""
    if time_name(ds) is not None or entry.metadata.time:
        return ds
    month = entry.month_of(path)
    return ds if month is None else ds.assign_coords(time=np.datetime64(month, "ns"))


def _in_one_unit(
    datasets: list[xr.Dataset], paths: Sequence[Path | RemoteFile], entry: Entry
) -> list[xr.Dataset]:
    """Return datasets whose variables have the units of the first; each file has its own."""
    result = []
    for ds, path in zip(datasets, paths, strict=True):
        converted = {}
        for key, variable in entry.metadata.variables.items():
            name = variable.name or key
            if name not in ds or name not in datasets[0] or variable.units:
                continue
            known = VARIABLES.get(key)
            converted[name] = in_unit_of(
                ds[name],
                datasets[0][name],
                f"{entry.where('metadata', 'variables', key)}: {path}: variable {name!r}",
                kind=known.substance if known else None,
                of=variable.of,
                remedy="; state it with `units:` if they are all in one",
            )
        result.append(ds.assign(converted))
    return result


def _open_one(entry: Entry, path: Path | RemoteFile) -> xr.Dataset:
    args, metadata = entry.source.args, entry.metadata
    how = Opening(
        chunks=args.chunks,
        xarray_kwargs=args.xarray_kwargs,
        csv_kwargs=args.csv_kwargs,
        decode_times=not metadata.climatology,
        classes=metadata.product == "landcover",
        wanted=tuple(v.name or k for k, v in metadata.variables.items()),
    )
    try:
        ds = open_format(path, entry.source.driver, how)
        return ds if how.classes else valid_only(ds)
    except UnreadableError as error:
        raise UnreadableError(f"{entry.where('driver')}: {error}") from None
