"""The sample's files, laid out like the products they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS
from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import with_month_axis
from narcf_geo.sample.geography import (
    EAST,
    NARR_FALSE_EASTING,
    NARR_FALSE_NORTHING,
    NORTH,
    SOUTH,
    WEST,
    Array,
    NarrGrid,
    centres,
)
from narcf_geo.sample.weather import Weather

NARR_FILL = np.float32(-9.96921e36)
SIF_FILL, FLUXCOM_FILL = -999.0, -9999.0
SIF_NAME = "ret_f_nr5_nsvd12_v26_waves734_nolog.grid_SIF_v27_{month:%Y%m}01_31.nc"
FLUXCOM_NAME = "NEE.RS_METEO.FP-NONE.MLM-ALL.METEO-ERA5.720_360.monthly.{year}.nc"

# file, variable, unit, long name, decimal digits kept
NARR_FILES: dict[str, tuple[str, str, str, str, int]] = {
    "air": ("air.2m.mon.mean.nc", "air", "K", "Monthly air temperature at 2 m", 2),
    "rhum": ("rhum.2m.mon.mean.nc", "rhum", "%", "Monthly relative humidity at 2 m", 1),
    "apcp": (
        "apcp.mon.mean.nc",
        "apcp",
        "kg/m^2",
        "Monthly mean of daily accumulated total precipitation at surface",
        3,
    ),
    "dswrf": (
        "dswrf.mon.mean.nc",
        "dswrf",
        "W/m^2",
        "Monthly downward shortwave radiation flux at surface",
        1,
    ),
    "soilm": ("soilm.mon.mean.nc", "soilm", "kg/m^2", "Monthly soil moisture content, 0-200 cm", 1),
    "pres": ("pres.sfc.mon.mean.nc", "pres", "Pa", "Monthly pressure at surface", 0),
}


def write(ds: xr.Dataset, path: Path, encoding: dict[str, dict[str, Any]]) -> Path:
    """Write `ds` compressed, whole or not at all."""
    for name in ds.data_vars:
        if ds[name].ndim > 1:
            encoding.setdefault(str(name), {}).update(zlib=True, complevel=1, shuffle=True)
    with atomic_path(path) as temporary:
        ds.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
    return path


def axis(name: str, values: Array) -> xr.Variable:
    """Return a latitude or longitude coordinate with CF attributes and named bounds."""
    attrs = {
        "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
        "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
    }[name]
    return xr.Variable(name, values, {**attrs, "bounds": f"{name}_bnds"})


def regular(step: float, *, world: bool = False) -> xr.Dataset:
    """Return an empty dataset on the box's (or the world's) cells, south to north, with bounds."""
    box = (-180.0, -90.0, 180.0, 90.0) if world else (WEST, SOUTH, EAST, NORTH)
    ds = xr.Dataset()
    for name, low, high in (("lat", box[1], box[3]), ("lon", box[0], box[2])):
        centre = centres(low, high, step)
        bounds = np.stack([centre - step / 2, centre + step / 2], axis=1)
        ds = ds.assign_coords({name: axis(name, centre), f"{name}_bnds": ((name, "bnds"), bounds)})
    return ds


def in_world(box: Array, fill: float) -> Array:
    """Return half-degree fields of the box (..., 120, 240) in a world of `fill`, NaN filled too."""
    world = np.full((*box.shape[:-2], 360, 720), fill, dtype=np.float32)
    row, column = round((SOUTH + 90) / 0.5), round((WEST + 180) / 0.5)
    world[..., row : row + box.shape[-2], column : column + box.shape[-1]] = np.where(
        np.isnan(box), fill, box
    )
    return world


@dataclass(frozen=True)
class Files:
    """Writes the files into `directory`; all say that they are synthetic, and of which world."""

    directory: Path
    synthetic: str

    def _attributes(self, title: str, **more: str) -> dict[str, str]:
        """Return the global attributes that every file carries."""
        return {
            "title": f"{title} (synthetic {self.synthetic})",
            "comment": (
                f"Synthetic {self.synthetic}: values are made up and must not be used as "
                "observations. Only the land cover behind them is real."
            ),
            "source": (
                f"synthetic {self.synthetic} of narcf-geo; only the land cover is real (MODIS "
                "MCD12C1, 2019)"
            ),
            "synthetic": self.synthetic,
            **more,
        }

    def narr(self, grid: NarrGrid, weather: Weather, months: pd.DatetimeIndex) -> list[Path]:
        """Write one file per variable on NARR's projection, as NOAA PSL does."""
        mapping = {
            "grid_mapping_name": "lambert_conformal_conic",
            "standard_parallel": np.array([50.0, 50.0]),
            "longitude_of_central_meridian": -107.0,
            "latitude_of_projection_origin": 50.0,
            "false_easting": NARR_FALSE_EASTING,
            "false_northing": NARR_FALSE_NORTHING,
        }
        hours = (months - pd.Timestamp("1800-01-01")) / pd.Timedelta("1h")
        coordinates = {
            "time": (
                "time",
                hours.values.astype(float),
                {"units": "hours since 1800-1-1 00:00:0.0", "standard_name": "time", "axis": "T"},
            ),
            "y": (
                "y",
                grid.y,
                {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"},
            ),
            "x": (
                "x",
                grid.x,
                {"standard_name": "projection_x_coordinate", "units": "m", "axis": "X"},
            ),
            "lat": (
                ("y", "x"),
                grid.lat.astype(np.float32),
                {"standard_name": "latitude", "units": "degrees_north"},
            ),
            "lon": (
                ("y", "x"),
                grid.lon.astype(np.float32),
                {"standard_name": "longitude", "units": "degrees_east"},
            ),
        }
        paths = []
        for field, (name, variable, units, long_name, digits) in NARR_FILES.items():
            attrs = {
                "units": units,
                "long_name": long_name,
                "grid_mapping": "Lambert_Conformal",
                "missing_value": NARR_FILL,
                "cell_methods": "time: mean",
                "dataset": f"synthetic {self.synthetic} in the layout of NARR monthly averages",
            }
            ds = xr.Dataset(
                {
                    variable: (("time", "y", "x"), getattr(weather, field), attrs),
                    "Lambert_Conformal": ((), np.int32(0), mapping),
                },
                coordinates,
                self._attributes("Monthly NARR", Conventions="CF-1.2"),
            )
            encoding: dict[str, dict[str, Any]] = {
                variable: {
                    "_FillValue": NARR_FILL,
                    "least_significant_digit": digits,
                    "chunksizes": weather.air.shape,
                },
                **{name: {"_FillValue": None} for name in ("time", "y", "x", "lat", "lon")},
            }
            paths.append(write(ds, self.directory / "narr" / name, encoding))
        return paths

    def vegetation(self, ndvi: Array, nirv: Array, months: pd.DatetimeIndex) -> list[Path]:
        """Write NDVI and NIRv of the box at half a degree, plain CF."""
        ds = regular(0.5)
        for name, field, long_name in (
            ("ndvi", ndvi, "normalized difference vegetation index"),
            ("nirv", nirv, "near-infrared reflectance of vegetation"),
        ):
            attrs = {"units": "1", "long_name": long_name, "cell_methods": "area: mean time: mean"}
            ds[name] = (("time", "lat", "lon"), field.astype(np.float32), attrs)
        ds.attrs = self._attributes("NDVI and NIRv at half a degree", Conventions="CF-1.8")
        encoding = {
            name: {
                "_FillValue": np.float32(-9999),
                "least_significant_digit": 4,
                "chunksizes": ndvi.shape,
            }
            for name in ("ndvi", "nirv")
        }
        path = self.directory / "vegetation" / "ndvi_nirv_0p5deg_2007-2015.nc"
        return [write(with_month_axis(ds, months), path, encoding)]

    def sif(self, sif: Array, cos_sza: Array, months: pd.DatetimeIndex) -> list[Path]:
        """Write fluorescence, one global half-degree file a month, as NASA's GOME-2 level 3."""
        paths = []
        lat, lon = centres(-90, 90, 0.5), centres(-180, 180, 0.5)
        for month, field in zip(months, sif, strict=True):
            ds = xr.Dataset(
                {
                    "SIF_daily_average": (
                        ("latitude", "longitude"),
                        in_world(field, SIF_FILL),
                        {
                            "units": "mW/m^2/nm/sr",
                            "long_name": "daily average sun-induced fluorescence at 740 nm",
                        },
                    ),
                    "cos(SZA)": (
                        ("latitude", "longitude"),
                        np.repeat(cos_sza[month.month - 1][:, None], lon.size, axis=1),
                        {"units": "1", "long_name": "cosine of the solar zenith angle at noon"},
                    ),
                },
                {
                    "latitude": ("latitude", lat.astype(np.float32), {"units": "degrees_north"}),
                    "longitude": ("longitude", lon.astype(np.float32), {"units": "degrees_east"}),
                },
                self._attributes(f"GOME-2 fluorescence of {month:%Y-%m}"),
            )
            encoding: dict[str, dict[str, Any]] = {
                "SIF_daily_average": {
                    "_FillValue": np.float32(SIF_FILL),
                    "least_significant_digit": 4,
                },
                "cos(SZA)": {"_FillValue": None, "dtype": "float32"},
            }
            paths.append(write(ds, self.directory / "sif" / SIF_NAME.format(month=month), encoding))
        return paths

    def inversion(
        self,
        flux: Array,
        error: Array,
        lat: Array,
        lon: Array,
        months: pd.DatetimeIndex,
    ) -> list[Path]:
        """Write the inversion as a vector of land cells, and the file of their coordinates."""
        ds = xr.Dataset(
            attrs=self._attributes("Geostatistical inversion, 1 degree", sign=FLUX_SIGN)
        )
        for name, field, long_name in (
            ("monthly_flux", flux, "monthly net land flux of carbon dioxide"),
            ("se_monthly_flux", error, "standard error of the monthly flux"),
        ):
            attrs = {"units": FLUX_UNITS, "long_name": long_name, "cell_methods": "time: mean"}
            ds[name] = (("time", "x"), field.astype(np.float32), attrs)
        ds["monthly_flux"].attrs["sign"] = FLUX_SIGN
        paths = [
            write(
                with_month_axis(ds, months),
                self.directory / "inversion" / "geoinv-sif-monthly-2007-to-2015.nc",
                {
                    name: {"_FillValue": np.float32(-9999)}
                    for name in ("monthly_flux", "se_monthly_flux")
                },
            )
        ]
        cells = xr.Dataset(
            {
                "lat": ("x", lat, {"standard_name": "latitude", "units": "degrees_north"}),
                "lon": ("x", lon, {"standard_name": "longitude", "units": "degrees_east"}),
            },
            attrs=self._attributes("Coordinates of the geostatistical inversion"),
        )
        nothing_missing: dict[str, dict[str, Any]] = {
            n: {"_FillValue": None} for n in ("lat", "lon")
        }
        return [
            *paths,
            write(cells, self.directory / "inversion" / "geoinv_coordinates.nc", nothing_missing),
        ]

    def fluxcom(self, nee: Array, months: pd.DatetimeIndex) -> list[Path]:
        """Write NEE in g C m-2 a day, one global half-degree file a year, north to south."""
        epoch = pd.Timestamp("1582-10-15").as_unit("s")
        paths = []
        for year in sorted(set(months.year)):
            inside = months.year == year
            middle = months[inside] + pd.to_timedelta(months[inside].days_in_month / 2, unit="D")
            ds = regular(0.5, world=True)
            ds["NEE"] = (
                ("time", "lat", "lon"),
                in_world(nee[inside], FLUXCOM_FILL),
                {
                    "units": "gC m-2 d-1",
                    "long_name": "Net Ecosystem Exchange, positive to the atmosphere",
                    "cell_methods": "time: mean",
                },
            )
            elapsed = (middle.as_unit("s") - epoch) / pd.Timedelta("1D")
            ds = ds.assign_coords(
                time=(
                    "time",
                    np.asarray(elapsed, dtype=float),
                    {"units": "days since 1582-10-15 00:00:00", "calendar": "gregorian"},
                )
            ).isel(lat=slice(None, None, -1))
            ds["lat_bnds"] = ds["lat_bnds"][:, ::-1]
            ds.attrs = self._attributes(f"FLUXCOM RS+METEO NEE of {year}")
            encoding = {
                "NEE": {
                    "_FillValue": np.float32(FLUXCOM_FILL),
                    "least_significant_digit": 4,
                    "chunksizes": (12, 360, 720),
                }
            }
            paths.append(
                write(ds, self.directory / "fluxcom" / FLUXCOM_NAME.format(year=year), encoding)
            )
        return paths

    def truth(self, flux: Array, months: pd.DatetimeIndex) -> list[Path]:
        """Write the true flux at 1 degree, plain CF."""
        ds = regular(1.0)
        ds["flux"] = (
            ("time", "lat", "lon"),
            flux.astype(np.float32),
            {
                "units": FLUX_UNITS,
                "long_name": "true net land flux of carbon dioxide per area of the whole cell",
                "cell_methods": "area: mean time: mean",
                "sign": FLUX_SIGN,
            },
        )
        ds.attrs = self._attributes("True flux", Conventions="CF-1.8")
        encoding = {"flux": {"_FillValue": np.float32(-9999), "chunksizes": flux.shape}}
        path = self.directory / "truth" / "truth_flux_1deg_2007-2015.nc"
        return [write(with_month_axis(ds, months), path, encoding)]
