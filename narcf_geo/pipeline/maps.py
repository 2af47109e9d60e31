"""The maps of a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def project_maps(cube: xr.Dataset, prediction: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each map: a month, the year, the comparison, the biomes."""
    from narcf_geo.figures import maps

    synthetic = cube.attrs.get("synthetic")
    flux, area = prediction["flux"], prediction["cell_area"]
    years = flux["time"].dt.year
    last = flux[years == years[-1]]
    month = last[last["time"].dt.month == 7] if 7 in last["time"].dt.month else last[-1:]
    stamp = str(month["time"].dt.strftime("%Y-%m").values[0])
    yield f"flux_{stamp}", maps.flux_map(month[0], area=area, synthetic=synthetic)
    if last.sizes["time"] > 1:
        year = int(years[-1])
        yield (
            f"flux_{year}_months",
            maps.month_panel(last, area=area, synthetic=synthetic),
        )
    for name in ("flux_target", "flux_reference"):
        if name in cube:
            label = str(cube[name].attrs["product"])
            yield (
                f"comparison_{name.removeprefix('flux_')}",
                maps.comparison(
                    flux, cube[name], labels=("Estimate", label), area=area, synthetic=synthetic
                ),
            )
    yield "biomes", maps.biome_map(prediction["biome"])
