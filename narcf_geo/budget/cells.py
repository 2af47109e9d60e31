"""What polygons share with the cells of a raster, block by block, and sums over these cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import shapely

from narcf_geo.fields.regions import region_areas
from narcf_geo.grid import Grid
from narcf_geo.grid.plane import Plane
from narcf_geo.grid.shares import M2, equal_area, is_overlap, shared_cells, window, window_of

if TYPE_CHECKING:
    import geopandas as gpd
    import scipy.sparse as sp

Block = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a block that polygons touch.

    Attributes
    ----------
    area : scipy.sparse.csr_array
        m2 of each of these cells in each polygon (polygon, cell), on the sphere.
    share : scipy.sparse.csr_array
        The same as a part of the cell, 0 to 1.
    number : numpy.ndarray
        Their numbers among the cells of the block, in C order.
    """

    area: sp.csr_array
    share: sp.csr_array
    number: np.ndarray

    def class_areas(self, values: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        """Yield each value among the cells (cell, n), and its m2 (polygon, n)."""
        for value in np.unique(values[~np.isnan(values)]):
            yield float(value), self.area @ (values == value).astype(np.float64)


class Overlap:
    """Polygons on a raster.

    Parameters
    ----------
    place : Grid or Plane
        Where the cells are.
    regions : geopandas.GeoSeries
        As of `narcf_geo.fields.regions.open_regions`.
    """

    def __init__(self, place: Grid | Plane, regions: gpd.GeoSeries) -> None:
        self.place = place
        self.regions = regions

    @cached_property
    def region_area(self) -> np.ndarray:
        """m2 of each polygon, on the raster or not."""
        if isinstance(self.place, Plane):
            return region_areas(self.regions).to_numpy()
        return shapely.area(self._drawn) * M2

    @cached_property
    def _drawn(self) -> np.ndarray:
        shapes = self.regions.to_numpy()
        return self.place.drawn(shapes) if isinstance(self.place, Plane) else equal_area(shapes)

    @cached_property
    def window(self) -> Block:
        """The rows and columns that polygons may touch."""
        if isinstance(self.place, Plane):
            return window(self.place.x_b, self.place.y_b, self._drawn)
        return window_of(self.place, self._drawn)

    def cells(self, block: Block) -> Cells:
        """Return what polygons share with the cells of a block."""
        rows, columns = block
        if isinstance(self.place, Plane):
            owner, cell, share, area = self.place.part(rows, columns).cell_areas(self._drawn)
            kept = is_overlap(owner, share, area, self.region_area)
            owner, cell, share, area = (v[kept] for v in (owner, cell, share, area))
        else:
            part = _part(self.place, rows, columns)
            owner, cell, share = shared_cells(part, self._drawn)
            area = share * part.area.ravel()[cell]
        size = (rows.stop - rows.start) * (columns.stop - columns.start)
        return _gathered(owner, cell, share, area, (len(self._drawn), size))


def _gathered(
    owner: np.ndarray,
    cell: np.ndarray,
    share: np.ndarray,
    area: np.ndarray,
    size: tuple[int, int],
) -> Cells:
    """Return overlaps as matrices over the cells that are touched."""
    import scipy.sparse as sp

    touched = np.zeros(size[1], dtype=bool)
    touched[cell] = True
    column = (np.cumsum(touched, dtype=np.int32) - 1)[cell]
    if (np.diff(owner) < 0).any():
        order = np.argsort(owner, kind="stable")
        owner, column, share, area = (v[order] for v in (owner, column, share, area))
    starts = np.searchsorted(owner, np.arange(size[0] + 1)).astype(np.int32)
    number = np.flatnonzero(touched)
    shape = size[0], number.size
    return Cells(
        sp.csr_array((area, column, starts), shape=shape),
        sp.csr_array((share, column, starts), shape=shape),
        number,
    )


def _part(grid: Grid, rows: slice, columns: slice) -> Grid:
    """Return a block of the cells of a grid."""
    down, along = (slice(s.start, s.stop + 1) for s in (rows, columns))
    if grid.is_rectilinear:
        return Grid.from_corners(grid.lon_b[along], grid.lat_b[down])
    return Grid.from_corners(grid.lon_b[down, along], grid.lat_b[down, along])
