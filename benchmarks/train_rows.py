"""Memory and time of training by the number of rows.

    python benchmarks/train_rows.py [--rows N ...] [--members N] [--epochs N] [--cells N]

A synthetic cube of 8 predictors and 18 class fractions on a global grid, which is computed chunk by
chunk as it is read, is trained on by `fit_bundle` with the network of the preset best. Each number
of training rows is a process of its own. Bytes a row are the growth of the peak from the smallest
to the largest, over the rows of the table; files that are mapped count as memory.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from measure import once, peak_mib, table

NAMES = tuple(f"x{k}" for k in range(8))
MONTHS = {"train": 72, "validation": 6, "test": 6}


def cube(rows: int) -> xr.Dataset:
    """Return a lazy cube of which about `rows` cell-months are for training."""
    import dask.array as da

    from narcf_geo.core.layout import CHUNK
    from narcf_geo.core.months import month_starts, with_month_axis

    n_lat = max(2, round(np.sqrt(rows / MONTHS["train"] / 2)))
    lat, lon = ((np.arange(n) + 0.5) * 180 / n_lat for n in (n_lat, 2 * n_lat))
    time = month_starts("2001-01", "2007-12")
    shape = (time.size, n_lat, 2 * n_lat)
    rng = da.random.default_rng(1)
    dims = ("time", "lat", "lon")

    def field(chunks: tuple[int, ...], size: tuple[int, ...]) -> Any:
        return rng.standard_normal(size, chunks=chunks, dtype=np.float32)

    arrays: dict[str, Any] = {name: (dims, field(CHUNK, shape), {"units": "1"}) for name in NAMES}
    x = [values for _, values, _ in arrays.values()]
    flux = da.tanh(x[0]) * x[1] + 0.5 * x[2] + 0.3 * field(CHUNK, shape)
    arrays["flux_target"] = (dims, flux, {"units": "umol m-2 s-1"})
    share = rng.random((18, *shape[1:]), chunks=(18, 256, 256), dtype=np.float32)
    arrays["class_fraction"] = (("igbp_class", "lat", "lon"), share / share.sum(axis=0))
    arrays["biome"] = (dims[1:], np.full(shape[1:], 5, np.int8))
    area = np.broadcast_to(np.cos(np.deg2rad(lat - 90))[:, None] * 1e9, shape[1:])
    arrays["cell_area"] = (dims[1:], area, {"units": "m2"})
    ds = xr.Dataset(arrays, coords={"lat": lat - 90, "lon": lon - 180})
    return with_month_axis(ds, time)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train once; return rows, seconds and the peak."""
    from narcf_geo.model.fit import fit_bundle
    from narcf_geo.model.samples.training_cube import _Arguments

    settings = _Arguments.model_validate(
        {
            "predictors": list(NAMES),
            "target": "flux_target",
            "model": {"epochs": options.epochs, "members": options.members},
            "split": {
                "kind": "period",
                "train": {"start": "2001-01", "end": "2006-12"},
                "validation": {"start": "2007-01", "end": "2007-06"},
                "test": {"start": "2007-07", "end": "2007-12"},
            },
        }
    )
    start, ends = time.perf_counter(), []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        fit_bundle(
            cube(options.rows[0]),
            settings,
            Path(folder) / "model",
            lambda *_: ends.append(time.perf_counter() - start),
            Path(folder) / "work",
        )
        samples = json.loads((Path(folder) / "model" / "bundle.json").read_text())["samples"]
    return {
        "train": samples["train"],
        "rows": sum(samples.values()),
        "first": ends[0],
        "epoch": (ends[-1] - ends[0]) / max(1, len(ends) - 1),
        "seconds": time.perf_counter() - start,
        "peak_mib": peak_mib(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 4e6, 25e6])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the rows lie; a temporary one if absent")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options)))
        return
    where = ["--folder", str(options.folder)] if options.folder else []
    shared = ["--members", str(options.members), "--epochs", str(options.epochs), *where]
    found = [once([__file__, "--one", "--rows", str(n), *shared]) for n in options.rows]
    table(
        f"fit_bundle, preset best, {options.members} members, {options.epochs} epochs",
        ("training rows", "all rows", "s/epoch", "us/row/member", "seconds", "peak MiB"),
        [
            (
                f"{one['train']:,}",
                one["rows"],
                one["epoch"],
                1e6 * one["epoch"] / one["train"] / options.members,
                one["seconds"],
                one["peak_mib"],
            )
            for one in found
        ],
    )
    if len(found) > 1:
        more = 2**20 * (found[-1]["peak_mib"] - found[0]["peak_mib"])
        print(f"  {more / (found[-1]['rows'] - found[0]['rows']):.0f} bytes a row")


if __name__ == "__main__":
    main()
