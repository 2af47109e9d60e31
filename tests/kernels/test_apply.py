"""Weights applied to fields with gaps, against loops over plain matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from narcf_geo.kernels.apply import apply_separable, apply_sparse, apply_sparse_single, finish

NAN = np.nan


def fields(count: int, *shape: int) -> np.ndarray:
    """Fields that differ everywhere, every second one with gaps of its own."""
    rng = np.random.default_rng(4)
    values = rng.normal(5, 3, (count, *shape))
    gaps = rng.random(values.shape) < 0.3
    gaps[1::2] = False
    values[gaps] = NAN
    return values


def matrix(rows: int, columns: int, seed: int) -> sparse.csr_array:
    made = sparse.random_array((rows, columns), density=0.5, rng=seed, format="csr")
    made.data += 0.1
    return made


def expected(
    values: np.ndarray, weights: np.ndarray, cover: np.ndarray, least: float, mean: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The rule cell by cell: values (n, cells), matrices (targets, cells)."""
    total = np.zeros((len(values), len(weights)))
    fraction = np.zeros_like(total)
    for f, field in enumerate(values):
        for t in range(len(weights)):
            valid = [k for k in range(field.size) if not np.isnan(field[k])]
            s = sum(weights[t, k] * field[k] for k in valid)
            c = sum(cover[t, k] for k in valid)
            fraction[f, t] = c if least < 0 else np.clip(c, 0, 1)
            total[f, t] = s
            if least >= 0:
                total[f, t] = NAN if c < least else s / c if mean else s
    return total, fraction


RULES = [(-1.0, True), (0.4, True), (0.4, False), (0.8, True)]


@pytest.mark.parametrize("count", [1, 2, 6, 8, 11])
@pytest.mark.parametrize(("least", "mean"), RULES)
def test_a_sparse_matrix(count: int, least: float, mean: bool) -> None:
    """Only cells 2 to 8 of 11 are in use, and the covered fraction has weights of its own."""
    values = fields(count, 11)
    weights = matrix(6, 7, seed=1)
    cover = weights.copy()
    cover.data = 0.35 * cover.data[::-1].copy()
    begin, end = 2, 9
    args = weights.indptr, weights.indices, weights.data, cover.data
    wanted = expected(values[:, begin:end], weights.toarray(), cover.toarray(), least, mean)
    for kernel in (apply_sparse, apply_sparse_single):
        found, fraction = np.full((count, 2, 3), -99.0), np.full((count, 2, 3), -99.0)
        kernel(values, begin, end, *args, found, fraction, least, mean)
        assert_allclose(found.reshape(count, 6), wanted[0], rtol=1e-12)
        assert_allclose(fraction.reshape(count, 6), wanted[1], rtol=1e-12)


@pytest.mark.parametrize(("least", "mean"), RULES)
def test_two_matrices_in_turn(least: float, mean: bool) -> None:
    values = fields(3, 4, 5)
    y, x = matrix(2, 4, seed=2), matrix(3, 5, seed=3)
    y_cover, x_cover = y.copy(), x.copy()
    y_cover.data = 0.6 * y.data[::-1].copy()
    x_cover.data = 0.6 * x.data[::-1].copy()
    found, fraction = np.full((3, 2, 3), -99.0), np.full((3, 2, 3), -99.0)
    apply_separable(
        values,
        *(y.indptr, y.indices, y.data, y_cover.data, y_cover.sum(axis=1)),
        *(x.indptr, x.indices, x.data, x_cover.data, x_cover.sum(axis=1)),
        *(found, fraction, least, mean),
    )
    both = np.kron(y.toarray(), x.toarray()), np.kron(y_cover.toarray(), x_cover.toarray())
    wanted = expected(values.reshape(3, 20), *both, least, mean)
    assert_allclose(found.reshape(3, 6), wanted[0], rtol=1e-12)
    assert_allclose(fraction.reshape(3, 6), wanted[1], rtol=1e-12)


def test_sums_added_up_before() -> None:
    total = np.array([[[3.0, 4.0, 6.0]], [[1.0, 2.0, -7.0]]])
    covered = np.array([[[0.5, 0.4, 1.5]], [[0.25, -0.1, 0.0]]])
    found, fraction = np.zeros(total.shape), np.zeros(total.shape)
    finish(total, covered, found, fraction, 0.5, True)
    assert_array_equal(found, [[[6, NAN, 4]], [[NAN, NAN, NAN]]])
    assert_array_equal(fraction, [[[0.5, 0.4, 1]], [[0.25, 0, 0]]])
    finish(total, covered, found, fraction, 0.5, False)
    assert_array_equal(found, [[[3, NAN, 6]], [[NAN, NAN, NAN]]])
    # Nothing is asked for: an uncovered cell keeps its sum.
    finish(total, covered, found, fraction, 0.0, False)
    assert_array_equal(found, [[[3, 4, 6]], [[1, NAN, -7]]])
    finish(total, covered, found, fraction, -1.0, True)
    assert_array_equal(found, total)
    assert_array_equal(fraction, covered)
