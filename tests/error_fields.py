"""Error fields whose covariance is known, on an uneven continent of coarse cells."""

from __future__ import annotations

import numpy as np
import xarray as xr
from places import cells, monthly

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid import Grid

GRID = Grid.regular(-130, 20, -60, 70, 2.5)
_LON, _LAT = np.meshgrid(GRID.lon, GRID.lat)
LAND = np.hypot((_LAT - 45) / 28, (_LON + 95) / 36) < np.sqrt(1 + 0.2 * np.sin(_LON / 7))
AREA = cells(GRID.area, GRID.lat, GRID.lon, units="m2")


def std() -> np.ndarray:
    """Standard deviation (month, land cell): larger in summer and in the middle."""
    season = 0.2 + 0.3 * np.clip(np.sin((np.arange(12) - 2) / 6 * np.pi), 0, None)
    return season[:, None] * (1 + 0.8 * np.exp(-(((_LAT[LAND] - 45) / 10) ** 2)))


def field(values: np.ndarray, year: int) -> xr.DataArray:
    """A year of values (month, land cell) on the grid."""
    full = np.full((12, *LAND.shape), np.nan)
    full[:, LAND] = values
    return monthly(full, f"{year}-01", f"{year}-12", GRID.lat, GRID.lon)


class Errors:
    """Standardised errors: exp(-distance / length_km) in space, AR(1) from month to month."""

    def __init__(self, length_km: float, persistence: float, seed: int) -> None:
        lat, lon = np.deg2rad(_LAT[LAND]), np.deg2rad(_LON[LAND])
        x = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        distance = EARTH_RADIUS / 1e3 * np.arccos(np.clip(x.T @ x, -1, 1))
        lag = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
        self.space = np.exp(-distance / length_km)
        self.time = persistence ** lag.astype(float)
        self._factors = [
            np.linalg.cholesky(c + 1e-9 * np.eye(len(c))) for c in (self.time, self.space)
        ]
        self.rng = np.random.default_rng(seed)

    def draw(self) -> np.ndarray:
        """Return one year (month, land cell)."""
        of_time, of_space = self._factors
        return of_time @ self.rng.standard_normal((12, int(LAND.sum()))) @ of_space.T
