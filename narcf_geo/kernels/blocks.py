"""Conservative weights of large grids in blocks: some rows of the target, tiles of the source.

Only what a block needs is held: its cells as polygons, their tree, and its overlaps. What grows
with the grids are the weights alone. Blocks are worked on in threads, or by the workers of a dask
cluster when the process is a client of one.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid, Mesh
from narcf_geo.grid.sphere import EdgeKind
from narcf_geo.kernels.lonlat import RectilinearCells
from narcf_geo.kernels.overlap import (
    Cells,
    Normalisation,
    n_threads,
    normalise,
    overlaps,
    polygons_of,
)
from narcf_geo.kernels.polygons import Floats, Integers, Polygons, unit_vectors

LARGE = 2**22
"""Cells of source and target together, beyond which weights are made in blocks."""

BLOCK = 2**21
"""Cells of source and target that a block has, about."""

TILE = 256
"""Rows and columns of a tile of the source."""


@dataclass(frozen=True)
class Side:
    """A grid or mesh, its mask and the kind of its edges: source or target."""

    grid: Grid | Mesh
    mask: NDArray[np.bool_] | None
    edges: EdgeKind

    @classmethod
    def of(cls, grid: Grid | Mesh, mask: ArrayLike | None, edges: EdgeKind, which: str) -> Side:
        """Return the source or target (`which`) whose mask and edges have been checked."""
        if mask is not None and np.shape(mask) != grid.shape:
            raise UsageError(
                f"{which}_mask has shape {np.shape(mask)}, but the {which} grid has {grid.shape}: "
                "give one value a cell, 0 for a cell to leave out"
            )
        if grid.is_rectilinear and not isinstance(grid, Mesh) and edges == "great_circles":
            widest = float(np.abs(np.diff(grid.lon_b)).max())
            if widest >= 180.0:
                raise NarcfError(
                    "expected cells less than 180 degrees wide where edges are great circles, "
                    f"found {widest:g} in the {which} grid: the great circle runs the other way "
                    "round; take edges='parallels', or narrower cells"
                )
        return cls(grid, None if mask is None else np.asarray(mask) != 0, edges)

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.grid.shape)

    @property
    def parallel(self) -> bool:
        """True for cells between parallels."""
        return self.edges == "parallels" and self.grid.is_rectilinear

    def cells(self, rows: slice | None = None) -> Cells:
        """Return the cells of some rows or of all, numbered from the first of them."""
        if isinstance(self.grid, Mesh):
            return polygons_of(self.grid, self.mask)
        rows = rows or slice(0, self.grid.shape[0])
        if not self.parallel:
            return self.polygons(rows, slice(0, self.grid.shape[1]))
        mask = None if self.mask is None else self.mask[rows]
        lat_b = self.grid.lat_b[rows.start : rows.stop + 1]
        return RectilinearCells.from_edges(self.grid.lon_b, lat_b, mask)

    def corners(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        """Return longitudes and latitudes of the corners of a window of cells."""
        grid = cast(Grid, self.grid)
        y, x = slice(rows.start, rows.stop + 1), slice(columns.start, columns.stop + 1)
        if grid.is_rectilinear:
            lon, lat = np.meshgrid(grid.lon_b[x], grid.lat_b[y])
            return lon, lat
        lon, lat = grid.corners()
        return lon[y, x], lat[y, x]

    def polygons(self, rows: slice, columns: slice) -> Polygons:
        """Return the cells of a window, between great circles, numbered within it."""
        mask = None if self.mask is None else self.mask[rows, columns]
        origin = rows.start, columns.start
        return Polygons.from_corners(*self.corners(rows, columns), mask=mask, origin=origin)


@dataclass(frozen=True)
class Tile:
    """A window of the source and a box around its cells."""

    rows: slice
    columns: slice
    box: Floats

    def touches(self, box: Floats) -> bool:
        """Return whether two boxes meet."""
        return bool((self.box[:3] <= box[3:]).all() and (self.box[3:] >= box[:3]).all())


def weights_in_blocks(source: Side, target: Side, normalisation: Normalisation) -> sparse.csr_array:
    """Return the weights of `conservative_weights`; not both sides are between parallels."""
    ny, nx = target.grid.shape
    size = source.size
    n_blocks = min(ny, -(-(size + ny * nx) // BLOCK))
    ends = np.linspace(0, ny, n_blocks + 1).astype(int)
    blocks = [slice(*pair) for pair in pairwise(ends.tolist())]
    tiles = [] if source.parallel else tiles_of(source)
    small = _index_type(size)
    weights = np.empty(0)
    columns: Integers = np.empty(0, small)
    counts = [np.zeros(1, np.int64)]
    for block in _worked(source, target, tiles, blocks, normalisation):
        # Resized in place: a list of blocks joined in the end would be there twice.
        filled = weights.size
        weights.resize(filled + block.nnz, refcheck=False)
        columns.resize(filled + block.nnz, refcheck=False)
        weights[filled:], columns[filled:] = block.data, block.indices
        counts.append(np.diff(block.indptr))
    pointer = np.cumsum(np.concatenate(counts))
    if pointer[-1] < 2**31 and small is np.int32:
        pointer = pointer.astype(np.int32)
    return sparse.csr_array((weights, columns, pointer), shape=(ny * nx, size))


def _worked(
    source: Side,
    target: Side,
    tiles: list[Tile],
    blocks: list[slice],
    normalisation: Normalisation,
) -> Iterator[sparse.csr_array]:
    """Yield the weights of the blocks in their order."""
    client = _client()
    if client is None:
        for rows in blocks:
            yield _block(source, target, tiles, rows, normalisation, n_threads())
        return
    sides = client.scatter([source, target, tiles], hash=False)
    futures = [client.submit(_block, *sides, rows, normalisation, 1, pure=False) for rows in blocks]
    while futures:
        yield futures.pop(0).result()


def _client() -> Any:
    """Return the dask client of this process; None without one, and on a worker."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        distributed.get_worker()
    except ValueError:
        try:
            return distributed.get_client()
        except ValueError:
            return None
    return None


def tiles_of(source: Side) -> list[Tile]:
    """Return windows of a grid that cover it."""
    ny, nx = source.grid.shape
    windows = [
        (slice(y, min(y + TILE, ny)), slice(x, min(x + TILE, nx)))
        for y, x in product(range(0, ny, TILE), range(0, nx, TILE))
    ]

    def tile(window: tuple[slice, slice]) -> Tile:
        return Tile(*window, _box(unit_vectors(*source.corners(*window))))

    with ThreadPoolExecutor(n_threads()) as pool:
        return list(pool.map(tile, windows))


def _box(xyz: Floats) -> Floats:
    """Box around cells with corners (ny + 1, nx + 1, 3), the bulge of the sphere included."""
    first, others = xyz[:-1, :-1], (xyz[:-1, 1:], xyz[1:, 1:], xyz[1:, :-1])
    squared = [np.square(other - first).sum(-1) for other in others]
    # No point of the hull of the corners of a cell is farther than this from the sphere.
    bulge = 0.5 * max(float(np.nanmax(s)) for s in squared) + 4e-15
    points = xyz.reshape(-1, 3)
    return np.concatenate([np.nanmin(points, 0) - bulge, np.nanmax(points, 0) + bulge])


def _block(
    source: Side,
    target: Side,
    tiles: list[Tile],
    rows: slice,
    normalisation: Normalisation,
    threads: int,
) -> sparse.csr_array:
    """Return the weights of some rows of the target."""
    cells = target.cells(rows)
    size = source.size
    if isinstance(cells, Polygons) and source.parallel:
        found = _overlaps_with_parallels(source, cells, threads)
    else:
        found = overlaps_with_tiles(source, tiles, cells, threads)
    overlap = sparse.csr_array((found[2], found[:2]), shape=(cells.size, size))
    overlap.sum_duplicates()
    return normalise(overlap, cells, normalisation)


def _index_type(size: int) -> Any:
    return np.int32 if size < 2**31 else np.int64


def _overlaps_with_parallels(
    source: Side, polygons: Polygons, threads: int
) -> tuple[Integers, Integers, Floats]:
    """Return target cell, source cell and area of all overlaps."""
    cells = cast(RectilinearCells, source.cells())
    near = cells.touching(polygons.box)
    count, row, area = overlaps(polygons, near, threads)
    return row, np.repeat(near.owner, count), area


def overlaps_with_tiles(
    source: Side, tiles: list[Tile], cells: Cells, threads: int
) -> tuple[Integers, Integers, Floats]:
    """Return target cell, source cell and area of all overlaps."""
    nx = source.grid.shape[1]

    small = _index_type(max(source.size, cells.size))

    def found(tile: Tile) -> tuple[Integers, Integers, Floats]:
        near = cells.touching(tile.box)
        polygons = source.polygons(tile.rows, tile.columns)
        count, column, area = overlaps(polygons, near, 1)
        y, x = np.divmod(column, tile.columns.stop - tile.columns.start)
        number = (tile.rows.start + y) * nx + tile.columns.start + x
        return np.repeat(near.owner, count).astype(small), number.astype(small), area

    box = cells.box
    with ThreadPoolExecutor(threads) as pool:
        every = list(pool.map(found, [tile for tile in tiles if tile.touches(box)]))
    if not every:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    # One by one, so that what has been joined is let go.
    lists = [list(kind) for kind in zip(*every, strict=True)]
    del every
    row, column, area = (np.concatenate(lists.pop(0)) for _ in range(3))
    return row, column, area
