"""What became of each variable of a regridded file: how it was made, coverage, integrals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.regridding.job import Job
from narcf_geo.regridding.plan import Task
from narcf_geo.regridding.weights import SparseWeights, Weights, heights, widths

Fate = Literal["regridded", "copied", "replaced", "dropped"]


@dataclass(frozen=True)
class Summary:
    """What became of one variable.

    Attributes
    ----------
    variable : str
    fate : {"regridded", "copied", "replaced", "dropped"}
        ``copied`` is what has no dimension of a grid; ``replaced`` are coordinates, bounds and
        mappings of a source grid, for which the target has its own.
    how : str
        The method, or why the variable is not there.
    path : Path
        The file that it is in, or would be.
    source_grid, target_grid : str
        What the grids are, for people; empty for all but regridded variables, as are the others.
    coverage : float, optional
        Part of the target's area that valid source cells cover, 0..1, mean over time.
    integral_before, integral_after : float, optional
        Area integral (sum for totals) of the source over the target, and of the valid target
        cells over their covered part; mean over time and other dimensions. None for classes and
        statistics.
    units : str
        Of the integrals.
    seconds : float
        For all variables of the file together.
    """

    variable: str
    fate: Fate
    how: str
    path: Path
    source_grid: str = ""
    target_grid: str = ""
    coverage: float | None = None
    integral_before: float | None = None
    integral_after: float | None = None
    units: str = ""
    seconds: float = 0.0

    def with_sums(self, sums: dict[str, float], steps: int) -> Summary:
        """Return it with the means over `steps` of what was summed up."""
        if not sums:
            return self
        mean = {name: value / steps for name, value in sums.items()}
        return replace(
            self,
            coverage=mean["coverage"],
            integral_before=mean.get("before"),
            integral_after=mean.get("after"),
        )


def integrals(
    field: xr.Variable, values: xr.Variable, fraction: xr.Variable, job: Job, task: Task
) -> dict[str, Any]:
    """Return what is summed up for the summary, at each step: lazy arrays without the plane.

    Classes and statistics have no integrals.

    Parameters
    ----------
    field : xarray.Variable
        Of the source, in blocks; its plane has two dimensions.
    values, fraction : xarray.Variable
        The result and its valid fraction, their planes of two dimensions too.
    job : Job
    task : Task
        How the variable was regridded.
    """
    source, dims = job.source, job.target.dims
    inside = job.inside(task.method.weights)
    area = xr.Variable(dims, inside.target_area)
    sums = {"coverage": ((fraction * area).sum(dims) / float(area.sum())).data}
    if not task.keeps_integral:
        return sums
    if job.source_mask is not None:
        field = field.where(xr.Variable(source.dims, job.source_mask))
    kept = values * fraction * area if task.quantity == "mean" else values
    sums["before"] = _integral(field, source.dims, source_areas(inside, task.quantity))
    sums["after"] = kept.sum(dims, dtype="float64").data
    return sums


def _integral(
    field: xr.Variable, dims: tuple[str, ...], areas: list[tuple[np.ndarray, tuple[str, ...]]]
) -> Any:
    """Return the area integral at each step, a dask array."""
    import dask.array as da

    data = field.transpose(..., *dims).data
    axes = {d: data.ndim - len(dims) + k for k, d in enumerate(dims)}
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
    return sums.sum(axis=tuple(axes.values()))


def _weighted_sum(block: np.ndarray, *areas: np.ndarray) -> np.ndarray:
    from narcf_geo.kernels.apply import weighted_sums

    area = areas[0] if len(areas) == 1 else np.multiply.outer(*areas)
    sums = weighted_sums(np.ascontiguousarray(block).reshape(-1, area.size), area.ravel())
    return sums.reshape(*block.shape[: block.ndim - area.ndim], *(1,) * area.ndim)


def integral_units(units: str, quantity: str) -> str:
    """Return the unit of an area integral, of the sum for totals."""
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


def listed(rows: Sequence[Summary], fate: Fate) -> list[Summary]:
    """Return the variables that met one fate."""
    return [row for row in rows if row.fate == fate]
