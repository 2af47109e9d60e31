"""Axes by their CF attributes: found, named ``time``, ``lat`` and ``lon``, and put in one order."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError, prefix
from narcf_geo.grid.coordinates import CELL_EDGES, LAT_ATTRS, LON_ATTRS
from narcf_geo.grid.detect import MOST_TURNS, geographic, require_bounds, with_degrees

T = TypeVar("T", xr.Dataset, xr.DataArray)

TIME_NAMES = ("time", "valid_time", "date", "month", "t")
"""Names of a time axis that says nothing else of itself, in small or capital letters."""

_SAME_MERIDIAN = 1e-6
"""Degrees within which two longitudes are one, so that rounding at 180 moves no column."""


def in_house_order(obj: T, where: str = "") -> T:
    """Return fields with house axes: dimensions (..., time, ..., lat, lon), lat and lon rising.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        With latitude and longitude of any names, order and direction. Longitudes of any turn:
        they begin within -180..180 and go on eastwards without a jump. Lazy arrays stay lazy.
        Curvilinear grids keep the order of their cells; their positions become ``lat`` and ``lon``.
    where : str
        What the data are, for an error.

    Raises
    ------
    FieldError
        When there are no latitudes and longitudes, or one of them stands there twice.

    Examples
    --------
    >>> field = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], name="flux", dims=("latitude", "longitude"),
    ...                      coords={"latitude": [50.5, 49.5], "longitude": [359.5, 0.5]})
    >>> house = in_house_order(field)
    >>> house.dims, house.lat.values.tolist(), house.lon.values.tolist(), house.values.tolist()
    (('lat', 'lon'), [49.5, 50.5], [-0.5, 0.5], [[3.0, 4.0], [1.0, 2.0]])
    """
    if isinstance(obj, xr.DataArray):
        name = obj.name if obj.name is not None else "field"
        ds = in_house_order(obj.to_dataset(name=name), where or f"{name!r}")
        return ds[name].rename(obj.name)
    obj = with_time(_named(_as_coordinates(obj), where))
    if obj["lat"].ndim == obj["lon"].ndim == 1:
        obj = _eastward(_northward(obj, where), where)
        plane: tuple[str, ...] = ("lat", "lon")
    else:
        plane = tuple(map(str, obj["lat"].dims))
    first = [d for d in ("time",) if d in obj.dims]
    obj = obj.transpose(*first, ..., *plane)
    for name in ("lat", "lon"):
        if f"{name}_bnds" in obj.variables:  # the vertices of a cell come last
            obj[f"{name}_bnds"] = obj[f"{name}_bnds"].transpose(*obj[name].dims, ...)
    return obj


def _named(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Name latitude and longitude ``lat`` and ``lon``, and their dimensions where they are 1-D."""
    ds = with_degrees(ds)
    lat, lon = geographic(ds, "latitude"), geographic(ds, "longitude")
    if (
        lat is None
        or lon is None
        or lat.ndim != lon.ndim
        or (lat.ndim == 1 and lat.dims == lon.dims)
    ):
        raise FieldError(
            f"{prefix(where)}expected latitudes and longitudes along two dimensions, found "
            f"{_summary(ds)}; give the coordinates units degrees_north and degrees_east"
        )
    names: dict[Hashable, str] = {}
    for axis, name in ((lat, "lat"), (lon, "lon")):
        try:
            require_bounds(ds, axis)
        except FieldError as error:
            raise FieldError(f"{prefix(where)}{error}") from None
        if axis.name != name:
            names[axis.name] = name
        if axis.ndim == 1 and axis.dims[0] not in (name, axis.name):
            names[axis.dims[0]] = name
        bounds = axis.attrs.get("bounds") or axis.encoding.get("bounds")
        if bounds in ds.variables and bounds != f"{name}_bnds":
            names[bounds] = f"{name}_bnds"
    taken = [str(new) for new in names.values() if new in ds.variables or new in ds.dims]
    ds = ds.drop_vars([n for n in taken if n in ds.variables and n not in names])
    ds = ds.rename(names).set_coords(["lat", "lon"])
    for name, attrs in (("lat", LAT_ATTRS), ("lon", LON_ATTRS)):
        ds = _indexed(ds, name)
        kept = {k: v for k, v in ds[name].attrs.items() if k != "bounds"}
        if ds[name].ndim == 1:
            kept = {**attrs, **{k: v for k, v in kept.items() if k not in ("units", "axis")}}
        if f"{name}_bnds" in ds.variables:
            kept["bounds"] = f"{name}_bnds"
            if ds[name].shape == (1,) and ds[f"{name}_bnds"].shape == (1, 2):
                kept[CELL_EDGES] = ds[f"{name}_bnds"].values[0].astype("float64").tolist()
        ds[name].attrs = kept
        ds[name].encoding.pop("bounds", None)
    return ds


def with_time(ds: xr.Dataset) -> xr.Dataset:
    """Name the time axis and its bounds ``time`` and ``time_bnds``."""
    ds = _as_coordinates(ds)
    name = time_name(ds)
    if name is None:
        return ds
    bounds = ds[name].attrs.get("bounds") or ds[name].encoding.get("bounds")
    names: dict[Hashable, str] = {name: "time"} if name != "time" else {}
    dims = ds[name].dims
    if dims and dims[0] not in (name, "time"):
        names[str(dims[0])] = "time"
    if bounds in ds.variables and bounds != "time_bnds":
        names[bounds] = "time_bnds"
    stale = [new for new in names.values() if new in ds.variables]
    ds = _indexed(ds.drop_vars(stale).rename(names), "time")
    if "time_bnds" in ds.variables:
        ds = ds.set_coords("time_bnds")
        ds["time"].attrs["bounds"] = "time_bnds"
        ds["time"].encoding.pop("bounds", None)
    return ds


def _as_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with dates and positions as coordinates that are variables along time in WRF."""
    for name in ("Times", "XLAT", "XLONG"):
        if name not in ds.variables or not ds[name].ndim or "Time" not in ds.dims:
            continue
        if name == "Times":
            if ds[name].dims == ("Time",) and ds[name].dtype.kind in "SUO":
                ds = ds.drop_vars("Time", errors="ignore").rename({name: "Time"})
                ds = ds.set_coords("Time")
        elif ds[name].ndim == 3 and ds[name].dims[0] == "Time":
            first = ds[name].isel(Time=0, drop=True)
            if not bool((ds[name] == first).all()):
                raise FieldError(
                    f"expected cells that stay where they are, found {name} that moves with time; "
                    "give a file of one nest at rest"
                )
            ds = ds.drop_vars(name).assign_coords({name: first})
    return ds


def _indexed(ds: xr.Dataset, name: str) -> xr.Dataset:
    """Return `ds` with labels along `name`, which a coordinate of another dimension had not."""
    return ds if ds[name].dims != (name,) or name in ds.xindexes else ds.set_xindex(name)


def time_name(ds: xr.Dataset) -> str | None:
    """Return the name of the time coordinate: by CF attributes, else dates, else by its name."""
    import cf_xarray  # noqa: F401  (adds .cf)

    # Of the attributes alone: the accessor keeps what it is on, and with it the file open.
    said = xr.Dataset(coords={n: ((), 0, ds[n].attrs) for n in ds.coords})
    found = [*said.cf.axes.get("T", []), *said.cf.coordinates.get("time", [])]
    dates = [n for n in ds.coords if ds[n].dtype.kind == "M" or _holds_dates(ds[n])]
    dates = [n for n in dates if n not in ("time_bnds", "time_bounds")]
    named = [n for n in (*ds.coords, *ds.dims) if str(n).lower() in TIME_NAMES]
    for name in (*found, *dates, *named):
        if name in ds.coords and ds[name].ndim <= 1 and (ds[name].ndim == 0 or name in ds.dims):
            return str(name)
    for name in (*found, *dates):
        if ds[name].ndim == 1:
            return str(name)
    return None


def _holds_dates(array: xr.DataArray) -> bool:
    return array.dtype == object and array.size > 0 and hasattr(array.values.flat[0], "calendar")


def _northward(ds: xr.Dataset, where: str) -> xr.Dataset:
    values = _finite(ds["lat"], "latitude", where)
    order = np.argsort(values, kind="stable")
    _each_once(values[order], "latitude", where)
    return ds if (np.diff(order) > 0).all() else ds.isel(lat=_steps(order))


def _eastward(ds: xr.Dataset, where: str) -> xr.Dataset:
    given = _finite(ds["lon"], "longitude", where)
    if np.abs(given).max(initial=0) > MOST_TURNS:
        raise FieldError(
            f"{prefix(where)}expected longitudes within {-MOST_TURNS:g}..{MOST_TURNS:g} degrees, "
            f"found {given.min():g} to {given.max():g}; correct them, or the unit they state"
        )
    turned = (given + 180 + _SAME_MERIDIAN) % 360 - 180 - _SAME_MERIDIAN
    order = np.argsort(turned, kind="stable")
    east = turned[order]
    _each_once(east, "longitude", where)
    first = _after_the_gap(east, _widths(ds, order))
    order, east = np.roll(order, -first), np.roll(east, -first)
    east[east.size - first :] += 360
    shift = np.rint((east - given[order]) / 360) * 360
    if not (np.diff(order) > 0).all():
        ds = ds.isel(lon=_steps(order))
    if not shift.any():
        return ds
    attrs, dtype = ds["lon"].attrs, ds["lon"].dtype
    east = given[order] + shift
    ds = ds.assign_coords(lon=("lon", east.astype(dtype if dtype.kind == "f" else "f8"), attrs))
    if "lon_bnds" in ds.variables:
        ds["lon_bnds"] = ds["lon_bnds"] + xr.DataArray(shift, dims="lon")
    return ds


def _widths(ds: xr.Dataset, order: np.ndarray) -> np.ndarray | None:
    """Return the width of each cell by its bounds, degrees; None without bounds."""
    if "lon_bnds" not in ds.variables or ds["lon_bnds"].shape != (ds["lon"].size, 2):
        return None
    bounds = ds["lon_bnds"].values.astype("float64")[order]
    return np.abs((bounds[:, 1] - bounds[:, 0] + 180) % 360 - 180)


def _after_the_gap(east: np.ndarray, widths: np.ndarray | None = None) -> int:
    """Return where a row of cells begins that may go on beyond 180 degrees."""
    if east.size < 2:
        return 0
    gaps = np.diff(np.append(east, east[0] + 360))
    usual = np.median(gaps)
    between = usual if widths is None else (widths + np.roll(widths, -1)) / 2
    widest = int((gaps - between).argmax())
    whole = (gaps - between).max() < (1e-3 if widths is not None else usual / 2)
    return 0 if whole else (widest + 1) % east.size


def _steps(order: np.ndarray) -> slice | np.ndarray:
    """Return a slice where the order is that of one, which keeps lazy arrays cheap."""
    if (np.diff(order) == -1).all():
        return slice(None, None, -1)
    return order


def _finite(axis: xr.DataArray, what: str, where: str) -> np.ndarray:
    values = axis.values.astype("float64")
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise FieldError(
            f"{prefix(where)}expected a {what} of each row or column, found {wrong}; give every "
            "cell its place, those without a value too"
        )
    return values


def _each_once(values: np.ndarray, what: str, where: str) -> None:
    twice = np.flatnonzero(np.diff(values) <= _SAME_MERIDIAN * 1e-3)
    if twice.size:
        found = round(values[twice[0]], 6) + 0.0
        raise FieldError(
            f"{prefix(where)}expected each {what} once, found {found:g} twice; drop what is "
            "repeated"
        )


def _summary(ds: xr.Dataset) -> str:
    parts = [f"{name}{tuple(map(str, v.dims))}" for name, v in ds.variables.items()]
    return ", ".join(parts[:12]) or "no variables"
