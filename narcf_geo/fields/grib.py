"""GRIB files through cfgrib: every variable of a file, at the times for which it is valid."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    from narcf_geo.fields.formats import Opening

CHUNK_SIZE = "32MiB"
"""Of the chunks of fields that are read together; a field is never cut."""

_PLANE = ("latitude", "longitude", "x", "y", "values")
_OF_A_RUN = ("dataDate", "dataTime", "endStep", "stepUnits")


def open_grib(path: Path, how: Opening) -> xr.Dataset:
    """Open all variables of a GRIB file as one dataset, by the extra ``grib`` (cfgrib, ecCodes).

    A file holds hypercubes: fields of one variable on one kind of level. A variable that is on
    several has the kind in the name of the second (``t``, ``t_heightAboveGround``). Time is the one
    for which a field is valid, of means and sums the middle of their interval. ``filter_by_keys``
    among ``backend_kwargs`` chooses the messages that are read.

    Raises
    ------
    NarcfError
        When a field is there twice for a time, or the variables wanted have not the same grid and
        times.
    """
    from narcf_geo.fields.formats import need

    need("cfgrib", path, "grib")
    # ecCodes brings a PROJ of its own. Loaded before pyproj's, it takes the place of that one,
    # which then finds no database and aborts at exit.
    import pyproj  # noqa: F401

    arrays, doubled = _cubes(path, how)
    cubes = _named(arrays)
    if not cubes:
        raise NarcfError(f"{path}: expected fields, found none; correct filter_by_keys, if given")
    wanted = {name: cube for name, cube in cubes.items() if name in how.wanted}
    try:
        return _joined(cubes, doubled, path)
    except NarcfError:
        if not wanted or len(wanted) == len(cubes):
            raise
        return _joined(wanted, doubled, path)


def _cubes(path: Path, how: Opening) -> tuple[list[xr.DataArray], set[int]]:
    """Return the variables of each hypercube, chunked in whole fields, and the doubled ones."""
    import dask
    from cfgrib.xarray_store import open_variable_datasets

    given = how.xarray_kwargs.get("backend_kwargs", {})
    kwargs = {k: v for k, v in how.xarray_kwargs.items() if k not in ("engine", "backend_kwargs")}
    kwargs = {"decode_times": how.decode_times, "decode_timedelta": False, **kwargs}
    # A file is searched once for each variable; the index spares reading all of it each time.
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        backend = {
            "indexpath": f"{folder}/{{short_hash}}.idx",
            "time_dims": ["valid_time"],
            "read_keys": ["startStep", "endStep"],
            "errors": "raise",
            **given,
        }
        doubled = _doubled(path, given.get("filter_by_keys", {}), backend["indexpath"])
        datasets = open_variable_datasets(str(path), backend_kwargs=backend, **kwargs)
    arrays = [array for ds in datasets for array in ds.data_vars.values()]
    asked = how.chunks if isinstance(how.chunks, Mapping) else {}
    with dask.config.set({"array.chunk-size": CHUNK_SIZE}):
        chunked = [
            array.chunk({d: asked.get(str(d), -1 if d in _PLANE else "auto") for d in array.dims})
            for array in arrays
        ]
    return chunked, doubled


def _doubled(path: Path, chosen: Mapping[str, Any], indexpath: str) -> set[int]:
    """Return the parameters with two fields for one time; cfgrib would take one without a word."""
    from cfgrib.dataset import compute_index_keys, open_fileindex
    from cfgrib.messages import FileStream

    stream = FileStream(str(path), errors="raise")
    keys = compute_index_keys(("valid_time",))
    index = open_fileindex(stream, indexpath, keys, filter_by_keys=dict(chosen))
    places = [index.index_keys.index(key) for key in keys if key not in _OF_A_RUN]
    parameter = index.index_keys.index("paramId")
    seen, doubled = set(), set()
    for header, fields in index.field_ids_index:
        known = tuple(header[place] for place in places)
        if known in seen or len(fields) > 1:
            doubled.add(header[parameter])
        seen.add(known)
    return doubled


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what cfgrib logs and warns of out of the terminal; its errors are raised."""
    logger = logging.getLogger("cfgrib")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _named(arrays: list[xr.DataArray]) -> dict[str, xr.DataArray]:
    """Return arrays by name, those of one level first; a name met again has its kind added."""
    named: dict[str, xr.DataArray] = {}
    for array in sorted(arrays, key=lambda array: array.ndim):
        name = str(array.name)
        kinds = [str(array.attrs.get(f"GRIB_{key}", "")) for key in ("typeOfLevel", "stepType")]
        numbered = (f"{name}_{number}" for number in range(2, len(arrays) + 2))
        choices = [name, *(f"{name}_{kind}" for kind in kinds if kind), *numbered]
        named[next(choice for choice in choices if choice not in named)] = array
    return named


def _at_valid_times(array: xr.DataArray) -> xr.DataArray:
    """Return an array along ``time``, in order: of means and sums the middle of their interval."""
    if "valid_time" not in array.coords:
        return array
    valid = array["valid_time"]
    stamps = np.atleast_1d(valid.values)
    hours = [float(array.attrs.get(f"GRIB_{key}", 0)) for key in ("startStep", "endStep")]
    length = np.timedelta64(round(3600 * (hours[1] - hours[0])), "s")
    if array.attrs.get("GRIB_stepType", "instant") == "instant":
        length = np.timedelta64(0, "s")
    elif stamps.size > 1:
        # What is summed since the start of a forecast has a step of its own before each stamp.
        apart = abs(np.diff(stamps)).min()
        length = min(length, apart if apart.dtype.kind == "m" else np.timedelta64(apart, "s"))
    back = length / 2 if stamps.dtype.kind == "M" else (length / 2).astype(int)
    middle = valid.copy(data=valid.values - back)
    middle.attrs["standard_name"] = "time"
    array = array.drop_vars("valid_time")
    if "valid_time" not in array.dims:
        return array.assign_coords(time=middle.drop_vars("valid_time").variable)
    array = array.rename(valid_time="time").assign_coords(time=("time", *_parts(middle)))
    return array.transpose("time", ...).sortby("time")


def _parts(variable: xr.DataArray) -> tuple[Any, ...]:
    return variable.values, variable.attrs, variable.encoding


def _joined(arrays: dict[str, xr.DataArray], doubled: set[int], path: Path) -> xr.Dataset:
    """Return arrays as one dataset; kinds of level that differ become dimensions of their own."""
    joined = xr.Dataset()
    for name, cube in arrays.items():
        if cube.attrs.get("GRIB_paramId") in doubled:
            raise NarcfError(
                f"{path}: variable {name!r}: expected one field for each time, found forecasts of "
                "several runs for the same; choose one step with "
                "`xarray_kwargs: {backend_kwargs: {filter_by_keys: {step: 24}}}`"
            )
        given = _at_valid_times(cube)
        scalars = [c for c in given.coords if not given[c].dims and c != "time"]
        array = given.drop_vars(scalars).rename(name)
        if "time" in array.coords and "time" in joined.coords:
            array = _on_stamps_of(joined["time"], array, path)
        for dim in set(array.dims) & set(joined.dims) - {"time", *_PLANE}:
            if not array[dim].equals(joined[dim]):
                array = array.rename({dim: f"{name}_{dim}"})
        for dim in ("latitude", "longitude", "x", "y", "values"):
            here = dim in array.coords and dim in joined.coords
            if here and not array[dim].equals(joined[dim]):
                raise NarcfError(_apart(path, name, "another grid than"))
        joined = joined.assign({name: array})
    return joined


def _on_stamps_of(time: xr.DataArray, array: xr.DataArray, path: Path) -> xr.DataArray:
    """Return `array` with the stamps `time`, where its own are less than a step away."""
    own, stamps = np.atleast_1d(array["time"].values), np.atleast_1d(time.values)
    if array["time"].equals(time):
        return array
    if own.size != stamps.size or time.dims != array["time"].dims:
        raise NarcfError(_apart(path, array.name, "other times than"))
    if stamps.size > 1:
        near = (abs(own - stamps) < abs(np.diff(stamps)).min()).all()
    else:
        near = (own.astype("datetime64[M]") == stamps.astype("datetime64[M]")).all()
    if not near:
        raise NarcfError(_apart(path, array.name, "other times than"))
    return array.assign_coords(time=time)


def _apart(path: Path, name: Any, how: str) -> str:
    return (
        f"{path}: variable {name!r} has {how} the variables before it; make it a source of its "
        "own, with `variables:` that name it alone"
    )
