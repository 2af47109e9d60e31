"""What check finds: units, legends, grids and periods; and the small map."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from narcf_geo.catalog.catalog import PACKAGED, Entry
from narcf_geo.catalog.check import check, period_problem
from narcf_geo.catalog.describe import describe
from narcf_geo.catalog.land import inland_and_open_sea, is_land
from narcf_geo.catalog.sketch import covers, plot, sketch
from narcf_geo.core.months import gaps, month_starts, shared_months
from narcf_geo.grid import Grid

MakeEntry = Callable[..., Entry]


def problems(entry: Entry) -> tuple[list[str], pd.DatetimeIndex | None]:
    """Return the errors of a source, and its months."""
    found, months = check(entry)
    return [f.text for f in found if f.level == "error"], months


def warnings_of(entry: Entry) -> list[str]:
    """Return what is doubtful about a source."""
    return [f.text for f in check(entry)[0] if f.level == "warning"]


def test_land_and_sea() -> None:
    lon, lat = np.array([-100, 260, 0, -30, 179.9]), np.array([40, 40, 50, 40, 0])
    assert is_land(lon, lat).tolist() == [True, True, False, False, False]
    inland, sea = inland_and_open_sea(lon, lat)
    assert inland.tolist() == [True, True, False, False, False]
    assert sea.tolist() == [False, False, False, True, True]


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    """The embedded land cover at half a degree, north to south."""
    (path,) = (PACKAGED.parent / "data" / "landcover").glob("*.tif")
    with rasterio.open(path) as raster:
        return raster.read(1)[5::10, 5::10]


def land_cover(folder: Path, entry: MakeEntry, classes: np.ndarray, legend: str) -> list[str]:
    with rasterio.open(
        folder / "c.tif", "w", driver="GTiff", height=classes.shape[0], width=classes.shape[1],
        count=1, dtype="uint8", nodata=255, crs="EPSG:4326",
        transform=from_origin(-180, 90, 0.5, 0.5),
    ) as raster:  # fmt: skip
        raster.write(classes, 1)
    it = entry("c.tif", "rasterio", product="landcover", role="landcover", legend=legend)
    return problems(it)[0]


def test_a_good_map(tmp_path: Path, entry: MakeEntry, classes: np.ndarray) -> None:
    assert land_cover(tmp_path, entry, classes, "igbp_water0") == []
    swapped = np.where(classes == 0, 17, classes).astype("uint8")
    assert land_cover(tmp_path, entry, swapped, "igbp_water17") == []


def test_the_other_legend(tmp_path: Path, entry: MakeEntry, classes: np.ndarray) -> None:
    (text,) = land_cover(tmp_path, entry, classes, "igbp_water17")
    assert "data_catalog.yaml:10" in text
    assert "class 17 (unclassified); the legend is probably igbp_water0" in text
    swapped = np.where(classes == 0, 17, classes).astype("uint8")
    (text,) = land_cover(tmp_path, entry, swapped, "igbp_water0")
    assert "the legend is probably igbp_water17" in text


def test_a_map_turned_round(tmp_path: Path, entry: MakeEntry, classes: np.ndarray) -> None:
    for turned in (classes[::-1], np.roll(classes, 360, axis=1)):
        found = land_cover(tmp_path, entry, turned.copy(), "igbp_water0")
        assert len(found) == 2
        assert "upside down" in found[1]


def seasonal_flux(folder: Path, sign: float, lat: np.ndarray, first: str = "2001-01") -> None:
    """Write a year of NEE on 2 degrees from 120W to 80W that takes up in northern July."""
    lon = np.arange(-119.0, -80, 2)
    months = np.arange(12) + pd.Timestamp(first).month
    season = 0.3 + 2 * np.cos(2 * np.pi * (months - 1) / 12)
    values = season[:, None, None] * np.ones((12, lat.size, lon.size))
    xr.Dataset(
        {"nee": (("time", "lat", "lon"), sign * values, {"units": "umol m-2 s-1"})},
        coords={
            "time": pd.date_range(first, periods=12, freq="MS"),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    ).to_netcdf(folder / "f.nc")


@pytest.mark.parametrize("first", ["2001-01", "2001-10"])
def test_the_other_sign_is_seen_in_the_season(tmp_path: Path, entry: MakeEntry, first: str) -> None:
    said = {"role": "target", "variables": {"flux": {"name": "nee"}}}
    seasonal_flux(tmp_path, 1.0, np.arange(35.0, 65, 2), first)
    assert warnings_of(entry("f.nc", **said)) == []
    (text,) = warnings_of(entry("f.nc", sign="uptake", **said))
    assert re.search(r"data_catalog.yaml:\d+: source 'it'.*found 1.7 and -2.3 umol", text)
    assert "the sign is probably the other" in text
    assert problems(entry("f.nc", sign="uptake", **said))[0] == []
    assert warnings_of(entry("f.nc", variables={"own": {"name": "nee"}})) == []
    # In the south July is winter.
    seasonal_flux(tmp_path, 1.0, np.arange(-35.0, 25, 2), first)
    assert warnings_of(entry("f.nc", sign="uptake", **said)) == []


def narr(folder: Path, shift: int = 0, name: str = "air", units: str = "K") -> None:
    """Write NARR's whole grid, its 2-D latitudes and longitudes `shift` cells away."""
    from pyproj import CRS, Transformer

    x, y = 32463.41 * np.arange(349.0), 32463.41 * np.arange(277.0)
    mapping = {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": [50.0, 50.0],
        "longitude_of_central_meridian": -107.0,
        "latitude_of_projection_origin": 50.0,
        "false_easting": 5632642.22547,
        "false_northing": 4612545.65137,
    }
    crs = CRS.from_cf({**mapping, "earth_radius": 6371200.0})
    to = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = to.transform(*np.meshgrid(x + shift * 32463.41, y))
    dims = ("y", "x")
    values = 280 + np.zeros((1, 277, 349), "float32")
    attrs = {"units": units, "grid_mapping": "Lambert_Conformal", "coordinates": "lat lon"}
    ds = xr.Dataset(
        {name: (("time", *dims), values, attrs), "Lambert_Conformal": ((), 0, mapping)},
        coords={
            "time": pd.to_datetime(["2007-01-01"]),
            "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        },
    )
    ds["lat"] = (dims, lat, {"standard_name": "latitude", "units": "degrees_north"})
    ds["lon"] = (dims, lon, {"standard_name": "longitude", "units": "degrees_east"})
    ds[name].attrs.pop("coordinates")
    ds.set_coords(["lat", "lon"]).to_netcdf(folder / f"{name}.mon.mean.nc")


NARR = {"product": "narr", "variables": {"temp": {"name": "air"}}}


def test_narr_corners_and_areas(tmp_path: Path, entry: MakeEntry) -> None:
    narr(tmp_path)
    it = entry("air.mon.mean.nc", **NARR)
    found = describe(it)
    lon, lat = found.grid.centers()
    corners = [(lat[j, i], lon[j, i]) for j, i in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    expected = [(1.000, -145.500), (0.897, -68.318), (46.352, -2.566), (46.635, 148.639)]
    np.testing.assert_allclose(corners, expected, atol=1e-3)
    area = found.grid.area / 1e6
    assert area.min() == pytest.approx(484, abs=0.6)
    assert area.max() == pytest.approx(1054, abs=0.6)
    assert found.facts["cell area"].endswith(" to 1054 km2")
    assert problems(it)[0] == []


def test_narr_clipped_apart_from_its_axes(tmp_path: Path, entry: MakeEntry) -> None:
    narr(tmp_path, shift=3)
    (text,) = problems(entry("air.mon.mean.nc", **NARR))[0]
    # Both positions: of the 2-D coordinates, and of x and y, three cells apart.
    assert re.search(r"at \d+\.\d{3}N \d+\.\d{3}[EW] in the file and at \d+\.\d{3}N", text)
    assert re.search(r"\d+ km apart and more than half a cell", text)
    assert "clip all coordinates together" in text


def test_kelvin_taken_for_degrees(tmp_path: Path, entry: MakeEntry) -> None:
    narr(tmp_path, units="degC")
    (text,) = problems(entry("air.mon.mean.nc", **NARR))[0]
    assert (
        "expected values from -80 to 60 degC, found 280 in 96,673 of 96,673 "
        "(the first in 2007-01 in air.mon.mean.nc)" in text
    )


def table(folder: Path, months: list[str], value: float) -> None:
    rows = [f"{m}-01,{lat},{lon},{value}" for m in months for lat in (1.5, 2.5) for lon in (5, 6)]
    (folder / "t.csv").write_text("time,lat,lon,nee\n" + "\n".join(rows))


@pytest.mark.parametrize(
    ("value", "units", "words"),
    [
        (1e-6, "umol m-2 s-1", "expected values beyond 0.01 umol m-2 s-1 somewhere"),
        (2e9, "umol m-2 s-1", "expected values from -100 to 100"),
        (1.0, "K", "does not convert to 'umol m-2 s-1'"),
        (1.0, "g m-2 day-1", "does not say of what"),
        (1.0, "bushel", "does not convert"),
        (1.0, "nonsense", "not understood"),
    ],
)
def test_units(tmp_path: Path, entry: MakeEntry, value: float, units: str, words: str) -> None:
    table(tmp_path, ["2001-01"], value)
    variables = {"flux": {"name": "nee", "units": units}}
    (text,) = problems(entry("t.csv", "csv", role="target", variables=variables))[0]
    assert words in text
    assert "data_catalog.yaml:10" in text


def test_the_range_can_be_stated(tmp_path: Path, entry: MakeEntry) -> None:
    table(tmp_path, ["2001-01"], 150.0)
    stated = {"flux": {"name": "nee", "units": "umol m-2 s-1", "valid_range": [-200, 200]}}
    it = entry("t.csv", "csv", role="target", variables=stated)
    assert problems(it)[0] == []


def test_periods_and_their_gaps(tmp_path: Path, entry: MakeEntry) -> None:
    table(tmp_path, ["2001-01", "2001-02", "2001-06", "2001-08"], 1.0)
    variables = {"flux": {"name": "nee", "units": "umol m-2 s-1"}}
    it = entry("t.csv", "csv", role="target", variables=variables)
    _, months = problems(it)
    assert months is not None
    assert [(f"{g.first:%m}", f"{g.last:%m}", g.months) for g in gaps(months)] == [
        ("03", "05", 3),
        ("07", "07", 1),
    ]
    assert describe(it).facts["period"] == "2001-01 to 2001-08, 4 months, 4 between absent"
    later = month_starts("2001-06", "2002-01")
    assert shared_months({"a": months, "b": later}).month.tolist() == [6, 8]
    assert period_problem({"a": months, "b": later}) is None
    apart = period_problem({"a": months, "b": month_starts("2003-01", "2003-02")})
    assert apart is not None
    assert "a 2001-01 to 2001-08; b 2003-01 to 2003-02" in apart


def test_the_small_map_shows_where_the_grid_is() -> None:
    lines = sketch(Grid.regular(-20, -35, 50, 38, 1), 40).split("\n")
    assert "." in lines[0]
    assert "#" not in lines[0] + lines[-1]
    middle = lines[len(lines) // 2]
    assert "+#" in middle
    across = Grid.regular(170, -50, -170, -30, 1)
    lon, lat = np.array([175.0, -175, 160, -160, 180]), np.array([-40.0, -40, -40, -40, -20])
    assert covers(across, lon, lat).tolist() == [True, True, False, False, False]
    assert "#" in sketch(across)


def test_a_curvilinear_grid_covers_its_cells_alone(tmp_path: Path, entry: MakeEntry) -> None:
    narr(tmp_path)
    grid = describe(entry("air.mon.mean.nc", **NARR)).grid
    lon, lat = np.array([-107.0, 180, -2.8, 30, 0]), np.array([50.0, 52, 46.3, 50, 80])
    assert covers(grid, lon, lat).tolist() == [True, True, True, False, False]


def test_a_figure(tmp_path: Path, in_process: Callable, entry: MakeEntry) -> None:
    narr(tmp_path)
    it = entry("air.mon.mean.nc", **NARR)
    ds = it.read()
    figure = plot(ds, Grid.from_dataset(ds), "temp")
    assert figure.axes[0].get_xlim()[0] < 360
    done = in_process(
        "catalog", "show", "it", "--catalog", it.catalog_path, "--plot", tmp_path / "map.png"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert "│ temp" in done.stdout
    assert "│ air " in done.stdout
    assert "grid on land" in done.stdout


def test_check_ends_with_1_and_a_table(
    tmp_path: Path, entry: MakeEntry, in_process: Callable
) -> None:
    table(tmp_path, ["2001-01"], 2e9)
    variables = {"flux": {"name": "nee", "units": "umol m-2 s-1"}}
    path = entry("t.csv", "csv", role="target", variables=variables).catalog_path
    done = in_process("catalog", "check", "--catalog", path)
    assert done.returncode == 1
    assert "1 of 1 sources cannot be used" in done.stdout
    table(tmp_path, ["2001-01"], 2.0)
    done = in_process("catalog", "check", "it", "--catalog", path)
    assert done.returncode == 0
    assert "1 months, 2001-01 to 2001-01" in done.stdout
    done = in_process("catalog", "check", "itt", "--catalog", path)
    assert done.returncode == 2
    assert "did you mean 'it'" in done.stderr
