"""The value that stands for cells of any shape: meshes, swaths, grids with halos or gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid.connectivity import (
    cell_areas,
    centroids,
    cf_coords,
    digest_of,
    finite_or_nan,
    frozen,
    padded_corners,
    require_connected,
    same_cells,
    taking_part,
)
from narcf_geo.grid.coordinates import mapping_attributes
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.projection import Projection, same_plane

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """Cells of any shape on the sphere; immutable, compared by content.

    Build one with `Mesh.from_dataset`, `Mesh.from_vertices`, `Mesh.from_polygons` or
    `Mesh.healpix`. A cell is one polygon, or several, of any number of corners in either
    direction, its edges great circles; it may hold a pole or cross the dateline. A polygon with a
    corner that is not finite takes its cell out of the mesh: the cell keeps its place, has no
    area and takes no part in regridding.

    Two meshes are equal when their cells, rounded to 1e-9 degree, and their shapes are the same;
    how vertices are numbered and the names of dimensions do not count.

    Attributes
    ----------
    lon_v, lat_v : numpy.ndarray
        Vertices in degrees, shape (n_vertices,).
    connectivity : numpy.ndarray
        Vertices of the corners of all polygons, one polygon after the other.
    counts : numpy.ndarray
        Number of corners of each polygon, shape (n_polygons,).
    owner : numpy.ndarray
        Cell of each polygon in C order, ascending; by default each polygon is a cell.
    lon, lat : numpy.ndarray
        Cell centres in degrees, of shape `shape`; NaN where a cell takes no part.
    shape : tuple of int
        Of the cells: one dimension for a mesh, two for rows and columns, any number is allowed.
    dims : tuple of str
        Names of the dimensions.
    projection : Projection, optional
        The axes of rows and columns in their coordinate reference system, where some of their
        cells are off the globe.
    """

    lon_v: np.ndarray
    lat_v: np.ndarray
    connectivity: np.ndarray
    counts: np.ndarray
    owner: np.ndarray = field(default=None)  # type: ignore[arg-type]
    lon: np.ndarray = field(default=None)  # type: ignore[arg-type]
    lat: np.ndarray = field(default=None)  # type: ignore[arg-type]
    shape: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    projection: Projection | None = None
    is_rectilinear = False

    def __post_init__(self) -> None:
        lon_v, lat_v = (finite_or_nan(v).ravel() for v in (self.lon_v, self.lat_v))
        connectivity = np.array(self.connectivity, "int32").ravel()
        counts = np.array(self.counts, "int64").ravel()
        owner = np.arange(counts.size) if self.owner is None else np.array(self.owner, "int64")
        shape = tuple(int(n) for n in self.shape) or (int(owner.max(initial=-1)) + 1,)
        require_connected(lon_v, lat_v, connectivity, counts, owner, math.prod(shape))
        lat_v = np.clip(lat_v, -90, 90)
        connectivity, counts, owner = taking_part(lon_v, lat_v, connectivity, counts, owner)
        dims = self.dims or {1: ("cell",), 2: ("y", "x")}.get(len(shape), ())
        if len(dims) != len(shape):
            raise UsageError(f"expected {len(shape)} names of dimensions, found {dims}")
        arrays = lon_v, lat_v, connectivity, counts, owner
        for name, value in zip(list(self.__dataclass_fields__)[:5], arrays, strict=True):
            object.__setattr__(self, name, frozen(value))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dims", tuple(map(str, dims)))
        if self.lon is None or self.lat is None:
            lon, lat = centroids(self)
        else:
            lon, lat = finite_or_nan(self.lon), finite_or_nan(self.lat)
        if lon.shape != shape or lat.shape != shape:
            raise NarcfError(
                f"expected one centre a cell, of shape {shape}, found {lon.shape} and {lat.shape}"
            )
        object.__setattr__(self, "lon", frozen(lon))
        object.__setattr__(self, "lat", frozen(lat))

    @classmethod
    def from_vertices(
        cls,
        lon_v: ArrayLike,
        lat_v: ArrayLike,
        *,
        lon: ArrayLike | None = None,
        lat: ArrayLike | None = None,
        dims: Sequence[str] | None = None,
        padded: bool = True,
        mask: ArrayLike | None = None,
    ) -> Mesh:
        """Return the mesh of cells given by the corners of each; equal ones become one vertex.

        Parameters
        ----------
        lon_v, lat_v : array_like
            Shape (..., k): the corners of each cell around it, in either direction. A cell of
            fewer corners repeats one, or has NaN after the last.
        lon, lat : array_like, optional
            Cell centres, shape (...).
        dims : sequence of str, optional
            Names of the dimensions of the cells.
        padded : bool
            Whether NaN after the last corner means a cell of fewer corners; otherwise a cell with
            a NaN takes no part. NaN before a corner always takes the cell out.
        mask : array_like, optional
            Shape (...); cells where it is 0 take no part.

        Raises
        ------
        NarcfError
            When shapes do not fit, or a latitude is beyond a pole.

        Examples
        --------
        >>> Mesh.from_vertices([[0, 10, 0], [10, 10, 0]], [[40, 40, 50], [40, 50, 50]])
        Mesh(2 cells of 3 corners, about 660 km, latitude 40 to 50, longitude 0 to 10)
        """
        from narcf_geo.grid.layouts.corners import mesh_of_vertices

        return mesh_of_vertices(
            lon_v, lat_v, lon=lon, lat=lat, dims=tuple(dims or ()), padded=padded, mask=mask
        )

    @classmethod
    def from_corners(
        cls,
        lon_c: ArrayLike,
        lat_c: ArrayLike,
        *,
        lon: ArrayLike | None = None,
        lat: ArrayLike | None = None,
        dims: Sequence[str] | None = None,
    ) -> Mesh:
        """Return rows and columns of cells, of which those with a NaN corner take no part.

        Parameters
        ----------
        lon_c, lat_c : array_like
            Corners in degrees, shape (ny + 1, nx + 1).
        lon, lat : array_like, optional
            Cell centres, shape (ny, nx).
        dims : sequence of str, optional
            Names of the two dimensions.

        Raises
        ------
        NarcfError
            When shapes do not fit, or a latitude is beyond a pole.
        """
        from narcf_geo.grid.layouts.corners import mesh_of_corners

        return mesh_of_corners(lon_c, lat_c, lon, lat, tuple(dims or ()))

    @classmethod
    def from_polygons(cls, polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> Mesh:
        """Return the mesh whose cells are the polygons of a table, holes and islands included.

        Edges are straight in the coordinates of the table (longitude and latitude, or its CRS),
        and drawn by great circles that leave them by less than a metre.

        Parameters
        ----------
        polygons : geopandas.GeoDataFrame or geopandas.GeoSeries
            Polygons and MultiPolygons in any CRS; without a CRS in longitude and latitude. An
            empty one is a cell that takes no part.

        Raises
        ------
        UsageError
            When an entry is not a polygon.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> Mesh.from_polygons(gpd.GeoSeries([shapely.box(0, 40, 10, 50)], crs="EPSG:4326")).shape
        (1,)
        """
        from narcf_geo.grid.layouts.table import mesh_of_polygons

        return mesh_of_polygons(polygons)

    @classmethod
    def from_dataset(cls, ds: xr.Dataset | xr.DataArray) -> Mesh:
        """Return the cells on which the fields of a dataset lie.

        Parameters
        ----------
        ds : xarray.Dataset or xarray.DataArray
            In one of the layouts of the page "Meshes" of the documentation, or on any grid that
            `Grid.from_dataset` finds, whose cells are then taken one by one.

        Raises
        ------
        NarcfError
            When no cells are found.

        Examples
        --------
        >>> ds = xr.Dataset(
        ...     {"v": ("n", [1.0, 2.0])},
        ...     coords={"lat": ("n", [43, 47], {"bounds": "lat_v"}),
        ...             "lon": ("n", [7, 3], {"bounds": "lon_v"}),
        ...             "lat_v": (("n", "k"), [[40, 40, 50], [40, 50, 50]]),
        ...             "lon_v": (("n", "k"), [[0, 10, 10], [0, 10, 0]])})
        >>> Mesh.from_dataset(ds).dims
        ('n',)
        """
        from narcf_geo.grid.detect import cells_of

        cells = cells_of(ds)
        return cls.from_grid(cells) if isinstance(cells, Grid) else cells

    @classmethod
    def from_grid(cls, grid: Grid) -> Mesh:
        """Return the cells of a `Grid` as a mesh, joined by great circles.

        Examples
        --------
        >>> Mesh.from_grid(Grid.regular(0, 40, 4, 43, 1)).shape
        (3, 4)
        """
        lon, lat = grid.centers()
        return cls.from_corners(*grid.corners(), lon=lon, lat=lat, dims=grid.dims)

    @classmethod
    def healpix(cls, nside: int, nest: bool = True, cells: ArrayLike | None = None) -> Mesh:
        """Return the cells of HEALPix, their curved edges drawn by great circles.

        Parameters
        ----------
        nside : int
            12 * nside**2 cells cover the sphere; a power of 2 when `nest`.
        nest : bool
            Whether cells are numbered in the nested scheme, otherwise in rings.
        cells : array_like of int, optional
            Numbers of the cells wanted, all by default.

        Raises
        ------
        UsageError
            When there is no such `nside` or cell.

        Examples
        --------
        >>> mesh = Mesh.healpix(4)
        >>> mesh.shape, round(float(mesh.area.sum() / (4 * np.pi * EARTH_RADIUS**2)), 9)
        ((192,), 1.0)
        """
        from narcf_geo.grid.layouts.healpix import healpix_mesh

        return healpix_mesh(nside, nest, cells)

    @cached_property
    def area(self) -> np.ndarray:
        """Cell areas in m2 between great circles, on the sphere of 6371007.2 m; 0 for no part."""
        return frozen(cell_areas(self) * EARTH_RADIUS**2)

    def where(self, keep: ArrayLike) -> Mesh:
        """Return the mesh in which only some cells take part.

        Parameters
        ----------
        keep : array_like
            Shape of the cells; a cell where it is 0 (or False) takes no part.

        Examples
        --------
        >>> mesh = Mesh.healpix(1).where(np.arange(12) < 3)
        >>> int((mesh.area > 0).sum())
        3
        """
        chosen = np.asarray(keep) != 0
        if chosen.shape != self.shape:
            raise UsageError(f"expected one value a cell, {self.shape}, found shape {chosen.shape}")
        polygon = chosen.ravel()[self.owner]
        corner = np.repeat(polygon, self.counts)
        return replace(
            self,
            connectivity=self.connectivity[corner],
            counts=self.counts[polygon],
            owner=self.owner[polygon],
        )

    def matches(self, other: object, tolerance: float = 1e-6) -> bool:
        """Return whether another mesh has the same cells in the same order.

        Longitudes may be of any turn; `tolerance` is a share of a cell.
        """
        return isinstance(other, Mesh) and same_cells(self, other, tolerance)

    def corner_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return longitudes and latitudes of the corners of all polygons, one after the other."""
        return self.lon_v[self.connectivity], self.lat_v[self.connectivity]

    def centers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return centre longitudes and latitudes in degrees, of shape `shape`."""
        return self.lon, self.lat

    def vertices(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return corner longitudes and latitudes (*shape, k), the last corner repeated.

        None where a cell is made of several polygons. NaN where a cell takes no part.
        """
        return padded_corners(self)

    def coords(self) -> dict[str, xr.DataArray]:
        """Return CF coordinates of the cells, for output datasets.

        ``lat`` and ``lon`` with ``lat_bnds`` and ``lon_bnds`` (dimension ``nv``), a cell of fewer
        corners repeating its last. Cells of several polygons, or of more than 64 corners, have no
        bounds. With a projection also its axes; see `Grid.coords`.
        """
        return cf_coords(self)

    def cells(self) -> gpd.GeoDataFrame:
        """Return the polygons of the cells (C order) with ``lat``, ``lon`` and ``area`` in m2.

        As `Grid.cells`; a cell that takes no part is an empty polygon.
        """
        from narcf_geo.grid.polygons import cell_polygons

        return cell_polygons(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cells to 1e-9 degree; equal for equal meshes, stable across processes."""
        return digest_of(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mesh):
            return False
        return self.digest == other.digest and same_plane(self.projection, other.projection)

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    def __reduce__(self) -> tuple[type[Mesh], tuple]:
        values = self.lon_v, self.lat_v, self.connectivity, self.counts, self.owner
        return Mesh, (*values, self.lon, self.lat, self.shape, self.dims, self.projection)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "narcf_geo.Mesh", self.digest

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """South, north, west and east of the vertices in degrees, as they are given."""
        if not self.counts.size:
            return math.nan, math.nan, math.nan, math.nan
        lon, lat = self.corner_positions()
        return float(lat.min()), float(lat.max()), float(lon.min()), float(lon.max())

    @property
    def cell_size(self) -> str:
        """The size of a cell in words: number of corners and about so many km."""
        from narcf_geo.grid.words import cells_in_words

        return cells_in_words(self)

    @property
    def grid_mapping(self) -> dict[str, Any]:
        """CF attributes of the coordinate reference system, with its WKT; EPSG:4326 without one."""
        return mapping_attributes(self.projection)

    def _repr_html_(self) -> str:
        from narcf_geo.grid.words import table

        return table(self)

    def __repr__(self) -> str:
        from narcf_geo.grid.words import mesh_in_words

        return mesh_in_words(self)
