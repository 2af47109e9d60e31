"""The whole chain at any size: seconds, seconds of CPU and peak memory of each stage.

``python benchmarks/chain.py --region global --resolution 0.5 --years 9``

The project is synthetic: fields of sines and noise on a grid of the wanted resolution, shifted by
half a cell so that they have to be regridded; only the land cover is real.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import yaml
from measure import environment, table

ROOT = Path(__file__).parents[1]
SYNTHETIC = "made for a benchmark"
REGIONS = {"global": (-180, -90, 180, 90), "north-america": (-170, 10, -50, 70)}
PREDICTORS = {
    "temp": ("degC", 8.0, 20.0),
    "R_sw": ("W m-2", 180.0, 120.0),
    "precip": ("kg m-2 day-1", 3.0, 2.5),
    "vpd": ("hPa", 7.0, 6.0),
    "soil_moisture": ("kg m-2", 400.0, 200.0),
    "rel_hum": ("%", 60.0, 30.0),
    "sif": ("mW m-2 nm-1 sr-1", 0.6, 0.5),
    "ndvi": ("1", 0.45, 0.4),
    "nirv": ("1", 0.15, 0.12),
}
"""Unit, middle and swing."""

STAGES = ("regrid", "biomes", "cube", "train", "predict", "evaluate", "map", "report")
YEAR = 2001


def write_project(
    folder: Path, region: str, resolution: float, years: int, model: dict[str, object]
) -> Path:
    """Write a synthetic project, its sources a year at a time."""
    box = REGIONS[region]
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    cover = next(ROOT.glob("narcf_geo/data/landcover/*.tif"))
    shutil.copy(cover, folder / "data" / "igbp.tif")
    _write_sources(folder / "data", box, resolution, years)
    last = YEAR + years - 1
    parts = {
        "train": (f"{YEAR}-01", f"{max(YEAR, last - 3)}-12"),
        "validation": (f"{last - 2}-01", f"{last - 2}-12"),
        "test": (f"{last - 1}-01", f"{last}-12"),
    }
    if years == 1:
        parts = {
            "train": (f"{YEAR}-01", f"{YEAR}-08"),
            "validation": (f"{YEAR}-09", f"{YEAR}-10"),
            "test": (f"{YEAR}-11", f"{YEAR}-12"),
        }
    west, south, east, north = box
    settings = {
        "title": "Synthetic benchmark of the chain",
        "catalog": "data_catalog.yaml",
        "region": {"name": region, "west": west, "south": south, "east": east, "north": north},
        "resolution": resolution,
        "period": {"start": f"{YEAR}-01", "end": f"{last}-12"},
        "land_cover": {"source": "igbp"},
        "predictors": {"weather": list(PREDICTORS)},
        "target": {"source": "inversion"},
        "split": {
            "kind": "period",
            **{part: {"start": a, "end": b} for part, (a, b) in parts.items()},
        },
        "model": model,
    }
    here = "{{ CATALOG_DIR }}/data"
    catalog = {
        "metadata": {"version": 1},
        "sources": {
            "igbp": {
                "description": "MODIS land cover, 0.05 degree",
                "driver": "rasterio",
                "args": {"urlpath": f"{here}/igbp.tif"},
                "metadata": {
                    "product": "landcover",
                    "role": "landcover",
                    "legend": "igbp_water0",
                },
            },
            "weather": {
                "description": "Synthetic predictors",
                "driver": "zarr",
                "args": {"urlpath": f"{here}/weather.zarr"},
                "metadata": {
                    "role": "predictor",
                    "synthetic": SYNTHETIC,
                    "variables": {name: {} for name in PREDICTORS},
                },
            },
            "inversion": {
                "description": "Synthetic flux",
                "driver": "zarr",
                "args": {"urlpath": f"{here}/inversion.zarr"},
                "metadata": {
                    "role": "target",
                    "synthetic": SYNTHETIC,
                    "variables": {"flux": {}},
                    "sign": "to_atmosphere",
                },
            },
        },
    }
    for name, content in (("narcf.yaml", settings), ("data_catalog.yaml", catalog)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def _write_sources(
    folder: Path, box: tuple[float, float, float, float], resolution: float, years: int
) -> None:
    """Write predictors and a flux made of them, half a cell off the target grid."""
    import xarray as xr
    import zarr

    from narcf_geo.core.months import month_starts, with_month_axis
    from narcf_geo.grid import Grid
    from narcf_geo.prediction.store import codec

    west, south, east, north = box
    half = resolution / 2
    # Shifted to the east within the box: its first column of cells is half covered.
    grid = Grid.regular(west + half, south, east + half, north, resolution)
    months = month_starts(f"{YEAR}-01", f"{YEAR + years - 1}-12")
    frame = with_month_axis(xr.Dataset(coords=grid.coords()).assign_coords(time=months), months)
    frame.attrs = {"synthetic": SYNTHETIC, "title": "Synthetic fields of a benchmark"}
    groups = {}
    for store, names in (("weather", PREDICTORS), ("inversion", ("flux",))):
        frame.to_zarr(folder / f"{store}.zarr", mode="w", consolidated=False)
        group = zarr.open_group(folder / f"{store}.zarr")
        for name in names:
            unit = PREDICTORS[name][0] if name in PREDICTORS else "umol m-2 s-1"
            groups[name] = group.create_array(
                name,
                shape=(len(months), *grid.shape),
                chunks=tuple(map(min, (12, 256, 256), (len(months), *grid.shape))),
                dtype="float32",
                fill_value=np.nan,
                compressors=codec(),
                dimension_names=("time", "lat", "lon"),
                attributes={"units": unit, "cell_methods": "time: mean"},
            )
    rng = np.random.default_rng(0)
    lat, lon = np.deg2rad(grid.lat[:, None]), np.deg2rad(grid.lon[None])
    place = [np.sin(k * lat + 0.7 * k * k) * np.cos(k * lon + 1.3 * k) for k in range(1, 10)]
    season = np.sign(np.where(lat == 0, 1, lat)) * np.abs(np.sin(lat))
    for year in range(years):
        t = (np.arange(12)[:, None, None] - 0.5) * 2 * np.pi / 12
        warm = -np.cos(t) * season
        light = -np.cos(t + 0.4) * season
        values = {}
        for k, (name, (_, middle, swing)) in enumerate(PREDICTORS.items()):
            part = 0.5 * (warm if k % 2 else light) + 0.3 * place[k]
            part = part + 0.1 * rng.standard_normal((12, 1, 1))
            field = middle + swing * (part + 0.03 * rng.standard_normal(part.shape, "float32"))
            low = {"temp": -60.0}.get(name, 0.0)
            values[name] = np.clip(field, low, None).astype("float32")
        flux = 1.5 - 3.0 * values["nirv"] / 0.15 * np.tanh(values["R_sw"] / 200)
        flux = flux + 1.2 * np.exp(0.04 * values["temp"]) * values["soil_moisture"] / 600
        values["flux"] = (flux + 0.3 * rng.standard_normal(flux.shape)).astype("float32")
        for name, array in values.items():
            groups[name][12 * year : 12 * year + 12] = array


@contextmanager
def peak_of(process: psutil.Process) -> Iterator[dict[str, float]]:
    """Keep the largest memory of a process and its children together, MiB."""
    found, over = {"peak": 0.0}, threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            total = 0
            for one in [process, *_children(process)]:
                try:
                    total += one.memory_info().rss
                except psutil.Error:
                    continue
            found["peak"] = max(found["peak"], total / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def measure(folder: Path, stages: list[str], arguments: dict[str, object]) -> list[dict]:
    """Run stages, each in a process of its own; return seconds and peak memory of each."""
    rows = []
    for stage in stages:
        code = (
            "import json, os; from narcf_geo.workflow import run; start = sum(os.times()[:4]);"
            f"found = run({str(folder)!r}, {stage!r}, **{arguments!r});"
            f"seconds = [r.seconds for r in found if r.stage == {stage!r}][0];"
            "print(json.dumps([seconds, sum(os.times()[:4]) - start]))"
        )
        start = time.perf_counter()
        process = psutil.Popen(
            [sys.executable, "-c", code],
            env=environment(),
            stdout=-1,
            text=True,
        )
        with peak_of(process) as found:
            out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{stage} failed with exit code {process.returncode}")
        seconds, cpu = json.loads(out.splitlines()[-1])
        rows.append(
            {
                "stage": stage,
                "seconds": seconds,
                "cpu": cpu,
                "wall": time.perf_counter() - start,
                "peak_MiB": found["peak"],
            }
        )
        last = rows[-1]
        print(f"  {stage:10} {last['seconds']:9.1f} s {last['peak_MiB']:9.0f} MiB", flush=True)
    return rows


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of each file that the stages wrote, but for what tells when."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((".narcf", "data", "manifest.json", "report/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", choices=REGIONS, default="north-america")
    parser.add_argument("--resolution", type=float, default=1.0)
    parser.add_argument("--years", type=int, default=9)
    parser.add_argument("--preset", default="best")
    parser.add_argument("--epochs", type=int, help="instead of those of the preset")
    parser.add_argument("--members", type=int, help="instead of those of the preset")
    parser.add_argument("--stages", nargs="*", default=list(STAGES))
    parser.add_argument("--folder", type=Path, default=Path("/tmp/narcf-chain"))
    parser.add_argument("--keep", action="store_true", help="go on in the folder as it is")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--memory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = {"preset": given.preset, "epochs": given.epochs, "members": given.members}
    model = {name: value for name, value in model.items() if value is not None}
    if not given.keep:
        write_project(given.folder, given.region, given.resolution, given.years, model)
    arguments = {"workers": given.workers, "memory": given.memory}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    rows = measure(given.folder, given.stages, arguments)
    title = f"{given.region}, {given.resolution:g} degree, {given.years} years"
    table(
        title,
        ("stage", "seconds", "CPU", "wall", "peak MiB"),
        [(r["stage"], r["seconds"], r["cpu"], r["wall"], r["peak_MiB"]) for r in rows],
    )
    if given.json:
        result = {"case": title, "rows": rows, "contents": contents(given.folder)}
        given.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
