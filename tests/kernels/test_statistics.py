"""Statistics of the source cells in a target cell, against loops in Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from narcf_geo.kernels.statistics import (
    CIRCULAR,
    MAJORITY,
    MAX,
    MIN,
    PERCENTILE,
    STD,
    class_shares,
    reduce_cells,
)

KINDS = {"min": MIN, "max": MAX, "std": STD, "percentile": PERCENTILE, "majority": MAJORITY}


def reduced(
    fields: np.ndarray, matrix: np.ndarray, kind: int, q: float = 0.0, least: float = 1e-12
) -> tuple[np.ndarray, np.ndarray]:
    m = sparse.csr_array(matrix)
    values, fraction = np.empty((2, len(fields), m.shape[0]))
    reduce_cells(fields, m.indptr, m.indices, m.data, kind, q, least, values, fraction)
    return values, fraction


def by_hand(name: str, values: list[float], weights: list[float], q: float) -> float:
    """The statistic of a list of values, each repeated as often as its (whole) weight says."""
    many = np.repeat(values, np.array(weights, int))
    if name == "majority":
        classes, counts = np.unique(many, return_counts=True)
        return float(classes[counts.argmax()])
    if name == "percentile":
        return float(np.percentile(many, q, method="averaged_inverted_cdf"))
    return float({"min": np.min, "max": np.max, "std": np.std}[name](many))


@given(st.integers(0, 2**32), st.sampled_from(sorted(KINDS)), st.sampled_from([0, 10, 50, 75, 100]))
@settings(max_examples=300, deadline=None)
def test_as_by_hand(seed: int, name: str, q: float) -> None:
    rng = np.random.default_rng(seed)
    n_target, n_source = rng.integers(1, 5), rng.integers(1, 12)
    weights = rng.integers(0, 5, (n_target, n_source)) * (rng.random((n_target, n_source)) < 0.7)
    fields = rng.integers(0, 4, (3, n_source)).astype(float)
    if name in ("std", "percentile"):
        fields += rng.random(fields.shape).round(1)
    fields[rng.random(fields.shape) < 0.2] = np.nan
    values, fraction = reduced(fields, weights / 64, KINDS[name], q)
    for f, field in enumerate(fields):
        for t, row in enumerate(weights):
            used = (row > 0) & ~np.isnan(field)
            assert fraction[f, t] == row[used].sum() / 64
            if not used.any():
                assert np.isnan(values[f, t])
            else:
                expected = by_hand(name, field[used], row[used], q)
                assert values[f, t] == pytest.approx(expected, abs=1e-9)


def test_the_lowest_of_equal_classes_wins_and_rounding_does_not_decide() -> None:
    fields = np.array([[9.0, 5.0, 7.0]])
    third = 1 / 3
    assert reduced(fields, np.array([[third, third, third]]), MAJORITY)[0] == 5
    assert reduced(fields, np.array([[third + 1e-13, third - 1e-13, third]]), MAJORITY)[0] == 5
    assert reduced(fields, np.array([[third + 1e-6, third - 1e-6, third]]), MAJORITY)[0] == 9


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_cell_cut_into_pieces_counts_as_before(seed: int, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    shares, fields = rng.dirichlet(np.ones(6))[None], rng.integers(0, 9, (2, 6)).astype(float)
    pieces = np.repeat(shares / cuts, cuts, axis=1)
    for kind in KINDS.values():
        assert_allclose(
            reduced(np.repeat(fields, cuts, axis=1), pieces, kind, 30)[0],
            reduced(fields, shares, kind, 30)[0],
            atol=1e-12,
        )


def test_least_coverage() -> None:
    fields, matrix = np.array([[1.0, np.nan]]), np.array([[0.4, 0.6]])
    assert reduced(fields, matrix, MIN, least=0.4)[0] == 1
    values, fraction = reduced(fields, matrix, MIN, least=0.41)
    assert np.isnan(values)
    assert fraction == 0.4


def test_the_standard_deviation_keeps_its_digits() -> None:
    fields = np.array([[1e8, 1e8 + 1, 1e8 + 2]])
    matrix = np.array([[0.25, 0.5, 0.25]])
    assert_allclose(reduced(fields, matrix, STD)[0], np.sqrt(0.5), rtol=1e-9)
    naive = np.sqrt((matrix * fields**2).sum() - (matrix * fields).sum() ** 2)
    assert not np.isclose(naive, np.sqrt(0.5), rtol=1e-2)
    assert reduced(fields[:, :1] * 0 + 0.1, matrix[:, :1], STD)[0] == 0


def test_directions_around_north() -> None:
    fields = np.array([[359.0, 1.0], [80.0, 100.0], [0.0, 180.0]])
    found = reduced(fields, np.array([[0.5, 0.5]]), CIRCULAR, 360.0)[0].ravel()
    assert_allclose((found[:2] + 180) % 360, [180, 270], atol=1e-9)
    assert np.isnan(found[2])
    radians = reduced(np.radians(fields[:2]), np.array([[0.5, 0.5]]), CIRCULAR, 2 * np.pi)[0]
    assert_allclose(np.cos(radians.ravel()), np.cos(np.radians([0, 90])), atol=1e-12)
    assert fields.mean(axis=1)[0] == 180  # what a mean of numbers would be


def test_shares_of_classes() -> None:
    fields = np.array([[3.0, 7.0, np.nan, 8.0]])
    m = sparse.csr_array(np.array([[0.1, 0.2, 0.3, 0.1], [0.0, 0.0, 0.5, 0.0]]))
    values, fraction = np.empty((1, 2, 2)), np.empty((1, 2))
    classes = np.array([3.0, 7.0])
    class_shares(fields, m.indptr, m.indices, m.data, classes, 0.1, values, fraction)
    assert_allclose(values[0, :, 0], [0.25, 0.5])
    assert np.isnan(values[0, :, 1]).all()
    assert_array_equal(fraction[0], [0.1 + 0.2 + 0.1, 0])
