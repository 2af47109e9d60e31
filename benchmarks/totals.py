"""Time and memory of scores, budgets and intervals, as the grid gets finer and the years more.

    python benchmarks/totals.py FOLDER

writes synthetic cubes and predictions of North America under FOLDER, and prints a line for each:
CPU seconds and peak MiB beyond the libraries of evaluation (scores and figures) and of budgets with
their intervals.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

CASES = ((1.0, 9), (1.0, 18), (1.0, 36), (0.5, 9), (0.25, 9), (0.25, 36))


def write(folder: Path, degrees: float, years: int) -> None:
    """Write cube.zarr, prediction.zarr and the errors of a model, a year at a time."""
    import rasterio
    import xarray as xr
    import zarr

    from narcf_geo.core.layout import CHUNK
    from narcf_geo.core.months import month_starts, with_month_axis
    from narcf_geo.grid import Grid
    from narcf_geo.prediction.store import codec
    from narcf_geo.statistics.error_model import ErrorModel

    every = round(degrees / 0.05)
    raster = next(Path(__file__).parents[1].glob("narcf_geo/data/landcover/*.tif"))
    with rasterio.open(raster) as cover:
        biome = cover.read(1)[200:1600:every, 200:2600:every][::-1].astype("int8")
    grid = Grid.regular(-170, 10, -50, 80, degrees)
    land = (biome > 0) & (biome < 17)
    maps = ("lat", "lon")
    fraction = 0.75 * (biome[None] == np.arange(18)[:, None, None])
    fraction[5] += 0.25 * land
    starts = month_starts("2001-01", "2040-12")[: 12 * years]
    static = xr.Dataset(
        {
            "biome": (maps, biome),
            "cell_area": (maps, grid.area, {"units": "m2"}),
            "class_fraction": (("igbp_class", *maps), fraction.astype("f4")),
        },
        coords={**grid.coords(), "igbp_class": np.arange(18)},
    )
    static = with_month_axis(static.assign_coords(time=starts), starts)
    names = {"cube": ["target", "reference"], "prediction": ["flux", "flux_std", "flux_truth"]}
    rng = np.random.default_rng(0)
    season = -np.sin((np.arange(12) - 3) / 6 * np.pi)[:, None]
    first: dict[str, np.ndarray] = {}
    for store, fields in names.items():
        path = folder / f"{store}.zarr"
        static.to_zarr(path, mode="w", consolidated=False)
        group = zarr.open_group(path)
        for name in fields[: 2 if store == "prediction" else None]:
            called = name if store == "prediction" else f"flux_{name}"
            array = group.create_array(
                called,
                shape=(12 * years, *grid.shape),
                chunks=tuple(min(a, b) for a, b in zip(CHUNK, (12, *grid.shape), strict=True)),
                dtype="float32",
                fill_value=np.nan,
                compressors=codec(),
                dimension_names=("time", *maps),
                attributes={"units": "umol m-2 s-1", "product": name},
            )
            for year in range(years):
                values = season + rng.normal(0, 0.3, (12, land.sum()))
                block = np.full((12, *grid.shape), np.nan, "float32")
                block[:, land] = np.abs(values) + 0.1 if name == "flux_std" else values
                array[12 * year : 12 * year + 12] = block
                first.setdefault(name, block)
    year = {"time": starts[:12], "lat": grid.lat, "lon": grid.lon}
    target, flux, std = (
        xr.DataArray(first[n], year, ("time", *maps)) for n in ("target", "flux", "flux_std")
    )
    model = folder / "model"
    model.mkdir(exist_ok=True)
    ErrorModel.of(target - flux, std, static["cell_area"]).save(model)
    (folder / "months.json").write_text(json.dumps([f"{m:%Y-%m}" for m in starts]))


def measure(folder: Path) -> dict[str, float]:
    """CPU seconds and peak MiB of evaluation and budgets, in a process of their own."""
    from unittest import mock

    import dask
    from measure import extra_mib

    from narcf_geo.core.datasets import open_zarr
    from narcf_geo.evaluation import project as evaluation
    from narcf_geo.project.split_settings import PeriodSplit
    from narcf_geo.report import budgets, figures
    from narcf_geo.statistics.error_model import ErrorModel

    months = json.loads((folder / "months.json").read_text())
    cube, prediction = (open_zarr(folder / f"{n}.zarr", "run") for n in ("cube", "prediction"))
    bundle = SimpleNamespace(errors=ErrorModel.load(folder / "model"), factors={0.95: 2.0})

    def settings(last: int) -> Any:
        cut = [0, last // 3, 2 * last // 3, last]
        ends = [{"start": months[a], "end": months[b - 1]} for a, b in pairwise(cut)]
        split = dict(zip(("train", "validation", "test"), ends, strict=True))
        return SimpleNamespace(
            split=PeriodSplit.model_validate(split),
            region=SimpleNamespace(name="North America"),
            period=f"{months[0]} to {months[last - 1]}",
            regions=None,
        )

    def evaluate(last: int = len(months), rows: int = cube.sizes["lat"]) -> None:
        part = {"time": slice(last), "lat": slice(rows)}
        given = cube.isel(part), prediction.isel(part)
        said = settings(last)
        metrics = evaluation.evaluation_metrics(*given, said, folder / "model")
        for _, figure in figures.evaluation_figures(*given, metrics, said, folder / "model"):
            figure.savefig(folder / "figure.png")

    def budget(last: int = len(months)) -> None:
        part = {"time": slice(last)}
        project = SimpleNamespace(
            path=lambda *names: folder.joinpath(*names), settings=settings(last)
        )
        budgets.project_budgets(project, cube.isel(part), prediction.isel(part))

    loaded = mock.Mock(load=lambda path: bundle)
    found: dict[str, float] = {}
    with (
        mock.patch.object(evaluation, "Bundle", loaded),
        mock.patch.object(budgets, "Bundle", loaded),
        mock.patch.object(figures, "Bundle", loaded),
        dask.config.set(num_workers=2),
    ):
        evaluate(24)  # so that the libraries are loaded
        budget(12)
        for name, function in (("evaluate", evaluate), ("budgets", budget)):
            extra = extra_mib(partial(_timed_into, found, f"{name} s", function))
            found[f"{name} MiB"] = extra
    return found


def _timed_into(found: dict[str, float], name: str, function: Callable[[], None]) -> None:
    from measure import timed

    found[name] = timed(function)["cpu"]


def main(folder: Path) -> None:
    """Write what is not there yet, and measure each case."""
    for degrees, years in CASES:
        place = folder / f"{degrees:g}_{years}"
        if not (place / "months.json").exists():
            place.mkdir(parents=True, exist_ok=True)
            write(place, degrees, years)
        ran = subprocess.run(
            [sys.executable, __file__, "--one", str(place)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(ran.stdout.splitlines()[-1])
        numbers = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
        print(f"{degrees:g} degree, {years} years: {numbers}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        main(Path(sys.argv[1]))
