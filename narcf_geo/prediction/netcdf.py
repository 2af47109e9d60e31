"""A prediction as one NetCDF file: by way of a store, which goes when the file is whole."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from narcf_geo.core.files import remove, require_replaceable
from narcf_geo.core.lock import hold_output
from narcf_geo.fields.formats import Opening, open_zarr
from narcf_geo.prediction.engine import Summary, predict_file
from narcf_geo.prediction.parts import files_of, parts_of


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

    Raises
    ------
    UsageError
        When the output is an input or holds one; and as `narcf_geo.prediction.predict_file`.
    """
    from narcf_geo.outputs.netcdf import BLOCK, write_flux_netcdf

    output = Path(output).resolve()
    inputs = [*files_of(parts_of(os.fspath(source))), os.fspath(model)]
    require_replaceable(output, inputs, store=False)
    folder = output.with_name(f".{output.name}")
    store, state = folder / "flux.zarr", folder / "state"
    with hold_output(output):
        done = predict_file(source, store, model, state=state, **options)
        with open_zarr(store, Opening(chunks="none")) as ds:
            write_flux_netcdf(ds.chunk(BLOCK), output)
        remove(folder)
    return replace(done, path=output)
