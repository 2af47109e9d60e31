"""Weights between two grids: one sparse matrix, or two small ones when both are rectilinear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import sparse

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import EdgeKind, band, great_circle_area, require_edges

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("conservative", "bilinear", "nearest_s2d", "nearest_d2s")

BUFFER_BYTES = 2**28

Window = tuple[slice, slice]
Edges = tuple[np.ndarray, np.ndarray]
"""Where the blocks of rows and of columns begin, and where the last ones end."""
Block = tuple[int, int, int, int]
"""Row and column of a target block, row and column of a source block."""


class Part(Protocol):
    """The weights between a block of source cells and a window of target cells."""

    @property
    def window(self) -> Window:
        """Rows and columns of the target grid."""

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        """Regrid fields (n, ny, nx) into `values` and `fraction`, arrays (n, *window).

        Cells covered by less than `least` become NaN; `mean` divides by the covered fraction. A
        negative `least` leaves plain sums.
        """


@dataclass(frozen=True, eq=False)
class SeparableWeights:
    """Conservative weights of two rectilinear grids as a latitude and a longitude matrix."""

    source: Grid
    target: Grid
    y: sparse.csr_array
    x: sparse.csr_array
    method: str = "conservative"
    edges: EdgeKind = "parallels"

    @property
    def target_area(self) -> np.ndarray:
        """Areas of the target cells in m2."""
        return self.target.area

    @property
    def source_area(self) -> np.ndarray:
        """Areas of the source cells in m2."""
        return self.source.area

    def matrix(self) -> sparse.csr_array:
        """Return the whole matrix (n_target, n_source), C order: large, for files and checks."""
        return sparse.csr_array(sparse.kron(self.y, self.x, format="csr"))

    def parts(self, source: Edges, target: Edges, quantity: str) -> dict[Block, Part]:
        """Return the weights between the blocks of source and target cells that touch."""
        pairs = []
        for matrix, s, t in zip((self.y, self.x), source, target, strict=True):
            row, column = matrix.tocoo().coords
            touching = np.unique(_block(t, row) * s.size + _block(s, column))
            pairs.append([divmod(number, s.size) for number in touching.tolist()])
        return {
            (ty, tx, sy, sx): self._part(
                (_slice(source[0], sy), _slice(source[1], sx)),
                (_slice(target[0], ty), _slice(target[1], tx)),
                quantity,
            )
            for (ty, sy), (tx, sx) in product(*pairs)
        }

    def _part(self, source: Window, target: Window, quantity: str) -> Part:
        y, x = self.y[target[0], source[0]], self.x[target[1], source[1]]
        rows, columns = _touched(y), _touched(x)
        y, x = y[rows], x[columns]
        y_weights, x_weights = y.data, x.data
        if quantity == "total":
            heights, widths = _heights(self.target), _widths(self.target)
            y_weights = _rescaled(y, heights[target[0]][rows], _heights(self.source)[source[0]])
            x_weights = _rescaled(x, widths[target[1]][columns], _widths(self.source)[source[1]])
        return _SeparablePart(_shifted((rows, columns), target), y, x, y_weights, x_weights)


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """Weights of any two structured grids as one matrix (n_target, n_source), C order.

    `edges` tells on what the cells of a rectilinear grid end in the north and in the south.
    """

    source: Grid
    target: Grid
    csr: sparse.csr_array
    method: str = "conservative"
    edges: EdgeKind = "great_circles"

    @property
    def target_area(self) -> np.ndarray:
        """Areas of the target cells in m2, with the edges of the weights."""
        return self._area(self.target)

    @property
    def source_area(self) -> np.ndarray:
        """Areas of the source cells in m2, with the edges of the weights."""
        return self._area(self.source)

    def _area(self, grid: Grid) -> np.ndarray:
        return grid.area if self.edges == "parallels" else great_circle_area(*grid.corners())

    def matrix(self) -> sparse.csr_array:
        """Return the matrix (n_target, n_source), C order."""
        return self.csr

    def parts(self, source: Edges, target: Edges, quantity: str) -> dict[Block, Part]:
        """Return the weights between the blocks of source and target cells that touch."""
        cover, scaled = self.csr, self.csr.data
        if quantity == "total":
            scaled = _rescaled(cover, self.target_area.ravel(), self.source_area.ravel())
        nx = self.target.shape[1]
        parts: dict[Block, Part] = {}
        if all(len(e) == 2 for e in (*source, target[1])):
            for k in range(len(target[0]) - 1):
                rows = _slice(target[0] * nx, k)
                entries = slice(cover.indptr[rows.start], cover.indptr[rows.stop])
                if entries.stop > entries.start:
                    window = _slice(target[0], k), slice(0, nx)
                    parts[k, 0, 0, 0] = _sparse_part(window, cover[rows], scaled[entries])
            return parts
        row, column = cover.tocoo().coords
        place = [
            *np.unravel_index(row, self.target.shape),
            *np.unravel_index(column, self.source.shape),
        ]
        edges = (*target, *source)
        block = [_block(e, p) for e, p in zip(edges, place, strict=True)]
        number = np.ravel_multi_index(block, [len(e) - 1 for e in edges])
        order = np.argsort(number, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            if not group.size:
                continue
            ty, tx, sy, sx = (p[group] for p in place)
            key = tuple(int(b[group[0]]) for b in block)
            window = slice(ty.min(), ty.max() + 1), slice(tx.min(), tx.max() + 1)
            ours = _slice(source[0], key[2]), _slice(source[1], key[3])
            local = _flat(ty, tx, window), _flat(sy, sx, ours)
            shape = _cells(window), _cells(ours)
            part = sparse.csr_array((cover.data[group], local), shape=shape)
            weights = sparse.csr_array((scaled[group], local), shape=shape)
            parts[key] = _sparse_part(window, part, weights.data)  # type: ignore[index]
        return parts


Weights = SeparableWeights | SparseWeights


@dataclass(frozen=True, eq=False)
class _SeparablePart:
    window: Window
    y: sparse.csr_array
    x: sparse.csr_array
    y_weights: np.ndarray
    x_weights: np.ndarray

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        from narcf_geo.kernels.apply import apply_separable

        y, x = self.y, self.x
        apply_separable(
            fields,
            y.indptr,
            y.indices,
            self.y_weights,
            y.data,
            y.sum(1),
            x.indptr,
            x.indices,
            self.x_weights,
            x.data,
            x.sum(1),
            values,
            fraction,
            least,
            mean,
        )


@dataclass(frozen=True, eq=False)
class _SparsePart:
    window: Window
    cover: sparse.csr_array
    weights: np.ndarray
    used: slice
    indices: np.ndarray

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        from narcf_geo.kernels.apply import apply_sparse, apply_sparse_single

        flat, used, c = fields.reshape(fields.shape[0], -1), self.used, self.cover
        few = len(flat) < 4 or 8 * flat.itemsize * (used.stop - used.start) > BUFFER_BYTES
        kernel = apply_sparse_single if few else apply_sparse
        kernel(
            flat,
            used.start,
            used.stop,
            c.indptr,
            self.indices,
            self.weights,
            c.data,
            values,
            fraction,
            least,
            mean,
        )


def _sparse_part(window: Window, cover: sparse.csr_array, weights: np.ndarray) -> _SparsePart:
    used = slice(int(cover.indices.min()), int(cover.indices.max()) + 1)
    return _SparsePart(window, cover, weights, used, (cover.indices - used.start).astype(np.uint32))


def compute_weights(
    source: Grid, target: Grid, method: str = "conservative", edges: EdgeKind = "parallels"
) -> Weights:
    """Return the weights from one grid to another.

    Parameters
    ----------
    source, target
        Any two structured grids.
    method
        ``conservative`` (exact overlap areas), or ``bilinear``, ``nearest_s2d``, ``nearest_d2s``
        as xESMF and ESMF define them.
    edges
        On what the cells of a rectilinear grid end in the north and in the south: ``parallels``,
        or ``great_circles`` between their corners as in ESMF and xESMF. All other edges are great
        circles.

    Raises
    ------
    UsageError
        When the method or the kind of edges is another one.
    """
    require_edges(edges)
    edges = edges_between(source, target, edges)
    rectilinear = source.is_rectilinear and target.is_rectilinear
    if method == "conservative" and rectilinear and edges == "parallels":
        from narcf_geo.kernels.rectilinear import axis_matrices

        return SeparableWeights(source, target, *axis_matrices(source, target))
    if method == "conservative":
        from narcf_geo.kernels.conservative import conservative_weights

        matrix = conservative_weights(source, target, edges=edges)
        return SparseWeights(source, target, matrix, edges=edges)
    if method in METHODS:
        from xesmf import Regridder

        regridder = Regridder(xesmf_grid(source), xesmf_grid(target), method)
        return weights_of_xesmf(regridder, source, target)
    raise UsageError(
        f"expected a regridding method among {', '.join(METHODS)}, found {method!r}; "
        "patch and extrapolation need xesmf with ESMPy from conda-forge"
    )


def edges_between(source: Grid, target: Grid, edges: EdgeKind) -> EdgeKind:
    """Return `edges`, or great circles where neither grid is rectilinear."""
    return edges if source.is_rectilinear or target.is_rectilinear else "great_circles"


def source_areas(weights: Weights, quantity: str) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """Return what each source cell adds to an integral over the target grid.

    That is the area (m2) of its part inside the target for means, that part (0..1) for totals,
    as factors to multiply with their dimensions: one array, or one along each axis.
    """
    source, target = weights.source, weights.target
    if isinstance(weights, SparseWeights):
        inside = (weights.csr.T @ weights.target_area.ravel()).reshape(source.shape)
        if quantity == "total":
            inside = inside / weights.source_area
        return [(inside, source.dims)]
    factors: list[tuple[np.ndarray, tuple[str, ...]]] = []
    for axis, matrix in enumerate((weights.y, weights.x)):
        ours, theirs = ((_heights(g), _widths(g))[axis] for g in (source, target))
        inside = matrix.T @ theirs
        factors.append((inside / ours if quantity == "total" else inside, (source.dims[axis],)))
    if quantity == "mean":
        factors[0] = factors[0][0] * EARTH_RADIUS**2, factors[0][1]
    return factors


def weights_of_xesmf(regridder: object, source: Grid, target: Grid) -> SparseWeights:
    """Return the weights of an `xesmf.Regridder` made for these two grids."""
    coo = regridder.weights.data  # type: ignore[attr-defined]
    csr = sparse.csr_array((coo.data, (coo.coords[0], coo.coords[1])), shape=coo.shape)
    csr.data[np.isnan(csr.data)] = 0.0
    csr.eliminate_zeros()
    return SparseWeights(source, target, csr, regridder.method)  # type: ignore[attr-defined]


def xesmf_grid(grid: Grid) -> xr.Dataset:
    """Return `grid` as the dataset of centres and corners that xESMF takes."""
    import xarray as xr

    lon, lat = grid.centers()
    lon_b, lat_b = grid.corners()
    corner_dims = tuple(f"{d}_b" for d in grid.dims)
    return xr.Dataset(
        coords={
            "lon": (grid.dims, lon, {"standard_name": "longitude"}),
            "lat": (grid.dims, lat, {"standard_name": "latitude"}),
            "lon_b": (corner_dims, lon_b),
            "lat_b": (corner_dims, lat_b),
        }
    )


def _heights(grid: Grid) -> np.ndarray:
    return np.abs(band(grid.lat_b[1:], grid.lat_b[:-1]))


def _widths(grid: Grid) -> np.ndarray:
    return np.abs(np.radians(np.diff(grid.lon_b)))


def _touched(matrix: sparse.csr_array) -> slice:
    """Return the span of rows that hold entries."""
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return slice(int(rows[0]), int(rows[-1]) + 1)


def _block(edges: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the block of each index, blocks being given by their n + 1 edges."""
    return np.searchsorted(edges, index, side="right") - 1


def _slice(edges: np.ndarray, k: int) -> slice:
    return slice(int(edges[k]), int(edges[k + 1]))


def _flat(row: np.ndarray, column: np.ndarray, window: Window) -> np.ndarray:
    """Return C-order positions within a window of a grid."""
    y, x = window
    return (row - y.start) * (x.stop - x.start) + column - x.start


def _cells(window: Window) -> int:
    return math.prod(w.stop - w.start for w in window)


def _shifted(window: Window, origin: Window) -> Window:
    y, x = (slice(w.start + o.start, w.stop + o.start) for w, o in zip(window, origin, strict=True))
    return y, x


def _rescaled(
    cover: sparse.csr_array, target_size: np.ndarray, source_size: np.ndarray
) -> np.ndarray:
    """Return the part of each source cell instead of the part of each target cell."""
    rows = np.repeat(np.arange(cover.shape[0]), np.diff(cover.indptr))
    return cover.data * target_size[rows] / source_size[cover.indices]
