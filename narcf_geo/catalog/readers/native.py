"""Opening the native files of an entry with the driver it names, as one dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.fields.door import valid_only
from narcf_geo.fields.formats import Opening, open_format

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry


def open_native(
    entry: Entry,
    files: Sequence[Path] | None = None,
    preprocess: Callable[[xr.Dataset, Path], xr.Dataset] | None = None,
) -> xr.Dataset:
    """Open the files of `entry` lazily, as one dataset.

    Several files are joined along time where they hold the same variables and merged otherwise;
    their grids must be the same. `preprocess` is given each file's dataset and path first.

    Raises
    ------
    NarcfError
        When a file cannot be opened with the entry's driver, or the files do not fit together.
    """
    datasets = []
    for path in files or entry.data_files():
        dataset = _open_one(entry, path)
        datasets.append(preprocess(dataset, path) if preprocess else dataset)
    if len(datasets) == 1:
        return datasets[0]
    try:
        if len({frozenset(d.data_vars) for d in datasets}) == 1:
            dimension = "time" if "time" in datasets[0].dims else "date"
            return xr.concat(
                datasets,
                dimension,
                data_vars="minimal",
                coords="minimal",
                compat="override",
                join="exact",
                combine_attrs="override",
            ).sortby(dimension)
        return xr.merge(datasets, join="exact", compat="override", combine_attrs="override")
    except (ValueError, KeyError) as error:
        raise NarcfError(
            f"{entry.where()}: its {len(datasets)} files do not fit together ({error}); list "
            "files of other grids or periods as sources of their own"
        ) from None


def _open_one(entry: Entry, path: Path) -> xr.Dataset:
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
