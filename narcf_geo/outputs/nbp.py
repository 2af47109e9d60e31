"""The flux as CMIP models give it: ``nbp``, carbon into the land, for ILAMB and ESMValTool."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.core.constants import CARBON_MOLAR_MASS
from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import with_month_axis
from narcf_geo.core.provenance import VERSION
from narcf_geo.grid import Grid
from narcf_geo.outputs.netcdf import BLOCK, discovery, product_fields

KG_PER_UMOL = CARBON_MOLAR_MASS * 1e-9
"""Kilograms of carbon in a micromole."""

_STANDARD_NAME = (
    "surface_net_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_all_land_processes"
)


def write_nbp(ds: xr.Dataset, folder: str | os.PathLike[str]) -> Path:
    """Write ``nbp_Lmon_narcf-geo_<first>-<last>.nc``: kg C m-2 s-1, positive into the land.

    One variable of a month's mean at the middle of the month, with the areas of the cells
    (``areacella``), and of land in them (``sftlf``, %) where it is known; latitudes rise, and
    longitudes go on eastwards.

    Parameters
    ----------
    ds : xarray.Dataset
        As for `narcf_geo.outputs.netcdf.write_flux_netcdf`.
    folder : path
        Where the file goes; made when absent.

    Returns
    -------
    path
    """
    ds = product_fields(ds)
    grid = Grid.from_dataset(ds)
    months = ds["time"].values
    out = xr.Dataset(coords=grid.coords())
    values = (-KG_PER_UMOL * ds["flux"].astype("float64")).astype("float32")
    out["nbp"] = values.variable
    out["nbp"].attrs = {
        "standard_name": _STANDARD_NAME,
        "long_name": "Carbon Mass Flux into Land due to Net Biome Production",
        "units": "kg m-2 s-1",
        "comment": "of carbon; minus the net CO2 flux from the land to the atmosphere",
        "cell_methods": ds["flux"].attrs.get("cell_methods", "time: mean area: mean where land"),
        "cell_measures": "area: areacella",
    }
    out["areacella"] = (
        ("lat", "lon"),
        grid.area,
        {"standard_name": "cell_area", "long_name": "area of the cell", "units": "m2"},
    )
    if "land_fraction" in ds:
        out["sftlf"] = (100 * ds["land_fraction"]).astype("float32").variable
        out["sftlf"].attrs = {
            "standard_name": "land_area_fraction",
            "long_name": "percentage of the cell that is land",
            "units": "%",
        }
    out = with_month_axis(out.assign_coords(time=months), months)
    bounds = out["time_bnds"].values
    middle = out["time"].copy(data=bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) / 2)
    encoded = out["time"].encoding
    out = out.assign_coords(time=middle)
    out["time"].attrs |= {"axis": "T"}
    out["time"].encoding = encoded | {"dtype": "float64"}
    kept = ("title", "summary", "institution", "creator_name", "license", "doi", "references")
    out.attrs = {
        "title": "Monthly net biome production of the land",
        "source": f"narcf-geo {VERSION}",
        **{k: str(ds.attrs[k]) for k in (*kept, "synthetic", "comment") if ds.attrs.get(k)},
        "Conventions": "CF-1.8, ACDD-1.3",
        "frequency": "mon",
        "table_id": "Lmon",
        "variable_id": "nbp",
        "source_id": "narcf-geo",
        **discovery(ds, grid),
    }
    for name in out.variables:
        missing = np.float32(1e20) if name in ("nbp", "sftlf") else None
        out[name].encoding = {**out[name].encoding, "_FillValue": missing}
    out["nbp"].encoding |= {"zlib": True, "complevel": 4, "shuffle": True}
    if out["nbp"].chunks:
        out["nbp"] = out["nbp"].chunk({d: BLOCK[str(d)] for d in out["nbp"].dims})
    first, last = (f"{np.datetime_as_string(m, 'M')}".replace("-", "") for m in months[[0, -1]])
    path = Path(folder) / f"nbp_Lmon_narcf-geo_{first}-{last}.nc"
    with atomic_path(path) as temporary:
        out.to_netcdf(temporary, format="NETCDF4", engine="netcdf4", unlimited_dims=["time"])
    return path
