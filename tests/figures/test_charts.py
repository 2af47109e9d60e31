from __future__ import annotations

import xml.etree.ElementTree as ET

import matplotlib
import matplotlib.text
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.budget.tables import biome_budget
from narcf_geo.core.errors import NarcfError
from narcf_geo.figures import agreement, charts, save_figure

METRICS = {"r": 0.912, "rmse": 0.301, "bias": -0.0123, "bias_TgC_per_year": -104.2, "n": 81234}


def texts(fig) -> str:
    import matplotlib.text

    return "\n".join(t.get_text() for t in fig.findobj(matplotlib.text.Text))


def test_scatter_shows_all_pairs_and_the_given_scores(small_prediction, tmp_path):
    observed = small_prediction["flux"]
    figure = agreement.scatter(
        observed + 0.1, observed, metrics=METRICS, synthetic="twin experiment"
    )
    save_figure(figure, tmp_path / "scatter.png")
    counts = figure.axes[0].collections[0].get_array()
    assert counts.sum() == int(observed.notnull().sum())
    said = texts(figure)
    for part in ("r = 0.912", "RMSE = 0.301", "−0.0123", "−104 TgC yr⁻¹", "81 234", "1:1"):
        assert part in said
    assert "synthetic twin experiment" in said


def test_scatter_matches_months_by_time(small_prediction):
    observed = small_prediction["flux"]
    figure = agreement.scatter(observed.isel(time=[2, 3]), observed, metrics=METRICS)
    counts = figure.axes[0].collections[0].get_array()
    assert counts.sum() == int(observed.isel(time=[2, 3]).notnull().sum())
    with pytest.raises(NarcfError, match="found none"):
        agreement.scatter(observed * np.nan, observed, metrics=METRICS)


@pytest.mark.parametrize("r", [None, np.nan])
def test_a_correlation_that_is_not_defined_is_said_so(small_prediction, r):
    observed = small_prediction["flux"]
    same = observed.where(observed.isnull(), 0.3)
    figure = agreement.scatter(observed, same, metrics={**METRICS, "r": r})
    assert "r not defined\nRMSE = 0.301" in texts(figure)


def test_seasonal_cycle_is_the_mean_of_each_month(tmp_path):
    months = pd.date_range("2014-03-01", "2015-12-01", freq="MS")
    values = pd.Series(months.month + 100.0 * (months.year - 2014), index=months)
    figure = charts.seasonal_cycle({"estimate": values, "inversion": values * 2})
    save_figure(figure, tmp_path / "season.png")
    line = next(line for line in figure.axes[0].lines if line.get_label() == "estimate")
    drawn = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert drawn[1] == 101
    assert drawn[7] == 57
    with pytest.raises(NarcfError, match="found 6"):
        charts.seasonal_cycle({str(i): values for i in range(6)})


def test_biome_bars_leave_out_the_total(small_prediction, tmp_path):
    ds = small_prediction
    table = biome_budget(ds["flux"], ds["biome"], ds["cell_area"], ds["flux"] * 0.5)
    figure = charts.biome_bars(table, synthetic="twin experiment", reference_label="FLUXCOM")
    save_figure(figure, tmp_path / "bars.png")
    rows = table[table["biome"] != "all"]
    bars = sorted(bar.get_width() for bar in figure.axes[0].patches)
    np.testing.assert_allclose(bars, sorted(rows.groupby("name")["flux_TgC"].mean()))
    said = texts(figure)
    assert "croplands  CRO" in said
    assert "FLUXCOM" in said
    assert "whole region" not in said


def test_a_long_title_stays_clear_of_the_note(small_prediction):
    observed = small_prediction["flux"]
    figure = agreement.scatter(
        observed,
        observed,
        metrics=METRICS,
        title="Estimated and inverted flux on data that the model has not seen before",
        synthetic="twin experiment",
    )
    note, title, *_ = figure.texts
    assert note.get_text() == "synthetic twin experiment"
    assert title.get_window_extent().x1 < note.get_window_extent().x0


def test_the_fit_is_weighted_by_area_and_drawn(small_prediction):
    observed, area = small_prediction["flux"], small_prediction["cell_area"]
    rng = np.random.default_rng(3)
    estimate = observed * 0.5 + 0.2 + rng.normal(0, 0.1, observed.shape)
    figure = agreement.scatter(estimate, observed, metrics=METRICS, area=area)
    line = next(line for line in figure.axes[0].lines if line.get_label().startswith("fit"))
    slope = np.ptp(line.get_ydata()) / np.ptp(line.get_xdata())
    known = observed.notnull().values
    weight = np.broadcast_to(area.values, observed.shape)[known]
    x, y = observed.values[known].astype(float), estimate.values[known]
    x0, y0 = np.average(x, weights=weight), np.average(y, weights=weight)
    wanted = (weight * (x - x0) * (y - y0)).sum() / (weight * (x - x0) ** 2).sum()
    assert slope == pytest.approx(wanted, rel=1e-6)
    assert f"slope {wanted:.2f}" in line.get_label()


def test_bars_and_bands_show_the_intervals_that_are_given(small_prediction):
    ds = small_prediction
    table = biome_budget(ds["flux"], ds["biome"], ds["cell_area"])
    table = table.assign(
        flux_TgC_lower=table["flux_TgC"] - 7.0, flux_TgC_upper=table["flux_TgC"] + 7.0
    )
    figure = charts.biome_bars(table)
    assert "95 % interval" in texts(figure)
    (whiskers,) = (c for c in figure.axes[0].collections if len(c.get_segments()) > 1)
    for (left, _), (right, _) in whiskers.get_segments():
        assert right - left == pytest.approx(14.0)
    assert "lowest to highest year" in texts(
        charts.biome_bars(table.drop(columns="flux_TgC_lower"))
    )

    months = pd.date_range("2014-01-01", "2015-12-01", freq="MS")
    values = xr.DataArray(np.arange(24.0), {"time": months}, ("time",))
    cycle = charts.seasonal_cycle({"Estimate": values}, interval=(values - 2, values + 3))
    band = cycle.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(6 - 2), "January: the mean of 0 and 12, less 2"
    assert "band: 95 % interval of Estimate" in texts(cycle)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_names_are_drawn_as_they_are(tmp_path, suffix):
    """No formula of mathtext or TeX, no element of SVG, whatever a product is called."""
    name = r"$\frac{1}{2}$ $\undefined <script>alert(1)</script>--><a href='x'> \x1b"
    months = pd.date_range("2014-01-01", periods=12, freq="MS")
    values = pd.Series(np.arange(12.0), index=months)
    with matplotlib.rc_context({"text.usetex": True}):
        figure = charts.seasonal_cycle({name: values}, title=name)
        path = save_figure(figure, tmp_path / f"season{suffix}")
    drawn = [t for t in figure.findobj(matplotlib.text.Text) if "frac" in t.get_text()]
    assert len(drawn) == 2
    assert [t.get_text() for t in drawn] == 2 * [name.replace("\x1b", r"\x1b")]
    assert not any(t.get_parse_math() or t.get_usetex() for t in drawn)
    if suffix == ".svg":
        tags = {element.tag.rpartition("}")[2] for element in ET.parse(path).iter()}
        assert "path" in tags
        assert not tags & {"script", "a", "foreignObject", "image"}
