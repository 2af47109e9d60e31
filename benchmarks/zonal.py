"""Statistics of polygons against exactextract: time, memory and agreement, in one run.

    python benchmarks/zonal.py [--months 240] [--step 0.25] [--polygons 60] [--repeats 3]

Monthly values of North America, with missing cells, and random polygons cut to its land (Natural
Earth). exactextract is given the same values as bands and the areas of the cells as weights, so
that both take area-weighted means, sums, extremes and coverage. Each tool runs in a process of its
own, in turn; times are from data in memory to a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from measure import Served, extra_mib, serve, table, timed

BOX = (-170.0, 10.0, -50.0, 85.0)


def polygons(number: int) -> Any:
    """Voronoi cells of random points, on the land of Natural Earth."""
    import geopandas as gpd
    import shapely

    import narcf_geo

    path = Path(narcf_geo.__file__).parent / "data/natural_earth/shapefiles/natural_earth"
    land = gpd.read_file(path / "physical/ne_50m_land.shp", bbox=BOX).union_all()
    rng = np.random.default_rng(1)
    points = rng.uniform(BOX[:2], BOX[2:], size=(number, 2))
    cells = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(points), extend_to=shapely.box(*BOX))
    )
    shapes = shapely.intersection(cells, shapely.intersection(land, shapely.box(*BOX)))
    shapes = shapes[shapely.area(shapes) > 0.5]
    names = [f"part {k}" for k in range(len(shapes))]
    return gpd.GeoDataFrame({"name": names}, geometry=shapes, crs="EPSG:4326")


def field(months: int, step: float) -> Any:
    """Values that differ in every cell and month; a tenth of the cells is missing."""
    import pandas as pd
    import xarray as xr

    from narcf_geo.grid import Grid

    grid = Grid.regular(*BOX, step)
    rng = np.random.default_rng(2)
    values = rng.normal(size=(months, *grid.shape)).astype("float32")
    values[:, rng.random(grid.shape) < 0.1] = np.nan
    time = pd.date_range("2001-01", periods=months, freq="MS")
    return xr.DataArray(
        values,
        {"time": time, "lat": grid.lat, "lon": grid.lon},
        ("time", "lat", "lon"),
        name="t",
        attrs={"units": "K"},
    ), grid


def run_ours(data: Any, shapes: Any) -> np.ndarray:
    from narcf_geo import zonal

    found = zonal(data, shapes)
    return found[["mean", "min", "max", "total"]].to_numpy().reshape(len(shapes), -1, 4)


def run_theirs(rasters: list[Any], weights: Any, shapes: Any) -> np.ndarray:
    from exactextract import exact_extract

    names = ["weighted_mean", "min", "max", "weighted_sum"]
    found = exact_extract(rasters, shapes, names, weights=weights, output="pandas")
    of_area = {n: f"area_{n}" if n.startswith("weighted") else n for n in names}
    columns = [[f"{raster.name()}_{of_area[n]}" for n in names] for raster in rasters]
    return np.stack([found[c].to_numpy() for c in columns], axis=1)


def child(tool: str, months: int, step: float, number: int, out: str) -> None:
    shapes = polygons(number)
    data, grid = field(months, step)
    if tool == "narcf-geo":
        import narcf_geo.budget.polygons  # noqa: F401

        work = lambda: run_ours(data, shapes)  # noqa: E731
    else:
        from exactextract.raster import NumPyRasterSource

        wkt = shapes.crs.to_wkt()
        rasters = [
            NumPyRasterSource(v[::-1].astype("float64"), *BOX, name=f"m{k}", srs_wkt=wkt)
            for k, v in enumerate(data.values)
        ]
        areas = np.broadcast_to(grid.area[::-1, :1], grid.shape).copy()
        weights = NumPyRasterSource(areas, *BOX, name="area", srs_wkt=wkt)
        work = lambda: run_theirs(rasters, weights, shapes)  # noqa: E731
    np.save(out, work())
    extra = extra_mib(work)
    serve({"extra": extra, "polygons": len(shapes)}, lambda: timed(work))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=240)
    parser.add_argument("--step", type=float, default=0.25)
    parser.add_argument("--polygons", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("TOOL", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], args.months, args.step, args.polygons, args.child[1])
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        size = ["--months", args.months, "--step", args.step, "--polygons", args.polygons]
        tools = {}
        for tool in ("narcf-geo", "exactextract"):
            out = Path(folder) / f"{tool}.npy"
            tools[tool] = Served([__file__, *size, "--child", tool, out])
        for _ in range(args.repeats):
            for served in tools.values():
                served.again()
        ours, theirs = (np.load(Path(folder) / f"{tool}.npy") for tool in tools)
        rows = [
            [tool, s.median("wall"), s.median("cpu"), s.first["extra"]] for tool, s in tools.items()
        ]
        number = tools["narcf-geo"].first["polygons"]
        title = f"{args.months} months of {args.step:g} degree, {number} polygons"
        table(title, ["", "wall s", "CPU s", "extra MiB"], rows)
        apart = np.abs(ours - theirs)
        print(f"  exactextract / narcf-geo, wall: {rows[1][1] / rows[0][1]:.1f}")
        spread = np.nanstd(theirs[..., 0])
        print(f"  means apart: {np.nanmax(apart[..., 0]):.2g} (their spread is {spread:.2g})")
        largest = np.nanmax(np.abs(theirs[..., 3]))
        print(f"  sums apart: {np.nanmax(apart[..., 3]) / largest:.2g} of the largest")
        print(f"  extremes apart: {np.nanmax(apart[..., 1:3]):.2g}")
        print(json.dumps({"ratio": rows[1][1] / rows[0][1]}))
        for served in tools.values():
            served.close()


if __name__ == "__main__":
    main()
