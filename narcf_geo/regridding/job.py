"""One regridding: weights of each kind made when they are needed, masks, and what fills gaps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.fields.meaning import nodata_classes
from narcf_geo.grid import Cells
from narcf_geo.regridding.apply import Rule, apply_eager, apply_lazy, result_dtype
from narcf_geo.regridding.cells import Reducer, Shares, Statistic, reduce_eager, reduce_lazy
from narcf_geo.regridding.classes import found_classes
from narcf_geo.regridding.exchange import weights_of_xesmf
from narcf_geo.regridding.gradients import Gradients, overlaps
from narcf_geo.regridding.masks import on_grid
from narcf_geo.regridding.options import Options
from narcf_geo.regridding.plan import Task
from narcf_geo.regridding.weights import (
    SeparableWeights,
    SparseWeights,
    Weights,
    compute_weights,
)

if TYPE_CHECKING:
    from xesmf import Regridder

    Given: TypeAlias = Weights | Regridder | str | os.PathLike[str] | None


@dataclass(eq=False)
class Job:
    """What stays the same for all variables of a regridding.

    Attributes
    ----------
    source, target : Grid or Mesh
    given : SeparableWeights, SparseWeights or Path, optional
        Weights made before, or where they are kept.
    options : Options
    source_mask, target_mask : numpy.ndarray of bool, optional
        In the order of the cells of their grid.
    """

    source: Cells
    target: Cells
    given: Weights | Path | None
    options: Options
    source_mask: np.ndarray | None = None
    target_mask: np.ndarray | None = None
    _made: dict[str, Weights] = field(default_factory=dict)
    classes: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Cells, target: Cells, given: Given, options: Options) -> Job:
        """Return a job with its weights and masks checked against the grids."""
        return cls(
            source,
            target,
            _checked(given, source, target),
            options,
            on_grid(options.source_mask, source, "source_mask"),
            on_grid(options.target_mask, target, "target_mask"),
        )

    @property
    def given_method(self) -> str | None:
        """The method of the weights made before."""
        return None if self.given is None or isinstance(self.given, Path) else self.given.method

    def weights(self, method: str) -> Weights:
        """Return the weights of a method, made at the first call."""
        if method not in self._made:
            self._made[method] = self._weights(method)
        return self._made[method]

    def inside(self, method: str) -> Weights:
        """Return conservative weights, to know what lies inside the target, whatever the method."""
        if method == "conservative":
            return self.weights(method)
        if "inside" not in self._made:
            self._made["inside"] = compute_weights(
                self.source, self.target, edges=self.options.edges
            )
        return self._made["inside"]

    def _weights(self, method: str) -> Weights:
        if isinstance(self.given, SeparableWeights | SparseWeights) and self.given.method == method:
            return self.given
        if method == "conservative2":
            if isinstance(self.given, Path):
                raise UsageError(
                    f"{self.given}: a weight file does not keep the slopes of {method}; leave the "
                    "file out"
                )
            return overlaps(self.source, self.target, self.options.edges)
        near: dict[str, Any] = {}
        if method.startswith("nearest"):
            near = {
                "max_distance": self.options.max_distance,
                "source_mask": self.source_mask,
                "target_mask": self.target_mask,
            }
        if isinstance(self.given, Path):
            if any(value is not None for value in near.values()):
                raise UsageError(
                    f"{self.given}: a weight file does not keep masks and max_distance of "
                    f"{method}; leave the file out"
                )
            from narcf_geo.regridding.weights_file import stored_weights

            return stored_weights(self.given, self.source, self.target, method, self.options.edges)
        return compute_weights(self.source, self.target, method, self.options.edges, **near)

    def run(self, array: xr.DataArray, task: Task) -> tuple[Any, Any]:
        """Return values (..., layers, ny, nx) and covered fractions (..., ny, nx) of a variable.

        Parameters
        ----------
        array : xarray.DataArray
            Dimensions (..., y, x) in the order of the source grid.
        task : Task
        """
        data = array.data
        dtype = result_dtype(data.dtype)
        rule = Rule(task.quantity, self.options.min_coverage, dtype)
        data = self._usable(data, array, task)
        eager = isinstance(data, np.ndarray)
        weights = self.weights(task.method.weights)
        if task.method.engine == "weights":
            apply = apply_eager if eager else apply_lazy
            values, fraction = apply(data, weights, rule)
            values = values[..., None, :, :]
        else:
            reduce = reduce_eager if eager else reduce_lazy
            values, fraction = reduce(data, weights, rule, self._reducer(array, data, task))
        if self.options.extrapolate:
            from narcf_geo.regridding.extrapolation import extrapolated

            values = extrapolated(values, data, self.source, self.target, self.options.max_distance)
        if self.target_mask is not None:
            values = _where(self.target_mask, values, np.nan)
            fraction = _where(self.target_mask, fraction, 0.0)
        return values, fraction

    def _usable(self, data: Any, array: xr.DataArray, task: Task) -> Any:
        """Return data with NaN for masked cells, and for nodata among classes."""
        keep: Any = self.source_mask
        if task.meaning.kind == "categorical":
            for number in nodata_classes(array):
                if data.dtype.kind in "iu" and number not in _range(data.dtype):
                    continue
                valid = data != data.dtype.type(number)
                keep = valid if keep is None else keep & valid
        if keep is None:
            return data
        return _where(keep, data.astype(result_dtype(data.dtype)), np.nan)

    def _reducer(self, array: xr.DataArray, data: Any, task: Task) -> Reducer:
        name = task.method.name
        if task.method.engine == "gradients":
            return Gradients(self.weights(task.method.weights))
        if name == "fractions":
            self.classes[task.name] = found_classes(array, data)
            return Shares(self.classes[task.name])
        if name == "circular_mean":
            radians = str(array.attrs.get("units", "")).lower().startswith("rad")
            return Statistic(name, 2 * np.pi if radians else 360.0)
        return Statistic(name, self.options.percentile or 0.0)


def _checked(given: Given, source: Cells, target: Cells) -> Weights | Path | None:
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        return Path(given)
    if not isinstance(given, SeparableWeights | SparseWeights):
        shapes = tuple(given.shape_in), tuple(given.shape_out)
        if shapes != (source.shape, target.shape):
            raise UsageError(
                f"expected an xesmf.Regridder from {source.shape} to {target.shape} cells, found "
                f"one from {shapes[0]} to {shapes[1]}"
            )
        return weights_of_xesmf(given, source, target)
    for name, ours, theirs in (("source", source, given.source), ("target", target, given.target)):
        if ours != theirs:
            raise UsageError(
                f"expected weights for the {name} grid {ours}, found weights for {theirs}; "
                "compute them again for these grids"
            )
    return given


def _where(keep: Any, data: Any, other: float) -> Any:
    if isinstance(data, np.ndarray):
        return np.where(keep, data, data.dtype.type(other))
    import dask.array as da

    return da.where(keep, data, data.dtype.type(other))


def _range(dtype: np.dtype) -> range:
    info = np.iinfo(dtype)
    return range(int(info.min), int(info.max) + 1)
