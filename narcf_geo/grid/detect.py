"""Find the grid of a dataset: CF bounds, projected axes, or the cell centres alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError, NarcfError
from narcf_geo.grid.coordinates import CELL_EDGES
from narcf_geo.grid.curvilinear import collapsed, four_corners, interpolated
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.layouts import layout_of
from narcf_geo.grid.layouts.rest import at_rest
from narcf_geo.grid.mapping import crs_of
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.planes import edges_of_bounds, projected_cells
from narcf_geo.grid.projection import is_lonlat
from narcf_geo.grid.sphere import (
    distance,
    edges_from_centers,
    gaussian_edges,
    great_circle_area,
    to_xyz,
)
from narcf_geo.grid.units import in_degrees, may_be_angle, require_degrees

MOST_TURNS = 720.0
"""Degrees east or west within which a longitude is believed to be one."""

UNITS = {
    "latitude": {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"},
    "longitude": {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"},
}
DEGREES = {"latitude": "degrees_north", "longitude": "degrees_east"}
NAMES = {
    "latitude": ("lat", "latitude", "nav_lat", "xlat", "gridlat_0"),
    "longitude": ("lon", "longitude", "nav_lon", "xlong", "gridlon_0"),
    "x": ("x", "rlon", "xc", "projection_x_coordinate"),
    "y": ("y", "rlat", "yc", "projection_y_coordinate"),
}
AXES = {
    "x": ("projection_x_coordinate", "projection_x_angular_coordinate", "grid_longitude"),
    "y": ("projection_y_coordinate", "projection_y_angular_coordinate", "grid_latitude"),
}


def grid_of(ds: xr.Dataset | xr.DataArray) -> Grid:
    """Return the grid of `ds`; see `Grid.from_dataset`."""
    cells = cells_of(ds)
    if isinstance(cells, Grid):
        return cells
    raise NarcfError(
        f"expected rows and columns of cells that join, found {cells}; regrid it first, with "
        "narcf_geo.regrid or narcf-geo regrid, or take the cells with Mesh.from_dataset"
    )


def cells_of(ds: xr.Dataset | xr.DataArray) -> Grid | Mesh:
    """Return the cells on which the fields of `ds` lie: a `Grid` where they join, else a `Mesh`.

    Parameters
    ----------
    ds : xarray.Dataset or xarray.DataArray
        As for `Grid.from_dataset`, or in one of the layouts of `narcf_geo.grid.layouts`.

    Raises
    ------
    NarcfError
        When no cells are found.
    """
    if isinstance(ds, xr.DataArray):
        ds = ds.to_dataset(name=ds.name or "field")
    ds = at_rest(with_degrees(ds))
    mapped = any(
        "grid_mapping_name" in v.attrs or "crs_wkt" in v.attrs for v in ds.variables.values()
    )
    axes = _axis(ds, "x") is not None and _axis(ds, "y") is not None
    layout = None if axes and mapped else layout_of(ds)
    return _structured(ds) if layout is None else layout.build()


def _structured(ds: xr.Dataset) -> Grid | Mesh:
    lat, lon = geographic(ds, "latitude"), geographic(ds, "longitude")
    x, y = _axis(ds, "x"), _axis(ds, "y")
    if lat is not None and lon is not None and {"lat_b", "lon_b"} <= set(ds.variables):
        return _with_corners(ds, lat, lon)
    crs = None if x is None or y is None else _crs_beside(ds, x, y, lat, lon)
    if crs is not None and is_lonlat(crs):
        if lat is None and x is not None and y is not None:
            return _rectilinear(ds, y, x)
        layout, crs = layout_of(ds), None  # the mapping is that of the positions
        if layout is not None:
            return layout.build()
    if lat is not None and lon is not None and lat.ndim == lon.ndim == 1:
        if x is None or y is None or crs is None:
            return _rectilinear(ds, lat, lon)
        return projected_cells(ds, x, y, crs)
    if x is not None and y is not None and crs is not None:
        projected = projected_cells(ds, x, y, crs)
        if isinstance(projected, Mesh):
            return projected
        if lat is not None and lon is not None:
            _same_place(projected, ds, lat, lon)
            four = four_corners(ds, lat, lon)
            if four is not None:
                four = collapsed(four) if projected.is_rectilinear else four
                same = four.dims == projected.dims
                return replace(four, projection=projected.projection if same else None)
        return projected
    if lat is not None and lon is not None and lat.ndim == lon.ndim == 2 and lat.dims == lon.dims:
        return _meshed(ds, lat, lon) or interpolated(lat, lon)
    raise NarcfError(
        "expected latitude and longitude coordinates (1-D, or 2-D of one shape), or x and y axes "
        f"with a grid mapping, found {_summary(ds)}; add units degrees_north and degrees_east or "
        "a grid_mapping variable, or build the grid with Grid.from_corners"
    )


def _summary(ds: xr.Dataset) -> str:
    parts = [f"{name}{tuple(map(str, v.dims))}" for name, v in ds.variables.items()]
    return ", ".join(parts) or "no variables"


def _bounds_names(ds: xr.Dataset) -> set[str]:
    keys = ("bounds", "climatology")
    found = (
        where.get(k) for v in ds.variables.values() for where in (v.attrs, v.encoding) for k in keys
    )
    return {str(name) for name in found if name}


def geographic(ds: xr.Dataset, kind: str) -> xr.DataArray | None:
    """Return the coordinate of `kind`: best by standard name, then units, then name."""
    bounds = _bounds_names(ds)
    other = "longitude" if kind == "latitude" else "latitude"
    found: list[tuple[int, str]] = []
    for name, v in ds.variables.items():
        if name in bounds or v.ndim not in (1, 2) or v.dtype.kind not in "fiu":
            continue
        if str(v.attrs.get("units", "")).lower() in UNITS[other]:
            continue
        named = str(name).lower() in NAMES[kind]
        standard = v.attrs.get("standard_name", "").lower() == kind
        stated = str(v.attrs.get("units", "")).lower()
        units, odd = stated in UNITS[kind], not may_be_angle(stated)
        if standard or units or named:
            found.append((4 * standard + 2 * named + units - 8 * odd, str(name)))
    if not found:
        return None
    best = max(score for score, _ in found)
    return ds[next(name for score, name in found if score == best)]


def with_degrees(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with latitudes, longitudes and their bounds in degrees, radians converted.

    Raises
    ------
    FieldError
        When their unit is not one of an angle, or is not said and radians are likely.
    """
    found = {u: geographic(ds, k) for k, u in DEGREES.items()}
    lat, lon = found.values()
    if lat is not None and lon is not None:
        require_degrees(lat, lon)
    named = {str(a.name): u for u, a in found.items() if a is not None}
    return in_degrees(ds, [a for a in found.values() if a is not None], named)


def plane_dims(ds: xr.Dataset) -> set[str]:
    """Return the dimensions of the plane: of latitude and longitude, and of projected axes."""
    found = [geographic(ds, kind) for kind in ("latitude", "longitude")]
    found += [_axis(ds, kind) for kind in ("x", "y")]
    named = {str(d) for d in ds.dims if str(d).lower() in (*NAMES["x"], *NAMES["y"])}
    return named.union(*(map(str, axis.dims) for axis in found if axis is not None and axis.ndim))


def _axis(ds: xr.Dataset, kind: str) -> xr.DataArray | None:
    found: list[tuple[int, str]] = []
    for name in ds.dims:
        if name not in ds.variables or ds[name].ndim != 1 or ds[name].dtype.kind not in "fiu":
            continue
        attrs = ds[name].attrs
        standard = attrs.get("standard_name") in AXES[kind]
        axis = str(attrs.get("axis", "")).lower() == kind
        named = str(name).lower() in NAMES[kind]
        if standard or axis or named:
            found.append((4 * standard + 2 * axis + named, str(name)))
    return ds[max(found)[1]] if found else None


def _crs_beside(
    ds: xr.Dataset,
    x: xr.DataArray,
    y: xr.DataArray,
    lat: xr.DataArray | None,
    lon: xr.DataArray | None,
) -> Any:
    """Return the CRS of `x` and `y` where these are not latitude and longitude themselves."""
    if lat is None or lon is None or lat.ndim != 1 or lon.ndim != 1:
        return crs_of(ds, x, y)
    along = (lat.dims, lon.dims) == (y.dims, x.dims)
    return crs_of(ds, x, y) if along and {x.name, y.name}.isdisjoint((lat.name, lon.name)) else None


def _rectilinear(ds: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray) -> Grid:
    if lat.dims == lon.dims:
        raise NarcfError(
            f"expected latitude and longitude on two dimensions, found both on {lat.dims[0]!r}: a "
            "list of places; give each the corners of its cell (CF bounds), or scatter it to a grid"
        )
    lat_b = _edges(ds, lat, limit=90.0)
    lon_b = _edges(ds, lon, limit=None)
    dims = str(lat.dims[0]), str(lon.dims[0])
    return Grid.from_corners(
        lon_b,
        lat_b,
        lon=_unrounded(np.unwrap(lon.values.astype("float64"), period=360), lon_b, lon.dtype),
        lat=_unrounded(lat.values.astype("float64"), lat_b, lat.dtype),
        dims=dims,
    )


def _unrounded(centers: np.ndarray, edges: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the middle of each cell where the centre is that but for the rounding of `dtype`."""
    middle = (edges[1:] + edges[:-1]) / 2
    rounding = 2 * 360 * np.finfo(dtype).eps if dtype.kind == "f" else 0.0
    return np.where(np.abs(middle - centers) <= rounding, middle, centers)


def _with_corners(ds: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray) -> Grid:
    """Return the grid of xESMF's corner variables ``lat_b`` and ``lon_b``."""
    dims = lat.dims if lat.ndim == 2 else (*lat.dims, *lon.dims)
    lat_b, lon_b = ds["lat_b"].values, ds["lon_b"].values
    if lon_b.ndim == 1:
        lon_b = np.unwrap(lon_b.astype("float64"), period=360)
    rows, columns = (str(d) for d in dims)
    grid = Grid.from_corners(lon_b, lat_b, dims=(rows, columns))
    if grid.shape != (ds.sizes[rows], ds.sizes[columns]):
        raise NarcfError(
            f"expected lat_b and lon_b one longer than the cells along {dims}, found corners of "
            f"{grid.shape} cells for {(ds.sizes[rows], ds.sizes[columns])}"
        )
    if lat.ndim != lat_b.ndim:
        return grid
    centers = np.unwrap(lon.values, period=360) if lon.ndim == 1 else lon.transpose(*dims).values
    return Grid.from_corners(lon_b, lat_b, lon=centers, lat=lat.values, dims=(rows, columns))


def _edges(ds: xr.Dataset, axis: xr.DataArray, limit: float | None) -> np.ndarray:
    """Return the edges of a 1-D axis; `limit` is 90 for latitudes, None for longitudes."""
    centers = axis.values.astype("float64")
    _require_on_globe(centers, axis, MOST_TURNS if limit is None else limit)
    if limit is None:
        centers = np.unwrap(centers, period=360)
    steps = np.diff(centers)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise NarcfError(
            f"expected coordinate {axis.name!r} to rise or fall throughout, found a turn or a "
            f"repeated value among {centers[:4]}...; sort it first"
        )
    require_bounds(ds, axis)
    bounds = axis.attrs.get("bounds") or axis.encoding.get("bounds")
    if bounds in ds.variables and ds[bounds].shape == (axis.size, 2):
        return edges_of_bounds(ds[bounds].values.astype("float64"), centers, axis, limit)
    if centers.size < 2:
        edges = np.asarray(axis.attrs.get(CELL_EDGES, ()), dtype="float64")
        edges = edges + 360 * np.rint((centers[0] - edges.mean()) / 360) if edges.size else edges
        if edges.size == 2 and edges.min() < centers[0] < edges.max():
            return edges
        raise NarcfError(
            f"expected bounds for coordinate {axis.name!r}, which has a single value and so no "
            "spacing; add CF bounds or build the grid with Grid.from_corners"
        )
    if limit is not None:
        gaussian = None if np.ptp(steps) < 1e-6 * abs(steps[0]) else gaussian_edges(centers)
        if gaussian is not None:
            return gaussian
        return np.clip(_snapped(edges_from_centers(centers), axis), -limit, limit)
    edges = _snapped(edges_from_centers(centers), axis)
    if abs(abs(centers[-1] - centers[0]) - 360) < 1e-3 * abs(steps[0]):
        # Both ends are the same meridian: each column there is half a cell, as rows at a pole.
        edges[0], edges[-1] = centers[0], centers[0] + 360 * np.sign(steps[0])
    return edges


def _require_on_globe(centers: np.ndarray, axis: xr.DataArray, most: float) -> None:
    if not centers.size:
        raise NarcfError(f"expected rows and columns of cells, found none along {axis.name!r}")
    if not np.isfinite(centers).all():
        wrong = centers[~np.isfinite(centers)][0]
        raise NarcfError(f"expected finite values in coordinate {axis.name!r}, found {wrong}")
    if np.abs(centers).max() > most + 1e-3:
        raise NarcfError(
            f"expected coordinate {axis.name!r} within {-most:g}..{most:g} degrees, found "
            f"{centers.min():g} to {centers.max():g}; correct it, or the unit it states"
        )


def require_bounds(ds: xr.Dataset, axis: xr.DataArray) -> None:
    """Refuse bounds of an axis that are not two numbers for each of its cells.

    Raises
    ------
    FieldError
        When they are not. Corners of 2-D positions are another matter.
    """
    name = axis.attrs.get("bounds") or axis.encoding.get("bounds")
    if axis.ndim != 1 or name not in ds.variables or ds[name].ndim > 2:
        return
    bounds = ds[name]
    if bounds.shape == (axis.size, 2) and bounds.dims[:1] == axis.dims and _is_number(bounds):
        if np.isfinite(bounds.values).all():
            return
        raise FieldError(
            f"variable {name!r}: expected finite bounds, found NaN or infinity; correct it, or "
            "drop it to take the edges half way between the centres"
        )
    what = f"{bounds.dtype}" if _is_number(bounds) else "text"
    raise FieldError(
        f"variable {name!r}: expected the two bounds of each of {axis.size} cells along "
        f"{axis.dims[0]!r}, found {what} of {dict(bounds.sizes)}; correct it, or drop it to take "
        "the edges half way between the centres"
    )


def _is_number(array: xr.DataArray) -> bool:
    return array.dtype.kind in "fiu"


def _snapped(edges: np.ndarray, axis: xr.DataArray) -> np.ndarray:
    """Undo the rounding of a uniform axis, so that a global one goes round exactly once."""
    n = edges.size - 1
    step = (edges[-1] - edges[0]) / n
    eps = np.finfo(axis.dtype).eps if axis.dtype.kind == "f" else 0.0
    tolerance = max(1e-4 * abs(step), 2 * eps * 360)
    if np.abs(np.diff(edges) - step).max() > 2 * tolerance or abs(step) < 4 * tolerance:
        return edges
    turns = 360 / abs(step)
    if abs(turns - round(turns)) * abs(step) / turns * n < tolerance:
        step = np.sign(step) * 360 / round(turns)
    start = round(edges[0] / (step / 2)) * (step / 2)
    start = start if abs(start - edges[0]) < tolerance else edges[0]
    uniform = start + step * np.arange(n + 1)
    return uniform if np.abs(uniform - edges).max() < 2 * tolerance else edges


def projected_axes(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, Any] | None:
    """Return the x and y axes of projected or rotated cells and their CRS; None without them."""
    ds = with_degrees(ds)
    lat, lon = geographic(ds, "latitude"), geographic(ds, "longitude")
    x, y = _axis(ds, "x"), _axis(ds, "y")
    crs = None if x is None or y is None else _crs_beside(ds, x, y, lat, lon)
    if x is None or y is None or crs is None or is_lonlat(crs):
        return None
    if lat is not None and lon is not None:
        cells_of(ds)  # refuses latitudes and longitudes of other cells
    return x, y, crs


def lacks_crs(ds: xr.Dataset) -> bool:
    """Tell x and y axes of which it is not said where on the globe they are."""
    x, y = _axis(ds, "x"), _axis(ds, "y")
    lat, lon = geographic(ds, "latitude"), geographic(ds, "longitude")
    if x is None or y is None or (lat is not None and lon is not None):
        return False
    return _crs_beside(ds, x, y, lat, lon) is None


def _same_place(grid: Grid, ds: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray) -> None:
    """Refuse 2-D latitudes and longitudes that belong to other cells than x and y."""
    if set(lat.dims) != set(grid.dims) or set(lon.dims) != set(grid.dims):
        return
    file_lat = lat.transpose(*grid.dims).values.astype("float64")
    file_lon = lon.transpose(*grid.dims).values.astype("float64")
    lon_c, lat_c = grid.centers()
    off = distance(to_xyz(file_lon, file_lat), to_xyz(lon_c, lat_c))
    half_cell = np.sqrt(great_circle_area(*grid.corners())) / 2
    worst = np.nan_to_num(off / half_cell)
    if worst.max() <= 1:
        return
    j, i = (int(k) for k in np.unravel_index(worst.argmax(), worst.shape))
    y, x = grid.dims
    raise NarcfError(
        f"expected {lat.name!r} and {lon.name!r} to lie where {y!r}, {x!r} and the grid mapping "
        f"put the cells, found cell {y}={j}, {x}={i} at {_place(file_lon, file_lat, j, i)} "
        f"in the file and at {_place(lon_c, lat_c, j, i)} by its x and y, "
        f"{off[j, i] / 1000:.0f} km apart and more than half a cell; clip all coordinates "
        "together, or drop the wrong ones"
    )


def _place(lon: np.ndarray, lat: np.ndarray, j: int, i: int) -> str:
    east, north = float((lon[j, i] + 180) % 360 - 180), float(lat[j, i])
    side = "N" if north >= 0 else "S", "E" if east >= 0 else "W"
    return f"{abs(north):.3f}{side[0]} {abs(east):.3f}{side[1]}"


def _meshed(ds: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray) -> Grid | None:
    """Return the rectilinear grid when 2-D centres lie on meridians and parallels."""
    rows, columns = lat.dims
    eps = np.finfo(lat.dtype).eps if lat.dtype.kind == "f" else 0.0
    tolerance = max(4 * eps * 360, 1e-9)
    turn = (lon - lon.isel({rows: 0}) + 180) % 360 - 180
    if np.abs(lat - lat.isel({columns: 0})).max() > tolerance or np.abs(turn).max() > tolerance:
        return None
    return _rectilinear(ds, lat.isel({columns: 0}), lon.isel({rows: 0}))
