"""The store in which a prediction grows: axes and maps first, fields without a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.months import with_month_axis
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
    frame = frame.drop_vars([n for n in frame.data_vars if n not in KEPT]).drop_encoding()
    # Many chunks at a time cost little more than one.
    chunks = {d: 8 * n for d, n in zip(("lat", "lon"), task.layout.chunk[1:], strict=True)}
    frame = frame.assign({n: a.variable.chunk(chunks) for n, a in frame.data_vars.items()})
    with dask.config.set(scheduler=get):  # here, even where a cluster predicts
        with_month_axis(frame, frame["time"].values).to_zarr(
            path,
            mode="w",
            consolidated=False,
            encoding={
                name: {"chunks": task.layout.chunk[1:], "compressors": [codec()]}
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
            compressors=codec(),
            dimension_names=("time", "lat", "lon"),
            attributes={**attributes(name, task.predictor.bundle)},
        )


def describe(store: Path, attrs: Mapping[str, Any]) -> None:
    """Give a store these global attributes, and no others of a run before."""
    import zarr

    # Those of a NetCDF file may be numbers and arrays of numpy.
    wanted = {str(k): v.tolist() if hasattr(v, "tolist") else v for k, v in attrs.items()}
    group = zarr.open_group(store, mode="r+")
    found = group.attrs.asdict()
    if "coordinates" in found:  # by which xarray knows the bounds
        wanted["coordinates"] = found["coordinates"]
    if found != wanted:
        group.attrs.put(wanted)
