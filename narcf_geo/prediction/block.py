"""What is computed for a block of cells and months: plain numpy, one block at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.network.threads import one_blas_thread
from narcf_geo.statistics.applicability import APPLICABILITY
from narcf_geo.statistics.flux_error import FluxError

LEVEL = 0.95
"""Of the intervals from ``flux_lower`` to ``flux_upper`` and of an observed value."""

SLAB_ROWS = 16384
"""Rows whose features are laid out at once; 4 bytes for each feature of each row."""

_OF_FLUX = ("flux_std", "flux_lower", "flux_upper")
_OF_OBSERVED = ("observed_std", "observed_lower", "observed_upper")
_TRUST = ("applicability", "applicable")


@dataclass(frozen=True)
class Predictor:
    """A bundle and all that is predicted with it."""

    bundle: Bundle

    @property
    def _flux_error(self) -> FluxError | None:
        """The size of errors of the flux, where it tells the interval of `LEVEL`."""
        error = self.bundle.flux_error
        return error if error is not None and LEVEL in error.factors else None

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in the order of `block`."""
        of_flux = _OF_FLUX if self._flux_error else ()
        of_observed = _OF_OBSERVED if LEVEL in self.bundle.factors else ()
        trust = _TRUST if self.bundle.applicability else ()
        return ("flux", *of_flux, *of_observed, *trust)

    def block(
        self,
        months: int,
        land: np.ndarray,
        static: np.ndarray,
        predictors: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Predict the cells of land where all is there that must be.

        Parameters
        ----------
        months : int
            Length of the time axis.
        land : numpy.ndarray
            Shape (lat, lon), bool.
        static : numpy.ndarray
            Biome columns, shape (lat, lon, n).
        predictors : sequence of numpy.ndarray
            In the order of the bundle's features, shape (time, lat, lon) or (lat, lon).

        Returns
        -------
        numpy.ndarray
            Shape (n_fields, time, lat, lon), float32, NaN where nothing is predicted.
        """
        features = self.bundle.features
        shape = (months, *land.shape)
        known = features.complete([np.broadcast_to(p, shape) for p in predictors])
        places = np.flatnonzero(land & known)
        flat = [p.ravel() for p in predictors]
        maps = np.ascontiguousarray(np.moveaxis(static, -1, 0)).reshape(-1, land.size)
        result = np.full((len(self.fields), known.size), np.nan, np.float32)
        for start in range(0, places.size, SLAB_ROWS):
            place = places[start : start + SLAB_ROWS]
            cell = place % land.size
            columns = [p.take(cell if p.size == land.size else place) for p in flat]
            x = features.matrix(columns, maps.take(cell, axis=1).T)
            for field, values in zip(result, self._rows(x), strict=True):
                field[place] = values
        return result.reshape(-1, *shape)

    def _rows(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the fields of rows of features, each of shape (n_rows,)."""
        with one_blas_thread():
            estimate = self.bundle.estimate(x)
            fields = [estimate.flux]
            if (error := self._flux_error) is not None:
                std = error.std(estimate.apart, estimate.noise)
                fields += _interval(estimate.flux, std, error.factors[LEVEL])
            if LEVEL in self.bundle.factors:
                fields += _interval(estimate.flux, estimate.std, self.bundle.factors[LEVEL])
            if (area := self.bundle.applicability) is not None:
                index = area.dissimilarity(x)
                fields += [index, area.applicable(index).astype(np.float32)]
        return fields


def _interval(flux: np.ndarray, std: np.ndarray, factor: float) -> list[np.ndarray]:
    half = np.float32(factor) * std
    return [std, flux - half, flux + half]


@lru_cache(maxsize=4)
def predictor(directory: Path, digest: str) -> Predictor:
    """Load a bundle once in each process; `digest` tells one training from the next."""
    return Predictor(Bundle.load(directory))


def bundle_digest(directory: Path) -> str:
    """Return a hash of all that a prediction depends on; ``bundle.json`` has that of the members.

    Raises
    ------
    NarcfError
        When there is no bundle.
    """
    digest = hashlib.sha256()
    for name in ("bundle.json", APPLICABILITY):
        path = directory / name
        if path.exists():
            digest.update(path.read_bytes())
        elif name != APPLICABILITY:
            raise NarcfError(f"{path}: no such file; train a model with `narcf-geo train`")
    return digest.hexdigest()
