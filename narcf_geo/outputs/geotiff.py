"""Cloud-optimized GeoTIFFs of flux and biomes, each with a QGIS style beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.partial import partial_path
from narcf_geo.fields import class_field, in_house_order, open_fields
from narcf_geo.fields.values import NODATA
from narcf_geo.figures.style import NO_VALUE, round_limit
from narcf_geo.grid import Grid
from narcf_geo.outputs.blocks import Statistics, quantile, windows
from narcf_geo.outputs.netcdf import product_fields
from narcf_geo.outputs.qgis import (
    write_amount_style,
    write_biome_style,
    write_flux_style,
    write_fraction_style,
)

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.io import DatasetWriter

_BIOME_NODATA = 255
_BLOCK = 256
"""Rows and columns that are read together."""

_SAME_EDGE = 1e-4
"""Share of a cell within which two edges are one."""
_CACHE_MB = 32
"""Of GDAL, whose own choice is a share of the machine's memory."""


def write_flux_geotiffs(
    ds: xr.Dataset, folder: str | os.PathLike[str], *, monthly: bool = False
) -> list[Path]:
    """Write ``flux_<year>.tif`` for each year: one band a month, and a ``.qml`` beside it.

    North-up COG in EPSG:4326, float32, missing cells NaN (declared as nodata). Bands are named
    ``2014-01`` and so on and carry the unit and the statistics. All years share one colour scale.

    Parameters
    ----------
    ds : xarray.Dataset
        ``flux`` (time, lat, lon) in umol m-2 s-1 on a regular grid.
    folder : path
        Where the files go; made when absent.
    monthly : bool
        Write ``flux_<year>-<month>.tif`` for each month instead.

    Returns
    -------
    list of path
        The GeoTIFFs, by time.

    Raises
    ------
    NarcfError
        When ``flux`` is missing or in another unit, the grid is not regular, or all is NaN.
    """
    ds = product_fields(ds)
    flux = ds["flux"]
    limit = limit_of(flux)
    paths = []
    stamps = flux["time"].dt.strftime("%Y-%m" if monthly else "%Y").values
    for stamp in dict.fromkeys(stamps):
        path = Path(folder) / f"flux_{stamp}.tif"
        _write_months(flux[stamps == stamp], path, {"sign": FLUX_SIGN, **_described(ds)})
        write_flux_style(path.with_suffix(".qml"), limit)
        paths.append(path)
    return paths


def write_ancillary_geotiffs(
    ds: xr.Dataset, name: str, folder: str | os.PathLike[str], *, monthly: bool = False
) -> list[Path]:
    """Write ``<name>_<year>.tif`` for each year: one band a month, and a ``.qml`` beside it.

    Parameters
    ----------
    ds : xarray.Dataset
        The variable `name` (time, lat, lon), from 0 up, on a regular grid.
    name : str
        Such as ``flux_std`` or ``applicability``.
    folder, monthly
        As for `write_flux_geotiffs`.

    Returns
    -------
    list of path
        The GeoTIFFs, by time.
    """
    data = open_fields(ds)[name]
    limit = quantile(data, 0.98)
    paths = []
    stamps = data["time"].dt.strftime("%Y-%m" if monthly else "%Y").values
    for stamp in dict.fromkeys(stamps):
        path = Path(folder) / f"{name}_{stamp}.tif"
        tags = {"long_name": str(data.attrs.get("long_name", name)), **_described(ds)}
        _write_months(data[stamps == stamp], path, tags)
        write_amount_style(path.with_suffix(".qml"), limit or 1.0)
        paths.append(path)
    return paths


def limit_of(flux: xr.DataArray) -> float:
    """Return the end of the colour scale of a flux, lazy or not; see `flux_limit`."""
    reach = quantile(flux, 0.98)
    if reach is None:
        raise NarcfError(NO_VALUE)
    return round_limit(reach)


def _described(ds: xr.Dataset) -> dict[str, str]:
    kept = {k: str(ds.attrs[k]) for k in ("synthetic", "comment", "license") if ds.attrs.get(k)}
    return {"title": str(ds.attrs.get("title", "Monthly net CO2 flux of the land")), **kept}


def write_biomes_geotiff(biome: xr.DataArray, path: str | os.PathLike[str]) -> Path:
    """Write the IGBP class of each cell: uint8 COG with colour table, nodata 255.

    The class names go into ``<path>.aux.xml`` (GDAL) and ``<stem>.qml`` (QGIS).

    Parameters
    ----------
    biome : xarray.DataArray
        (lat, lon) class 0-17; negative or NaN is missing.
    path : path
        The ``.tif`` file.

    Raises
    ------
    NarcfError
        When a value is no IGBP class, or the grid is not regular.
    """
    path = Path(path)
    biome, transform = _north_up(class_field(biome))
    known = np.isfinite(biome.values) & (biome.values >= 0)
    values = np.where(known, biome.values, 0).astype("uint8")
    values[~known] = _BIOME_NODATA
    present = sorted(set(np.unique(values).tolist()) - {_BIOME_NODATA})
    if present and present[-1] >= len(IGBP):
        raise NarcfError(
            f"expected IGBP classes 0 to {len(IGBP) - 1}, found {present[-1]} in the biomes"
        )
    tags = {"long_name": "majority IGBP land cover class"}

    def describe(raster: DatasetWriter, _: list[Statistics]) -> None:
        raster.set_band_description(1, "IGBP class")
        raster.write_colormap(1, {n: _rgb(cls.color) for n, cls in enumerate(IGBP)})

    bands = xr.DataArray(values[None], dims=("band", "lat", "lon"))
    _write_cog(path, bands, transform, _BIOME_NODATA, tags, describe, _CLASS_COG)
    names = "".join(
        f"      <Category>{escape(f'{c.code} {c.name}', quote=False)}</Category>\n" for c in IGBP
    )
    with atomic_path(path.with_name(path.name + ".aux.xml")) as temporary:
        temporary.write_text(
            '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
            f"{names}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n",
            encoding="utf-8",
        )
    write_biome_style(path.with_suffix(".qml"), present)
    return path


def write_fractions_geotiff(class_fraction: xr.DataArray, path: str | os.PathLike[str]) -> Path:
    """Write the share of each cell that each IGBP class covers: a float32 band a class.

    Bands are named ``ENF evergreen needleleaf forest`` and so on; the style beside the file shows
    the land class that covers most.

    Parameters
    ----------
    class_fraction : xarray.DataArray
        (igbp_class, lat, lon), 0 to 1; NaN is missing.
    path : path
        The ``.tif`` file.

    Raises
    ------
    NarcfError
        When a class is no IGBP class, or the grid is not regular.
    """
    path = Path(path)
    numbers = class_fraction["igbp_class"].values.astype(int).tolist()
    if not set(numbers) <= set(range(len(IGBP))):
        raise NarcfError(f"expected IGBP classes 0 to {len(IGBP) - 1}, found {numbers}")
    fraction, transform = _north_up(in_house_order(class_fraction))
    fraction = fraction.transpose("igbp_class", "lat", "lon").astype("float32")
    tags = {"long_name": "fraction of the cell in each IGBP land cover class", "units": "1"}

    def describe(raster: DatasetWriter, found: list[Statistics]) -> None:
        for band, number in enumerate(numbers, start=1):
            raster.set_band_description(band, f"{IGBP[number].code} {IGBP[number].name}")
            raster.set_band_unit(band, "1")
            raster.update_tags(band, igbp_class=number, **_tags(found[band - 1]))

    found = _write_cog(path, fraction, transform, float("nan"), tags, describe, _FLUX_COG)
    cover = [s.mean * s.number if n else -1.0 for n, s in zip(numbers, found, strict=True)]
    write_fraction_style(path.with_suffix(".qml"), int(np.argmax(cover)) + 1)
    return path


_FLUX_COG = {"predictor": "FLOATING_POINT", "overviews": "average"}
_CLASS_COG = {"predictor": "NO", "overviews": "mode"}


def _write_months(data: xr.DataArray, path: Path, tags: dict[str, str]) -> None:
    units = data.attrs.get("units", "1")
    data, transform = _north_up(data)
    months = pd.DatetimeIndex(data["time"].values).strftime("%Y-%m")

    def describe(raster: DatasetWriter, found: list[Statistics]) -> None:
        for band, month in enumerate(months, start=1):
            raster.set_band_description(band, month)
            raster.set_band_unit(band, units)
            raster.update_tags(band, month=month, **_tags(found[band - 1]))

    tags = {**tags, "units": units}
    data = data.astype("float32")
    _write_cog(path, data, transform, float("nan"), tags, describe, _FLUX_COG)


def _write_cog(
    path: Path,
    data: xr.DataArray,
    transform: Affine,
    nodata: float,
    tags: dict[str, str],
    describe: Callable[[DatasetWriter, list[Statistics]], None],
    options: dict[str, str],
) -> list[Statistics]:
    """Write bands (band, lat, lon), lazy or not, window by window; return their statistics."""
    import rasterio
    import rasterio.shutil
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    count, height, width = data.shape
    found = [Statistics() for _ in range(count)]
    # PAM off, so that no side file of the temporary name stays behind.
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=_CACHE_MB),
        atomic_path(path) as temporary,
        _beside(path) as tiles,
    ):
        # The COG driver only copies: the raster is made without compression first.
        with rasterio.open(
            tiles,
            "w",
            driver="GTiff",
            dtype=data.dtype,
            count=count,
            height=height,
            width=width,
            crs="EPSG:4326",
            transform=transform,
            nodata=nodata,
            tiled=True,
            blockxsize=_BLOCK,
            blockysize=_BLOCK,
            bigtiff="IF_SAFER",
            interleave="BAND",
        ) as raster:
            raster.update_tags(AREA_OR_POINT="Area", **tags)
            for rows, columns, values in windows(data):
                raster.write(values, window=Window.from_slices(rows, columns))
                for band, statistics in zip(values, found, strict=True):
                    statistics.add(band)
            describe(raster, found)
        packing: dict[str, Any] = {
            "compress": "DEFLATE",
            "bigtiff": "IF_SAFER",
            "predictor": options["predictor"],
        }
        if count == 1:
            packing |= {"driver": "COG", "blocksize": _BLOCK}
            packing |= {"overview_resampling": options["overviews"].upper()}
        else:
            # So that a month is read without the others. The COG driver puts all bands of a pixel
            # together before GDAL 3.11; the layout is the same.
            factors = [2**n for n in range(1, 20) if max(height, width) > _BLOCK * 2 ** (n - 1)]
            with rasterio.open(tiles, "r+") as raster:
                raster.build_overviews(factors, Resampling[options["overviews"]])
            packing |= {"predictor": 3 if data.dtype.kind == "f" else 1}
            packing |= {"driver": "GTiff", "tiled": "YES", "interleave": "BAND"}
            packing |= {"blockxsize": _BLOCK, "blockysize": _BLOCK, "copy_src_overviews": "YES"}
        with rasterio.open(tiles) as raster:
            rasterio.shutil.copy(raster, temporary, **packing)
    return found


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside a file, and remove what was written there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_path(path.with_suffix(".tiles.tif"))
    try:
        yield temporary
    finally:
        remove(temporary)


def _north_up(data: xr.DataArray) -> tuple[xr.DataArray, Affine]:
    from affine import Affine

    data = data.isel(lat=slice(None, None, -1))
    grid = Grid.from_dataset(data)
    lon, lat = grid.lon_b, -np.sort(-grid.lat_b)  # a single row has no order
    width, height, west = _step(lon, "lon"), _step(lat, "lat"), float(lon[0])
    if lon[-1] > 180 + _SAME_EDGE * width:
        data, west = _round_the_globe(data, west, width)
    return data, Affine(width, 0, west, 0, height, lat[0])


def _round_the_globe(data: xr.DataArray, west: float, width: float) -> tuple[xr.DataArray, float]:
    """Return columns that go on beyond 180 degrees within a row round the globe, and its edge.

    GIS tools look for longitudes within -180..180 only. Cells of which no whole number makes the
    globe stay where they are.
    """
    number = round(360 / width)
    if abs(360 / width - number) > 1e-6 * number:
        return data, west
    before = math.ceil((west + 180) / width - _SAME_EDGE)
    columns = (np.arange(data.sizes["lon"]) + before) % number
    fill = np.nan if data.dtype.kind == "f" else NODATA
    data = data.assign_coords(lon=columns).reindex(lon=np.arange(number), fill_value=fill)
    first = west - before * width
    return data.assign_coords(lon=first + width * (np.arange(number) + 0.5)), first


def _step(edges: np.ndarray, name: str) -> float:
    step = float(edges[-1] - edges[0]) / (edges.size - 1)
    if not np.allclose(np.diff(edges), step, rtol=0, atol=1e-4 * abs(step)):
        sizes = np.abs(np.diff(edges))
        raise NarcfError(
            f"expected equally spaced {name} cells for a GeoTIFF, found cells of {sizes.min():g} "
            f"to {sizes.max():g} degrees; regrid to a regular grid first"
        )
    return step


def _tags(found: Statistics) -> dict[str, str]:
    if found.number == 0:
        return {}
    return {
        "STATISTICS_MINIMUM": repr(float(found.low)),
        "STATISTICS_MAXIMUM": repr(float(found.high)),
        "STATISTICS_MEAN": repr(found.mean),
        "STATISTICS_STDDEV": repr(found.std),
        "STATISTICS_VALID_PERCENT": f"{100 * found.number / found.cells:.4g}",
    }


def _rgb(color: str) -> tuple[int, int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16), 255
