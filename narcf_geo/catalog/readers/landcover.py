"""IGBP land cover in any raster: classes as numbers 0 (water) to 17 (unclassified), -1 nodata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.fields.values import NODATA

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry

FILL = (-1, 254, 255)
"""What maps of this legend have where there is no class, stated or not."""


def read(entry: Entry) -> xr.Dataset:
    """Read a land cover map as ``land_cover`` (lat, lon), -1 for nodata.

    Numbers that are no class stay what they are, for `narcf_geo.catalog.gate` to find.

    Raises
    ------
    NarcfError
        When the entry names no legend or the raster holds no such variable.
    """
    if entry.metadata.legend is None:
        raise NarcfError(
            f"{entry.where()}: expected metadata.legend (igbp_water0 or igbp_water17), found none"
        )
    native = open_native(entry)
    variable = entry.metadata.variables.get("land_cover")
    name = variable.name if variable else None
    if name is None:
        fields = [str(n) for n, array in native.data_vars.items() if array.squeeze().ndim == 2]
        name = fields[0] if len(fields) == 1 else "band_data"
    if name not in native:
        raise NarcfError(
            f"{entry.where('metadata')}: {entry.urlpaths[0]}: variable {name!r}: not in the file; "
            f"it has: {', '.join(map(str, native.data_vars))}. Name the classes with `variables: "
            "{land_cover: {name: NAME}}`"
        )
    raster = native[name].squeeze(drop=True)
    if raster.ndim != 2:
        raise NarcfError(
            f"{entry.where('metadata')}: {entry.urlpaths[0]}: variable {name!r}: expected one map, "
            f"found it along {', '.join(map(str, raster.dims))}; give a file of one year"
        )
    names = {"longitude": "lon", "latitude": "lat"}
    raster = raster.rename({k: v for k, v in names.items() if k in raster.dims})
    if set(raster.dims) == {"lat", "lon"}:
        raster["lat"].attrs = {"standard_name": "latitude", "units": "degrees_north"}
        raster["lon"].attrs = {"standard_name": "longitude", "units": "degrees_east"}
    places = (native[name].attrs, native[name].encoding)
    stated = [p[key] for p in places for key in ("_FillValue", "missing_value") if key in p]
    missing = [*FILL, *np.ravel(stated), *(variable.missing if variable else ())]
    classes = xr.apply_ufunc(
        _classes,
        raster,
        kwargs={
            "water": 0 if entry.metadata.legend == "igbp_water0" else 17,
            "missing": np.array([v for v in missing if v not in range(len(IGBP))], "float64"),
            "dtype": np.dtype(np.int16 if raster.dtype in _SMALL else np.float32),
        },
        dask="parallelized",
        output_dtypes=[np.int16 if raster.dtype in _SMALL else np.float32],
    )
    classes.attrs = {"long_name": "IGBP land cover class", "missing_value": NODATA}
    return classes.to_dataset(name="land_cover")


_SMALL = (np.int8, np.uint8, np.int16)


def _classes(values: np.ndarray, water: int, missing: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return ISLSCP II class numbers: 0 water, 17 unclassified, -1 nodata."""
    result = values.astype(dtype)
    if water == 17:
        result[values == 0], result[values == 17] = 17, 0
    result[np.isnan(values) | np.isin(values, missing)] = NODATA
    return result
