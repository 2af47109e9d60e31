"""Several networks that learned the same: their mean, their spread and the noise they see."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from narcf_geo.core.slabs import SLAB_ROWS, slabs
from narcf_geo.model.network.network import Network
from narcf_geo.model.network.threads import one_blas_thread


@dataclass(frozen=True)
class Estimate:
    """The flux of rows, umol m-2 s-1, float32, each of shape (n_rows,).

    Attributes
    ----------
    flux : numpy.ndarray
        Mean of the members, positive to the atmosphere.
    spread : numpy.ndarray
        Standard deviation of the members: what more members or more data would settle.
    noise : numpy.ndarray
        Standard deviation of the target about a member: what the features cannot tell.
    """

    flux: np.ndarray
    spread: np.ndarray
    noise: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the target about the estimate, before it is calibrated."""
        return np.hypot(self.spread, self.noise)


@dataclass(frozen=True)
class Ensemble:
    """The members, and the `noise` (umol m-2 s-1) of networks that do not give it themselves."""

    networks: tuple[Network, ...]
    noise: float = 0.0

    @classmethod
    def load(cls, paths: Sequence[Path], noise: float = 0.0) -> Ensemble:
        """Read the ``.keras`` files of the members."""
        return cls(tuple(Network.load(path) for path in paths), noise)

    def estimate(self, x: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Return the estimate of features `x`, shape (n_rows, n_features), or of some `rows` of it.

        Beside `x` and the result it takes the memory of a part of the rows.
        """
        n = len(x) if rows is None else len(rows)
        if n <= SLAB_ROWS:
            return self._estimate(x if rows is None else x[rows])
        whole = Estimate(*np.empty((3, n), np.float32))

        def fill(slab: slice) -> None:
            # Each column contiguous, as the networks read them fastest.
            part = np.asfortranarray(x[slab] if rows is None else x[rows[slab]])
            found = self._estimate(part)
            whole.flux[slab], whole.spread[slab] = found.flux, found.spread
            whole.noise[slab] = found.noise

        # Parts side by side: BLAS's own threads would wait for one another in small products.
        with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(fill, slabs(n)):
                pass
        return whole

    def _estimate(self, x: np.ndarray) -> Estimate:
        # One member after the other: the memory does not grow with their number.
        outputs = (network(x) for network in self.networks)
        first = next(outputs)
        shift = first[:, 0].copy()
        total, squares = np.zeros((2, len(x)), np.float32)
        variance = np.zeros(len(x), np.float32) if first.shape[1] > 1 else None
        for output in (first, *outputs):
            # Sums of the differences to the first member lose no digits.
            difference = output[:, 0] - shift
            total += difference
            squares += difference**2
            if variance is not None:
                variance += np.exp(output[:, 1])
        n = len(self.networks)
        mean = total / n
        spread = np.sqrt(np.maximum(squares / n - mean**2, 0))
        noise = np.full(len(x), self.noise, np.float32)
        return Estimate(shift + mean, spread, noise if variance is None else np.sqrt(variance / n))
