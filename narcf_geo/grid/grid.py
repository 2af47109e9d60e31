"""The value that stands for a grid everywhere in the library."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid.check import checked_corners
from narcf_geo.grid.sphere import band, great_circle_area, row_blocks, to_lonlat, to_xyz

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import ArrayLike

LAT_ATTRS = {
    "standard_name": "latitude",
    "long_name": "latitude",
    "units": "degrees_north",
    "axis": "Y",
}
LON_ATTRS = {
    "standard_name": "longitude",
    "long_name": "longitude",
    "units": "degrees_east",
    "axis": "X",
}


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

    Build one with `Grid.regular`, `Grid.from_corners` or `Grid.from_dataset`. Two grids are equal
    when corners and centres, rounded to 1e-9 degree, are the same, in the same order and the same
    turn of longitude; names of dimensions do not count. `Grid.matches` asks for the same cells
    within a tolerance.

    Attributes
    ----------
    lon_b, lat_b : numpy.ndarray
        Degrees. Rectilinear: edges of shape (nx + 1,) and (ny + 1,), monotonic, longitudes
        continuous across the dateline. Curvilinear: corners, both of shape (ny + 1, nx + 1).
    lon, lat : numpy.ndarray
        Cell centres in degrees, 1-D when rectilinear, otherwise of shape (ny, nx).
    dims : tuple of str
        Names of the two dimensions, rows first.
    """

    lon_b: np.ndarray
    lat_b: np.ndarray
    lon: np.ndarray = _Center()  # type: ignore[assignment]
    lat: np.ndarray = _Center()  # type: ignore[assignment]
    dims: tuple[str, str] = ("lat", "lon")

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
    ) -> Grid:
        """Return the longitude-latitude grid that fills a box, latitudes ascending.

        Parameters
        ----------
        west, south, east, north : float
            Edges of the box in degrees. `east` below `west` means: across the dateline.
        resolution : float or pair of float
            Cell size in degrees, or (longitude size, latitude size); must divide the box.

        Returns
        -------
        Grid
            Dimensions ``lat`` and ``lon``, both rising.

        Raises
        ------
        UsageError
            When the box is empty, leaves the globe, or is not a whole number of cells.

        Examples
        --------
        >>> Grid.regular(-170, 10, -50, 85, 1)
        Grid(75 x 120 cells of 1 x 1 degree, latitude 10 to 85, longitude -170 to -50)
        """
        dlon, dlat = np.broadcast_to(np.asarray(resolution, "float64"), 2).tolist()
        if east <= west:
            east += 360
        box = f"west {west:g}, south {south:g}, east {east:g}, north {north:g}"
        if not (dlon > 0 and dlat > 0 and -90 <= south < north <= 90 and 0 < east - west <= 360):
            raise UsageError(
                f"expected a box within 360 degrees of longitude and -90..90 of latitude and a "
                f"positive resolution, found {box}, resolution {resolution}"
            )
        nx, ny = round((east - west) / dlon), round((north - south) / dlat)
        if abs(nx * dlon - (east - west)) > 1e-6 or abs(ny * dlat - (north - south)) > 1e-6:
            raise UsageError(
                f"expected a resolution that divides the box, found {resolution} for {box}; "
                "move an edge of the box or choose another resolution"
            )
        return cls(np.linspace(west, east, nx + 1), np.linspace(south, north, ny + 1))

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
            When no structured grid is found, when cells leave gaps, or when 2-D latitudes and
            longitudes lie more than half a cell from where x and y put them.

        Examples
        --------
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
        Curvilinear: 2-D ``lat``, ``lon`` with four vertices a cell (dimension ``nv``).
        """
        lat_attrs, lon_attrs = dict(LAT_ATTRS), dict(LON_ATTRS)
        if self.is_rectilinear:
            y, x = self.dims
            coords = {
                y: xr.DataArray(self.lat, dims=y, attrs=lat_attrs | {"bounds": f"{y}_bnds"}),
                x: xr.DataArray(self.lon, dims=x, attrs=lon_attrs | {"bounds": f"{x}_bnds"}),
                f"{y}_bnds": xr.DataArray(_pairs(self.lat_b), dims=(y, "bnds")),
                f"{x}_bnds": xr.DataArray(_pairs(self.lon_b), dims=(x, "bnds")),
            }
        else:
            del lat_attrs["axis"], lon_attrs["axis"]
            vertices = (*self.dims, "nv")
            coords = {
                "lat": xr.DataArray(
                    self.lat, dims=self.dims, attrs=lat_attrs | {"bounds": "lat_bnds"}
                ),
                "lon": xr.DataArray(
                    self.lon, dims=self.dims, attrs=lon_attrs | {"bounds": "lon_bnds"}
                ),
                "lat_bnds": xr.DataArray(quads(self.lat_b), dims=vertices),
                "lon_bnds": xr.DataArray(quads(self.lon_b), dims=vertices),
            }
        for coord in coords.values():
            coord.encoding["_FillValue"] = None
        return coords

    def cells(self) -> gpd.GeoDataFrame:
        """Return one polygon a cell (C order) with ``lat``, ``lon`` and ``area`` in m2.

        Polygons are in longitude and latitude (EPSG:4326) within -180..180; a cell on the
        dateline becomes two, a cell around a pole is drawn down to the pole.
        """
        from narcf_geo.grid.polygons import cell_polygons

        return cell_polygons(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cells to 1e-9 degree; equal for equal grids, stable across processes."""
        sha = hashlib.sha256()
        for value in (self.lon_b, self.lat_b, self.lon, self.lat):
            sha.update(str(value.shape).encode())
            for rows in row_blocks(value.shape):
                # Adding 0 turns -0 into 0.
                sha.update((np.round(value[rows], 9) + 0.0).tobytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.digest == other.digest

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    def __reduce__(self) -> tuple[type[Grid], tuple]:
        centers = self.__dict__.get("lon"), self.__dict__.get("lat")
        return Grid, (self.lon_b, self.lat_b, *centers, self.dims)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "narcf_geo.Grid", self.digest

    @property
    def cell_size(self) -> str:
        """The size of a cell in words: latitude x longitude in degrees, or about so many km."""
        if self.is_rectilinear:
            return f"{_step(self.lat_b)} x {_step(self.lon_b)} degree"
        return f"about {np.sqrt(self.area.mean()) / 1000:.3g} km, curvilinear"

    def _repr_html_(self) -> str:
        from narcf_geo.grid.html import table

        return table(self)

    def __repr__(self) -> str:
        ny, nx = self.shape
        if self.is_rectilinear:
            edges = (self.lat_b[0], self.lat_b[-1]), (self.lon_b[0], self.lon_b[-1])
        else:
            edges = (self.lat_b.min(), self.lat_b.max()), (self.lon_b.min(), self.lon_b.max())
        (south, north), (west, east) = edges
        return (
            f"Grid({ny} x {nx} cells of {self.cell_size}, latitude {south:.6g} to {north:.6g}, "
            f"longitude {west:.6g} to {east:.6g})"
        )


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


def _pairs(edges: np.ndarray) -> np.ndarray:
    return np.stack([edges[:-1], edges[1:]], axis=1)


def quads(corners: np.ndarray) -> np.ndarray:
    """Return the four corners of each cell in turn, shape (ny, nx, 4)."""
    return np.stack(
        [corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=-1
    )


def _step(edges: np.ndarray) -> str:
    steps = np.abs(np.diff(edges))
    inner = steps[1:-1] if steps.size > 2 else steps
    if np.ptp(inner) <= 1e-3 * inner.mean():
        return f"{inner.mean():.6g}"
    return f"{steps.min():.4g}..{steps.max():.4g}"
