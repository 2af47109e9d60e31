"""Dask chunks for fields of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

CHUNK_SIZE = "32MiB"
"""Of the chunks that are made."""


def moderate_chunks(ds: xr.Dataset) -> xr.Dataset:
    """Return fields in chunks of about `CHUNK_SIZE`, whatever the file has."""
    import dask

    with dask.config.set({"array.chunk-size": CHUNK_SIZE}):
        chunked = {n: v.chunk("auto") for n, v in ds.data_vars.items() if v.dtype.kind in "fiub"}
    return ds.assign(chunked)


def stored_blocks(ds: xr.Dataset, size: str = CHUNK_SIZE) -> xr.Dataset:
    """Return fields in chunks that hold whole chunks of the file, or planes where it has none.

    As many of them as make up `size`, and one at least.
    """
    return ds.assign(
        {n: v.chunk(_block(v, size)) for n, v in ds.data_vars.items() if v.dtype.kind in "fiub"}
    )


def _block(array: xr.DataArray, most_bytes: str) -> dict[Any, int]:
    from dask.utils import parse_bytes

    stored = dict(array.encoding.get("preferred_chunks") or {})
    if array.chunks:
        stored = {d: c[0] for d, c in zip(array.dims, array.chunks, strict=True)}
    size = {d: min(int(stored.get(d, 1)), array.sizes[d]) for d in array.dims}
    most = parse_bytes(most_bytes) // array.dtype.itemsize
    for d in reversed(array.dims):
        held = int(np.prod(list(size.values())))
        size[d] = min(size[d] * max(most // max(held, 1), 1), array.sizes[d])
    return size
