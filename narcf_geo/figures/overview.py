"""Fields in cells that are no finer than a picture needs, read block by block.

What is lazy is reduced, averaged over blocks of cells and only then held: memory is that of the
picture, whatever the field has of cells and months.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.layout import CHUNK
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    from narcf_geo.figures.basemap import View

DPI = 200
"""Pixels to the inch of a figure that is saved."""


@dataclass(frozen=True)
class Overview:
    """Means of a field over blocks of cells, in memory.

    Attributes
    ----------
    values : xarray.DataArray
        (..., lat, lon), the area-weighted mean of the cells that have a value; NaN where none has.
    area : xarray.DataArray
        The same shape: area, m2, of the cells that have a value, so that sums of `values` times
        `area` are those of the field.
    grid : Grid
        The blocks; the last row and column may be smaller.
    """

    values: xr.DataArray
    area: xr.DataArray
    grid: Grid

    @classmethod
    def of(cls, field: xr.DataArray, area: xr.DataArray, inches: float) -> Overview:
        """Return a field as a map `inches` wide shows it: cells finer than its pixels are averaged.

        Parameters
        ----------
        field : xarray.DataArray
            (..., lat, lon) on parallels and meridians, lazy or not.
        area : xarray.DataArray
            (lat, lon), m2, with the same labels.
        inches : float
            Width of the map.
        """
        grid = Grid.from_dataset(field)
        return cls.by(field, area, grid, _factor(grid, inches))

    @classmethod
    def by(cls, field: xr.DataArray, area: xr.DataArray, grid: Grid, factor: int) -> Overview:
        """Return the means of a field over blocks of `factor` by `factor` cells of its grid.

        Examples
        --------
        >>> grid = Grid.regular(0, 0, 3, 2, 1)
        >>> field = xr.DataArray([[1.0, 3.0, np.nan], [1.0, np.nan, 5.0]],
        ...                      {"lat": grid.lat, "lon": grid.lon}, ("lat", "lon"))
        >>> half = Overview.by(field, xr.ones_like(field), grid, 2)
        >>> half.values.values.round(2).tolist(), half.area.values.tolist()
        ([[1.67, 5.0]], [[3.0, 1.0]])
        """
        field, area = field.transpose(..., "lat", "lon"), area.transpose("lat", "lon")
        rows = max(1, CHUNK[1] // factor) * factor if field.chunks else field.shape[-2]
        bands = [slice(row, row + rows) for row in range(0, field.shape[-2], rows)]
        parts = [_means(field[..., band, :], area[band], factor, rows) for band in bands]
        grid = blocks_of(grid, factor) if factor > 1 else grid
        values, covered = (np.concatenate(arrays, axis=-2) for arrays in zip(*parts, strict=True))
        coords = {n: c for n, c in field.coords.items() if not {"lat", "lon"} & set(c.dims)}
        centers = grid if factor > 1 else field
        coords |= {"lat": ("lat", np.asarray(centers.lat)), "lon": ("lon", np.asarray(centers.lon))}
        of = xr.DataArray(values, coords, field.dims)
        return cls(of, of.copy(data=covered), grid)

    @classmethod
    def of_classes(cls, classes: xr.DataArray, area: xr.DataArray, inches: float) -> Overview:
        """Return what covers most of each block; NaN where no class is.

        Parameters
        ----------
        classes : xarray.DataArray
            (lat, lon) of integers, -1 where there is none.
        area, inches
            As for `of`.
        """
        grid = Grid.from_dataset(classes)
        factor = _factor(grid, inches)
        covered = cls.by(area.where(classes >= 0), area, grid, factor)
        values = majority(classes.values, area.values, factor)
        known = covered.values.copy(data=np.where(values < 0, np.nan, values))
        return cls(known, covered.area, covered.grid)

    def __getitem__(self, layer: Any) -> Overview:
        """Return one layer, or some, along the first dimension."""
        return Overview(self.values[layer], self.area[layer], self.grid)

    @property
    def known(self) -> np.ndarray:
        """(lat, lon), whether any layer has a value."""
        known = self.values.notnull().values
        axes = tuple(range(known.ndim - 2))
        return np.asarray(known.any(axes))

    def view(self, projection: str = "auto") -> View:
        """Return the view of all cells that have a value in any layer."""
        from narcf_geo.figures.basemap import View

        return View.of(self.grid, self.known, projection)


def _means(
    field: xr.DataArray, area: xr.DataArray, factor: int, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of one band of rows over blocks of cells, and their areas."""
    import dask

    area = area.where(field.notnull(), 0.0).transpose(*field.dims)
    if factor > 1:
        size: dict[Any, int] = {"lat": factor, "lon": factor}
        if field.chunks:  # in whole blocks, or coarsen would join chunks
            field, area = (f.chunk(lat=rows, lon=rows) for f in (field, area))
        total = (field.fillna(0.0) * area).coarsen(size, boundary="pad").sum()
        area = area.coarsen(size, boundary="pad").sum()
        field = (total / area.where(area > 0)).astype(field.dtype)
    values, covered = dask.compute(field.data, area.data)
    return values, covered


def majority(classes: np.ndarray, area: np.ndarray, factor: int) -> np.ndarray:
    """Return the class that covers most of each block of `factor` by `factor` cells.

    Parameters
    ----------
    classes : numpy.ndarray
        (lat, lon) of integers from 0 up; a negative one is no class, and is kept where a block has
        no other. Ties go to the lowest.
    area : numpy.ndarray
        Of the cells, the same shape.
    factor : int
        Cells along each side of a block.

    Examples
    --------
    >>> majority(np.array([[4, 5, -1], [5, -1, -1]]), np.ones((2, 3)), 2)
    array([[ 5, -1]])
    """
    if factor == 1:
        return classes
    shape = tuple(-(-n // factor) for n in classes.shape)
    best, most = np.full(shape, -1, classes.dtype), np.zeros(shape)
    for number in np.unique(classes[classes >= 0]):
        covered = _block_sums(np.where(classes == number, area, 0.0), factor)
        best[covered > most] = number
        most = np.maximum(most, covered)
    return best


def blocks_of(grid: Grid, factor: int) -> Grid:
    """Return blocks of `factor` by `factor` cells; those at the end may be smaller.

    Examples
    --------
    >>> blocks_of(Grid.regular(0, 0, 3, 2, 1), 2).lon_b.tolist()
    [0.0, 2.0, 3.0]
    """
    return Grid.from_corners(*(_every(b, factor) for b in (grid.lon_b, grid.lat_b)))


def any_of(known: np.ndarray, factor: int) -> np.ndarray:
    """Return whether a block of `factor` by `factor` cells holds any that is `known`."""
    return _block_sums(known, factor) > 0


def _factor(grid: Grid, inches: float) -> int:
    """Return how many cells along each side make up about a pixel."""
    return max(1, round(grid.shape[1] / (inches * DPI)))


def _block_sums(values: np.ndarray, factor: int) -> np.ndarray:
    rows, columns = (np.arange(0, n, factor) for n in values.shape)
    values = values.astype("int64") if values.dtype == bool else values
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)


def _every(edges: np.ndarray, factor: int) -> np.ndarray:
    """Return the edges of blocks of cells."""
    kept = edges[::factor]
    return kept if (edges.size - 1) % factor == 0 else np.append(kept, edges[-1])
