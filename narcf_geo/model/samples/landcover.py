"""Land cover of a cube from outside: class fractions by label, and the majority class."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import FieldError, NarcfError, UnitError
from narcf_geo.core.units import linear
from narcf_geo.cube.biomes import majority
from narcf_geo.fields import class_field, in_house_order
from narcf_geo.fields.values import NODATA

ROUNDING = 1e-3
"""How far a fraction, or the sum of a cell's, may be outside 0 to 1."""


def fraction_field(fractions: xr.DataArray, where: str = "class_fraction") -> xr.DataArray:
    """Return the area fractions of the IGBP classes (igbp_class, lat, lon), from 0 to 1.

    Parameters
    ----------
    fractions : xarray.DataArray
        Latitude, longitude and one more dimension: its labels are the classes 0 to 17, each once,
        in any order; without labels it has length 18. In a unit that converts to 1, such as %;
        without a unit the values are fractions.
    where : str
        What the data are, for an error.

    Raises
    ------
    FieldError
        When a class is absent or there twice, or values are no fractions of a cell.

    Examples
    --------
    >>> shares = np.zeros((18, 1, 1))
    >>> shares[12] = 100.0
    >>> percent = xr.DataArray(shares[::-1], dims=("igbp_class", "lat", "lon"),
    ...                        coords={"igbp_class": np.arange(18)[::-1], "lat": [45.5],
    ...                                "lon": [7.5]}, attrs={"units": "%"})
    >>> fraction_field(percent).isel(igbp_class=12).item()
    1.0
    """
    fractions = in_house_order(fractions, where)
    others = [d for d in fractions.dims if d not in ("lat", "lon")]
    if len(others) != 1:
        raise FieldError(
            f"{where}: expected classes along latitude, longitude and one more dimension, found "
            f"{', '.join(map(str, fractions.dims))}"
        )
    fractions = fractions.rename({others[0]: "igbp_class"} if others[0] != "igbp_class" else {})
    labels = fractions.indexes.get("igbp_class", np.arange(fractions.sizes["igbp_class"]))
    if sorted(labels) != list(range(len(IGBP))):
        raise FieldError(
            f"{where}: expected the classes 0 to {len(IGBP) - 1}, each once, found "
            f"{', '.join(map(str, labels))}"
        )
    fractions = fractions.isel(igbp_class=np.argsort(labels, kind="stable"))
    units = str(fractions.attrs.get("units", "")).strip() or "1"
    try:
        scale, _ = linear(units, "1")
    except NarcfError as error:
        raise UnitError(f"{where}: {error}; expected fractions, unit '1' or '%'") from None
    if scale != 1.0:
        fractions = fractions * scale
    low, high = float(fractions.min()), float(fractions.sum("igbp_class").max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise FieldError(
            f"{where}: expected fractions of a cell, at least 0 and at most 1 in all, found "
            f"{low:g} and {high:g}; set attrs['units'] = '%' if they are percentages"
        )
    return fractions.astype(np.float32).assign_attrs(units="1")


def land_cover(cube: xr.Dataset, biome_features: str) -> dict[str, xr.DataArray]:
    """Return ``biome`` and ``class_fraction`` of a cube, as far as they are there or needed.

    Parameters
    ----------
    cube : xarray.Dataset
        With ``biome`` (lat, lon), IGBP classes, or ``class_fraction``, or both, on one grid.
    biome_features : {"fractions", "sqrt_fractions", "majority", "none"}
        What a model takes of them; with "none" neither has to be there.

    Returns
    -------
    dict
        ``class_fraction`` where the cube has it, as from `fraction_field`. ``biome``, from the
        fractions where the cube has none; nodata (-1) where fractions that are needed are missing.

    Raises
    ------
    FieldError
        When what is needed is absent, or is no land cover.
    """
    needs_fractions = biome_features in ("fractions", "sqrt_fractions")
    found = {}
    if "class_fraction" in cube:
        found["class_fraction"] = fraction_field(cube["class_fraction"])
    if "biome" in cube:
        found["biome"] = class_field(cube["biome"])
    elif "class_fraction" in found:
        found["biome"] = majority(found["class_fraction"])
    absent = "class_fraction" if needs_fractions else "biome"
    if biome_features != "none" and absent not in found:
        raise FieldError(
            f"biome_features={biome_features!r}: expected the variable {absent!r} in the cube, "
            f"found {', '.join(map(str, cube.data_vars))}; make it from a land cover map with "
            "ng.map_biomes, or pass biome_features='none'"
        )
    if needs_fractions:
        known = found["class_fraction"].notnull().all("igbp_class")
        found["biome"] = found["biome"].where(known, NODATA)
    return found
