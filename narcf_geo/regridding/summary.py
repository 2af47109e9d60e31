"""What became of each variable of a regridded file: coverage, and the integral before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.regridding.weights import Weights, compute_weights, source_areas


@dataclass(frozen=True)
class Summary:
    """What became of one variable.

    Attributes
    ----------
    variable : str
    source_grid, target_grid : str
        What the grids are, for people.
    coverage : float
        Part of the target's area that valid source cells cover, 0..1, mean over time.
    integral_before, integral_after : float
        Area integral (sum for totals) of the source over the target, and of the valid target
        cells over their covered part; mean over time and other dimensions.
    units : str
        Of the integrals.
    seconds : float
        For all variables of the file together.
    """

    variable: str
    source_grid: str
    target_grid: str
    coverage: float
    integral_before: float
    integral_after: float
    units: str
    seconds: float


def integrals(
    ds: xr.Dataset, out: xr.Dataset, names: Sequence[str], weights: Weights, quantity: str
) -> dict[tuple[str, str], Any]:
    """Return the sums of the summary, lazy."""
    source, target = weights.source, weights.target
    inside = weights
    if weights.method != "conservative":
        inside = compute_weights(source, target, "conservative")
    areas = source_areas(inside, quantity)
    area = xr.DataArray(inside.target_area, dims=target.dims)
    sums: dict[tuple[str, str], Any] = {}
    for name in names:
        after, fraction = (
            v.drop_vars(v.coords) for v in (out[name], out[f"{name}_valid_fraction"])
        )
        sums[name, "before"] = _integral(ds[name].variable, source.dims, areas)
        kept = after * fraction * area if quantity == "mean" else after
        sums[name, "after"] = kept.sum(target.dims, dtype="float64").mean()
        sums[name, "coverage"] = (fraction * area).sum(target.dims).mean() / area.sum()
    return sums


def _integral(
    field: xr.Variable, dims: tuple[str, ...], areas: list[tuple[np.ndarray, tuple[str, ...]]]
) -> Any:
    """Return the mean over all other dimensions of the area integral, a dask scalar."""
    import dask.array as da

    data = field.transpose(..., *dims).data
    axes = dict(zip(dims, (data.ndim - 2, data.ndim - 1), strict=True))
    factors: list[Any] = []
    for area, along in areas:
        index = tuple(axes[d] for d in along)
        factors += [da.from_array(area, chunks=tuple(data.chunks[k] for k in index)), index]
    every = tuple(range(data.ndim))
    sums = da.blockwise(
        _weighted_sum,
        every,
        data,
        every,
        *factors,
        adjust_chunks=dict.fromkeys(axes.values(), 1),
        dtype="float64",
        meta=np.empty((0,) * data.ndim),
    )
    return sums.sum(axis=(-2, -1)).mean()


def _weighted_sum(block: np.ndarray, *areas: np.ndarray) -> np.ndarray:
    subscripts = "...yx,yx" if areas[0].ndim == 2 else "...yx,y,x"
    filled = np.where(np.isnan(block), 0, block)
    return np.einsum(f"{subscripts}->...", filled, *areas)[..., None, None]


def integral_units(units: str, quantity: str) -> str:
    return units if quantity == "total" else f"{units} m2".strip() if units != "1" else "m2"
