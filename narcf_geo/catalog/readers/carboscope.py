"""Jena CarboScope: fluxes of an atmospheric inversion, totals of each grid cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import UnitError

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry

AREA = "dxyp"
"""The area of the cells in the file, m2."""

_TOTALS = ("PgC/yr", "PgC/year", "Pg C yr-1", "PgC/yr/cell")
_PER_AREA = "Pg C yr-1 m-2"


def read(entry: Entry) -> xr.Dataset:
    """Read CarboScope; the totals of cells are divided by their areas, which the file holds.

    Raises
    ------
    UnitError
        When the file holds no areas, or they are not in m2.
    """
    native = open_native(entry)
    named = [variable.name or key for key, variable in entry.metadata.variables.items()]
    for name in named:
        if name not in native or str(native[name].attrs.get("units", "")) not in _TOTALS:
            continue
        unit = native[AREA].attrs.get("units", "") if AREA in native else "no such variable"
        if unit not in ("m2", "m^2", "m**2"):
            raise UnitError(
                f"{entry.where()}: {entry.urlpaths[0]}: expected the areas of the cells in {AREA}, "
                f"m2, found {unit or 'no unit'}"
            )
        flux = native[name] / native[AREA]
        native[name] = flux.assign_attrs({**native[name].attrs, "units": _PER_AREA})
    return canonical(native, entry)
