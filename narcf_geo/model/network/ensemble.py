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
    apart : numpy.ndarray
        Half the distance of members that learned from different halves, root mean square of the
        pairs: the noise of the target that they learned. NaN of other ensembles.
    """

    flux: np.ndarray
    spread: np.ndarray
    noise: np.ndarray
    apart: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the target about the estimate, before it is calibrated."""
        return np.hypot(self.spread, self.noise)


@dataclass(frozen=True)
class Ensemble:
    """The members, and the `noise` (umol m-2 s-1) of networks that do not give it themselves.

    With `halves` the members are pairs that learned from different halves of the rows.
    """

    networks: tuple[Network, ...]
    noise: float = 0.0
    halves: bool = False

    @classmethod
    def load(cls, paths: Sequence[Path], noise: float = 0.0, *, halves: bool = False) -> Ensemble:
        """Read the ``.keras`` files of the members."""
        return cls(tuple(Network.load(path) for path in paths), noise, halves)

    def estimate(self, x: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Return the estimate of features `x`, shape (n_rows, n_features), or of some `rows` of it.

        Beside `x` and the result it takes the memory of a part of the rows.
        """
        n = len(x) if rows is None else len(rows)
        if n <= SLAB_ROWS:
            return self._estimate(x if rows is None else x[rows])
        whole = Estimate(*np.empty((4, n), np.float32))

        def fill(slab: slice) -> None:
            # Each column contiguous, as the networks read them fastest.
            part = np.asfortranarray(x[slab] if rows is None else x[rows[slab]])
            found = self._estimate(part)
            whole.flux[slab], whole.spread[slab] = found.flux, found.spread
            whole.noise[slab], whole.apart[slab] = found.noise, found.apart

        # Parts side by side: BLAS's own threads would wait for one another in small products.
        with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(fill, slabs(n)):
                pass
        return whole

    def members(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the flux by each member for `rows` of `x`, float32 (n_members, n_rows)."""
        flux = np.empty((len(self.networks), len(rows)), np.float32)
        with one_blas_thread():
            for slab in slabs(len(rows)):
                part = np.asfortranarray(x[rows[slab]])
                for own, network in zip(flux, self.networks, strict=True):
                    own[slab] = network(part)[:, 0]
        return flux

    def _estimate(self, x: np.ndarray) -> Estimate:
        # One member after the other: the memory does not grow with their number.
        outputs = (network(x) for network in self.networks)
        first = next(outputs)
        shift = first[:, 0].copy()
        total, squares, apart = np.zeros((3, len(x)), np.float32)
        variance = np.zeros(len(x), np.float32) if first.shape[1] > 1 else None
        before = shift
        for number, output in enumerate((first, *outputs)):
            # Sums of the differences to the first member lose no digits.
            difference = output[:, 0] - shift
            total += difference
            squares += difference**2
            if self.halves and number % 2:
                apart += (output[:, 0] - before) ** 2
            before = output[:, 0].copy()
            if variance is not None:
                variance += np.exp(output[:, 1])
        n = len(self.networks)
        mean = total / n
        spread = np.sqrt(np.maximum(squares / n - mean**2, 0))
        noise = np.full(len(x), self.noise, np.float32)
        # Of n / 2 pairs, each at half its distance.
        apart = np.sqrt(apart / (2 * n)) if self.halves else np.full_like(apart, np.nan)
        noise = noise if variance is None else np.sqrt(variance / n)
        return Estimate(shift + mean, spread, noise, apart)
