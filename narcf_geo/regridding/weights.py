"""Weights between two grids: one sparse matrix, or two small ones when both are rectilinear."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import sparse

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Cells, Grid, Mesh
from narcf_geo.grid.sphere import EdgeKind, band, great_circle_area, require_edges
from narcf_geo.regridding import interpolation
from narcf_geo.regridding.meshes import as_rows
from narcf_geo.regridding.parts import (
    Block,
    Edges,
    Part,
    SeparablePart,
    Window,
    block_of,
    cells_in,
    flat,
    rescaled,
    shifted,
    slice_of,
    sparse_part,
    touched,
)

METHODS = ("conservative", "bilinear", "nearest_s2d", "nearest_d2s")
"""The methods that are one matrix; `narcf_geo.core.methods.METHODS` are all."""


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
    def identity(self) -> tuple[object, ...]:
        """What the weights are made from: equal for equal weights, across processes."""
        return self.source, self.target, self.method, self.edges

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
            touching = np.unique(block_of(t, row) * s.size + block_of(s, column))
            pairs.append([divmod(number, s.size) for number in touching.tolist()])
        return {
            (ty, tx, sy, sx): self._part(
                (slice_of(source[0], sy), slice_of(source[1], sx)),
                (slice_of(target[0], ty), slice_of(target[1], tx)),
                quantity,
            )
            for (ty, sy), (tx, sx) in product(*pairs)
        }

    def _part(self, source: Window, target: Window, quantity: str) -> Part:
        y, x = self.y[target[0], source[0]], self.x[target[1], source[1]]
        rows, columns = touched(y), touched(x)
        y, x = y[rows], x[columns]
        y_weights, x_weights = y.data, x.data
        if quantity == "total":
            high, wide = heights(self.target), widths(self.target)
            y_weights = rescaled(y, high[target[0]][rows], heights(self.source)[source[0]])
            x_weights = rescaled(x, wide[target[1]][columns], widths(self.source)[source[1]])
        return SeparablePart(shifted((rows, columns), target), y, x, y_weights, x_weights)


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """Weights of any two grids or meshes as one matrix (n_target, n_source), C order.

    `edges` tells on what the cells of a rectilinear grid end in the north and in the south;
    `partly` how many source cells overlap others in part; `variant` what else the weights depend
    on, such as a mask.
    """

    source: Cells
    target: Cells
    csr: sparse.csr_array
    method: str = "conservative"
    edges: EdgeKind = "great_circles"
    partly: int = 0
    variant: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What the weights are made from: equal for equal weights, across processes."""
        return self.source, self.target, self.method, self.edges, self.variant

    @property
    def target_area(self) -> np.ndarray:
        """Areas of the target cells in m2, with the edges of the weights."""
        return self._area(self.target)

    @property
    def source_area(self) -> np.ndarray:
        """Areas of the source cells in m2, with the edges of the weights."""
        return self._area(self.source)

    def _area(self, cells: Cells) -> np.ndarray:
        if isinstance(cells, Mesh) or self.edges == "parallels":
            return cells.area
        return great_circle_area(*cells.corners())

    def matrix(self) -> sparse.csr_array:
        """Return the matrix (n_target, n_source), C order."""
        return self.csr

    def _require_single_cells(self) -> None:
        if self.partly > 0:
            raise NarcfError(
                f"expected source cells that do not overlap for totals, found {self.partly} of "
                f"{self.source} that lie on others in part; leave cells out with Mesh.where"
            )

    def parts(self, source: Edges, target: Edges, quantity: str) -> dict[Block, Part]:
        """Return the weights between the blocks of source and target cells that touch."""
        cover, scaled = self.csr, self.csr.data
        if quantity == "total":
            self._require_single_cells()
            scaled = rescaled(cover, self.target_area.ravel(), self.source_area.ravel())
        nx = self.target.shape[1]
        parts: dict[Block, Part] = {}
        if all(len(e) == 2 for e in (*source, target[1])):
            for k in range(len(target[0]) - 1):
                rows = slice_of(target[0] * nx, k)
                entries = slice(cover.indptr[rows.start], cover.indptr[rows.stop])
                if entries.stop > entries.start:
                    window = slice_of(target[0], k), slice(0, nx)
                    parts[k, 0, 0, 0] = sparse_part(window, cover[rows], scaled[entries])
            return parts
        row, column = cover.tocoo().coords
        place = [
            *np.unravel_index(row, self.target.shape),
            *np.unravel_index(column, self.source.shape),
        ]
        edges = (*target, *source)
        block = [block_of(e, p) for e, p in zip(edges, place, strict=True)]
        number = np.ravel_multi_index(block, [len(e) - 1 for e in edges])
        order = np.argsort(number, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            if not group.size:
                continue
            ty, tx, sy, sx = (p[group] for p in place)
            key = tuple(int(b[group[0]]) for b in block)
            window = slice(ty.min(), ty.max() + 1), slice(tx.min(), tx.max() + 1)
            ours = slice_of(source[0], key[2]), slice_of(source[1], key[3])
            local = flat(ty, tx, window), flat(sy, sx, ours)
            shape = cells_in(window), cells_in(ours)
            part = sparse.csr_array((cover.data[group], local), shape=shape)
            weights = sparse.csr_array((scaled[group], local), shape=shape)
            parts[key] = sparse_part(window, part, weights.data)  # type: ignore[index]
        return parts


Weights = SeparableWeights | SparseWeights


def compute_weights(
    source: Cells,
    target: Cells,
    method: str = "conservative",
    edges: EdgeKind = "parallels",
    *,
    max_distance: float | None = None,
    source_mask: np.ndarray | None = None,
    target_mask: np.ndarray | None = None,
) -> Weights:
    """Return the weights from one grid or mesh to another.

    A source cell that lies on another, as in the halo of an ocean grid, takes no part: the first
    of both stands for them.

    Parameters
    ----------
    source, target : Grid or Mesh
        Meshes for all but ``bilinear``.
    method : {"conservative", "bilinear", "nearest_s2d", "nearest_d2s"}
        ``conservative``: exact overlap areas. The others as ESMF defines them, with the globe
        closed across its seam and its poles, and neighbours within `max_distance` only.
    edges : {"parallels", "great_circles"}
        On what the cells of a rectilinear grid end in the north and in the south; great circles
        between their corners are those of ESMF and xESMF. All other edges are great circles.
    max_distance : float, optional
        Kilometres to the nearest neighbour; by default about the size of its cell.
    source_mask, target_mask : numpy.ndarray of bool, optional
        Cells that may be neighbours, in the shape of their grid.

    Returns
    -------
    SeparableWeights or SparseWeights

    Raises
    ------
    UsageError
        When the method or the kind of edges is another one.

    Examples
    --------
    >>> fine, coarse = Grid.regular(0, 0, 4, 2, 1), Grid.regular(0, 0, 4, 2, 2)
    >>> compute_weights(fine, coarse).matrix().shape
    (2, 8)
    >>> compute_weights(fine, coarse, "nearest_s2d").matrix().nnz
    2
    """
    require_edges(edges)
    source, target = as_rows(source), as_rows(target)
    edges = edges_between(source, target, edges)
    if method in ("nearest_s2d", "nearest_d2s"):
        masks = {"source_mask": source_mask, "target_mask": target_mask}
        near = interpolation.nearest(
            source, target, to_source=method == "nearest_d2s", max_distance=max_distance, **masks
        )
        marks = (b"" if m is None else m.tobytes() for m in masks.values())
        variant = " ".join([str(max_distance), *(hashlib.sha256(m).hexdigest() for m in marks)])
        return SparseWeights(source, target, near, method, variant=variant)
    if isinstance(source, Grid) and isinstance(target, Grid):
        return _grid_weights(source, target, method, edges)
    if method != "conservative":
        raise UsageError(
            f"expected method 'conservative', nearest_s2d or nearest_d2s from or to a mesh, found "
            f"{method!r}, which needs rows and columns"
        )
    return overlap_weights(source, target, edges)


def _grid_weights(source: Grid, target: Grid, method: str, edges: EdgeKind) -> Weights:
    rectilinear = source.is_rectilinear and target.is_rectilinear
    if method == "conservative" and rectilinear and edges == "parallels":
        from narcf_geo.kernels.rectilinear import axis_matrices

        return SeparableWeights(source, target, *axis_matrices(source, target))
    if method == "conservative":
        return overlap_weights(source, target, edges)
    if method == "bilinear":
        return SparseWeights(source, target, interpolation.bilinear(source, target), method)
    raise UsageError(
        f"expected weights of a method among {', '.join(METHODS)}, found {method!r}; "
        "patch and extrapolation by distance need xesmf with ESMPy from conda-forge"
    )


def edges_between(source: Cells, target: Cells, edges: EdgeKind) -> EdgeKind:
    """Return `edges`, or great circles where neither side is rectilinear."""
    return edges if source.is_rectilinear or target.is_rectilinear else "great_circles"


def overlap_weights(
    source: Cells, target: Cells, edges: EdgeKind = "great_circles"
) -> SparseWeights:
    """Return conservative weights as one matrix, doubled source cells once."""
    from narcf_geo.kernels.conservative import conservative_weights
    from narcf_geo.kernels.doubled import single_cells

    mask, partly = single_cells(source)
    csr = conservative_weights(source, target, source_mask=mask, edges=edges)
    return SparseWeights(source, target, csr, edges=edges, partly=partly)


def heights(grid: Grid) -> np.ndarray:
    """Return the height of each row of a rectilinear grid as the difference of sines."""
    return np.abs(band(grid.lat_b[1:], grid.lat_b[:-1]))


def widths(grid: Grid) -> np.ndarray:
    """Return the width of each column of a rectilinear grid in radians."""
    return np.abs(np.radians(np.diff(grid.lon_b)))
