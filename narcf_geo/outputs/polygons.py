"""Cells and biomes of a prediction as polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import grid_area, mean_over_months
from narcf_geo.core.constants import IGBP
from narcf_geo.fields import class_field
from narcf_geo.figures.overview import any_of, blocks_of, majority
from narcf_geo.grid import Grid
from narcf_geo.grid.rings import within_180

if TYPE_CHECKING:
    import geopandas as gpd

MOST_CELLS = 20_000
"""Cells with a value above which no polygon a cell is made."""

MOST_BLOCKS = 300_000
"""Of a map of which biomes are outlined; larger ones are outlined in blocks of cells."""


def cell_polygons(prediction: xr.Dataset) -> gpd.GeoDataFrame | None:
    """Return each cell that has a flux, with its class and mean flux.

    Parameters
    ----------
    prediction : xarray.Dataset
        ``flux`` (time, lat, lon), umol m-2 s-1, and ``biome`` (lat, lon), lazy or not.

    Returns
    -------
    geopandas.GeoDataFrame or None
        None for more than 20,000 cells, which are better looked at in a raster.
    """
    known = prediction["flux"].notnull().any("time").values.ravel()
    if known.sum() > MOST_CELLS:
        return None
    cells = Grid.from_dataset(prediction).cells()
    mean = mean_over_months(prediction["flux"]).values.ravel()
    cells = cells.assign(
        igbp_class=prediction["biome"].values.ravel().astype("int16"), mean_flux_umol_m2_s=mean
    )[known]
    cells["biome"] = [_name(n) for n in cells["igbp_class"]]
    return cells


def biome_outlines(prediction: xr.Dataset) -> gpd.GeoDataFrame:
    """Return the outline of each biome, of cells that have a flux, as a raster is polygonised.

    Of a map of more than 300,000 cells the class that covers most of a block of cells is outlined.

    Parameters
    ----------
    prediction : xarray.Dataset
        As for `cell_polygons`.

    Returns
    -------
    geopandas.GeoDataFrame
        ``igbp_class`` and geometry, by the name of the biome.
    """
    import geopandas as gpd
    import shapely
    from rasterio.features import shapes

    grid = Grid.from_dataset(prediction)
    factor = int(np.ceil(np.sqrt(max(1.0, grid.shape[0] * grid.shape[1] / MOST_BLOCKS))))
    known = prediction["flux"].notnull().any("time").values
    classes = class_field(prediction["biome"]).transpose("lat", "lon").values
    area = grid_area(prediction["biome"]).values
    values = majority(np.where(known, classes, -1).astype("int16"), area, factor)
    blocks, known = blocks_of(grid, factor), any_of(known, factor)
    found: dict[int, list[shapely.Polygon]] = {}
    for shape, number in shapes(values, mask=known):
        found.setdefault(int(number), []).append(shapely.geometry.shape(shape))
    numbers = sorted(found, key=_name)
    outlines = [
        # From numbers of edges to degrees.
        within_180(
            shapely.transform(
                shapely.make_valid(shapely.multipolygons(found[number])),
                lambda xy: np.stack(
                    [blocks.lon_b[xy[:, 0].astype(int)], blocks.lat_b[xy[:, 1].astype(int)]], axis=1
                ),
            )
        )
        for number in numbers
    ]
    return gpd.GeoDataFrame(
        {"igbp_class": np.array(numbers, "int16")},
        geometry=outlines,
        index=[_name(n) for n in numbers],
        crs="EPSG:4326",
    )


def _name(number: int) -> str:
    return IGBP[number].name if number >= 0 else "no class"
