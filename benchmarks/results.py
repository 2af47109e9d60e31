"""Products, maps and report of stores of any size: seconds and peak memory of each.

    python benchmarks/results.py --project demo [--region global] [--resolution 0.5] [--years 9]

`demo` is a project that was run. Its model and scores are taken, its cube and prediction are
replaced by synthetic ones on the real land. Each part is a process of its own; what the libraries
take before any cell is read is measured, too. Temporary stores are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from measure import environment, peak_mib, status_mib, table

REGIONS = {"global": (-180, -90, 180, 90), "north-america": (-170, 10, -50, 70)}
PARTS = ("products", "maps", "page")


def write_project(source: Path, folder: Path, region: str, resolution: float, years: int) -> None:
    """Write a project like `source` with synthetic stores."""
    for name in ("narcf.yaml", "data_catalog.yaml"):
        shutil.copy(source / name, folder / name)
    for name in ("model", "evaluation"):
        shutil.copytree(source / name, folder / name)
    settings = yaml.safe_load((folder / "narcf.yaml").read_text())
    box = dict(zip(("west", "south", "east", "north"), REGIONS[region], strict=True))
    settings |= {"region": {"name": region, **box}, "resolution": resolution}
    (folder / "narcf.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    write_stores(folder, REGIONS[region], resolution, years)


def write_stores(
    folder: Path, box: tuple[float, float, float, float], resolution: float, years: int
) -> None:
    """Write ``cube.zarr`` (fluxes and land cover) and ``prediction.zarr``, block by block."""
    import dask.array as da
    import pandas as pd
    import xarray as xr
    from rasterio.features import rasterize
    from rasterio.transform import from_bounds

    from narcf_geo.core.datasets import write_zarr
    from narcf_geo.core.layout import CHUNK
    from narcf_geo.core.months import with_month_axis
    from narcf_geo.figures.basemap import natural_earth
    from narcf_geo.grid import Grid

    grid = Grid.regular(*box, resolution)
    ny, nx = grid.shape
    where = from_bounds(*box, nx, ny)
    land = rasterize(natural_earth("land", "50m"), (ny, nx), transform=where)[::-1].astype(bool)
    lat, lon = np.deg2rad(grid.lat[:, None]), np.deg2rad(grid.lon[None])
    waves = sum(np.sin(k * lat + 0.7 * k * k) * np.cos(k * lon + 1.3 * k) / k for k in range(1, 12))
    ranks = np.digitize(waves, np.quantile(waves, np.linspace(0, 1, 17)[1:-1]))
    biome = np.where(land, 1 + ranks, 0).astype("int8")
    months = pd.date_range("2007-01", periods=12 * years, freq="MS")
    shape = (len(months), ny, nx)
    chunks = tuple(map(min, CHUNK, shape))
    season = -np.cos(2 * np.pi * (months.month.values - 1) / 12)[:, None, None]
    north = (np.sign(lat) * np.sin(lat) ** 2 * 3)[None]

    def field(seed: int, mean: float, swing: float, noise: float) -> xr.DataArray:
        draws = da.random.default_rng(seed).normal(size=shape, chunks=chunks)
        values = mean + 0.2 * mean * da.from_array(waves[None], chunks=(1, *chunks[1:]))
        values = values - swing * da.from_array(season, chunks=(chunks[0], 1, 1)) * north
        values = da.where(land[None], values + noise * draws, np.nan).astype("float32")
        return xr.DataArray(values, dims=("time", "lat", "lon"), attrs={"units": "umol m-2 s-1"})

    frame = xr.Dataset(coords=grid.coords())
    frame["biome"] = ("lat", "lon"), biome
    frame["land_fraction"] = ("lat", "lon"), land.astype("float32"), {"units": "1"}
    frame["cell_area"] = ("lat", "lon"), grid.area, {"units": "m2"}
    frame = with_month_axis(frame.assign_coords(time=months), months)
    frame.attrs = {"synthetic": "benchmark", "title": "Synthetic stores of a benchmark"}
    main = np.arange(18)[:, None, None] == biome[None]
    cover = da.where(main, 0.7, 0.0) + da.where(np.roll(main, 1, 0), 0.3, 0.0)
    cover = cover.astype("float32").rechunk((18, *chunks[1:]))
    flux = field(1, -0.2, 1.0, 0.3)
    target = field(2, -0.25, 1.0, 0.5).assign_attrs(product="the inversion")
    reference = field(3, -0.1, 0.8, 0.3).assign_attrs(product="FLUXCOM-like product")
    cube = frame.assign(
        class_fraction=(("igbp_class", "lat", "lon"), cover, {"units": "1"}),
        igbp_class=np.arange(18, dtype="int8"),
        flux_target=target,
        flux_reference=reference,
    )
    std = abs(field(4, 0.4, 0.0, 0.05))
    std.attrs["units"] = "umol m-2 s-1"
    odd = abs(field(5, 0.5, 0.0, 0.3)).assign_attrs(units="1")
    prediction = frame.assign(
        flux=flux,
        flux_std=std,
        flux_lower=(flux - 2 * std).assign_attrs(std.attrs),
        flux_upper=(flux + 2 * std).assign_attrs(std.attrs),
        applicability=odd,
        applicable=(odd < 1).where(land).astype("float32").assign_attrs(units="1"),
    )
    write_zarr(cube, folder / "cube.zarr")
    write_zarr(prediction, folder / "prediction.zarr")
    print(f"  {int(land.sum()):,} land cells of {ny} x {nx}, {len(months)} months", flush=True)


def run_part(name: str, folder: Path, kept: Path | None) -> dict[str, float]:
    """Do one part of the work in this process; return its seconds and memory, MiB."""
    import cartopy.crs  # noqa: F401
    import geopandas  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import pyogrio  # noqa: F401
    import rasterio  # noqa: F401

    from narcf_geo.core.progress import silent
    from narcf_geo.outputs.products import write_products
    from narcf_geo.project.project import Project, open_cube, open_prediction
    from narcf_geo.report.contents import write_page
    from narcf_geo.workflow.options import Options
    from narcf_geo.workflow.stages import draw_maps

    project = Project.open(folder)
    cube, prediction = open_cube(project), open_prediction(project)
    before, start = status_mib("VmRSS"), time.perf_counter()
    if name == "products":
        fraction = cube["class_fraction"]
        write_products(prediction, project.path("products"), class_fraction=fraction)
    elif name == "maps":
        draw_maps(project, silent, Options())
    else:
        # The model's errors are on its own grid: totals come without intervals.
        write_page(project, cube, prediction.drop_vars("flux_std"))
    found = {"seconds": time.perf_counter() - start, "peak": peak_mib(), "libraries": before}
    if name == "page":
        found["page_MB"] = project.path("report", "index.html").stat().st_size / 1e6
    if kept:
        for part in ("maps", "report", "products"):
            if project.path(part).exists():
                shutil.copytree(project.path(part), kept / part, dirs_exist_ok=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="a project that was run")
    parser.add_argument("--region", choices=REGIONS, default="north-america")
    parser.add_argument("--resolution", type=float, nargs="+", default=[1.0])
    parser.add_argument("--years", type=int, nargs="+", default=[9])
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where temporary stores go")
    parser.add_argument("--kept", type=Path, help="keep what was written here")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(run_part(given.part[0], Path(given.part[1]), given.kept)))
        return
    rows, found = [], []
    for resolution in given.resolution:
        for years in given.years:
            with tempfile.TemporaryDirectory(dir=given.folder) as name:
                write_project(given.project, Path(name), given.region, resolution, years)
                for part in given.parts:
                    command = [sys.executable, __file__, "--project", given.project]
                    command += ["--part", part, name]
                    command += ["--kept", given.kept] if given.kept else []
                    run = subprocess.run(
                        list(map(str, command)),
                        env=environment(),
                        stdout=subprocess.PIPE,
                        check=True,
                        text=True,
                    )
                    found.append(
                        {"resolution": resolution, "years": years, "part": part}
                        | json.loads(run.stdout.splitlines()[-1])
                    )
                    row = found[-1]
                    beyond = row["peak"] - row["libraries"]
                    rows.append(
                        (
                            f"{resolution:g} degree, {years} years, {part}",
                            row["seconds"],
                            row["peak"],
                            beyond,
                            row.get("page_MB"),
                        )
                    )
                    print(f"  {rows[-1]}", flush=True)
    table(
        f"{given.region}: products, maps and page",
        ("", "seconds", "peak MiB", "beyond libraries", "page MB"),
        rows,
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
