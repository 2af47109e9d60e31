from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.figures import explain
from narcf_geo.statistics.importance import correlations, partial_dependence, permutation_importance


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(400, 3)) * [10, 1, 5]


def linear(x):
    return -0.2 * x[:, 0] + 0.5 * x[:, 1]


def texts(figure) -> list[str]:
    return [t.get_text() for t in figure.texts] + [t.get_text() for t in figure.axes[0].texts]


def test_bars_are_the_table_with_the_greatest_on_top(rows):
    groups = {"none": [2], "temp": [0], "moisture of the soil + precip + a third long name": [1]}
    table = permutation_importance(linear, rows, linear(rows) + 0.1, groups)
    figure = explain.importance_bars(table, synthetic="twin experiment")
    ax = figure.axes[0]
    bars = {bar.get_y(): bar.get_width() for bar in ax.patches}
    ordered = [bars[y] for y in sorted(bars, reverse=True)]
    np.testing.assert_allclose(ordered, table["rmse_increase"])
    labels = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert labels == list(table.index[::-1])
    whiskers = ax.containers[0].lines[2][0].get_segments()
    lengths = [segment[1, 0] - segment[0, 0] for segment in whiskers]
    np.testing.assert_allclose(lengths, 2 * table["rmse_increase_std"][::-1])
    said = texts(figure)
    assert "synthetic twin experiment" in said
    assert any("unshuffled: 0.100 µmol m⁻² s⁻¹" in text for text in said)
    assert "0" in said, "a group without importance says so"
    assert ax.get_xlabel() == "increase of the RMSE (µmol m⁻² s⁻¹)"
    with pytest.raises(NarcfError, match="at least one group"):
        explain.importance_bars(table.iloc[:0])


def test_curves_share_a_scale_and_have_their_units(rows):
    names = {"temp": 0, "nirv": 1}
    curves = {name: partial_dependence(linear, rows, column) for name, column in names.items()}
    figure = explain.dependence_panel(
        curves, data={"temp": rows[:, 0]}, units={"temp": "degC", "nirv": "1"}
    )
    first, second = figure.axes[:2]
    assert (first.get_xlabel(), second.get_xlabel()) == ("temp (°C)", "nirv")
    assert first.get_ylim() == second.get_ylim()
    line = next(line for line in first.lines if len(line.get_xdata()) == 21)
    np.testing.assert_allclose(line.get_xdata(), curves["temp"].index)
    np.testing.assert_allclose(line.get_ydata(), curves["temp"]["mean"])
    assert len(first.child_axes) == 1, "where the data are"
    assert not second.child_axes
    counts = [bar.get_height() for bar in first.child_axes[0].patches]
    low, high = curves["temp"].index[[0, -1]]
    assert sum(counts) == ((rows[:, 0] >= low) & (rows[:, 0] <= high)).sum()
    assert any("band: 10 to 90 % of the rows; grey" in text for text in texts(figure))
    assert any("← uptake   release →" in text for text in texts(figure))


def test_one_curve_or_twelve_but_not_more(rows):
    curve = partial_dependence(linear, rows, 0, grid=np.array([1.0]))
    for count in (1, 3, 7, 12):
        figure = explain.dependence_panel({f"x{i}": curve for i in range(count)})
        assert sum(ax.get_visible() for ax in figure.axes) == count
    for count in (0, 13):
        with pytest.raises(NarcfError, match=f"1 to 12 curves, found {count}"):
            explain.dependence_panel({f"x{i}": curve for i in range(count)})


def test_correlations_stand_where_their_names_cross(rows):
    x = np.column_stack([rows[:, :2], rows[:, 0] * 3, -rows[:, 1], rows[:, 0] * 0])
    table = correlations(x, ["a", "b", "a3", "minus_b", "still"])
    figure = explain.correlation_matrix(table)
    ax = figure.axes[0]
    drawn = ax.images[0].get_array()
    across = [t.get_text() for t in ax.get_xticklabels()]
    down = [t.get_text() for t in ax.get_yticklabels()]
    for (i, j), value in np.ndenumerate(drawn.filled(np.nan)):
        if np.isfinite(value):
            assert value == table.loc[down[i], across[j]]
    assert drawn.count() == 6, "each pair once; what does not vary is blank"
    said = {t.get_position(): t.get_text() for t in ax.texts}
    assert said[across.index("a"), down.index("a3")] == "1.00"
    assert said[across.index("b"), down.index("minus_b")] == "−1.00"
    many = pd.DataFrame(np.eye(20), columns=[f"x{i}" for i in range(20)])
    assert not explain.correlation_matrix(many.set_axis(many.columns)).axes[0].texts
    with pytest.raises(NarcfError, match="at least two"):
        explain.correlation_matrix(table.iloc[:1, :1])
