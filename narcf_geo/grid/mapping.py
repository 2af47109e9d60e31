"""The coordinate reference system that a dataset states for its x and y axes."""

from __future__ import annotations

import json
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import NARR_EARTH_RADIUS
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid.planes import false_origin
from narcf_geo.grid.projection import of_earth


def crs_of(ds: xr.Dataset, x: xr.DataArray, y: xr.DataArray) -> Any:
    """Return the pyproj CRS of the grid mapping of `x` and `y`, None when there is no mapping."""
    from pyproj.exceptions import CRSError

    name = _name(ds, x, y)
    if name is None:
        return None
    attrs = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in ds[name].attrs.items()}
    try:
        return _parsed(json.dumps(attrs | _earth(str(name), attrs) | false_origin(attrs, x, y)))
    except UsageError as error:  # that of another body
        raise NarcfError(f"grid mapping {name!r}: {error}") from error
    except (CRSError, KeyError, TypeError, ValueError) as error:
        raise NarcfError(
            f"expected a CF grid mapping in variable {name!r}, found {attrs}, which pyproj cannot "
            f"read ({error}); correct its attributes"
        ) from error


def _name(ds: xr.Dataset, x: xr.DataArray, y: xr.DataArray) -> str | None:
    """Return the name of the mapping of `x` and `y`: of a field along both, or of any variable."""
    along = {*x.dims, *y.dims}
    fields = sorted(ds.data_vars.values(), key=lambda v: not along <= set(v.dims))
    stated = [v.attrs.get("grid_mapping") or v.encoding.get("grid_mapping") for v in fields]
    named = [_named(str(text), {str(x.name), str(y.name)}) for text in stated if text]
    keys = ("grid_mapping_name", "crs_wkt", "spatial_ref")
    others = [str(n) for n, v in ds.variables.items() if any(k in v.attrs for k in keys)]
    return next((n for n in [*named, *others] if n in ds.variables), None)


def _named(text: str, axes: set[str]) -> str:
    """Return the mapping of `axes` in a text such as ``crs`` or ``crs: x y geo: lat lon``."""
    mappings: dict[str, set[str]] = {}
    for word in text.split():
        if word.endswith(":") or not mappings:
            mappings[word.rstrip(":")] = set()
        else:
            mappings[[*mappings][-1]].add(word)
    fitting = [name for name, names in mappings.items() if axes <= names]
    return [*fitting, *mappings][0]


@lru_cache
def _parsed(mapping: str) -> Any:
    # pyproj looks a datum up for most of a second; the files of one product share theirs.
    from pyproj import CRS

    return of_earth(CRS.from_cf(json.loads(mapping)))


def _earth(name: str, attrs: dict[str, Any]) -> dict[str, float]:
    """Return the figure of the Earth to add to a mapping that does not tell its own."""
    tells = (
        "earth_radius",
        "semi_major_axis",
        "crs_wkt",
        "spatial_ref",
        "reference_ellipsoid_name",
    )
    mapping = attrs.get("grid_mapping_name")
    if any(key in attrs for key in tells) or mapping in (
        "rotated_latitude_longitude",
        "latitude_longitude",
    ):
        return {}
    parallels = np.unique(attrs.get("standard_parallel", ())).tolist()
    meridian = attrs.get("longitude_of_central_meridian", 0.0) % 360
    if mapping == "lambert_conformal_conic" and parallels == [50.0] and meridian == 253.0:
        return {"earth_radius": NARR_EARTH_RADIUS}
    warnings.warn(
        f"grid mapping {name!r} ({mapping}) has no earth_radius or semi_major_axis: taking the "
        "WGS84 ellipsoid; add the attribute of the model's own sphere if it has one",
        UserWarning,
        stacklevel=5,
    )
    return {}
