"""A prediction as one NetCDF file: by way of a store, which goes when the file is whole."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from narcf_geo.core.files import remove
from narcf_geo.core.lock import hold
from narcf_geo.prediction.engine import Summary, predict_file


def predict_netcdf(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str],
    **options: Any,
) -> Summary:
    """Predict the flux of a cube on disk, and write it as a CF NetCDF file.

    Parameters
    ----------
    source, model
        As for `narcf_geo.prediction.predict_file`.
    output : path
        The file to write. The store grows in a folder beside it; a run that was stopped goes on.
    **options
        As for `narcf_geo.prediction.predict_file`.

    Returns
    -------
    Summary
        As of `narcf_geo.prediction.predict_file`.
    """
    from narcf_geo.outputs.netcdf import BLOCK, write_flux_netcdf

    output = Path(output).resolve()
    folder = output.with_name(f".{output.name}")
    store, state = folder / "flux.zarr", folder / "state"
    with hold(folder / "lock", str(output)):
        done = predict_file(source, store, model, state=state, **options)
        with xr.open_dataset(store, engine="zarr", consolidated=False, chunks=None) as ds:
            write_flux_netcdf(ds.chunk(BLOCK), output)
        remove(store)
        remove(state)
    with suppress(OSError):  # another process has begun there
        folder.rmdir()
    return replace(done, path=output)
