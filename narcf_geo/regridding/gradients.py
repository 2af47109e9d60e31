"""Second-order conservative regridding: the field slopes within each source cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import UsageError
from narcf_geo.grid import Cells, Grid
from narcf_geo.grid.sphere import EdgeKind
from narcf_geo.regridding.apply import Rule
from narcf_geo.regridding.bands import Band, BoxBand, box_neighbours, neighbours
from narcf_geo.regridding.weights import SparseWeights, Weights, compute_weights, overlap_weights

STRAIGHT = 0.02
"""Share of the height of a cell by which a great circle may leave the parallel that it replaces."""


def overlaps(source: Cells, target: Cells, edges: EdgeKind = "parallels") -> Weights:
    """Return the first-order weights to which the moments of `Gradients` belong.

    Parameters
    ----------
    source, target : Grid or Mesh
        A source of rows and columns.
    edges : {"parallels", "great_circles"}
        On what the cells of a rectilinear grid end in the north and in the south. Parallels are
        edges between two rectilinear grids only: with any other grid they are great circles, of
        cells that are narrow enough.

    Raises
    ------
    UsageError
        When the source is a mesh, whose cells have no rows and columns of neighbours, or great
        circles between the corners of a cell would leave its parallels.
    """
    if not isinstance(source, Grid):
        raise UsageError(
            f"expected a source of rows and columns for method 'conservative2', found {source}; "
            "use 'conservative'"
        )
    if edges == "great_circles":
        return overlap_weights(source, target)
    if source.is_rectilinear and isinstance(target, Grid) and target.is_rectilinear:
        return compute_weights(source, target)
    for cells in (source, target):
        if isinstance(cells, Grid) and cells.is_rectilinear:
            _require_narrow(cells)
    return overlap_weights(source, target)


def _require_narrow(grid: Grid) -> None:
    """Refuse cells so wide that great circles between their corners are no parallels."""
    width, lat = float(np.abs(np.diff(grid.lon_b)).max()), np.radians(grid.lat_b)
    half = np.radians(width / 2)
    away = np.arctan2(np.sin(lat), np.cos(lat) * np.cos(half)) - lat if half < np.pi / 2 else np.pi
    off = np.abs(np.degrees(away)) * np.ones(lat.size)
    share = np.maximum(off[1:], off[:-1]) / np.abs(np.diff(grid.lat_b))
    if share.max() > STRAIGHT:
        k = int(share.argmax())
        raise UsageError(
            f"expected cells with edges close to great circles for method 'conservative2' between "
            f"{grid} and a grid of another kind, found cells {width:g} degrees wide whose edges "
            f"at {grid.lat_b[k]:g} and {grid.lat_b[k + 1]:g} degrees leave their parallels by "
            f"{100 * share[k]:.0f} % of the height; use 'conservative', narrower cells, or "
            "edges='great_circles' if that is what you want"
        )


@dataclass(frozen=True, eq=False)
class Gradients:
    """The mean over the covered part of a field that is linear within each source cell.

    Attributes
    ----------
    weights : SeparableWeights or SparseWeights
        Of `overlaps`.
    """

    weights: Weights
    layers: int = 1
    halo: bool = True

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "gradients", self.weights.identity

    def on(self, band: Band) -> BoxSlopes | CellSlopes:
        """Return what works on a band; see `narcf_geo.regridding.cells.Reducer`."""
        if isinstance(band, BoxBand):
            return BoxSlopes()
        weights = cast(SparseWeights, self.weights)
        centroid, moments = self._places
        indptr, nx = weights.csr.indptr, weights.target.shape[1]
        entries = slice(indptr[band.rows.start * nx], indptr[band.rows.stop * nx])
        around = _local_neighbours(cast(Grid, weights.source), band.numbers())
        return CellSlopes(moments[entries], centroid[band.numbers()], around)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Centroids of the source cells, and moments about them of all overlaps."""
        from narcf_geo.kernels.moments import centroids, overlap_moments
        from narcf_geo.kernels.overlap import polygons_of

        weights = cast(SparseWeights, self.weights)
        csr = weights.csr
        source, target = (polygons_of(g) for g in (weights.source, weights.target))
        area, moment = overlap_moments(csr, source, target)
        centroid = centroids(source)
        rows = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
        size = weights.target_area.ravel()[rows, None] / EARTH_RADIUS**2
        return centroid, (moment - centroid[csr.indices] * area[:, None]) / size


@dataclass(frozen=True, eq=False)
class CellSlopes:
    """What `Gradients` needs on a band of any grids.

    Attributes
    ----------
    moments : numpy.ndarray
        Of the overlaps about the centroids of their source cells, by the area of the target cell.
    centroid, around : numpy.ndarray
        Of the source cells of the band, and the numbers of their neighbours among them.
    """

    moments: np.ndarray
    centroid: np.ndarray
    around: np.ndarray

    def reduce(
        self, fields: np.ndarray, band: Band, rule: Rule, values: np.ndarray, fraction: np.ndarray
    ) -> None:
        """Write values and covered fractions; see `narcf_geo.regridding.cells.Reducer`."""
        from narcf_geo.kernels.moments import second_order

        m = band.matrix()
        second_order(
            fields,
            m.indptr,
            m.indices,
            m.data,
            self.moments,
            self.around,
            self.centroid,
            rule.least,
            values[:, 0],
            fraction,
        )


@dataclass(frozen=True, eq=False)
class BoxSlopes:
    """What `Gradients` needs on a band of two rectilinear grids: it is made on the spot."""

    def reduce(
        self, fields: np.ndarray, band: Band, rule: Rule, values: np.ndarray, fraction: np.ndarray
    ) -> None:
        """Write values and covered fractions; see `narcf_geo.regridding.cells.Reducer`."""
        from narcf_geo.kernels.moments import outer_entries, second_order

        band = cast(BoxBand, band)
        source, target = band.weights.source, band.weights.target
        sy, sx = band.box
        y, x = band.weights.y[band.rows, sy], band.weights.x[:, sx]
        y_row, x_row = (np.repeat(np.arange(m.shape[0]), np.diff(m.indptr)) for m in (y, x))
        heights = _latitudes(*_common(target.lat_b, band.rows.start + y_row,
                                      source.lat_b, sy.start + y.indices))  # fmt: skip
        widths = _turned(target.lon_b, x_row, source.lon_b, sx.start + x.indices)
        indptr, indices, of_y, of_x = outer_entries(
            y.indptr, y.indices, x.indptr, x.indices, sx.stop - sx.start
        )
        area, moment = _products(heights[:, of_y], widths[:, of_x])
        centroid = _centroids(source, sy, sx)
        ty, tx = _latitudes(*_ends(target.lat_b))[0], np.abs(np.radians(np.diff(target.lon_b)))
        size = ty[band.rows.start + y_row][of_y] * tx[x_row][of_x]
        moments = (moment - centroid[indices] * area[:, None]) / size[:, None]
        second_order(
            fields,
            indptr,
            indices,
            y.data[of_y] * x.data[of_x],
            moments,
            box_neighbours(source, band.box),
            centroid,
            rule.least,
            values[:, 0],
            fraction,
        )


def _local_neighbours(grid: Grid, numbers: np.ndarray) -> np.ndarray:
    """Return the neighbours of some cells as positions among them, -1 for those not among them."""
    around = neighbours(grid, numbers)
    local = np.minimum(np.searchsorted(numbers, around), numbers.size - 1)
    return np.where(numbers[local] == around, local, -1)


def _ends(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(edges[1:], edges[:-1]), np.maximum(edges[1:], edges[:-1])


def _common(
    target_b: np.ndarray, t: np.ndarray, source_b: np.ndarray, s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of what each pair of intervals has in common, one point if nothing."""
    (low, high), (below, above) = _ends(target_b), _ends(source_b)
    start = np.maximum(low[t], below[s])
    return start, np.maximum(np.minimum(high[t], above[s]), start)


def _latitudes(south: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Return the integrals of cos, cos^2 and sin cos over latitudes in degrees, shape (3, n)."""
    a, b = np.radians(south), np.radians(north)
    total, step = a + b, b - a
    return np.array(
        [
            2 * np.cos(total / 2) * np.sin(step / 2),
            step / 2 + np.cos(total) * np.sin(step) / 2,
            np.sin(total) * np.sin(step) / 2,
        ]
    )


def _longitudes(west: np.ndarray, east: np.ndarray) -> np.ndarray:
    """Return the integrals of 1, cos and sin over longitudes in degrees, shape (3, n)."""
    middle, step = np.radians(west + east) / 2, np.radians(east - west)
    chord = 2 * np.sin(step / 2)
    return np.array([step, chord * np.cos(middle), chord * np.sin(middle)])


def _turned(target_b: np.ndarray, t: np.ndarray, source_b: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return the integrals over common longitudes, whatever turn of 360 degrees they are in."""
    turns = range(
        int(np.floor((target_b.min() - source_b.max()) / 360)),
        int(np.ceil((target_b.max() - source_b.min()) / 360)) + 1,
    )
    return np.sum(
        [_longitudes(*_common(target_b, t, source_b + 360.0 * k, s)) for k in turns], axis=0
    )


def _products(heights: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return area (n,) and moment (n, 3) from integrals along latitude and longitude."""
    area = heights[0] * widths[0]
    return area, np.stack(
        [heights[1] * widths[1], heights[1] * widths[2], heights[2] * widths[0]], axis=1
    )


def _centroids(grid: Grid, rows: slice, columns: slice) -> np.ndarray:
    """Return the centroids in space of the cells of a box, shape (n, 3), C order."""
    heights = _latitudes(*_ends(grid.lat_b))[:, rows]
    widths = _longitudes(*_ends(grid.lon_b))[:, columns]
    shape = heights.shape[1], widths.shape[1]
    area, moment = _products(np.repeat(heights, shape[1], axis=1), np.tile(widths, shape[0]))
    return moment / area[:, None]
