"""``narcf-geo zonal`` by its real command, its files opened by GeoPandas and pandas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin
from shapely import Polygon, box

import narcf_geo as ng
from narcf_geo.grid import Grid

STATES = {
    "Iowa": Polygon([(-96.3, 40.5), (-91.2, 40.6), (-90.2, 43.4), (-96.5, 43.4)]),
    "Ohio": box(-84.8, 38.6, -80.6, 41.9),
    "Park": box(-100.01, 45.01, -100.0, 45.02),
    "Spain": box(-9, 36, 3, 43),
}
NORTH_WEST = -110.0, 50.0
SHAPE = 30, 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three months of a flux as GeoTIFFs of half a degree, and states in Albers."""
    states = gpd.GeoDataFrame(
        {"name": list(STATES), "people": [3, 11, 0, 47]}, geometry=[*STATES.values()], crs=4326
    )
    states.to_crs(5070).to_file(tmp_path / "states.gpkg")
    for month in (1, 2, 3):
        raster(tmp_path / f"flux_2004_{month:02d}.tif", values(month), units="g C m-2 day-1")
    return tmp_path


def values(month: int) -> np.ndarray:
    """Rows from the north; a corner is missing."""
    rng = np.random.default_rng(month)
    found = rng.normal(size=SHAPE) + np.arange(60) * 0.1 - np.arange(30)[:, None] * month
    found[25:, :8] = np.nan
    return found.astype("float32")


def raster(
    path: Path,
    data: np.ndarray,
    crs: str | None = "EPSG:4326",
    corner: tuple[float, float] = NORTH_WEST,
    cell: float = 0.5,
    units: str = "",
    nodata: float | None = None,
    bands: list[str] | None = None,
) -> None:
    """Write rows from the north."""
    data = data if data.ndim == 3 else data[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=data.shape[1],
        width=data.shape[2],
        count=len(data),
        dtype=data.dtype,
        crs=crs,
        transform=from_origin(*corner, cell, cell),
        nodata=nodata,
    ) as file:
        file.write(data)
        for k in range(len(data)):
            file.set_band_unit(k + 1, units)
            if bands:
                file.set_band_description(k + 1, bands[k])


def netcdf() -> xr.DataArray:
    """What the GeoTIFFs hold, as a field of months."""
    grid = Grid.regular(-110, 35, -80, 50, 0.5)
    return xr.DataArray(
        np.stack([values(m)[::-1] for m in (1, 2, 3)]),
        {"time": pd.date_range("2004-01", periods=3, freq="MS"), "lat": grid.lat, "lon": grid.lon},
        ("time", "lat", "lon"),
        name="flux",
        attrs={"units": "g C m-2 day-1"},
    )


def test_geotiffs_and_polygons_to_a_budget_table(folder: Path, in_process: Callable) -> None:
    out = folder / "budget.csv"
    done = in_process("zonal", folder / "flux_2004_*.tif", folder / "states.gpkg", out)
    assert done.returncode == 0, done.stderr
    assert "Written: " in done.stdout
    assert "TgC to the atmosphere in 3 months" in done.stdout
    table = pd.read_csv(out, parse_dates=["month"])
    assert table["region"].tolist() == [name for name in STATES for _ in range(3)]
    assert table["month"][:3].dt.strftime("%Y-%m-%d").tolist() == [
        "2004-01-01",
        "2004-02-01",
        "2004-03-01",
    ]
    wanted = ng.zonal(netcdf(), folder / "states.gpkg")
    pd.testing.assert_frame_equal(
        table.drop(columns="month"), wanted.drop(columns="month"), check_dtype=False
    )
    days = np.tile([31, 29, 31], 4)
    np.testing.assert_allclose(table["flux_TgC"], table["total"] * days / 1e12, rtol=1e-9)
    spain = table[table["region"] == "Spain"]
    assert spain["coverage"].tolist() == [0, 0, 0]
    assert spain["mean"].isna().all()
    park = table[table["region"] == "Park"]
    assert park["coverage"].to_numpy() == pytest.approx(np.ones(3), abs=1e-9)
    # The control: another year has another February.
    for path in sorted(folder.glob("flux_2004_*.tif")):
        path.rename(folder / path.name.replace("2004", "2005"))
    in_process("zonal", folder / "flux_2005_*.tif", folder / "states.gpkg", out)
    ratio = pd.read_csv(out)["flux_TgC"] / table["flux_TgC"]
    np.testing.assert_allclose(ratio[:3], [1, 28 / 29, 1], rtol=1e-12)


def test_names_that_are_formulas_are_text_in_csv_and_themselves_elsewhere(
    folder: Path, in_process: Callable
) -> None:
    names = ["=HYPERLINK('http://a')", "@SUM(A1)", "-5", "Iowa"]
    states = gpd.read_file(folder / "states.gpkg").assign(name=names)
    states.to_file(folder / "hostile.gpkg")
    raster(folder / "one.tif", values(1), units="-m")
    rasters = folder / "one.tif"
    in_process("zonal", rasters, folder / "hostile.gpkg", folder / "out.csv")
    rows = [line.split(",") for line in (folder / "out.csv").read_text().splitlines()]
    place = rows[0].index("region")
    assert [row[place] for row in rows[1:]] == ["'=HYPERLINK('http://a')", "'@SUM(A1)", *names[2:]]
    assert {row[rows[0].index("units")] for row in rows[1:]} == {"'-m"}
    assert float(rows[1][rows[0].index("mean")]) == pytest.approx(
        ng.zonal(rasters, folder / "hostile.gpkg")["mean"][0], rel=1e-15
    )
    in_process("zonal", rasters, folder / "hostile.gpkg", folder / "out.gpkg")
    table = gpd.read_file(folder / "out.gpkg", layer="statistics")
    assert table["region"].tolist() == names
    pytest.importorskip("pyarrow", reason="pyarrow is in the extra 'parquet'")
    in_process("zonal", rasters, folder / "hostile.gpkg", folder / "out.parquet")
    assert pd.read_parquet(folder / "out.parquet")["region"].tolist() == names


def test_a_geopackage_has_each_shape_once_and_a_layer_by_month(
    folder: Path, in_process: Callable
) -> None:
    out = folder / "budget.gpkg"
    shapes = gpd.read_file(folder / "states.gpkg")
    done = in_process("zonal", folder / "flux_2004_*.tif", folder / "states.gpkg", out)
    assert done.returncode == 0, done.stderr
    names = pyogrio.list_layers(out)[:, 0].tolist()
    assert sorted(names) == ["flux", "polygons", "statistics"]
    polygons = gpd.read_file(out, layer="polygons")
    assert polygons["region"].tolist() == list(STATES)
    assert polygons["people"].tolist() == [3, 11, 0, 47]
    assert polygons.crs == shapes.crs
    assert polygons.geometry.geom_equals_exact(shapes.geometry, 1e-6).all()
    monthly = gpd.read_file(out, layer="flux")
    assert len(monthly) == 12
    assert monthly["month"].dtype.kind == "M"
    assert monthly.geometry[3:6].geom_equals(shapes.geometry[1]).all()
    table = pd.DataFrame(gpd.read_file(out, layer="statistics"))
    np.testing.assert_array_equal(monthly["flux_TgC"], table["flux_TgC"])
    before = out.read_bytes()
    in_process("zonal", folder / "flux_2004_*.tif", folder / "states.gpkg", out)
    assert out.read_bytes() == before


def test_bands_named_by_months_and_files_of_several_variables(
    folder: Path, in_process: Callable
) -> None:
    data = np.stack([values(m) for m in (1, 2, 3)])
    months = ["2004-01", "2004-02", "2004-03"]
    raster(folder / "nee.tif", data, units="g C m-2 day-1", bands=months)
    raster(folder / "height.tif", values(1), units="m")
    out = folder / "both.csv"
    files = folder / "nee.tif", folder / "height.tif", folder / "states.gpkg"
    done = in_process("zonal", *files, out)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out)
    wanted = ng.zonal(netcdf(), folder / "states.gpkg")
    nee = table[table["variable"] == "nee"]
    np.testing.assert_allclose(nee["flux_TgC"], wanted["flux_TgC"], rtol=1e-12)
    height = table[table["variable"] == "height"]
    assert len(height) == 4
    assert height["month"].isna().all()
    assert height["flux_TgC"].isna().all()
    chosen = "--variable", "height", "--statistics", "mean,coverage"
    only = in_process("zonal", *files, out, *chosen)
    assert only.returncode == 0, only.stderr
    columns = ["variable", "region", "units", "mean", "area_km2", "coverage"]
    assert pd.read_csv(out).columns.tolist() == columns


def test_classes_by_their_names(folder: Path, in_process: Callable) -> None:
    cover = np.random.default_rng(5).choice([1, 5, 12, 255], SHAPE).astype("uint8")
    raster(folder / "cover_2019.tif", cover, nodata=255)
    names = ["water", *[""] * 4, "mixed forest", *[""] * 6, "crops"]
    text = "".join(f"<Category>{name}</Category>" for name in names)
    band = f"<PAMRasterBand band='1'><CategoryNames>{text}</CategoryNames></PAMRasterBand>"
    beside = folder / "cover_2019.tif.aux.xml"
    beside.write_text(f"<PAMDataset>{band}</PAMDataset>")
    out = folder / "cover.csv"
    done = in_process("zonal", folder / "cover_2019.tif", folder / "states.gpkg", out)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out)
    fractions = ["fraction_1", "fraction_5_mixed_forest", "fraction_12_crops"]
    assert [c for c in table if c.startswith("fraction")] == fractions
    assert table["year"].tolist() == [2019] * 4
    np.testing.assert_allclose(table[fractions].sum(axis=1)[:3], 1, rtol=1e-12)
    beside.unlink()
    in_process("zonal", folder / "cover_2019.tif", folder / "states.gpkg", out)
    assert "fraction_5" in pd.read_csv(out)


def test_parquet_where_pyarrow_is(folder: Path, in_process: Callable) -> None:
    pytest.importorskip("pyarrow")
    out = folder / "budget.parquet"
    done = in_process("zonal", folder / "flux_2004_*.tif", folder / "states.gpkg", out)
    assert done.returncode == 0, done.stderr
    wanted = ng.zonal(netcdf(), folder / "states.gpkg")
    np.testing.assert_allclose(pd.read_parquet(out)["flux_TgC"], wanted["flux_TgC"], rtol=1e-12)


@pytest.mark.parametrize("crs", ["EPSG:32615", "EPSG:5070", "EPSG:3857"])
def test_projected_rasters_agree_with_exactextract(
    crs: str, folder: Path, in_process: Callable
) -> None:
    """It takes parts of cells on the plane, and is given areas on the sphere as weights.

    Where the scale of the map changes over a cell, as in Mercator's, this is its own error.
    """
    exact_extract = pytest.importorskip("exactextract").exact_extract
    from narcf_geo.grid.plane import Plane

    iowa = gpd.GeoSeries([STATES["Iowa"]], crs=4326).to_crs(crs)
    west, _, east, north = iowa.total_bounds
    cell = (east - west) / 150
    n = 170
    corner = west - 5 * cell, north + 7 * cell
    data = np.random.default_rng(3).normal(size=(n, n)) + np.arange(n)[:, None] * 0.1
    data[40:50, 60:90] = np.nan
    raster(folder / "t.tif", data, crs, corner, cell, units="K", nodata=np.nan)
    edges = [corner[0] + cell * np.arange(n + 1), corner[1] - cell * np.arange(n + 1)]
    plane = Plane(*edges, iowa.crs)
    areas = plane.areas(*np.divmod(np.arange(n * n), n)).reshape(n, n)
    raster(folder / "area.tif", areas, crs, corner, cell, nodata=np.nan)
    judged = exact_extract(
        str(folder / "t.tif"),
        iowa.to_frame("geometry"),
        ["weighted_mean", "weighted_sum", "min", "max"],
        weights=str(folder / "area.tif"),
        output="pandas",
    ).iloc[0]
    # Edges are straight in the CRS of the polygons, which is that of the raster here.
    iowa.to_frame("geometry").assign(name="Iowa").to_file(folder / "iowa.gpkg")
    out = folder / "t.csv"
    done = in_process("zonal", folder / "t.tif", folder / "iowa.gpkg", out)
    assert done.returncode == 0, done.stderr
    row = pd.read_csv(out).iloc[0]
    assert row["mean"] == pytest.approx(judged["weighted_mean"], abs=1e-5)
    assert row["total"] == pytest.approx(judged["weighted_sum"], rel=1e-5)
    assert row[["min", "max"]].tolist() == pytest.approx(judged[["min", "max"]].tolist())
    plain = np.nansum(data * areas) / areas[~np.isnan(data)].sum()
    assert abs(plain - row["mean"]) > 1e-2


def message(done: object) -> str:
    """What a refused command said, without the frame that Typer draws."""
    text = done.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in text
    return " ".join(text.replace("│", " ").split())


def test_refusals_leave_nothing_behind(folder: Path, in_process: Callable) -> None:
    raster(folder / "plain.tif", values(1), None, (500000.0, 4000000.0), 1000.0)
    raster(folder / "albers.tif", values(1), "EPSG:5070", (0.0, 2000000.0), 1000.0)
    gpd.read_file(folder / "states.gpkg").to_file(folder / "two.gpkg", layer="a")
    gpd.read_file(folder / "states.gpkg").to_file(folder / "two.gpkg", layer="b")
    flux, states, out = folder / "flux_2004_01.tif", folder / "states.gpkg", folder / "out.csv"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments, code, words in [
        ((flux, states), 2, "the file to write"),
        ((flux, states, folder / "out.xlsx"), 2, "ending in .csv, .gpkg, .parquet"),
        ((flux, states, states), 2, "found the input"),
        ((folder / "no.tif", states, out), 2, "no such file"),
        ((folder / "no_*.tif", states, out), 2, "no file matches"),
        ((flux, folder / "no.gpkg", out), 2, "no such file"),
        ((flux, flux, out), 2, "a file of polygons"),
        ((flux, folder / "two.gpkg", out), 2, "--layer"),
        ((flux, states, out, "--name", "nom"), 2, "the column 'nom'"),
        ((flux, states, out, "--statistics", "median"), 2, "found 'median'"),
        ((flux, states, out, "--variable", "t2m"), 2, "expected the variable t2m, found flux"),
        ((flux, states, out, "--monthly", "2"), 2, "--monthly"),
        ((folder / "plain.tif", states, out), 1, "coordinate reference system"),
        ((flux, folder / "albers.tif", states, out), 1, "the files of each grid"),
    ]:
        done = in_process("zonal", *arguments)
        assert done.returncode == code, (arguments, done.stderr, done.stdout)
        assert words in message(done), (arguments, done.stderr)
    done = in_process("zonal", flux, folder / "two.gpkg", out, "--layer", "b")
    assert done.returncode == 0, done.stderr
    out.unlink()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_not_said_is_not_guessed(folder: Path, in_process: Callable) -> None:
    """A budget where the steps are known, and words where they are not."""
    states, out = folder / "states.gpkg", folder / "out.csv"
    field = netcdf()
    daily = field.assign_coords(time=pd.date_range("2004-01-01", periods=3))
    daily.to_netcdf(folder / "daily.nc")
    done = in_process("zonal", folder / "daily.nc", states, out)
    assert "no budget in TgC, since the steps are not months" in done.stdout
    table = pd.read_csv(out)
    assert "flux_TgC" not in table
    assert table["time"][:3].tolist() == ["2004-01-01", "2004-01-02", "2004-01-03"]
    ends = np.stack([daily["time"].values, daily["time"].values + np.timedelta64(1, "D")], axis=1)
    bounded = daily.to_dataset().assign_coords(time_bnds=(("time", "nv"), ends))
    bounded["time"].attrs["bounds"] = "time_bnds"
    bounded.to_netcdf(folder / "bounded.nc")
    in_process("zonal", folder / "bounded.nc", states, out)
    table = pd.read_csv(out)
    np.testing.assert_allclose(table["flux_TgC"], table["total"] / 1e12, rtol=1e-9)
    raster(folder / "nee_20040115.tif", values(1), units="g C m-2 day-1")
    done = in_process("zonal", folder / "nee_20040115.tif", states, out)
    assert "no budget in TgC" in done.stdout
    assert pd.read_csv(out)["day"].tolist() == ["2004-01-15"] * 4
    done = in_process("zonal", folder / "flux_2004_01.tif", states, out, "--sign", "uptake")
    turned = pd.read_csv(out)["flux_TgC"]
    in_process("zonal", folder / "flux_2004_01.tif", states, out)
    np.testing.assert_allclose(turned, -pd.read_csv(out)["flux_TgC"], rtol=1e-12)
