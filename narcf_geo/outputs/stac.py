"""The products as a STAC collection with one item, for catalogs of spatial data."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.files import atomic_path
from narcf_geo.grid import Grid

_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]
_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".nc": "application/x-netcdf",
    ".gpkg": "application/geopackage+sqlite3",
}


def write_stac(ds: xr.Dataset, assets: Iterable[Path], folder: str | PathLike[str]) -> list[Path]:
    """Write ``item.json`` and ``collection.json`` (STAC 1.1.0) beside the products.

    Parameters
    ----------
    ds : xarray.Dataset
        The prediction; its attributes ``title``, ``license`` and ``comment`` are taken over.
    assets : iterable of path
        Products in `folder`: GeoTIFF, NetCDF, GeoPackage, QGIS project.
    folder : path
        Where the files go; links are relative.
    """
    folder = Path(folder)
    title = str(ds.attrs.get("title", "Monthly net CO2 flux of the land"))
    grid = Grid.from_dataset(ds)
    box = [float(f(edges)) for f in (np.min, np.max) for edges in (grid.lon_b, grid.lat_b)]
    months = pd.DatetimeIndex(ds["time"].values)
    ends = (months[0], months[-1] + pd.offsets.MonthBegin(1) - pd.Timedelta(seconds=1))
    span = [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends]
    note = " ".join(str(ds.attrs[k]) for k in ("comment", "synthetic") if ds.attrs.get(k))
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": "narcf-geo-flux",
        "collection": "narcf-geo",
        "bbox": box,
        "geometry": {"type": "Polygon", "coordinates": [_ring(*box)]},
        "properties": {
            "title": title,
            "datetime": None,
            "start_datetime": span[0],
            "end_datetime": span[1],
            **({"description": note} if note else {}),
        },
        "links": [
            {"rel": rel, "href": "./collection.json", "type": "application/json"}
            for rel in ("root", "parent", "collection")
        ],
        "assets": {
            path.stem if path.suffix == ".tif" else path.name: _asset(path) for path in assets
        },
    }
    collection: dict[str, Any] = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": "narcf-geo",
        "title": title,
        "description": " ".join([note or title, *_licence_in_words(ds)]),
        "license": "other" if _licence_in_words(ds) else str(ds.attrs.get("license", "other")),
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [span]}},
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            {"rel": "item", "href": "./item.json", "type": "application/geo+json"},
        ],
    }
    paths = []
    for name, content in (("collection", collection), ("item", item)):
        paths.append(folder / f"{name}.json")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return paths


def _licence_in_words(ds: xr.Dataset) -> list[str]:
    """Return the terms of a licence that is no SPDX identifier, as a sentence."""
    text = str(ds.attrs.get("license", "other"))
    return [] if re.fullmatch(r"[\w\-.+]+", text) else [f"Licence: {text}."]


def _asset(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    asset: dict[str, Any] = {
        "href": f"./{path.name}",
        "type": _TYPES.get(path.suffix, "application/octet-stream"),
        "roles": ["data"] if path.suffix in (".tif", ".nc") else ["metadata"],
        "file:size": path.stat().st_size,
        # A multihash: 12 is SHA-256, 20 its length in hexadecimal.
        "file:checksum": "1220" + checksum,
    }
    if path.suffix == ".tif":
        asset |= _raster(path)
    return asset


def _raster(path: Path) -> dict[str, Any]:
    import rasterio

    with rasterio.open(path) as raster:
        bands = []
        for number, name in enumerate(raster.descriptions, start=1):
            nodata = "nan" if math.isnan(raster.nodata) else raster.nodata
            tags = raster.tags(number)
            band = {"name": name, "data_type": raster.dtypes[number - 1], "nodata": nodata}
            if raster.units[number - 1]:
                band["unit"] = raster.units[number - 1]
            if "STATISTICS_MEAN" in tags:
                band["statistics"] = {
                    key: float(tags[f"STATISTICS_{tag}"])
                    for key, tag in (
                        ("minimum", "MINIMUM"),
                        ("maximum", "MAXIMUM"),
                        ("mean", "MEAN"),
                        ("stddev", "STDDEV"),
                        ("valid_percent", "VALID_PERCENT"),
                    )
                }
            bands.append(band)
        return {
            "proj:code": "EPSG:4326",
            "proj:shape": list(raster.shape),
            "proj:transform": list(raster.transform)[:6],
            "bands": [{**band, "raster:sampling": "area"} for band in bands],
        }


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
