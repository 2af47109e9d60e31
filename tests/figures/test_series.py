from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import like_a_map, like_an_inversion

from narcf_geo.budget.totals import biome_series, monthly_total
from narcf_geo.core.errors import GridMismatchError, NarcfError
from narcf_geo.figures import agreement, series, style


@pytest.fixture(scope="module")
def products(america: xr.Dataset) -> dict[str, xr.DataArray]:
    flux = america["flux"]
    noise = np.random.default_rng(4).normal(0, 0.5, flux.shape)
    return {"Estimate": 0.5 * flux, "Other": flux + noise, "Inversion": flux}


def test_years_are_drawn_when_whole(america, products):
    flux = products["Inversion"].isel(time=slice(3, None))
    monthly = {"Inversion": monthly_total(flux, america["cell_area"])}
    figure = series.time_series(monthly)
    bars = [(b.get_x() + b.get_width() / 2, b.get_height()) for b in figure.axes[1].patches]
    total = float(monthly["Inversion"].sel(time="2015").sum())
    assert bars == [(pytest.approx(2015), pytest.approx(total))]
    line = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(line, monthly["Inversion"].values)


def test_intervals_of_months_and_years_are_drawn(america, products):
    monthly = monthly_total(products["Inversion"], america["cell_area"])
    yearly = monthly.groupby("time.year").sum()
    figure = series.time_series(
        {"Inversion": monthly},
        interval=(monthly - 30, monthly + 30),
        year_interval=(yearly - 90, yearly + 90),
    )
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert np.ptp(band) == pytest.approx(np.ptp(monthly.values) + 60)
    (whiskers,) = figure.axes[1].collections
    assert [np.ptp(s[:, 1]) for s in whiskers.get_segments()] == [pytest.approx(180)] * 2


def test_biomes_of_the_largest_cycles_come_first(america, products):
    area, biome = america["cell_area"], america["biome"]
    by_biome = {
        name: biome_series(flux, biome, area) for name, flux in products.items() if name != "Other"
    }
    figure = series.biome_seasons(by_biome, most=4)
    assert len(figure.axes) == 4
    swings = [np.ptp(ax.lines[1].get_ydata()) for ax in figure.axes]
    assert swings == sorted(swings, reverse=True)
    half, whole = figure.axes[0].lines[1:3]
    np.testing.assert_allclose(2 * half.get_ydata(), whole.get_ydata())


def test_zonal_means_by_month(america):
    flux = america["flux"]
    mesh = series.hovmoeller(flux).axes[0].collections[0]
    row = flux.sel(lat=45.5).mean("lon").values
    drawn = mesh.get_array().reshape(-1, flux.sizes["time"])
    assert any(np.allclose(row, values) for values in drawn)


def test_taylor_says_correlation_and_deviation(america, products):
    area = america["cell_area"]
    observed = products["Inversion"]
    figure = agreement.taylor(products, observed, area=area)
    points = {
        line.get_label().split(":")[0]: (line.get_xdata()[0], line.get_ydata()[0])
        for line in figure.axes[0].lines
        if ":" in line.get_label()
    }
    assert points["Estimate"] == (pytest.approx(0, abs=1e-3), pytest.approx(0.5))
    known = observed.notnull().values
    weight = np.broadcast_to(area.values, known.shape)[known]
    x, y = products["Other"].values[known], observed.values[known]
    covariance = np.cov(x, y, aweights=weight)
    r = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert np.cos(points["Other"][0]) == pytest.approx(r)
    assert points["Other"][1] == pytest.approx(np.sqrt(covariance[0, 0] / covariance[1, 1]))
    with pytest.raises(NarcfError, match="expected pairs"):
        agreement.taylor({"None": observed * np.nan}, observed)


def test_taylor_and_pairs_go_by_label(america, products):
    area, observed = america["cell_area"], products["Inversion"]

    def said(figure):
        labels = [line.get_label() for ax in figure.axes for line in ax.lines]
        return labels, [t.get_text() for ax in figure.axes for t in ax.texts]

    wanted = said(agreement.taylor(products, observed, area=area))
    turned = {
        n: like_an_inversion(f.drop_vars(["lat_bnds", "lon_bnds"], errors="ignore"))
        for n, f in products.items()
    }
    assert said(agreement.taylor(turned, like_a_map(observed), area=like_a_map(area))) == wanted
    pair = {"a": observed, "b": products["Other"]}
    others = {
        "a": like_a_map(observed),
        "b": turned["Other"].assign_coords(lat=turned["Other"]["lat"] + 1e-13),
    }
    assert said(agreement.pairplot(others)) == said(agreement.pairplot(pair))
    # The controls: by position they are other pairs, and another grid has none.
    by_position = {"Other": products["Other"].copy(data=products["Other"].values[:, ::-1])}
    assert said(agreement.taylor(by_position, observed, area=area))[0] != wanted[0]
    for axis in ("lat", "lon"):
        moved = observed.assign_coords({axis: observed[axis] + 0.5})
        for draw in (
            lambda m: agreement.taylor(products, m),
            lambda m: agreement.pairplot({"a": products["Other"], "b": m}),
            lambda m: agreement.scatter(products["Other"], m, metrics={}),
        ):
            with pytest.raises(GridMismatchError, match="70 x 120 cells"):
                draw(moved)


def test_taylor_of_what_does_not_vary(america, products):
    observed = products["Inversion"]
    flat = {"Flat": xr.full_like(observed, 0.3).where(observed.notnull()), "Same": observed}
    figure = agreement.taylor(flat, observed, area=america["cell_area"])
    points = {line.get_label(): line for line in figure.axes[0].lines}
    assert points["Flat: std 0"].get_ydata()[0] == 0
    assert points["Same: r 1.000, std 1.00"].get_xdata()[0] == pytest.approx(0, abs=1e-6)
    with pytest.raises(NarcfError, match="that varies"):
        agreement.taylor({"Same": observed}, flat["Flat"])


def test_anomalies_are_departures_from_the_mean_of_the_month():
    months = np.arange("2010-01", "2013-03", dtype="datetime64[M]").astype("datetime64[ns]")
    rng = np.random.default_rng(3)
    time = xr.DataArray(months, dims="time", coords={"time": months})
    year, month = time.dt.year.values, time.dt.month.values
    values = 100 * np.cos(month / 2) + rng.normal(0, 5, 38)
    one = xr.DataArray(values, dims="time", coords={"time": months})
    other = one.where(year != 2011) * 0.5
    figure = series.anomalies({"Estimate": one, "Inversion": other}, synthetic="")
    upper, lower = figure.axes
    ours, theirs = upper.lines[0], upper.lines[1]
    assert len(ours.get_xdata()) == 26
    january, march = values[month == 1][[0, 2, 3]], values[month == 3][[0, 2]]
    expected = [*(january - january.mean()), *(march - march.mean())]
    drawn = np.asarray(ours.get_ydata())
    assert drawn[[0, 12, 24, 2, 14]] == pytest.approx(expected)
    np.testing.assert_allclose(theirs.get_ydata(), 0.5 * drawn, atol=1e-12)
    whole = [bar.get_height() for bar in lower.patches]
    sums = np.array([drawn[:12].sum(), drawn[12:24].sum()])
    assert whole == pytest.approx([*sums, *(sums / 2)])
    # The control: over all its years the first has other departures.
    alone = series.anomalies({"Estimate": one}).axes[0].lines[0].get_ydata()
    assert np.abs(np.asarray(alone)[:12] - drawn[:12]).max() > 0.5
    with pytest.raises(NarcfError, match="two years"):
        series.anomalies({"Estimate": one[:12]})


def test_pairs_say_their_correlation(america, products):
    pair = {"a": products["Inversion"], "b": products["Other"], "c": -products["Inversion"]}
    said = [t.get_text() for ax in agreement.pairplot(pair).axes for t in ax.texts]
    assert "r = −1.00" in said
    with pytest.raises(NarcfError, match="2 to 7"):
        agreement.pairplot({"a": products["Inversion"]})


def test_too_many_series_are_refused(america, products):
    monthly = monthly_total(products["Inversion"], america["cell_area"])
    with pytest.raises(NarcfError, match="found 6"):
        series.time_series({str(n): monthly for n in range(6)})


@pytest.mark.parametrize("name", [style.FLUX_CMAP, style.DIFFERENCE_CMAP])
@pytest.mark.parametrize("kind", ["deuteranomaly", "protanomaly"])
def test_signs_are_told_apart_with_red_green_blindness(name, kind):
    assert half_range_contrast(name, kind) >= 20


def test_the_contrast_test_finds_a_colour_map_that_fails():
    assert half_range_contrast("RdYlGn", "deuteranomaly") < 20


def half_range_contrast(name: str, kind: str) -> float:
    """Difference in CAM02-UCS of the colours of +x and -x at half range, as seen."""
    colorspacious = pytest.importorskip(
        "colorspacious", reason="colorspacious is in the extra 'test'"
    )
    import matplotlib

    seen = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    colors = matplotlib.colormaps[name]([0.25, 0.75])[:, :3]
    shown = np.clip(colorspacious.cspace_convert(colors, seen, "sRGB1"), 0, 1)
    return float(colorspacious.deltaE(shown[0], shown[1], uniform_space="CAM02-UCS"))
