"""The one door: files and objects from outside as fields in the terms of the house."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import MissingFileError, UsageError
from narcf_geo.core.units import is_convertible, substance_of
from narcf_geo.fields.axes import in_house_order
from narcf_geo.fields.formats import open_format
from narcf_geo.fields.reading import named
from narcf_geo.fields.series import open_series
from narcf_geo.fields.stored import unpacked, valid_only
from narcf_geo.fields.time import on_month_axis
from narcf_geo.fields.values import Sign, flux_field, in_flux_units, sign_of

PREFERRED = ("flux", "nee")
"""Names of the flux where a file has several candidates; small or capital letters."""

SPREADS = ("flux_std", "observed_std")
"""What belongs to a flux in its unit, and has no sign."""

ENDS = (("flux_lower", "flux_upper"), ("observed_lower", "observed_upper"))
"""The ends of intervals; they change places where the sign is turned."""


def open_fields(
    source: str | os.PathLike[str] | xr.Dataset | xr.DataArray,
    variables: Iterable[str] | None = None,
    *,
    average: float | None = None,
    monthly: bool = True,
) -> xr.Dataset:
    """Open a file, or take an object, as fields with house axes.

    Parameters
    ----------
    source : path, xarray.Dataset or xarray.DataArray
        NetCDF, Zarr, GeoTIFF, CSV, ESRI ASCII, and GRIB and HDF4 where the extras are installed.
    variables : iterable of str, optional
        Those to keep, with what belongs to them; by default all.
    average : float, optional
        Average finer time steps to months of which this share, in (0, 1], is covered.
    monthly : bool
        False leaves the time axis as it is.

    Returns
    -------
    xarray.Dataset
        Lazy where `source` is a file. Dimensions (time, ..., lat, lon), latitudes and longitudes
        rising, the latter beginning within -180..180; ``time`` at month starts with ``time_bnds``;
        NaN where the file says missing. Units are those of the source: `ng.open_fields` does not
        know what the variables are.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    NarcfError
        When it cannot be read, has no grid of latitudes and longitudes, lacks a variable, or its
        time axis is not one of months.

    Examples
    --------
    >>> import numpy as np
    >>> raw = xr.Dataset({"nee": (("latitude", "longitude", "t"), np.ones((2, 3, 1)))},
    ...                  {"latitude": [1.0, 0.0], "longitude": [358.0, 359.0, 0.0],
    ...                   "t": np.array(["2014-07-16"], "datetime64[ns]")})
    >>> house = open_fields(raw)
    >>> house["nee"].dims, house["lon"].values.tolist(), str(house["time"].values[0])[:10]
    (('time', 'lat', 'lon'), [-2.0, -1.0, 0.0], '2014-07-01')
    """
    ds, where = opened(source)
    if variables is not None:
        names = list(variables)
        if absent := [name for name in names if name not in ds.variables]:
            raise UsageError(
                f"{where}: expected {', '.join(absent)}, found "
                f"{', '.join(sorted(map(str, ds.data_vars)))}"
            )
        ds = with_companions(ds, names)
    with named(where):
        ds = in_house_order(valid_only(ds), where)
    return on_month_axis(ds, where=where, average=average) if monthly else ds


def open_flux(
    source: str | os.PathLike[str] | xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    units: str | None = None,
    sign: Sign | None = None,
    average: float | None = None,
) -> xr.Dataset:
    """Open a file, or take an object, that holds a CO2 flux and what belongs to it.

    Parameters
    ----------
    source, average
        As for `open_fields`.
    variable : str, optional
        The flux; by default ``flux`` or ``nee``, else the only variable of a flux's unit.
    units, sign
        As for `narcf_geo.fields.flux_field`.

    Returns
    -------
    xarray.Dataset
        ``flux`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere, and the other variables
        of the source. Standard deviations and interval ends of a prediction have its unit and sign.

    Raises
    ------
    NarcfError
        When there is no flux, or it is not what it must be; see `flux_field`.
    """
    ds, where = opened(source)
    if isinstance(source, xr.DataArray):
        name = str(next(iter(ds.data_vars)))
    else:
        name = variable or flux_name(ds, where)
    if name not in ds.data_vars:
        raise UsageError(
            f"{where}: expected the variable {name!r}, found "
            f"{', '.join(sorted(map(str, ds.data_vars)))}"
        )
    ds = open_fields(ds, average=average)
    at = f"{where}: variable {name!r}"
    flux = flux_field(_squeezed(ds[name]), units=units, sign=sign, monthly=False, where=at)
    turned = (sign or sign_of(ds[name])) == "uptake"
    # The variable alone: its coordinates name no bounds, which those of the source may.
    ds = ds.drop_vars(name).assign(flux=flux.variable)
    if name != "flux":
        ds["flux"].attrs["original_name"] = name
    return _with_unit_of_flux(ds, where, turned)


def _with_unit_of_flux(ds: xr.Dataset, where: str, turned: bool) -> xr.Dataset:
    for name in SPREADS:
        if name in ds:
            ds[name] = in_flux_units(ds[name], where=f"{where}: variable {name!r}", signed=False)
    sign: Sign = "uptake" if turned else "to_atmosphere"
    for ends in ENDS:
        found = {
            name: in_flux_units(ds[name], where=f"{where}: variable {name!r}", sign=sign)
            for name in ends
            if name in ds
        }
        if turned and len(found) == 2:
            found = dict(zip(ends, reversed(list(found.values())), strict=True))
        ds = ds.assign(found)
    return ds


def opened(
    source: str | os.PathLike[str] | xr.Dataset | xr.DataArray,
) -> tuple[xr.Dataset, str]:
    """Return the dataset of a source, packed numbers unpacked, and what to call it in an error."""
    if isinstance(source, xr.Dataset):
        return unpacked(source), str(source.encoding.get("source", "the dataset"))
    if isinstance(source, xr.DataArray):
        name = source.name if source.name is not None else "field"
        return unpacked(source.to_dataset(name=name)), f"{name!r}"
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"expected a path, an xarray.Dataset or DataArray, found {type(source).__name__}"
        )
    path = Path(source)
    if not path.exists():
        raise MissingFileError(f"{path}: no such file")
    ds = open_format(path)
    if "band_data" in ds:
        months = open_series(path)  # of bands that are months
        if "time" in months.dims:
            ds = months.rename(dict.fromkeys(months.data_vars, "band_data"))
    return ds, str(path)


def flux_name(ds: xr.Dataset, where: str) -> str:
    """Return the name of the flux of a dataset: ``flux``, ``nee``, or the only one with its unit.

    Raises
    ------
    UsageError
        When no variable, or more than one, can be it.
    """
    units = {str(n): str(v.attrs.get("units", "")) for n, v in ds.data_vars.items()}
    preferred = [n for name in PREFERRED for n in units if n.lower() == name]
    found = [n for n in units if _is_flux(ds[n])]
    if preferred or len(found) == 1:
        return (preferred or found)[0]
    known = ", ".join(f"{n} ({units[n] or 'no unit'})" for n in found or units)
    raise UsageError(
        f"{where}: expected one flux, in units that convert to {FLUX_UNITS!r}, found {known}; name "
        "the variable if it is among them"
    )


def _is_flux(array: xr.DataArray) -> bool:
    units = str(array.attrs.get("units", "")).strip()
    of = substance_of(str(array.attrs.get("standard_name", "")))
    return array.ndim >= 2 and is_convertible(units, FLUX_UNITS, "carbon", of)


def with_companions(ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Keep variables with the bounds and grid mappings that belong to them."""
    wanted = set(names)
    for variable in (*(ds[n] for n in names), *ds.coords.values()):
        for where in (variable.attrs, variable.encoding):
            wanted |= {str(where[k]) for k in ("bounds", "grid_mapping") if k in where}
    return ds[[n for n in ds.data_vars if n in wanted]]


def _squeezed(field: xr.DataArray) -> xr.DataArray:
    """Drop dimensions of length one that are no axis of the house."""
    one = [
        d for d in field.dims if field.sizes[d] == 1 and d not in ("time", "lat", "lon", "y", "x")
    ]
    return field.squeeze(one, drop=True)
