"""The store in which a prediction grows: axes and maps first, fields without a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import with_month_axis
from narcf_geo.core.stores import checked
from narcf_geo.core.units import linear
from narcf_geo.fields.values import whole_classes
from narcf_geo.prediction.arrays import KEPT, attributes
from narcf_geo.prediction.task import Task

if TYPE_CHECKING:
    from zarr.codecs import BloscCodec


def codec() -> BloscCodec:
    """Return the codec of the fields: a slower one makes the noise of a float no smaller."""
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")


def write_template(task: Task, path: Path) -> None:
    """Write a store with axes and maps, and the fields without a value."""
    import dask
    import zarr
    from dask.threaded import get

    frame = task.source.frame()
    others = [n for n, a in frame.data_vars.items() if n not in KEPT or a.ndim != 2]
    frame = frame.drop_vars(others).drop_encoding()
    # Many chunks at a time cost little more than one.
    chunks = {d: 8 * n for d, n in zip(("lat", "lon"), task.layout.chunk[1:], strict=True)}
    maps = {n: _in_house_terms(str(n), a.variable.chunk(chunks)) for n, a in frame.items()}
    frame = frame.assign(maps)
    with dask.config.set(scheduler=get):  # here, even where a cluster predicts
        with_month_axis(frame, frame["time"].values).to_zarr(
            path,
            mode="w",
            consolidated=False,
            encoding={
                name: {"chunks": task.layout.chunk[1:], "compressors": checked(codec())}
                for name in frame.data_vars
            },
        )
    group = zarr.open_group(path, mode="r+")
    for name in task.predictor.fields:
        group.create_array(
            name,
            shape=task.layout.shape,
            chunks=task.layout.chunk,
            dtype="float32",
            fill_value=np.nan,
            compressors=checked(codec()),
            dimension_names=("time", "lat", "lon"),
            attributes={**attributes(name, task.predictor.bundle)},
        )


def _in_house_terms(name: str, lazy: xr.Variable) -> xr.Variable:
    """Return a map (lat, lon): classes as integers, areas in m2."""
    lazy = lazy.transpose("lat", "lon")
    if name == "biome" and lazy.dtype.kind == "f":
        data = lazy.data.map_blocks(whole_classes, dtype="int16")
        return xr.Variable(lazy.dims, data, lazy.attrs)
    units = str(lazy.attrs.get("units", "m2"))
    if name == "cell_area" and units != "m2":
        scale, _ = linear(units, "m2")
        return xr.Variable(lazy.dims, lazy.data * scale, {**lazy.attrs, "units": "m2"})
    return lazy


def describe(store: Path, attrs: Mapping[str, Any]) -> None:
    """Give a store these global attributes, and no others of a run before, all at once."""
    # Those of a NetCDF file may be numbers and arrays of numpy.
    wanted = {str(k): v.tolist() if hasattr(v, "tolist") else v for k, v in attrs.items()}
    group = json.loads((store / "zarr.json").read_text(encoding="utf-8"))
    found = group.get("attributes", {})
    if "coordinates" in found:  # by which xarray knows the bounds
        wanted["coordinates"] = found["coordinates"]
    if found != wanted:
        # Zarr would leave half a file behind a power cut.
        with atomic_path(store / "zarr.json") as temporary:
            temporary.write_text(json.dumps(group | {"attributes": wanted}, indent=2), "utf-8")
