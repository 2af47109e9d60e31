"""ESMPy's Field and Regrid, and the Manager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from narcf_geo.core.errors import NarcfError
from narcf_geo.esmpy.constants import (
    EsmpyError,
    ExtrapMethod,
    LineType,
    MeshLoc,
    NormType,
    PoleMethod,
    Region,
    RegridMethod,
    StaggerLoc,
    UnmappedAction,
    unsupported,
)
from narcf_geo.esmpy.geometry import Grid, LocStream, Mesh, Points

Array = NDArray[Any]


class Manager:
    """One process without a log: ESMPy's Manager of a serial run."""

    def __init__(self, debug: bool = False, **ignored: Any) -> None:
        self.debug = debug
        self.local_pet, self.pet_count = 0, 1

    def barrier(self) -> None:
        """Wait for nobody."""


class Field:
    """Data (float64, Fortran order) on a Grid, Mesh or LocStream, extra dimensions last."""

    finalized = False

    def __init__(
        self,
        grid: Grid | Mesh | LocStream,
        name: str | None = None,
        typekind: Any = None,
        staggerloc: StaggerLoc | None = None,
        meshloc: MeshLoc | None = None,
        ndbounds: int | Sequence[int] | None = None,
    ) -> None:
        self.grid, self.name = grid, name
        self.staggerloc = StaggerLoc.CENTER if staggerloc is None else staggerloc
        self.meshloc = MeshLoc.NODE if meshloc is None else meshloc
        more = () if ndbounds is None else tuple(np.atleast_1d(ndbounds).tolist())
        self.ndbounds = more or None
        self.data = np.zeros((*grid.field_shape(self.staggerloc, self.meshloc), *more), order="F")

    def get_area(self) -> None:
        """Fill the data with the areas of the cells on the unit sphere."""
        from narcf_geo.kernels.overlap import areas

        cells = self.grid.polygons(self.meshloc, None)
        spatial = self.data.shape[: self.data.ndim - len(self.ndbounds or ())]
        area = areas(cells).reshape(spatial, order="F")
        self.data[...] = area.reshape(*spatial, *(1,) * len(self.ndbounds or ()))

    def destroy(self) -> None:
        self.finalized = True


class Regrid:
    """Weights from one Field to another, by ESMPy's arguments."""

    finalized = False

    def __init__(
        self,
        srcfield: Field,
        dstfield: Field,
        filename: str | Path | None = None,
        *,
        src_mask_values: ArrayLike | None = None,
        dst_mask_values: ArrayLike | None = None,
        regrid_method: RegridMethod | None = None,
        pole_method: PoleMethod | None = None,
        line_type: LineType | None = None,
        norm_type: NormType | None = None,
        vector_regrid: bool | None = None,
        extrap_method: ExtrapMethod | None = None,
        extrap_num_src_pnts: int | None = None,
        extrap_dist_exponent: float | None = None,
        unmapped_action: UnmappedAction | None = None,
        ignore_degenerate: bool | None = None,
        factors: bool = False,
        large_file: bool | None = None,
        **other: Any,
    ) -> None:
        given = [name for name, value in other.items() if value is not None]
        if given:
            raise unsupported(f"Regrid with {', '.join(given)}")
        method = RegridMethod.BILINEAR if regrid_method is None else RegridMethod(regrid_method)
        conserve = method == RegridMethod.CONSERVE
        if vector_regrid and (conserve or srcfield.ndbounds != (2,) or dstfield.ndbounds != (2,)):
            raise EsmpyError(
                "vector_regrid needs Fields with one extra dimension of size 2 (east, north) and "
                f"a method that does not conserve, found {srcfield.ndbounds}, "
                f"{dstfield.ndbounds} and {method.name}"
            )
        if line_type is not None and (line_type == LineType.GREAT_CIRCLE) != conserve:
            raise unsupported(f"{method.name} along lines of type {LineType(line_type).name}")
        if pole_method is not None and (pole_method == PoleMethod.NONE) != conserve:
            raise unsupported(f"{method.name} with pole method {PoleMethod(pole_method).name}")
        self.srcfield, self.dstfield = srcfield, dstfield
        self.regrid_method = method
        self.norm_type = NormType.DSTAREA if norm_type is None else norm_type
        self.unmapped_action = UnmappedAction.ERROR if unmapped_action is None else unmapped_action
        self.extrap_method = extrap_method
        self.extrap_num_src_pnts = extrap_num_src_pnts
        self.extrap_dist_exponent = extrap_dist_exponent
        self.ignore_degenerate = bool(ignore_degenerate)
        self.vector_regrid = vector_regrid
        self.src_mask_values, self.dst_mask_values = src_mask_values, dst_mask_values
        keep = (
            _unmasked(srcfield, src_mask_values),
            _unmasked(dstfield, dst_mask_values),
        )
        try:
            self.weights = self._conservative(*keep) if conserve else self._interpolating(*keep)
        except NarcfError as error:
            if isinstance(error, EsmpyError):
                raise
            raise EsmpyError(str(error)) from error
        if self.unmapped_action == UnmappedAction.ERROR:
            _require_mapped(self.weights, keep[1])
        if vector_regrid:
            self.weights = self._vector()
        if filename is not None:
            _write(self, Path(filename))

    def _conservative(self, source_keep: Array | None, target_keep: Array | None) -> Any:
        from narcf_geo.kernels.overlap import normalise, overlap_areas

        if self.extrap_method not in (None, ExtrapMethod.NONE):
            raise unsupported("extrapolation after conservative regridding")
        source = self.srcfield.grid.polygons(self.srcfield.meshloc, source_keep)
        target = self.dstfield.grid.polygons(self.dstfield.meshloc, target_keep)
        for which, cells in (("source", source), ("destination", target)):
            if cells.degenerate.size and not self.ignore_degenerate:
                raise EsmpyError(
                    f"{cells.degenerate.size} {which} cells have no area, first the one at "
                    f"position {cells.degenerate[0]}: mask them or set ignore_degenerate=True"
                )
        normed = self.norm_type == NormType.FRACAREA
        return normalise(
            overlap_areas(source, target),
            target,
            "conservative_normed" if normed else "conservative",
        )

    def _interpolating(self, source_keep: Array | None, target_keep: Array | None) -> Any:
        from narcf_geo.kernels import interpolate

        masks: dict[str, Any] = {"source_mask": source_keep, "target_mask": target_keep}
        source, target = (_unit(field) for field in (self.srcfield, self.dstfield))
        if self.regrid_method == RegridMethod.NEAREST_STOD:
            weights = interpolate.nearest_weights(source, target, **masks)
        elif self.regrid_method == RegridMethod.NEAREST_DTOS:
            weights = interpolate.nearest_weights(source, target, to_source=True, **masks)
        elif self.regrid_method == RegridMethod.BILINEAR:
            grid = self.srcfield.grid
            if not isinstance(grid, Grid):
                raise unsupported(f"bilinear regridding from a {type(grid).__name__}")
            nx, ny = (int(n) for n in grid.max_index)
            weights = interpolate.bilinear_weights(
                source, (ny, nx), target, periodic=bool(grid.num_peri_dims), **masks
            )
        else:
            raise unsupported(f"the method {self.regrid_method.name}")
        return self._extrapolated(weights, source, target, **masks)

    def _extrapolated(self, weights: Any, source: Any, target: Any, **masks: Any) -> Any:
        from narcf_geo.kernels import interpolate

        if self.extrap_method in (None, ExtrapMethod.NONE):
            return weights
        unmapped = np.diff(weights.indptr) == 0
        if masks["target_mask"] is not None:
            unmapped &= masks["target_mask"]
        masks["target_mask"] = unmapped
        if self.extrap_method == ExtrapMethod.NEAREST_STOD:
            return weights + interpolate.nearest_weights(source, target, **masks)
        if self.extrap_method == ExtrapMethod.NEAREST_IDAVG:
            neighbours, exponent = self.extrap_num_src_pnts, self.extrap_dist_exponent
            return weights + interpolate.inverse_distance_weights(
                source,
                target,
                neighbours=8 if neighbours is None else neighbours,
                exponent=2.0 if exponent is None else exponent,
                **masks,
            )
        raise unsupported(f"extrapolation by {ExtrapMethod(self.extrap_method).name}")

    def _vector(self) -> Any:
        from narcf_geo.kernels.interpolate import vector_weights

        at = (field.grid.points(field.meshloc) for field in (self.srcfield, self.dstfield))
        return vector_weights(self.weights, *((p.lon, p.lat) for p in at))

    def __call__(
        self, srcfield: Field, dstfield: Field, zero_region: Region | None = None
    ) -> Field:
        """Regrid the data of `srcfield` into `dstfield`; what is unmapped becomes 0."""
        if zero_region not in (None, Region.TOTAL):
            raise unsupported(f"the zero region {Region(zero_region).name}")
        values = srcfield.data.reshape(self.weights.shape[1], -1, order="F")
        dstfield.data[...] = (self.weights @ values).reshape(dstfield.data.shape, order="F")
        return dstfield

    def get_factors(self, deep_copy: bool = False) -> tuple[Array, Array]:
        """Return the weights and, shape (2, n), the source and target indices from 1."""
        w = self.get_weights_dict()
        return w["weights"], np.stack([w["col_src"], w["row_dst"]])

    def get_weights_dict(self, deep_copy: bool = False) -> dict[str, Array]:
        """Return the weights and their indices, which count from 1 in ESMF's order."""
        coo = self.weights.tocoo()
        row, col = coo.coords
        return {
            "row_dst": row.astype(np.int32) + 1,
            "col_src": col.astype(np.int32) + 1,
            "weights": coo.data,
        }

    def destroy(self) -> None:
        self.finalized = True


def _unmasked(field: Field, values: ArrayLike | None) -> Array | None:
    """Where a field takes part; None when everywhere."""
    mask = field.grid.mask
    place = field.meshloc if isinstance(field.grid, Mesh) else 0
    given = None if mask is None else mask[place]
    if given is None or values is None:
        return None
    return ~np.isin(np.asarray(given).ravel("F"), values)


def _unit(field: Field) -> Array:
    from narcf_geo.kernels.interpolate import points

    at: Points = field.grid.points(field.meshloc)
    return points(at.lon, at.lat)


def _require_mapped(weights: sparse.csr_array, keep: Array | None) -> None:
    unmapped = np.diff(weights.indptr) == 0
    if keep is not None:
        unmapped &= keep
    if unmapped.any():
        raise EsmpyError(
            f"{unmapped.sum()} of {unmapped.size} destination points cannot be mapped: set "
            "unmapped_action=UnmappedAction.IGNORE to leave them 0"
        )


def _write(regrid: Regrid, path: Path) -> None:
    """Write the weights as NetCDF: `S`, `col` and `row` of ESMF's weight files."""
    import xarray as xr

    from narcf_geo.core.files import atomic_path

    factors = regrid.get_weights_dict()
    ds = xr.Dataset(
        {
            "S": ("n_s", factors["weights"]),
            "col": ("n_s", factors["col_src"]),
            "row": ("n_s", factors["row_dst"]),
        }
    )
    with atomic_path(path) as temporary:
        ds.to_netcdf(temporary)
