from __future__ import annotations

import json
import shutil
import subprocess

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from PIL import Image
from places import cells, like_a_map, like_an_inversion
from scipy import stats

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.months import days_in_month, month_starts
from narcf_geo.figures import annual, landcover, maps
from narcf_geo.figures.animation import month_frames, save_frames
from narcf_geo.figures.draw import draw_map
from narcf_geo.figures.style import in_256_colors, save_figure
from narcf_geo.outputs.netcdf import write_flux_netcdf


@pytest.fixture
def decade(small_prediction: xr.Dataset) -> xr.DataArray:
    """2001 to 2005 with a trend of 0.3 a decade in one cell, 0 in another; 2006 to March."""
    months = month_starts("2001-01", "2006-03")
    space = small_prediction["flux"].isel(time=0, drop=True)
    trend = xr.zeros_like(space)
    trend[1, 1], trend[2, 2] = 0.3, -0.6
    season = xr.DataArray(np.cos(2 * np.pi * (months.month - 1) / 12), {"time": months}, ("time",))
    year = xr.DataArray(months.year.values - 2003, {"time": months}, ("time",))
    flux = (season + year * trend / 10).where(space.notnull())
    return flux.transpose("time", "lat", "lon").assign_attrs(space.attrs)


def drawn(figure, axes: int = 0) -> np.ndarray:
    return figure.axes[axes].collections[0].get_array().filled(np.nan)


def test_a_known_trend_is_drawn_per_decade_of_whole_years(decade):
    values = drawn(annual.trend_map(decade))
    # What is left without a trend: 29 February moves the mean of a year with a season.
    still = values[3, 1]
    assert abs(still) < 5e-3
    assert values[1, 1] - still == pytest.approx(0.3, abs=1e-6)
    assert values[2, 2] - still == pytest.approx(-0.6, abs=1e-6)
    assert np.isnan(values[0, 0])
    with pytest.raises(NarcfError, match="at least 3 whole years, found 2"):
        annual.trend_map(decade.sel(time=slice("2004", None)))


@pytest.mark.parametrize("order", [like_an_inversion, like_a_map])
def test_trend_and_deviation_of_each_cell_whatever_the_order(decade, order):
    for draw in (annual.trend_map, annual.variability_map):
        np.testing.assert_allclose(drawn(draw(order(decade))), drawn(draw(decade)), rtol=1e-12)


def test_variability_is_the_deviation_of_annual_means(decade):
    values = drawn(annual.variability_map(decade))
    assert values[2, 2] == pytest.approx(0.06 * np.std([-2, -1, 0, 1, 2], ddof=1), rel=1e-2)
    # The control: the deviation of the population is a tenth less.
    assert values[2, 2] > 0.06 * np.std([-2, -1, 0, 1, 2], ddof=0) * 1.1
    years = [decade.sel(time=str(year)) for year in range(2001, 2006)]
    means = [np.average(y[:, 2, 2].values, weights=days_in_month(y["time"]).values) for y in years]
    assert values[2, 2] == pytest.approx(np.std(means, ddof=1), rel=1e-9)


def test_seasons_are_weighted_by_days(decade):
    figure = maps.season_panel(decade)
    winter = decade[decade["time"].dt.month.isin([12, 1, 2]).values]
    days = days_in_month(winter["time"])
    wanted = float((winter[:, 1, 1] * days).sum() / days.sum())
    assert drawn(figure)[1, 1] == pytest.approx(wanted)
    with pytest.raises(NarcfError, match="expected months of December"):
        maps.season_panel(decade.sel(time="2002-07"))


def test_fractions_that_cover_most_come_first(small_prediction):
    biome = small_prediction["biome"]
    fraction = xr.concat([(biome == n).astype(float) for n in range(18)], dim="igbp_class")
    fraction = fraction.assign_coords(igbp_class=np.arange(18))
    figure = landcover.fraction_panel(fraction)
    assert figure.axes[0].get_title(loc="left") == "evergreen needleleaf forest"
    np.testing.assert_array_equal(drawn(figure)[2:, 0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("albers", "AlbersEqualArea"),
        ("platecarree", "PlateCarree"),
        ("mercator", "Mercator"),
        ("EPSG:5070", "EPSGProjection"),
    ],
)
def test_projections_by_name(small_prediction, name, kind):
    figure = maps.flux_map(small_prediction["flux"][0], projection=name)
    assert kind in type(figure.axes[0].projection).__name__ or kind.startswith("EPSG")
    assert figure.axes[0].collections


def test_cells_beyond_the_area_of_a_crs_are_drawn(america, tmp_path):
    """EPSG:3573 is meant for what lies north of 45 degrees."""
    figure = maps.flux_map(america["flux"][6], projection="EPSG:3573")
    ax = figure.axes[0]
    path = save_figure(figure, tmp_path / "map.png", dpi=60)
    height = np.asarray(Image.open(path)).shape[0]
    box = ax.get_position()
    window = ax.get_window_extent().height / figure.bbox.height
    assert window == pytest.approx(box.height, rel=1e-3)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    rows = pixels[int(height * (1 - box.y1)) + 4 : int(height * (1 - box.y0)) - 4]
    # Sea, land or cells everywhere: the white of the page nowhere but in the box of the numbers.
    assert (rows[:, pixels.shape[1] // 3 : -pixels.shape[1] // 3] < 255).any(axis=2).mean() > 0.97


def test_unknown_projections_are_refused(small_prediction):
    for name, message in (("conic", "expected a projection of auto"), ("EPSG:1", "projected CRS")):
        with pytest.raises(UsageError, match=message):
            maps.flux_map(small_prediction["flux"][0], projection=name)


def test_an_animation_has_a_frame_a_month(small_prediction, tmp_path):
    flux = small_prediction["flux"]
    path = save_frames(month_frames(flux), tmp_path / "months.gif", dpi=40)
    with Image.open(path) as image:
        assert image.n_frames == 4
    with pytest.raises(UsageError, match=r"ending in \.gif or \.mp4"):
        save_frames([], tmp_path / "months.png")
    with pytest.raises(NarcfError, match="at least one month"):
        save_frames([], tmp_path / "none.gif")


def test_a_film_has_the_frames_and_their_time(small_prediction, tmp_path):
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    frames = month_frames(small_prediction["flux"])
    path = save_frames(frames, tmp_path / "months.mp4", dpi=40, ms=250)
    asked = "stream=codec_name,pix_fmt,nb_frames,r_frame_rate,width,height"
    command = ["ffprobe", "-v", "error", "-show_entries", asked, "-of", "json", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["nb_frames"], stream["r_frame_rate"]) == ("4", "4/1")
    assert stream["width"] % 2 == stream["height"] % 2 == 0
    again = save_frames(month_frames(small_prediction["flux"]), tmp_path / "b.mp4", dpi=40, ms=250)
    assert again.read_bytes() == path.read_bytes()


def test_without_ffmpeg_a_film_is_refused_before_it_is_drawn(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    def frames():
        raise AssertionError("drawn")
        yield

    with pytest.raises(NarcfError, match="expected the program ffmpeg"):
        save_frames(frames(), tmp_path / "months.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_palette_keeps_the_colours_of_few_cells():
    """Twelve pixels of a strong flux beside a million of weak ones."""
    ramp = matplotlib.colormaps["BrBG_r"](np.linspace(0.1, 0.7, 1_000_000))[:, :3]
    noise = np.random.default_rng(1).integers(0, 24, ramp.shape)
    pixels = (230 * ramp + noise).astype("uint8").reshape(1000, 1000, 3)
    pixels[0, :12] = np.round(255 * matplotlib.colormaps["BrBG_r"](np.linspace(0.9, 1, 12))[:, :3])
    pixels[600:] = sea = (233, 240, 244)
    image = Image.fromarray(pixels)

    def error(small: Image.Image) -> int:
        return int(np.abs(np.asarray(small.convert("RGB")).astype(int) - pixels)[0, :12].max())

    small = in_256_colors(image)
    assert error(small) <= 16
    assert small.convert("RGB").getpixel((500, 900)) == sea, "a wide area keeps its colour"
    assert error(image.quantize(256, dither=Image.Dither.NONE)) > 16


def test_one_map_of_a_file(small_prediction, in_process, tmp_path):
    source = write_flux_netcdf(small_prediction, tmp_path / "flux.nc")
    out = tmp_path / "map.svg"
    done = in_process("map", source, out, "--months", "2014-12", "--title", "A winter")
    assert done.returncode == 0, done.stderr
    assert f"Written: {out}" in done.stdout
    assert out.read_text(encoding="utf-8").startswith("<?xml")
    for arguments, message in (
        (["--kind", "trends"], "unknown kind of map 'trends'; choose from mean, months"),
        (["--kind", "fractions"], "expected the variable 'class_fraction'"),
        (["--months", "July"], "expected months as 2014-07"),
        (["--kind", "comparison"], "expected the other product"),
        (["--bounds", "10", "10", "20", "20"], "expected cells within"),
        (["--kind", "uncertainty"], "expected the variable 'flux_std'"),
        (["--kind", "applicability"], "expected the variable 'applicable'"),
        (["--kind", "biomes", "--limit", "2"], "expected no limit"),
    ):
        done = in_process("map", source, tmp_path / "no.png", *arguments)
        assert done.returncode != 0
        assert message in done.stderr
    done = in_process("map", source, tmp_path / "no.gif", "--kind", "trend")
    assert (done.returncode, "expected a picture" in done.stderr) == (2, True)
    assert not list(tmp_path.glob("no.*"))


def test_uncertainty_and_applicability_of_a_file(small_prediction, in_process, tmp_path):
    flux = small_prediction["flux"]
    std = (0.1 + abs(flux)).assign_attrs(flux.attrs)
    ds = small_prediction.assign(flux_std=std, applicable=flux < 0)
    source = write_flux_netcdf(ds, tmp_path / "flux.nc")
    for kind, words in (
        ("uncertainty", ("standard deviation, November 2014", "typical ")),
        ("applicability", ("hatched: not applicable", "applicable: ")),
    ):
        out = tmp_path / f"{kind}.svg"
        done = in_process("map", source, out, "--kind", kind, "--projection", "albers")
        assert done.returncode == 0, done.stderr
        # Letters are shapes in an SVG; what is written stands in comments.
        assert all(word in out.read_text(encoding="utf-8") for word in words)


def test_only_cells_in_the_polygons_are_drawn(small_prediction, tmp_path):
    import geopandas as gpd
    import shapely

    source = write_flux_netcdf(small_prediction, tmp_path / "flux.nc")
    shape = shapely.box(-98.9, 40.9, -96, 43.1)
    regions = gpd.GeoDataFrame({"name": ["east"]}, geometry=[shape], crs="EPSG:4326")
    regions.to_crs("EPSG:5070").to_file(tmp_path / "regions.gpkg")
    path = draw_map(
        source, tmp_path / "map.pdf", polygons=tmp_path / "regions.gpkg", months="2014-11"
    )
    assert path.read_bytes().startswith(b"%PDF")
    with pytest.raises(NarcfError, match="at least one"):
        draw_map(
            source,
            tmp_path / "b.png",
            polygons=tmp_path / "regions.gpkg",
            bounds=(-101, 40, -99, 42),
        )


def test_dots_stand_where_the_trend_is_significant():
    """Noise everywhere, and a trend of three of its deviations a decade in the east."""
    months = month_starts("2001-01", "2012-12")
    noise = np.random.default_rng(5).normal(size=(12, 20, 20)).repeat(12, axis=0)
    lat, lon = 40.5 + np.arange(20), -100.5 + np.arange(20)
    year = (months.year.values - 2006)[:, None, None]
    values = 0.1 * noise + np.where(np.arange(20) >= 15, 0.1, 0.0) * year
    flux = cells(values, lat, lon, ("time",), units="umol m-2 s-1").assign_coords(time=months)
    figure = annual.trend_map(flux)
    (dots,) = (c for c in figure.axes[0].collections if isinstance(c, PathCollection))
    found = len(dots.get_offsets())
    assert 100 <= found <= 100 / 0.9 + 15
    (text,) = (t.get_text() for t in figure.texts if "least squares" in t.get_text())
    assert "false discovery rate 10%" in text
    # The control: where there is noise alone nearly nothing is discovered.
    still = annual.trend_map(flux[..., :15])
    dots = [c for c in still.axes[0].collections if isinstance(c, PathCollection)]
    assert sum(len(c.get_offsets()) for c in dots) <= 3
    chance = annual._probability(*annual_of(flux)).values[3, 17]
    line = stats.linregress(np.unique(months.year), values[::12, 3, 17])
    assert chance == pytest.approx(line.pvalue, rel=1e-5)
    assert drawn(figure)[3, 17] == pytest.approx(10 * line.slope, rel=1e-6)


def annual_of(flux: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    means = annual.annual_means(flux, 3).astype(float)
    return means, means["year"] - means["year"].mean()
