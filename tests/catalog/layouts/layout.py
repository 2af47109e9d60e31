"""What a layout is, and its fields: values that depend on month, latitude and longitude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

LAT, LON = np.array([40.5, 41.5, 42.5, 43.5]), np.array([-99.5, -98.5, -97.5, -96.5, -95.5])
NORTH = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"}
EAST = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"}
KELVIN, CARBON, CO2, DAY, YEAR = 273.15, 12.011, 44.009, 86400.0, 365.25 * 86400
EARTH = 6371.0072e3


@dataclass(frozen=True)
class Layout:
    """A file in the layout of a product, and what `catalog add` makes of it unedited.

    `want` has by canonical variable the value of each month, and what is added after the shape of
    the field. Where `asks` is set, reading the draft or checking it says so. `answer` is pairs of a
    text of the draft and what a user puts in its place: with them the values are right.
    """

    name: str
    write: Callable[[Path], Path]
    product: str
    months: tuple[Any, ...] = ()
    want: dict[str, tuple[Sequence[float], float]] | None = None
    asks: str = ""
    answer: tuple[str, ...] = ()
    says: str = ""
    state: str = "nothing"
    role: str = "predictor"
    rtol: float = 2e-5


LAYOUTS: list[Layout] = []


def layout(product: str, **said: Any) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Register the function that writes a file as a layout."""

    def register(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
        if all(known.name != write.__name__ for known in LAYOUTS):
            LAYOUTS.append(Layout(write.__name__, write, product, **said))
        return write

    return register


def shape(lat: Any, lon: Any) -> Any:
    """Return what the value of a month is multiplied by at a place."""
    return 1 + np.asarray(lat) / 1000 + ((np.asarray(lon) + 180) % 360 - 180) / 10000


def field(values: Sequence[float] | float, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return the field of each value, (time, lat, lon), or (lat, lon) of one."""
    plane = shape(lat[:, None], lon[None, :])
    return np.multiply.outer(np.asarray(values, float), plane)


def netcdf(
    path: Path,
    dims: dict[str, int | None],
    variables: dict[str, tuple[str, tuple[str, ...], Any, dict[str, Any]]],
    attrs: dict[str, Any] | None = None,
    raw: tuple[str, ...] = (),
) -> Path:
    """Write a NetCDF file; a variable is type, dimensions, values and attributes.

    `_FillValue` among the attributes is that of the variable. Values of variables with
    ``scale_factor`` are packed, but for those in `raw`.
    """
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in dims.items():
            nc.createDimension(name, size)
        for name, (kind, along, values, said) in variables.items():
            said = dict(said)
            fill = said.pop("_FillValue", None)
            variable = nc.createVariable(name, kind, along, fill_value=fill)
            variable.setncatts(said)
            variable.set_auto_maskandscale("scale_factor" in said and name not in raw)
            variable[:] = values
        nc.setncatts(attrs or {})
    return path


def plain(
    path: Path,
    variables: dict[str, tuple[Sequence[float] | float, dict[str, Any]]],
    time: tuple[Any, dict[str, Any]] | None,
    attrs: dict[str, Any] | None = None,
    kind: str = "f8",
) -> Path:
    """Write fields along (time, lat, lon) on the cells of `LAT` and `LON`."""
    dims: dict[str, int | None] = {"lat": LAT.size, "lon": LON.size}
    known: dict[str, Any] = {
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
    }
    along: tuple[str, ...] = ("lat", "lon")
    if time is not None:
        dims["time"] = None
        known["time"] = (kind, ("time",), time[0], time[1])
        along = ("time", *along)
    for name, (values, said) in variables.items():
        known[name] = ("f8", along, field(values, LAT, LON), said)
    return netcdf(path, dims, known, attrs)


def since(date: str, calendar: str = "standard", unit: str = "days") -> dict[str, str]:
    """Return the attributes of a time axis."""
    return {"units": f"{unit} since {date}", "calendar": calendar, "standard_name": "time"}
