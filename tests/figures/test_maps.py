from __future__ import annotations

import hashlib
import re
import socket
import time

import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from places import cells, like_a_map, like_an_inversion

from narcf_geo.budget import totals
from narcf_geo.budget.tables import biome_budget
from narcf_geo.budget.totals import days_of, mean_over_months, summarise
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import GridMismatchError, NarcfError, UnitError, UsageError
from narcf_geo.core.months import month_starts
from narcf_geo.figures import basemap, landcover, maps, save_figure
from narcf_geo.figures.style import period_text, signed, summary_lines
from narcf_geo.grid import Grid


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a figure asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def texts(fig) -> str:
    """Every text of a figure, titles at the left and right of the axes included."""
    import matplotlib.text

    return "\n".join(t.get_text() for t in fig.findobj(matplotlib.text.Text))


def test_every_map_draws_without_a_network(america, no_network, tmp_path):
    basemap._layer.cache_clear()
    basemap.natural_earth.cache_clear()
    flux = america["flux"]
    figures = {
        "month": maps.flux_map(flux.isel(time=6)),
        "mean": maps.flux_map(flux),
        "panel": maps.month_panel(flux),
        "comparison": maps.comparison(flux, (flux * 0.9 + 0.1).assign_attrs(flux.attrs)),
        "biomes": landcover.biome_map(america["biome"]),
    }
    for name, figure in figures.items():
        path = save_figure(figure, tmp_path / f"{name}.png")
        image = matplotlib.image.imread(path)
        assert image.shape[1] == round(figure.get_figwidth() * 200)
        assert image[..., :3].std() > 0.05, f"{name} is blank"
    with pytest.raises(AssertionError, match="asked for the network"):
        socket.create_connection(("127.0.0.1", 1))


def test_twelve_panels_in_under_ten_seconds(america, tmp_path):
    basemap._layer.cache_clear()
    basemap.natural_earth.cache_clear()
    start = time.perf_counter()
    save_figure(maps.month_panel(america["flux"].sel(time="2014")), tmp_path / "panel.png")
    assert time.perf_counter() - start < 10


def test_figures_have_the_same_bytes_again(small_prediction, tmp_path):
    digests = set()
    for name in ("a", "b"):
        figure = maps.flux_map(small_prediction["flux"])
        path = save_figure(figure, tmp_path / f"{name}.png")
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    assert b"Software" not in path.read_bytes()


def test_a_notebook_shows_a_figure_without_pyplot(small_prediction):
    figure = maps.flux_map(small_prediction["flux"][0])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_only_known_figure_files(small_prediction, tmp_path):
    figure = landcover.biome_map(small_prediction["biome"])
    with pytest.raises(UsageError, match=r"found 'map\.bmp'"):
        save_figure(figure, tmp_path / "map.bmp")
    save_figure(figure, tmp_path / "map.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["map.svg"]


def test_a_map_says_unit_sign_period_numbers_and_that_it_is_synthetic(small_prediction):
    flux = small_prediction["flux"].sel(time="2014-12-01").assign_attrs(synthetic="twin experiment")
    said = texts(maps.flux_map(flux, title="A title"))
    summary = summarise(flux, days=31)
    for part in (
        "A title",
        "December 2014",
        "µmol m⁻² s⁻¹",
        "← uptake",
        "release →",
        "synthetic twin experiment",
        *summary_lines(summary),
    ):
        assert part in said
    bare = flux.drop_attrs().assign_attrs(units="umol m-2 s-1")
    assert "synthetic" not in texts(maps.flux_map(bare))
    with pytest.raises(UnitError, match="found none"):
        maps.flux_map(flux.drop_attrs())


def test_colours_are_symmetric_and_shared(america):
    figure = maps.month_panel(america["flux"].sel(time="2015"))
    limits = {
        m.get_clim() for ax in figure.axes for m in ax.collections if m.get_array() is not None
    }
    shared = [limit for limit in limits if limit[0] < 0]
    assert len(shared) == 1
    assert shared[0][0] == -shared[0][1]


@pytest.mark.parametrize("order", [lambda f: f, like_an_inversion, like_a_map])
def test_each_cell_is_drawn_where_it_is(small_prediction, order):
    flux = small_prediction["flux"].isel(time=0)
    figure = maps.flux_map(order(flux))
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(mesh.get_array().filled(np.nan), flux.values)
    view = basemap.View.of(Grid.from_dataset(flux), flux.notnull().values)
    x, y = view.project(np.array([-101.0]), np.array([40.0]))
    np.testing.assert_allclose(mesh.get_coordinates()[0, 0], [x[0], y[0]], atol=1)


def test_mean_and_total_agree_with_the_budget(small_prediction):
    flux = small_prediction["flux"].sel(time="2014")
    area, biome = small_prediction["cell_area"], small_prediction["biome"]
    table = biome_budget(flux, biome, area)
    whole = table[table["biome"] == "all"].iloc[0]
    summary = summarise(mean_over_months(flux), area, days_of(flux))
    assert summary.mean == pytest.approx(whole["mean_flux_umol_m2_s"], rel=1e-6)
    # Two of twelve months: the yearly rate is six times what they sum to.
    assert summary.total == pytest.approx(6 * whole["flux_TgC"], rel=1e-6)


def test_a_known_total():
    flux = cells(np.ones((1, 2)), [45.0], [-100.0, -99.0], units="umol m-2 s-1")
    area = cells(np.full((1, 2), 5e11), [45.0], [-100.0, -99.0], units="m2")
    # 1 umol m-2 s-1 over 1e12 m2 for 365 days: 378.78 TgC.
    assert summarise(flux, area, 365).total == pytest.approx(378.78, rel=1e-5)


def test_comparison_uses_common_months_and_cells(america):
    flux = america["flux"]
    reference = (flux.isel(time=slice(18, None)) - 0.25).assign_attrs(flux.attrs)
    reference = reference.where(reference["lon"] < -90)
    figure = maps.comparison(flux, like_an_inversion(reference))
    said = texts(figure)
    assert "July 2015 – December 2015" in said
    assert "mean +0.250 µmol" in said
    with pytest.raises(NarcfError, match="months in common"):
        maps.comparison(flux.sel(time="2014"), reference)
    for moved in (
        flux.isel(lat=slice(1, None)),
        flux.isel(lon=slice(1, None)),
        flux.assign_coords(lon=flux["lon"] + 0.5),
        flux.assign_coords(lat=flux["lat"] - 0.01),
    ):
        with pytest.raises(GridMismatchError, match="on the grid of the first"):
            maps.comparison(moved, reference)


def test_months_that_are_not_those_of_the_other_are_not_compared(small_prediction):
    flux = small_prediction["flux"]
    one = maps.comparison(flux[1], (flux[1] + 0.5).assign_attrs(flux.attrs))
    assert "mean −0.500 µmol" in texts(one)
    # A single month against several: the one that both have.
    mixed = maps.comparison(flux, (flux[1] + 0.5).assign_attrs(flux.attrs))
    assert "mean −0.500 µmol" in texts(mixed)
    assert "December 2014" in texts(mixed)
    with pytest.raises(NarcfError, match="months in common, found December 2014 and January 2015"):
        maps.comparison(flux[1], flux[2])
    with pytest.raises(NarcfError, match="months in common"):
        maps.comparison(flux[:2], flux[2])
    with pytest.raises(NarcfError, match="one along time and one without"):
        maps.comparison(flux, flux.isel(time=0, drop=True))


def test_areas_are_paired_by_label(small_prediction):
    flux = small_prediction["flux"][1]
    rng = np.random.default_rng(1)
    area = cells(rng.uniform(1e9, 9e9, (4, 5)), flux["lat"].values, flux["lon"].values, units="m2")
    wanted = summary_lines(summarise(flux, area, 31))
    for given in (area, like_an_inversion(area), like_a_map(area)):
        said = texts(maps.flux_map(flux, area=given))
        assert all(line in said for line in wanted)
    # The control: by position it would be another mean.
    assert summary_lines(summarise(flux, area.copy(data=area.values[::-1]), 31)) != wanted
    with pytest.raises(GridMismatchError):
        maps.flux_map(flux, area=area.isel(lon=slice(1, None)))


def test_biome_legend_has_only_what_is_there(small_prediction):
    said = texts(landcover.biome_map(small_prediction["biome"]))
    assert "ENF  evergreen needleleaf forest" in said
    assert "deciduous needleleaf" not in said
    assert "water" not in said


def test_nothing_to_draw_is_an_error(small_prediction):
    with pytest.raises(NarcfError, match="finite value"):
        maps.flux_map(small_prediction["flux"] * np.nan)


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2014-07", "2014-07", "July 2014"),
        ("2014-01", "2014-12", "2014"),
        ("2007-01", "2015-12", "2007–2015"),
        ("2014-05", "2015-07", "May 2014 – July 2015"),
    ],
)
def test_period_in_words(first, last, text):
    months = xr.date_range(f"{first}-01", f"{last}-01", freq="MS")
    assert period_text(xr.DataArray(np.zeros(len(months)), {"time": months}, ("time",))) == text


def test_a_global_field_is_drawn_on_robinson():
    lat, lon = np.arange(-85.0, 86, 10), np.arange(-175.0, 176, 10)
    flux = cells(np.outer(np.sin(lat), np.cos(lon)), lat, lon, units="umol m-2 s-1")
    figure = maps.flux_map(like_an_inversion(flux))
    assert type(figure.axes[0].projection).__name__ == "Robinson"


@pytest.mark.parametrize(
    ("box", "projection"),
    [
        ((-12, 35, 40, 72), "LambertConformal"),
        ((110, -45, 155, -10), "LambertConformal"),
        ((160, 50, -150, 75), "LambertConformal"),
        ((-80, -20, -35, 10), "Robinson"),
        ((-180, 55, 180, 90), "LambertAzimuthalEqualArea"),
        ((-180, -90, 180, -60), "LambertAzimuthalEqualArea"),
        ((-180, 20, 180, 90), "Robinson"),
        ((-60, 58, 0, 90), "LambertAzimuthalEqualArea"),
    ],
    ids=[
        "north",
        "south",
        "across the dateline",
        "across the equator",
        "round the north pole",
        "round the south pole",
        "half the globe",
        "to the pole",
    ],
)
def test_the_coast_lies_around_the_cells_in_any_region(box, projection):
    grid = Grid.regular(*box, 1)
    view = basemap.View.of(grid, np.ones(grid.shape, dtype=bool))
    assert type(view.projection).__name__ == projection
    coast = basemap._layer(view, "coastline", "110m").vertices
    left, right, bottom, top = view.window
    inside = (coast[:, 0] >= left - 1) & (coast[:, 0] <= right + 1)
    inside &= (coast[:, 1] >= bottom - 1) & (coast[:, 1] <= top + 1)
    assert len(coast) > 50
    assert inside.all()
    # Land on both sides of the middle: half a coast would mean that one turn was lost.
    middle = (left + right) / 2
    assert 0.1 < (coast[:, 0] < middle).mean() < 0.9


def test_the_cap_round_a_pole_is_a_disc_of_its_area():
    grid = Grid.regular(-180, -90, 180, -60, 1)
    view = basemap.View.of(grid, np.ones(grid.shape, dtype=bool))
    x, y = view.project(*grid.corners())
    radius = np.hypot(x, y)
    assert radius[0].max() < 1
    np.testing.assert_allclose(np.pi * radius[-1].max() ** 2, grid.area.sum(), rtol=0.01)


def test_a_long_title_is_wrapped_and_stays_readable(small_prediction):
    title = "Net flux of carbon dioxide of the land, " + "estimated and drawn " * 6
    flux = small_prediction["flux"]
    for fig in (
        maps.flux_map(flux, title=title),
        maps.season_panel(season_flux(), title=title, synthetic="twin experiment"),
    ):
        short = maps.flux_map(flux)
        (found,) = [t for t in fig.texts if t.get_text().startswith("Net flux of carbon")]
        assert found.get_text().split() == title.split()
        assert found.get_fontsize() > 9
        box = found.get_window_extent().transformed(fig.transFigure.inverted())
        assert 0 < box.x0 < box.x1 < 1
        assert box.y1 < 1
        rest = [t for t in fig.texts if t is not found]
        boxes = [t.get_window_extent().transformed(fig.transFigure.inverted()) for t in rest]
        boxes += [ax.get_position() for ax in fig.axes]
        assert not any(box.overlaps(other) for other in boxes)
        assert short.get_figheight() < fig.get_figheight() or fig.get_figwidth() > 8


def season_flux() -> xr.DataArray:
    """Two years, one of them a leap year, with a gradient in space and a cycle in time."""
    time = month_starts("2015-01", "2016-12")
    cycle = np.cos(2 * np.pi * (np.arange(24) - 6) / 12) * 3 - 0.4
    values = cycle[:, None, None] * np.arange(1.0, 13).reshape(3, 4)
    field = cells(values, dims=("time",), units="umol m-2 s-1")
    return field.assign_coords(time=time)


def test_totals_of_seasons_add_up_to_the_year():
    flux = season_flux()
    seasons = [(12, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
    monthly = totals.monthly_total(flux)
    found = []
    for months in seasons:
        part = flux[flux["time"].dt.month.isin(months).values]
        days = totals.days_of_season(part["time"])
        summary = totals.summarise(totals.mean_over_months(part), days=days)
        by_hand = float(monthly[monthly["time"].dt.month.isin(months)].sum()) / 2
        assert summary.total == pytest.approx(by_hand, rel=1e-9)
        found.append(summary.total)
    year = totals.summarise(totals.mean_over_months(flux), days=totals.days_of(flux)).total
    assert sum(found) == pytest.approx(year, rel=1e-9)
    shown_as = texts(maps.season_panel(flux))
    shown = shown_as.replace("\N{MINUS SIGN}", "-")
    for total, months in zip(found, seasons, strict=True):
        assert f"total of the season {signed(total / 1000)} PgC\n" in shown_as, months
    rates = [float(rate) for rate in re.findall(r"rate ([+-][\d.]+) PgC yr", shown)]
    share = [total / rate / 1000 for total, rate in zip(found, rates, strict=True)]
    assert share == pytest.approx([90.5 / 366, 92 / 366, 92 / 366, 91 / 366], rel=0.02)


def test_neighbours_in_the_legend_of_biomes_are_told_apart_with_red_green_blindness():
    colorspacious = pytest.importorskip(
        "colorspacious", reason="colorspacious is in the extra 'test'"
    )

    def nearest(colors: list[str], kind: str) -> float:
        """Distance of the two neighbours that look most alike (CAM02-UCS)."""
        rgb = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors]
        seen = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
        shown = np.clip(colorspacious.cspace_convert(rgb, seen, "sRGB1"), 0, 1)
        places = colorspacious.cspace_convert(shown, "sRGB1", "CAM02-UCS")
        return float(np.linalg.norm(np.diff(places, axis=0), axis=1).min())

    ours = [cls.color for cls in IGBP]
    assert nearest(ours, "deuteranomaly") >= 15
    assert nearest(ours, "protanomaly") >= 14
    # The control: the colours of MCD12Q1, of which open shrublands and woody savannas are alike.
    theirs = [*ours[:7], "#dcd159", "#dade48", *ours[9:]]
    assert nearest(theirs, "deuteranomaly") < 5


def test_classes_that_the_panel_has_no_room_for_are_named():
    shares = np.zeros((18, 3, 4))
    shares[1:13] = np.arange(12, 0, -1)[:, None, None] / 78
    fraction = cells(shares, dims=("igbp_class",)).assign_coords(igbp_class=np.arange(18))
    shown = texts(landcover.fraction_panel(fraction))
    assert f"not shown: GRA, WET, CRO, {100 * 6 / 78:.1f} % of the land together" in shown
    few = fraction.where(fraction["igbp_class"] < 5, 0.0)
    assert "not shown" not in texts(landcover.fraction_panel(few))
