"""What became of each variable of a regridded file: coverage, and the integral before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.regridding.job import Job
from narcf_geo.regridding.plan import CELL_AREA, Task
from narcf_geo.regridding.weights import SparseWeights, Weights, compute_weights, heights, widths


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
        cells over their covered part; mean over time and other dimensions. NaN for classes and
        statistics.
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
    ds: xr.Dataset, out: xr.Dataset, tasks: Mapping[str, Task], job: Job
) -> dict[tuple[str, str], Any]:
    """Return the sums of the summary, lazy; no integrals of classes and statistics.

    Parameters
    ----------
    ds, out : xarray.Dataset
        Before and after.
    tasks : mapping of str to Task
        How each variable was regridded.
    job : Job
    """
    source, target = job.source, job.target
    conserving = any(task.method.weights == "conservative" for task in tasks.values())
    weights = job.weights("conservative") if conserving else compute_weights(source, target)
    area = xr.DataArray(weights.target_area, dims=target.dims)
    sums: dict[tuple[str, str], Any] = {}
    for name, task in tasks.items():
        if task.method == CELL_AREA:
            continue
        fraction = out[f"{name}_valid_fraction"]
        fraction = fraction.drop_vars(fraction.coords)
        sums[name, "coverage"] = (fraction * area).sum(target.dims).mean() / area.sum()
        if not task.keeps_integral:
            continue
        after = out[name].drop_vars(out[name].coords)
        areas = source_areas(weights, task.quantity)
        sums[name, "before"] = _integral(ds[name].variable, source.dims, areas)
        kept = after * fraction * area if task.quantity == "mean" else after
        sums[name, "after"] = kept.sum(target.dims, dtype="float64").mean()
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


def source_areas(weights: Weights, quantity: str) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """Return what each source cell adds to an integral over the target grid.

    That is the area (m2) of its part inside the target for means, that part (0..1) for totals,
    as factors to multiply with their dimensions: one array, or one along each axis.
    """
    source = weights.source
    if isinstance(weights, SparseWeights):
        inside = (weights.csr.T @ weights.target_area.ravel()).reshape(source.shape)
        if quantity == "total":
            area = weights.source_area
            inside = np.divide(inside, area, out=np.zeros_like(inside), where=area > 0)
        return [(inside, source.dims)]
    factors: list[tuple[np.ndarray, tuple[str, ...]]] = []
    for axis, matrix in enumerate((weights.y, weights.x)):
        grids = weights.source, weights.target
        ours, theirs = ((heights(g), widths(g))[axis] for g in grids)
        inside = matrix.T @ theirs
        factors.append((inside / ours if quantity == "total" else inside, (source.dims[axis],)))
    if quantity == "mean":
        factors[0] = factors[0][0] * EARTH_RADIUS**2, factors[0][1]
    return factors
