"""Files that belong together, as one dataset: months in files of their own, variables too."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError, MissingFileError, NarcfError, UsageError
from narcf_geo.core.filenames import date_in, expand, without_date
from narcf_geo.fields.axes import time_name, with_time
from narcf_geo.fields.dates import dated
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.fields.joined import concatenated, in_unit_of, require_one_calendar
from narcf_geo.fields.reading import named
from narcf_geo.fields.stored import valid_only
from narcf_geo.grid.detect import plane_dims

F = TypeVar("F")


def files_of_series(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[Path]:
    """Return the files that paths and patterns stand for, each pattern's in order of their names.

    Parameters
    ----------
    sources : path, pattern, or several
        Patterns have ``*``, ``?``, ``[...]``, or fields such as ``{year}``, as in a catalog.

    Raises
    ------
    MissingFileError
        When there is no such file, or no file matches.
    """
    found: list[Path] = []
    for source in [sources] if isinstance(sources, str | os.PathLike) else sources:
        text = os.fspath(source)
        paths = sorted(expand(text))
        if not paths:
            pattern = any(mark in text for mark in "*?[{")
            raise MissingFileError(
                f"{text}: no file matches this pattern" if pattern else f"{text}: no such file"
            )
        found += [path for path in paths if path not in found]
    if not found:
        raise UsageError("expected a file to open, found none")
    return found


def open_series(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], how: Opening | None = None
) -> xr.Dataset:
    """Open a file, or several as one dataset, lazily.

    Files of the same variables are joined along time, others side by side. A file without a time
    axis has that of its name where it holds one date: a year and a month (``flux_2001_07.tif``), or
    a day in each of several. A year alone becomes the dimension ``year``, the day of a single file
    ``day``. Bands that are named by months become months. A raster is named as its file, without
    the date.

    Parameters
    ----------
    sources : path, pattern, or several
        As for `files_of_series`.
    how : Opening, optional
        As for `open_format`.

    Returns
    -------
    xarray.Dataset
        As it is in the files, missing values as NaN; the time axis is named ``time``.

    Raises
    ------
    NarcfError
        When a file cannot be opened, or the files do not fit together; the message names them.
    """
    paths = files_of_series(sources)
    datasets = [_opened(path, how, alone=len(paths) == 1) for path in paths]
    if len(datasets) == 1:
        return datasets[0]
    for ds, path in zip(datasets[1:], paths[1:], strict=True):
        _require_one_plane(datasets[0], ds, paths[0], path)
    require_one_calendar(datasets, paths)
    groups = alike(datasets, paths)
    try:
        joined = [_joined(members, files) for members, files in groups]
        ds = xr.merge(joined, join="exact", compat="override", combine_attrs="override")
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, NarcfError):
            raise
        reason = str(error).splitlines()[0]
        raise FieldError(
            f"{paths[0]} and {len(paths) - 1} more: expected files of one grid, found others "
            f"({reason}); give those of each grid by themselves"
        ) from None
    ds.encoding["source"] = f"{paths[0]} to {paths[-1].name}"
    return _stored_as(ds, {str(n): v.encoding for d in datasets for n, v in d.data_vars.items()})


def _opened(path: Path, how: Opening | None, alone: bool) -> xr.Dataset:
    with named(str(path)):
        ds = valid_only(open_format(path, how=how))
    if "band_data" in ds:
        ds = ds.rename(band_data=without_date(path.stem))
        attrs = ds[next(iter(ds.data_vars))].attrs
        attrs.update(_categories(path))
        if isinstance(attrs.get("units"), tuple):  # one for each band
            attrs["units"] = attrs["units"][0] if len(set(attrs["units"])) == 1 else ""
    stored = {str(n): v.encoding for n, v in ds.data_vars.items()}
    if "band" in ds.dims:
        ds = _by_bands(ds)
    ds = _by_name(along_time(ds), path, alone)
    ds.encoding["source"] = str(path)
    return _stored_as(ds, stored)


def _categories(path: Path) -> dict[str, Any]:
    """Return the classes that GDAL's file beside a raster names, as CF attributes."""
    beside = path.with_name(f"{path.name}.aux.xml")
    if not beside.is_file():
        return {}
    text = beside.read_text(encoding="utf-8", errors="replace")
    named = re.search(r"<CategoryNames>(.*?)</CategoryNames>", text, re.DOTALL)
    if named is None:
        return {}
    names = re.findall(r"<Category>(.*?)</Category>|<Category\s*/>", named[1], re.DOTALL)
    words = [re.sub(r"\W+", "_", unescape(name)).strip("_") for name in names]
    known = [number for number, word in enumerate(words) if word]
    return {
        "flag_values": np.array(known),
        "flag_meanings": " ".join(words[number] for number in known),
    }


def _stored_as(ds: xr.Dataset, stored: Mapping[str, Mapping[Any, Any]]) -> xr.Dataset:
    """Give fields back what is known of them in the file, such as that they were integers."""
    for name in ds.data_vars:
        ds[name].encoding = {**stored.get(str(name), {}), **ds[name].encoding}
    return ds


def _by_bands(ds: xr.Dataset) -> xr.Dataset:
    """Return a raster without a single band, or its bands by their names, as time where these are
    months or days."""
    names = [str(name) for name in ds["band_name"].values] if "band_name" in ds.coords else []
    dates = [date_in(name) for name in names]
    if dates and all(date and len(date) > 4 for date in dates) and len(set(dates)) == len(dates):
        ds = ds.drop_vars("band_name").rename(band="time")
        stamps = np.array(dates, dtype="datetime64[ns]")
        ds = ds.assign_coords(time=("time", stamps))
        return _with_months(ds) if all(len(str(date)) == 7 for date in dates) else ds
    if ds.sizes["band"] == 1:
        return ds.squeeze("band", drop=True).drop_vars("band_name", errors="ignore")
    if not names:
        return ds
    if len(set(names)) == len(names) and all(names):
        return ds.drop_vars("band_name").assign_coords(band=("band", names))
    return ds.drop_vars("band_name")


def _with_months(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with bounds of whole months."""
    months = ds["time"].values.astype("datetime64[M]")
    bounds = np.stack([months, months + np.timedelta64(1, "M")], axis=1).astype("datetime64[ns]")
    ds["time"].attrs["bounds"] = "time_bnds"
    return ds.assign_coords(time_bnds=(("time", "bnds"), bounds))


def _by_name(ds: xr.Dataset, path: Path, alone: bool) -> xr.Dataset:
    """Return `ds` with the date in the name of its file, where it has none itself."""
    date = date_in(path.stem)
    if date is None or time_name(ds) is not None or {"year", "day"} & set(map(str, ds.coords)):
        return ds
    fields = [n for n, a in ds.data_vars.items() if a.ndim >= 2]
    if len(date) == 4 or (len(date) == 10 and alone):
        # Of a year, or of a single day, the name does not say what the values stand for.
        label: Any = int(date) if len(date) == 4 else date
        name = "year" if len(date) == 4 else "day"
        return ds.assign({n: ds[n].expand_dims({name: [label]}) for n in fields})
    stamp = np.array([date], dtype="datetime64[ns]")
    ds = ds.assign({n: ds[n].expand_dims(time=stamp) for n in fields})
    return _with_months(ds) if len(date) == 7 else ds


def along_time(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with its time axis called ``time``; a single date becomes an axis of one."""
    ds = with_time(ds)
    if "time" not in ds.coords or ds["time"].ndim:
        return ds
    if ds["time"].dtype.kind not in "MOfiu" or not _is_date(dated(ds)["time"]):
        return ds
    ds = dated(ds)
    fields = [n for n, a in ds.data_vars.items() if a.ndim >= 2]
    grown = {n: ds[n].expand_dims("time") for n in fields}
    return ds.drop_vars([*fields, "time"]).assign(grown)


def _is_date(time: xr.DataArray) -> bool:
    return hasattr(time, "dt") and time.dtype.kind in "MO"


def alike(
    datasets: Sequence[xr.Dataset], files: Sequence[F]
) -> list[tuple[list[xr.Dataset], list[F]]]:
    """Return datasets and their files in groups that hold the same variables."""
    groups: dict[frozenset[Hashable], tuple[list[xr.Dataset], list[F]]] = {}
    for dataset, file in zip(datasets, files, strict=True):
        members, paths = groups.setdefault(frozenset(dataset.data_vars), ([], []))
        members.append(dataset)
        paths.append(file)
    return list(groups.values())


def _joined(datasets: list[xr.Dataset], paths: list[Path]) -> xr.Dataset:
    if len(datasets) == 1:
        return datasets[0]
    axis = next((d for d in ("time", "year") if all(d in ds.dims for ds in datasets)), None)
    if axis is None:
        raise FieldError(
            f"{paths[0]} and {paths[1]}: expected a date in each file or its name, as in "
            "flux_2001_07.tif, since both hold the same variables; found none, or several"
        )
    ds = joined_along(
        axis,
        [_in_units_of(datasets[0], ds, p) for ds, p in zip(datasets, paths, strict=True)],
    )
    if ds.indexes[axis].has_duplicates:
        twice = ds.indexes[axis][ds.indexes[axis].duplicated()][0]
        raise FieldError(
            f"{paths[0]} and {len(paths) - 1} more: expected each {axis} once, found "
            f"{str(twice)[:19]} twice; leave one of its files out"
        )
    return ds


def joined_along(axis: str, datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return datasets of the same variables and grid, one after the other, sorted.

    Raises
    ------
    ValueError
        When their other axes differ.
    """
    return concatenated(datasets, axis).sortby(axis)


def _require_one_plane(one: xr.Dataset, other: xr.Dataset, path: Path, other_path: Path) -> None:
    """Refuse files on axes of other names, or in another coordinate reference system."""
    crs = [
        ds["spatial_ref"].attrs.get("crs_wkt") if "spatial_ref" in ds.variables else None
        for ds in (one, other)
    ]
    if plane_dims(one) != plane_dims(other) or crs[0] != crs[1]:
        raise FieldError(
            f"{other_path}: expected the grid and the coordinate reference system of {path}, found "
            "others; give the files of each grid by themselves"
        )


def _in_units_of(first: xr.Dataset, ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return `ds` with the units of the first file of its series."""
    converted = {}
    for name, array in ds.data_vars.items():
        if array.dtype.kind in "fiu":
            where = f"{path}: variable {name!r}"
            converted[name] = in_unit_of(array, first[name], where, kind="carbon")
    return ds.assign(converted)
