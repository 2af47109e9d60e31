"""Weights between two grids: one sparse matrix, or two small ones when both are rectilinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import sparse

from narcf_geo.constants import EARTH_RADIUS
from narcf_geo.errors import UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import band, great_circle_area

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("conservative", "bilinear", "nearest_s2d", "nearest_d2s")

LANES = 16
BUFFER_BYTES = 2**25

Window = tuple[slice, slice]
Edges = tuple[np.ndarray, np.ndarray]


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

    def part(self, source: Window, target: Window, quantity: str) -> Part | None:
        """Return the weights between two blocks of cells, None when they do not touch."""
        y, x = self.y[target[0], source[0]], self.x[target[1], source[1]]
        rows, columns = _touched(y), _touched(x)
        if rows is None or columns is None:
            return None
        y, x = y[rows], x[columns]
        y_weights, x_weights = y.data, x.data
        if quantity == "total":
            heights, widths = _heights(self.target), _widths(self.target)
            y_weights = _rescaled(y, heights[target[0]][rows], _heights(self.source)[source[0]])
            x_weights = _rescaled(x, widths[target[1]][columns], _widths(self.source)[source[1]])
        return _SeparablePart(_shifted((rows, columns), target), y, x, y_weights, x_weights)

    def touching(self, source: Edges, target: Edges) -> set[tuple[int, ...]]:
        """Return the (target row, target column, source row, source column) blocks that touch."""
        pairs = []
        for matrix, s, t in zip((self.y, self.x), source, target, strict=True):
            row, column = matrix.tocoo().coords
            blocks = _unique([_block(t, row), _block(s, column)])
            pairs.append(list(zip(*(b.tolist() for b in blocks), strict=True)))
        return {(ty, tx, sy, sx) for ty, sy in pairs[0] for tx, sx in pairs[1]}


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """Weights of any two structured grids as one matrix (n_target, n_source), C order.

    `parallels` tells that cells were cut along parallels and not along great circles.
    """

    source: Grid
    target: Grid
    csr: sparse.csr_array
    method: str = "conservative"
    parallels: bool = False

    @property
    def target_area(self) -> np.ndarray:
        """Areas of the target cells in m2, with the edges of the weights."""
        return self._area(self.target)

    @property
    def source_area(self) -> np.ndarray:
        """Areas of the source cells in m2, with the edges of the weights."""
        return self._area(self.source)

    def _area(self, grid: Grid) -> np.ndarray:
        return grid.area if self.parallels else great_circle_area(*grid.corners())

    def matrix(self) -> sparse.csr_array:
        """Return the matrix (n_target, n_source), C order."""
        return self.csr

    def part(self, source: Window, target: Window, quantity: str) -> Part | None:
        """Return the weights between two blocks of cells, None when they do not touch."""
        nx = self.target.shape[1]
        offset = target[0].start * nx
        weights = self.csr[offset : target[0].stop * nx]
        if _whole(source, self.source) and _whole(target[1:], self.target):
            window = slice(target[0].start, target[0].stop), slice(0, nx)
            return self._scaled(window, source, weights, quantity) if weights.nnz else None
        coo = weights.tocoo()
        t = np.stack(np.unravel_index(coo.coords[0] + offset, self.target.shape))
        s = np.stack(np.unravel_index(coo.coords[1], self.source.shape))
        keep = _inside(s, source) & _inside(t, target)
        t, s, data = t[:, keep], s[:, keep], coo.data[keep]
        if not data.size:
            return None
        window = (
            slice(int(t[0].min()), int(t[0].max()) + 1),
            slice(int(t[1].min()), int(t[1].max()) + 1),
        )
        sizes = [w.stop - w.start for w in window]
        block = [w.stop - w.start for w in source]
        local_row = (t[0] - window[0].start) * sizes[1] + t[1] - window[1].start
        local_column = (s[0] - source[0].start) * block[1] + s[1] - source[1].start
        cover = sparse.csr_array(
            (data, (local_row, local_column)), shape=(sizes[0] * sizes[1], block[0] * block[1])
        )
        return self._scaled(window, source, cover, quantity)

    def _scaled(
        self, window: Window, source: Window, cover: sparse.csr_array, quantity: str
    ) -> Part:
        weights = cover.data
        if quantity == "total":
            areas = self.target_area[window].ravel(), self.source_area[source].ravel()
            weights = _rescaled(cover, *areas)
        used = np.zeros(cover.shape[1], bool)
        used[cover.indices] = True
        indices = (np.cumsum(used) - 1)[cover.indices].astype(np.uint32)
        return _SparsePart(window, cover, weights, np.flatnonzero(used), indices)

    def touching(self, source: Edges, target: Edges) -> set[tuple[int, ...]]:
        """Return the (target row, target column, source row, source column) blocks that touch."""
        coo = self.csr.tocoo()
        index = [
            *np.unravel_index(coo.coords[0], self.target.shape),
            *np.unravel_index(coo.coords[1], self.source.shape),
        ]
        edges = (*target, *source)
        blocks = [_block(e, i) for e, i in zip(edges, index, strict=True)]
        return set(zip(*(b.tolist() for b in _unique(blocks)), strict=True))


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
        from narcf_geo.regrid.kernels import apply_separable

        y, x = self.y, self.x
        apply_separable(
            *(fields, y.indptr, y.indices, self.y_weights, y.data, y.sum(1)),
            *(x.indptr, x.indices, self.x_weights, x.data, x.sum(1)),
            *(values, fraction, least, mean),
        )


@dataclass(frozen=True, eq=False)
class _SparsePart:
    window: Window
    cover: sparse.csr_array
    weights: np.ndarray
    cells: np.ndarray
    indices: np.ndarray

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        from narcf_geo.regrid.kernels import apply_sparse

        n = fields.shape[0]
        lanes = max(1, min(LANES, BUFFER_BYTES // (self.cells.size * fields.itemsize)))
        lanes = -(-n // -(-n // lanes))
        c = self.cover
        matrix = (c.indptr, self.indices, self.weights, c.data, lanes)
        flat = fields.reshape(n, -1)
        apply_sparse(flat, self.cells, *matrix, values, fraction, least, mean)


def compute_weights(source: Grid, target: Grid, method: str = "conservative") -> Weights:
    """Return the weights from one grid to another.

    Parameters
    ----------
    source, target
        Any two structured grids.
    method
        ``conservative`` (exact overlap areas; parallels as edges when both grids are
        rectilinear, great circles otherwise), or ``bilinear``, ``nearest_s2d``, ``nearest_d2s``
        as xESMF and ESMF define them.

    Raises
    ------
    UsageError
        When the method is another one.
    """
    if method == "conservative" and source.is_rectilinear and target.is_rectilinear:
        from narcf_geo.regrid.rectilinear import axis_matrices

        return SeparableWeights(source, target, *axis_matrices(source, target))
    if method == "conservative":
        from narcf_geo.regrid.overlap import conservative_weights

        return SparseWeights(source, target, conservative_weights(source, target))
    if method in METHODS:
        from xesmf import Regridder

        regridder = Regridder(xesmf_grid(source), xesmf_grid(target), method)
        return weights_of_xesmf(regridder, source, target)
    raise UsageError(
        f"expected a regridding method among {', '.join(METHODS)}, found {method!r}; "
        "patch and extrapolation need xesmf with ESMPy from conda-forge"
    )


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


def _touched(matrix: sparse.csr_array) -> slice | None:
    """Return the span of rows that hold entries."""
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else None


def _block(edges: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the block of each index, blocks being given by their n + 1 edges."""
    return np.searchsorted(edges, index, side="right") - 1


def _unique(columns: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.stack(columns), axis=1)


def _whole(blocks: tuple[slice, ...], grid: Grid) -> bool:
    sizes = grid.shape[-len(blocks) :]
    return all(b.stop - b.start == n for b, n in zip(blocks, sizes, strict=True))


def _shifted(window: Window, origin: Window) -> Window:
    y, x = (slice(w.start + o.start, w.stop + o.start) for w, o in zip(window, origin, strict=True))
    return y, x


def _inside(index: np.ndarray, block: Window) -> np.ndarray:
    y, x = block
    return (index[0] >= y.start) & (index[0] < y.stop) & (index[1] >= x.start) & (index[1] < x.stop)


def _rescaled(
    cover: sparse.csr_array, target_size: np.ndarray, source_size: np.ndarray
) -> np.ndarray:
    """Return the part of each source cell instead of the part of each target cell."""
    rows = np.repeat(np.arange(cover.shape[0]), np.diff(cover.indptr))
    return cover.data * target_size[rows] / source_size[cover.indices]
