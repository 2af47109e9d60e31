"""The analysis-ready cube: predictors, biomes and fluxes on one grid and one time axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import FieldError, NarcfError, TimeError, UnitError, UsageError
from narcf_geo.core.months import (
    gaps,
    month_starts,
    shared_months,
    to_month_starts,
    with_month_axis,
)
from narcf_geo.cube.biomes import map_biomes
from narcf_geo.fields import (
    class_field,
    flux_field,
    in_house_order,
    on_month_axis,
    on_one_grid,
)
from narcf_geo.fields.stored import valid_only
from narcf_geo.fields.values import in_flux_units
from narcf_geo.grid import Grid

_CLIMATOLOGY = list(range(1, 13))

FLUX_NAMES = {"target": "flux_target", "reference": "flux_reference", "truth": "flux_truth"}


def on_months(
    ds: xr.Dataset, months: pd.DatetimeIndex, required: pd.DatetimeIndex, *, where: str
) -> xr.Dataset:
    """Return `ds` on the time axis `months`; months it has not become NaN.

    A climatology (``time`` numbered 1 to 12) repeats; a dataset without time stays as it is.

    Parameters
    ----------
    ds : xarray.Dataset
        Canonical variables.
    months, required : pandas.DatetimeIndex
        Month starts of the result, and those of them that must be in `ds`.
    where : str
        Names the data in an error.

    Raises
    ------
    NarcfError
        When a required month is absent, or no month is shared.
    """
    if "time" not in ds.dims:
        return ds
    if np.issubdtype(ds["time"].dtype, np.integer):
        repeated = ds.sel(time=xr.DataArray(months.month, dims="time"))
        return with_month_axis(repeated, months)
    present = pd.DatetimeIndex(to_month_starts(ds["time"]))
    missing = required.difference(present)
    shared = months.intersection(present)
    if len(missing) or not len(shared):
        lacking = missing if len(missing) else months
        table = "\n  absent months       count\n" + "\n".join(
            f"  {gap.first:%Y-%m} to {gap.last:%Y-%m}  {gap.months:>4}"
            for gap in gaps(present, lacking)
        )
        raise NarcfError(
            f"{where}: expected every month from {lacking[0]:%Y-%m} to {lacking[-1]:%Y-%m}; "
            f"{len(lacking)} of them are absent, the data reach from {present[0]:%Y-%m} to "
            f"{present[-1]:%Y-%m}. Change period: or split: in narcf.yaml, add files, or mark 12 "
            f"months that stand for every year with `climatology: true`{table}"
        )
    aligned = ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=present)
    if not months.equals(present):
        aligned = aligned.sel(time=shared).reindex(time=months)
    return with_month_axis(aligned, months)


def build_cube(
    predictors: xr.Dataset | xr.DataArray | Iterable[xr.Dataset | xr.DataArray],
    land_cover: xr.Dataset | xr.DataArray,
    fluxes: xr.DataArray | Mapping[str, xr.DataArray],
    target: Grid | xr.Dataset | xr.DataArray | None = None,
    *,
    months: tuple[str, str] | None = None,
) -> xr.Dataset:
    """Return predictors, biomes and fluxes as one cube, on one grid and one axis of months.

    Parameters
    ----------
    predictors : xarray.Dataset, xarray.DataArray or iterable of them
        (time, lat, lon) or (lat, lon), each with units. A time axis of the whole numbers 1 to 12
        is a climatology, which repeats.
    land_cover : xarray.Dataset or xarray.DataArray
        Biomes as from `narcf_geo.map_biomes`, or a map of IGBP classes on any grid, from which they
        are made.
    fluxes : xarray.DataArray or mapping
        The flux to learn; or by role: ``target`` and, where there are any, ``target_std``,
        ``reference`` and ``truth``. Any unit of a CO2 flux; the sign by the standard name.
    target : Grid, xarray.Dataset or xarray.DataArray, optional
        The grid that all lie on; by default that of the first predictor.
    months : tuple of str, optional
        First and last month, as ``("2007-01", "2009-12")``; by default those of the predictors.

    Returns
    -------
    xarray.Dataset
        The predictors, ``biome``, ``class_fraction`` and ``land_fraction``, ``flux_target`` and the
        other fluxes in umol m-2 s-1, positive to the atmosphere and NaN in months they have not,
        and ``cell_area`` in m2. Dimensions (time, lat, lon), latitudes and longitudes rising.

    Raises
    ------
    GridMismatchError
        When one of them lies on another grid; `narcf_geo.regrid` brings it there.
    TimeError
        When one is not monthly, or the predictors have different months and `months` is not given.
    UnitError
        When a predictor has no unit, or a flux none that converts.
    NarcfError
        When a predictor has not all months, or a flux none of them.

    Examples
    --------
    >>> grid = Grid.regular(-100, 40, -98, 42, 1)
    >>> time = pd.date_range("2007-01-01", periods=3, freq="MS")
    >>> field = xr.DataArray(np.arange(12.0).reshape(3, 2, 2), dims=("time", "lat", "lon"),
    ...                      coords={"time": time, "lat": grid.lat, "lon": grid.lon})
    >>> temp = field.rename("temp").assign_attrs(units="degC")
    >>> nee = field[1:, ::-1].rename("nee").assign_attrs(units="mol m-2 s-1") * 1e-6
    >>> classes = xr.full_like(field[0], 12).drop_vars("time")
    >>> cube = build_cube(temp, classes, nee.assign_attrs(units="mol m-2 s-1"))
    >>> cube["flux_target"][:, 0, 0].values.round(6).tolist()
    [nan, 4.0, 8.0]
    """
    given = [predictors] if isinstance(predictors, xr.Dataset | xr.DataArray) else list(predictors)
    pieces = [_predictor(piece, number) for number, piece in enumerate(given, 1)]
    if not pieces:
        raise UsageError("expected at least one predictor, found none")
    grid = _house_grid(pieces[0] if target is None else target)
    axis = _months(pieces, months)
    aligned = [on_months(piece, axis, axis, where=_named(piece)) for piece in pieces]
    counts = Counter(str(name) for piece in aligned for name in piece.data_vars)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise UsageError(f"expected each predictor once, found {', '.join(repeated)} twice")
    biomes = _biomes(land_cover, grid)
    roles = {"target": fluxes} if isinstance(fluxes, xr.DataArray) else fluxes
    found = {}
    for role, flux in roles.items():
        name = role if role.startswith("flux_") else f"flux_{role}"
        if name not in (*FLUX_NAMES.values(), "flux_target_std"):
            raise UsageError(
                f"expected fluxes named {', '.join(FLUX_NAMES)} and target_std, found {role!r}"
            )
        found[name] = _flux(flux, name, axis)
    merged = xr.merge([_on_grid(piece, grid) for piece in aligned], join="exact", compat="override")
    return join(merged, biomes, found, grid)


def _predictor(piece: xr.Dataset | xr.DataArray, number: int) -> xr.Dataset:
    """Return predictors on house axes and months, each with a unit."""
    if isinstance(piece, xr.DataArray):
        if piece.name is None:
            raise UsageError(f"predictor {number}: expected a name, found none; see .rename")
        piece = piece.to_dataset()
    ds = in_house_order(valid_only(piece), f"predictor {number}")
    where = _named(ds)
    ds = ds[[n for n, a in ds.data_vars.items() if {"lat", "lon"} <= set(a.dims)]]
    if not ds.data_vars:
        raise FieldError(
            f"{where}: expected predictors along latitudes and longitudes, found none; regrid what "
            "lies on a curvilinear grid"
        )
    for name, array in ds.data_vars.items():
        if extra := [str(d) for d in array.dims if d not in ("time", "lat", "lon")]:
            raise FieldError(
                f"predictor {name!r}: expected it along time, lat and lon, found it along "
                f"{', '.join(extra)} too; choose one with .isel or .sel"
            )
        if not str(array.attrs.get("units", "")).strip():
            raise UnitError(f"predictor {name!r}: expected a unit, found none; set attrs['units']")
    if "time" not in ds.dims:
        return ds.drop_vars("time", errors="ignore")
    if ds["time"].dtype.kind in "iu" and sorted(ds["time"].values.tolist()) == _CLIMATOLOGY:
        return ds
    return on_month_axis(ds, where=where)


def _flux(flux: xr.DataArray, name: str, months: pd.DatetimeIndex) -> xr.DataArray:
    if name.endswith("_std"):
        house = on_month_axis(in_house_order(flux.to_dataset(name=name), name), where=name)
        field = in_flux_units(house[name], where=name, signed=False)
    else:
        field = flux_field(flux, where=name)
    if "time" not in field.dims:
        raise TimeError(f"{name}: expected a flux of months, found no time axis")
    return on_months(field.to_dataset(name=name), months, months[:0], where=name)[name]


def _biomes(land_cover: xr.Dataset | xr.DataArray, grid: Grid) -> xr.Dataset:
    if isinstance(land_cover, xr.DataArray):
        return map_biomes(land_cover, grid)
    if "biome" not in land_cover:
        raise UsageError(
            "expected biomes as from ng.map_biomes, with the variable 'biome', or a map of classes "
            f"as an xarray.DataArray, found a dataset of {', '.join(map(str, land_cover))}"
        )
    kept = [n for n in ("class_fraction", "land_fraction", "biome") if n in land_cover]
    ds = in_house_order(land_cover[kept], "biomes")
    return ds.assign(biome=class_field(ds["biome"]))


def _months(pieces: list[xr.Dataset], given: tuple[str, str] | None) -> pd.DatetimeIndex:
    if given is not None:
        return month_starts(*given)
    axes = {
        _named(piece): pd.DatetimeIndex(piece["time"].values)
        for piece in pieces
        if "time" in piece.dims and piece["time"].dtype.kind == "M"
    }
    if not axes:
        raise TimeError("expected at least one predictor with months, found none; pass months=")
    first = next(iter(axes.values()))
    if not all(first.equals(axis) for axis in axes.values()):
        table = "; ".join(f"{n} {a[0]:%Y-%m} to {a[-1]:%Y-%m}" for n, a in axes.items())
        shared = shared_months(axes)
        advice = (
            f"pass months=('{shared[0]:%Y-%m}', '{shared[-1]:%Y-%m}')"
            if len(shared)
            else "they share none"
        )
        raise TimeError(f"expected predictors with the same months, found {table}; {advice}")
    return first


def _named(ds: xr.Dataset) -> str:
    return ", ".join(repr(str(name)) for name in ds.data_vars) or "predictors"


def _house_grid(target: Grid | xr.Dataset | xr.DataArray) -> Grid:
    """Return a grid with latitudes and longitudes rising."""
    if isinstance(target, xr.DataArray):
        target = target.to_dataset(name="target")
    if isinstance(target, xr.Dataset):
        return Grid.from_dataset(in_house_order(target))
    ds = in_house_order(xr.Dataset(coords=target.coords()))
    same = np.array_equal(ds["lat"], target.lat) and np.array_equal(ds["lon"], target.lon)
    return target if same else Grid.from_dataset(ds)


def _on_grid(piece: xr.Dataset, target: Grid) -> xr.Dataset:
    """Return data in house order with the coordinates of the target grid, which must be theirs.

    Raises
    ------
    GridMismatchError
        When they are on other cells.
    """
    ds = in_house_order(piece)
    coords = target.coords()
    places = {name: coords[name] for name in ("lat", "lon")}
    cells = xr.DataArray(np.broadcast_to(0, target.shape), places, ("lat", "lon"), "the cube")
    for array in ds.data_vars.values():
        if {"lat", "lon"} <= set(array.dims):
            on_one_grid(cells, array)
    return ds.assign_coords(places)


def join(
    predictors: xr.Dataset,
    biomes: xr.Dataset,
    fluxes: Mapping[str, xr.DataArray],
    target: Grid,
) -> xr.Dataset:
    """Join what was regridded into one cube.

    Parameters
    ----------
    predictors : xarray.Dataset
        Canonical variables (time, lat, lon) or (lat, lon).
    biomes : xarray.Dataset
        As from `narcf_geo.cube.biomes.map_biomes`.
    fluxes : mapping
        ``flux_target`` and, where there are any, ``flux_target_std``, ``flux_reference`` and
        ``flux_truth``: (time, lat, lon), umol m-2 s-1, positive to the atmosphere.
    target : Grid
        Their grid.

    Raises
    ------
    GridMismatchError
        When one of them lies on other cells.
    TimeError
        When one of them has other months than the predictors.
    """
    pieces = [predictors, biomes, *(array.to_dataset(name=n) for n, array in fluxes.items())]
    aligned = [_on_grid(piece, target) for piece in pieces]
    # Predictors may all be without time: then the fluxes alone have months.
    monthly = [piece for piece in aligned if "time" in piece.dims]
    for piece in monthly[1:]:
        if not piece.indexes["time"].equals(monthly[0].indexes["time"]):
            whose = "the predictors" if "time" in predictors.dims else _named(monthly[0])
            raise TimeError(
                f"{_named(piece)}: expected the time axis of {whose} ({_span(monthly[0])}), "
                f"found {_span(piece)}; see `on_months`"
            )
    cube: xr.Dataset = xr.merge(aligned, join="exact", compat="override", combine_attrs="override")
    cube["cell_area"] = xr.DataArray(
        target.area,
        dims=("lat", "lon"),
        attrs={"long_name": "cell area", "units": "m2", "standard_name": "cell_area"},
    )
    return with_month_axis(cube.assign_coords(target.coords()), cube["time"].values)


def _span(ds: xr.Dataset) -> str:
    axis = ds.indexes["time"]
    return f"{axis.size} from {axis[0]:%Y-%m} to {axis[-1]:%Y-%m}"
