"""The value that stands for a grid everywhere in the library."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.check import checked_corners
from narcf_geo.grid.projection import Projection, same_plane
from narcf_geo.grid.sphere import band, great_circle_area, row_blocks, to_lonlat, to_xyz

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from numpy.typing import ArrayLike
    from pyproj import CRS


class _Center:
    """Centres of the cells where none were given: made when they are first asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, grid: Grid | None, owner: type | None = None) -> np.ndarray | None:
        if grid is None:
            return None
        lon, lat = _centers(grid.lon_b, grid.lat_b)
        grid._keep(lon=lon, lat=lat)
        return grid.__dict__[self.name]  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """The cells of a structured grid on the sphere; immutable, compared by content.

    Build one with `Grid.regular`, `Grid.projected`, `Grid.from_corners` or `Grid.from_dataset`. Two
    grids are equal when corners and centres, rounded to 1e-9 degree, are the same, in the same
    order and the same turn of longitude, and they lie in the same coordinate reference system;
    names of dimensions do not count. `Grid.matches` asks for the same cells within a tolerance.

    Attributes
    ----------
    lon_b, lat_b : numpy.ndarray
        Degrees. Rectilinear: edges of shape (nx + 1,) and (ny + 1,), monotonic, longitudes
        continuous across the dateline. Curvilinear: corners, both of shape (ny + 1, nx + 1).
    lon, lat : numpy.ndarray
        Cell centres in degrees, 1-D when rectilinear, otherwise of shape (ny, nx).
    dims : tuple of str
        Names of the two dimensions, rows first.
    projection : Projection, optional
        x and y of the edges and centres and their coordinate reference system, for a grid that is
        laid out in one: projected, or around a rotated pole.
    """

    lon_b: np.ndarray
    lat_b: np.ndarray
    lon: np.ndarray = _Center()  # type: ignore[assignment]
    lat: np.ndarray = _Center()  # type: ignore[assignment]
    dims: tuple[str, str] = ("lat", "lon")
    projection: Projection | None = None

    def __post_init__(self) -> None:
        lon_b, lat_b = checked_corners(self.lon_b, self.lat_b)
        ny, nx = lat_b.shape[0] - 1, lon_b.shape[-1] - 1
        self._keep(lon_b=lon_b, lat_b=lat_b)
        given = self.__dict__.pop("lon"), self.__dict__.pop("lat")
        if given[0] is not None and given[1] is not None:
            lon, lat = (np.array(value, "float64") for value in given)
            expected = ((nx,), (ny,)) if lon_b.ndim == 1 else ((ny, nx), (ny, nx))
            if (lon.shape, lat.shape) != expected:
                raise NarcfError(
                    f"expected cell centres of shapes {expected} for edges of shapes "
                    f"{lon_b.shape} and {lat_b.shape}, found {(lon.shape, lat.shape)}; give one "
                    "centre a cell"
                )
            self._keep(lon=lon, lat=lat)
        object.__setattr__(self, "dims", tuple(self.dims))
        plane = self.projection
        if plane is not None and (plane.y.size, plane.x.size) != (ny, nx):
            raise NarcfError(
                f"expected x and y of {(ny, nx)} cells, found {(plane.y.size, plane.x.size)}"
            )

    def _keep(self, **arrays: np.ndarray) -> None:
        for name, value in arrays.items():
            value = np.ascontiguousarray(value)
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def regular(
        cls,
        west: float,
        south: float,
        east: float,
        north: float,
        resolution: float | tuple[float, float],
        *,
        crs: CRS | str | int | None = None,
    ) -> Grid:
        """Return the grid of even cells that fills a box, latitudes (or y) ascending.

        Parameters
        ----------
        west, south, east, north : float
            Edges of the box in degrees, or in units of `crs`. In degrees, `east` below `west`
            means: across the dateline.
        resolution : float or pair of float
            Cell size in degrees, or in units of `crs`: one, or (longitude size, latitude size);
            must divide the box.
        crs : pyproj.CRS, str or int, optional
            A coordinate reference system, such as ``"EPSG:3035"``; longitude and latitude when not
            given.

        Returns
        -------
        Grid
            Dimensions ``lat`` and ``lon``, or ``y`` and ``x``, both rising.

        Raises
        ------
        UsageError
            When the box is empty, leaves the globe, or is not a whole number of cells, and when
            there is no such reference system.

        Examples
        --------
        >>> Grid.regular(-170, 10, -50, 85, 1)
        Grid(75 x 120 cells of 1 x 1 degree, latitude 10 to 85, longitude -170 to -50)
        >>> Grid.regular(4e6, 2e6, 5e6, 3e6, 1e4, crs="EPSG:3035").shape
        (100, 100)
        """
        from narcf_geo.grid.build import regular

        return regular(west, south, east, north, resolution, crs)

    @classmethod
    def projected(
        cls,
        crs: CRS | str | int,
        x_b: ArrayLike,
        y_b: ArrayLike,
        *,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        dims: tuple[str, str] | None = None,
    ) -> Grid:
        """Return the grid with given cell edges in a coordinate reference system.

        Parameters
        ----------
        crs : pyproj.CRS, str or int
            Projected, or longitude and latitude of a rotated pole; ``"EPSG:3035"`` for instance.
        x_b, y_b : array_like
            Edges of shapes (nx + 1,) and (ny + 1,) in units of `crs`, rising or falling.
        x, y : array_like, optional
            Cell centres where they are not the middle of the cells.
        dims : tuple of str, optional
            Names of the row and the column dimension; ``y`` and ``x``, or ``rlat`` and ``rlon``.

        Returns
        -------
        Grid
            Rectilinear where meridians and parallels lie along x and y (Mercator, EASE-Grid 2.0
            global), curvilinear otherwise.

        Raises
        ------
        UsageError
            When there is no such reference system.
        NarcfError
            When edges turn back, or a cell lies where the projection has no longitude and latitude.

        Examples
        --------
        >>> Grid.projected("EPSG:32611", [5e5, 5.1e5, 5.2e5], [5.2e6, 5.19e6]).projection
        Projection(EPSG:32611, x 500000 to 520000, y 5200000 to 5190000 m)
        """
        from narcf_geo.grid.build import projected

        return projected(crs, x_b, y_b, x, y, dims)

    @classmethod
    def from_corners(
        cls,
        lon_b: ArrayLike,
        lat_b: ArrayLike,
        *,
        lon: ArrayLike | None = None,
        lat: ArrayLike | None = None,
        dims: tuple[str, str] | None = None,
    ) -> Grid:
        """Return the grid with given cell edges (1-D) or cell corners (2-D), in degrees.

        Parameters
        ----------
        lon_b, lat_b : array_like
            Edges of shapes (nx + 1,) and (ny + 1,), any direction, or corners of shape
            (ny + 1, nx + 1) joined by great circles.
        lon, lat : array_like, optional
            Cell centres where they are not the middle of the cells.
        dims : tuple of str, optional
            Names of the row and the column dimension.

        Returns
        -------
        Grid

        Raises
        ------
        NarcfError
            When shapes do not fit, edges turn back, or a corner is not on the globe.

        Examples
        --------
        >>> Grid.from_corners([0, 10, 30], [50, 40]).shape
        (1, 2)
        """
        x, y = np.asarray(lon_b, "float64"), np.asarray(lat_b, "float64")
        default = ("lat", "lon") if x.ndim == 1 else ("y", "x")
        return cls(x, y, lon, lat, dims or default)  # type: ignore[arg-type]

    @classmethod
    def from_dataset(cls, ds: xr.Dataset | xr.DataArray) -> Grid:
        """Return the grid on which the fields of a dataset lie, in the order of its axes.

        Corners come from, in this order: CF bounds (two per 1-D coordinate, four per 2-D cell);
        the projected or rotated axes and their grid mapping; the centres (for 1-D axes the edges
        half way between, for full Gaussian latitudes the edges of the quadrature weights, for 2-D
        centres an interpolation, with a warning). Rows of nodes on a pole become half cells.

        Parameters
        ----------
        ds : xarray.Dataset or xarray.DataArray
            With latitude and longitude of any names (or x and y and a grid mapping).

        Returns
        -------
        Grid
            Its dimensions are those of the dataset.

        Raises
        ------
        NarcfError
            When no cells are found, when they are those of a `Mesh`, or when 2-D latitudes and
            longitudes lie more than half a cell from where x and y put them.

        Examples
        --------
        >>> import xarray as xr
        >>> field = xr.DataArray(np.zeros((2, 3)), dims=("latitude", "longitude"),
        ...                      coords={"latitude": [49.5, 48.5], "longitude": [358, 0, 2]})
        >>> Grid.from_dataset(field)
        Grid(2 x 3 cells of 1 x 2 degree, latitude 50 to 48, longitude 357 to 363)
        """
        from narcf_geo.grid.detect import grid_of

        return grid_of(ds)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns of cells."""
        return self.lat_b.shape[0] - 1, self.lon_b.shape[-1] - 1

    @property
    def is_rectilinear(self) -> bool:
        """True when rows are parallels and columns are meridians (1-D edges)."""
        return self.lon_b.ndim == 1

    @property
    def area(self) -> np.ndarray:
        """Cell areas in m2, shape (ny, nx), on the sphere of 6371007.2 m.

        Edges along latitude are parallels on a rectilinear grid, great circles otherwise.
        """
        if not self.is_rectilinear:
            return great_circle_area(self.lon_b, self.lat_b)
        return EARTH_RADIUS**2 * np.multiply.outer(
            np.abs(band(self.lat_b[1:], self.lat_b[:-1])), np.abs(np.radians(np.diff(self.lon_b)))
        )

    def matches(self, other: Grid, tolerance: float = 1e-6) -> bool:
        """Return whether another grid has the same cells in the same order.

        Parameters
        ----------
        other : Grid
            Longitudes of any turn.
        tolerance : float
            How far apart corners may be, as a share of a cell.

        Examples
        --------
        >>> grid = Grid.regular(-100, 40, -90, 50, 1)
        >>> grid.matches(Grid.regular(260, 40, 270, 50, 1)), grid.matches(
        ...     Grid.regular(-99.5, 40, -89.5, 50, 1)
        ... )
        (True, False)
        """
        shapes = [(g.lon_b.shape, g.lat_b.shape) for g in (self, other)]
        if shapes[0] != shapes[1]:
            return False
        apart = (self.lon_b - other.lon_b + 180) % 360 - 180
        cells = [np.median(np.abs(np.diff(edges, axis=-1))) for edges in (self.lon_b, self.lat_b.T)]
        off = np.abs(apart).max() / cells[0], np.abs(self.lat_b - other.lat_b).max() / cells[1]
        return bool(max(off) <= tolerance)

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return corner longitudes and latitudes in degrees, both (ny + 1, nx + 1)."""
        if not self.is_rectilinear:
            return self.lon_b, self.lat_b
        lon_c, lat_c = np.meshgrid(self.lon_b, self.lat_b)
        return lon_c, lat_c

    def centers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return centre longitudes and latitudes in degrees, both (ny, nx)."""
        if not self.is_rectilinear:
            return self.lon, self.lat
        lon, lat = np.meshgrid(self.lon, self.lat)
        return lon, lat

    def coords(self) -> dict[str, xr.DataArray]:
        """Return CF coordinates and bounds of the cells, for output datasets.

        Rectilinear: ``lat``, ``lon`` with ``lat_bnds``, ``lon_bnds`` (dimension ``bnds``).
        Curvilinear: 2-D ``lat``, ``lon`` with four vertices a cell (dimension ``nv``). Projected:
        ``y``, ``x`` with ``y_bnds``, ``x_bnds``, and 2-D ``lat``, ``lon``, with vertices up to a
        million cells; `grid_mapping` says where these x and y are.
        """
        from narcf_geo.grid.coordinates import cf_coords

        return cf_coords(self)

    @property
    def grid_mapping(self) -> dict[str, Any]:
        """CF attributes of the coordinate reference system, with its WKT; EPSG:4326 without one."""
        from narcf_geo.grid.coordinates import mapping_attributes

        return mapping_attributes(self.projection)

    def cells(self) -> gpd.GeoDataFrame:
        """Return one polygon a cell (C order) with ``lat``, ``lon`` and ``area`` in m2.

        Polygons are in longitude and latitude (EPSG:4326) within -180..180; a cell on the
        dateline becomes two, a cell around a pole is drawn down to the pole.
        """
        from narcf_geo.grid.polygons import cell_polygons

        return cell_polygons(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cells on the globe to 1e-9 degree; stable across processes."""
        sha = hashlib.sha256()
        for value in (self.lon_b, self.lat_b, self.lon, self.lat):
            sha.update(str(value.shape).encode())
            for rows in row_blocks(value.shape):
                # Adding 0 turns -0 into 0.
                sha.update((np.round(value[rows], 9) + 0.0).tobytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return False
        return self.digest == other.digest and same_plane(self.projection, other.projection)

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    def __reduce__(self) -> tuple[type[Grid], tuple]:
        centers = self.__dict__.get("lon"), self.__dict__.get("lat")
        return Grid, (self.lon_b, self.lat_b, *centers, self.dims, self.projection)

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return "narcf_geo.Grid", self.digest, self.projection.wkt if self.projection else ""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """South, north, west and east of the corners in degrees, as they are given."""
        values = self.lat_b.min(), self.lat_b.max(), self.lon_b.min(), self.lon_b.max()
        south, north, west, east = map(float, values)
        return south, north, west, east

    @property
    def cell_size(self) -> str:
        """The size of a cell in words: degrees, units of the projection, or about so many km."""
        from narcf_geo.grid.words import cell_size

        return cell_size(self)

    def _repr_html_(self) -> str:
        from narcf_geo.grid.words import table

        return table(self)

    def __repr__(self) -> str:
        from narcf_geo.grid.words import described

        return described(self)


def _centers(lon_b: np.ndarray, lat_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if lon_b.ndim == 1:
        return (lon_b[1:] + lon_b[:-1]) / 2, (lat_b[1:] + lat_b[:-1]) / 2
    shape = lat_b.shape[0] - 1, lat_b.shape[1] - 1
    lon, lat = np.empty(shape), np.empty(shape)
    for rows in row_blocks(shape):
        corners = slice(rows.start, rows.stop + 1)
        p = to_xyz(lon_b[corners], lat_b[corners])
        lon[rows], lat[rows] = to_lonlat(p[:-1, :-1] + p[:-1, 1:] + p[1:, 1:] + p[1:, :-1])
    return lon, lat
