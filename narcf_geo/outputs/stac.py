"""The products as a STAC collection: an item of all, and one of the rasters of each step."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import shapely
import xarray as xr

from narcf_geo.core.files import atomic_path
from narcf_geo.figures.style import FLUX_CMAP, SPREAD_CMAP
from narcf_geo.grid import Grid
from narcf_geo.grid.polygons import footprint

_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "projection/v2.0.0",
        "raster/v2.0.0",
        "file/v2.1.0",
        "datacube/v2.2.0",
        "render/v2.0.0",
    )
]
_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".nc": "application/x-netcdf",
    ".zarr": "application/vnd.zarr",
    ".gpkg": "application/geopackage+sqlite3",
    ".qml": "application/xml",
}
_ROLES = {".tif": "data", ".nc": "data", ".zarr": "data", ".qml": "style"}
_SPDX = re.compile(
    r"CC0-1\.0|CC-BY(-NC)?(-SA|-ND)?-[1-4]\.\d(-IGO)?|ODbL-1\.0|ODC-By-1\.0|PDDL-1\.0|etalab-2\.0"
    r"|OGL-UK-[123]\.0|DL-DE-BY-2\.0|MIT|Apache-2\.0|BSD-[23]-Clause|(A|L)?GPL-[23]\.\d-(only|or-later)"
)
"""Identifiers of SPDX that stand for terms of data and software."""

_STEP = re.compile(r"(?P<name>\w+?)_(?P<stamp>\d{4}(-\d{2})?)\.tif")


def write_stac(
    ds: xr.Dataset,
    assets: Iterable[Path],
    folder: str | PathLike[str],
    limit: float | None = None,
) -> list[Path]:
    """Write ``collection.json``, ``item.json`` and ``items/*.json`` (STAC 1.1.0) of products.

    ``item.json`` has all of them as assets. Each year, or month, that has rasters of its own is an
    item with these alone, so that a stack of items is a stack of steps.

    Parameters
    ----------
    ds : xarray.Dataset
        The prediction; of its attributes ``title``, ``license``, ``institution`` and ``comment``
        are taken over.
    assets : iterable of path
        Products in `folder`: GeoTIFF, NetCDF, Zarr, GeoPackage, QGIS project.
    folder : path
        Where the files go; links are relative.
    limit : float, optional
        End of the colour scale of the flux, umol m-2 s-1.
    """
    folder = Path(folder)
    title = str(ds.attrs.get("title", "Monthly net CO2 flux of the land"))
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "flux"
    found = {_key(path): (path, _asset(path)) for path in assets}
    months = pd.DatetimeIndex(ds["time"].values)
    note = " ".join(str(ds.attrs[k]) for k in ("comment", "synthetic") if ds.attrs.get(k))
    common = {"title": title, **({"description": note} if note else {}), **_licence(ds)}
    shape = footprint(Grid.from_dataset(ds))
    dimensions = _dimensions(ds)

    def item(key: str, paths: Sequence[Path], span: pd.DatetimeIndex, up: str) -> dict[str, Any]:
        keys = {_key(path): _key(path) for path in paths}
        if up == "..":  # one name in all items: a band of their stack
            keys = {k: str(_STEP.fullmatch(f"{k}.tif")["name"]) for k in keys}  # type: ignore[index]
        own = {new: {**found[k][1], "href": f"{up}/{found[k][0].name}"} for k, new in keys.items()}
        of_time = {"type": "temporal", "extent": _span(span), "step": "P1M"}
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": _EXTENSIONS,
            "id": key,
            "collection": name,
            "bbox": bbox(shape),
            "geometry": json.loads(shapely.to_geojson(shape)),
            "properties": {
                **common,
                "datetime": None if len(span) > 1 else f"{span[0]:%Y-%m-%dT%H:%M:%SZ}",
                "start_datetime": _span(span)[0],
                "end_datetime": _span(span)[1],
                "cube:dimensions": {**dimensions, "time": of_time},
                "cube:variables": _variables(ds),
                "renders": _renders(own, limit),
            },
            "links": [
                {"rel": rel, "href": f"{up}/collection.json", "type": "application/json"}
                for rel in ("root", "parent", "collection")
            ],
            "assets": own,
        }

    files = {
        "item.json": item(_id(name, months), [path for path, _ in found.values()], months, ".")
    }
    for stamp, paths in _steps([path for path, _ in found.values()]).items():
        span = months[months.strftime("%Y-%m" if len(stamp) > 4 else "%Y") == stamp]
        files[f"items/{stamp}.json"] = item(f"{name}-{stamp}", paths, span, "..")
    files["collection.json"] = _collection(ds, name, common, shape, months, list(files))
    paths = []
    for where, content in sorted(files.items()):
        paths.append(folder / where)
        paths[-1].parent.mkdir(exist_ok=True)
        with atomic_path(paths[-1]) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return paths


def bbox(shape: shapely.Geometry) -> list[float]:
    """Return west, south, east and north; west is above east across the dateline (RFC 7946).

    Examples
    --------
    >>> bbox(shapely.union(shapely.box(170, 50, 180, 70), shapely.box(-180, 50, -160, 70)))
    [170.0, 50.0, -160.0, 70.0]
    """
    parts = sorted(part.bounds for part in shapely.get_parts(shape))
    first, last = parts[0], parts[-1]
    west, east = (last[0], first[2]) if len(parts) > 1 else (first[0], first[2])
    return [west, first[1], east, first[3]]


def _collection(
    ds: xr.Dataset,
    name: str,
    common: dict[str, Any],
    shape: shapely.Geometry,
    months: pd.DatetimeIndex,
    items: list[str],
) -> dict[str, Any]:
    links = [{"rel": "root", "href": "./collection.json", "type": "application/json"}]
    links += [{"rel": "item", "href": f"./{i}", "type": "application/geo+json"} for i in items]
    terms = str(ds.attrs.get("license", ""))
    if address := _address_of(terms):
        links.append({"rel": "license", "href": address})
    words = [f"Licence: {terms}."] if terms and not _SPDX.fullmatch(terms) else []
    institution = ds.attrs.get("institution")
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "title": common["title"],
        "description": " ".join([common.get("description", common["title"]), *words]),
        "license": common["license"],
        **({"providers": [{"name": institution, "roles": ["producer"]}]} if institution else {}),
        "extent": {
            "spatial": {"bbox": [bbox(shape)]},
            "temporal": {"interval": [_span(months)]},
        },
        "links": links,
    }


def _licence(ds: xr.Dataset) -> dict[str, str]:
    terms = str(ds.attrs.get("license", ""))
    return {"license": terms if _SPDX.fullmatch(terms) else "other"}


def _address_of(terms: str) -> str:
    """Return where the terms of a licence stand: by its identifier, or as its text says."""
    if _SPDX.fullmatch(terms):
        return f"https://spdx.org/licenses/{terms}.html"
    found = re.search(r"https?://[^\s<>\"]+[^\s<>\".,;)]", terms)
    return found[0] if found else ""


def _id(name: str, months: pd.DatetimeIndex) -> str:
    return f"{name}-{months[0]:%Y-%m}-{months[-1]:%Y-%m}"


def _span(months: pd.DatetimeIndex) -> list[str]:
    ends = (months[0], months[-1] + pd.offsets.MonthBegin(1) - pd.Timedelta(seconds=1))
    return [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends]


def _steps(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the rasters of each year or month; those of a year where some are of its months."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        if step := _STEP.fullmatch(path.name):
            found.setdefault(step["stamp"], []).append(path)
    months = {stamp[:4] for stamp in found if len(stamp) > 4}
    return {stamp: rasters for stamp, rasters in found.items() if stamp not in months}


def _dimensions(ds: xr.Dataset) -> dict[str, Any]:
    """Return the axes of the fields; longitudes as in the NetCDF file, on beyond 180 degrees."""
    south, north, west, east = Grid.from_dataset(ds).extent
    return {
        name: {"type": "spatial", "axis": axis, "extent": ends, "reference_system": 4326}
        for name, axis, ends in (("lon", "x", [west, east]), ("lat", "y", [south, north]))
    }


def _variables(ds: xr.Dataset) -> dict[str, Any]:
    known = {"lat", "lon", "time"}
    fields = [a for a in ds.data_vars.values() if a.ndim >= 2 and set(map(str, a.dims)) <= known]
    return {
        str(field.name): {
            "type": "data",
            "dimensions": [str(d) for d in field.dims],
            "description": str(field.attrs.get("long_name", field.name)),
            "unit": str(field.attrs.get("units", "1")),
        }
        for field in fields
    }


def _renders(assets: dict[str, dict[str, Any]], limit: float | None) -> dict[str, Any]:
    """Return how a map server draws the first raster of the flux, and of its spread."""
    ends = {"flux": limit and [-limit, limit], "flux_std": limit and [0.0, limit]}
    colors = {"flux": FLUX_CMAP, "flux_std": SPREAD_CMAP}
    shown = {}
    for name, rescale in ends.items():
        rasters = [key for key in assets if re.fullmatch(rf"{name}(_\d{{4}}(-\d\d)?)?", key)]
        if rasters and rescale:
            shown[name] = {
                "title": str(assets[rasters[0]].get("title", name)),
                "assets": rasters[:1],
                "bidx": [1],
                "rescale": [rescale],
                "colormap_name": colors[name].lower(),
                "resampling": "nearest",
                "nodata": "nan",
            }
    return shown


def _key(path: Path) -> str:
    return path.stem if path.suffix == ".tif" else path.name


def _asset(path: Path) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": f"./{path.name}",
        "type": _TYPES.get(path.suffix, "application/octet-stream"),
        "roles": [_ROLES.get(path.suffix, "metadata")],
    }
    if path.is_dir():
        return asset
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    # A multihash: 12 is SHA-256, 20 its length in hexadecimal.
    asset |= {"file:size": path.stat().st_size, "file:checksum": "1220" + checksum}
    return asset | _raster(path) if path.suffix == ".tif" else asset


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
            "title": raster.tags().get("long_name", path.stem),
            "proj:code": "EPSG:4326",
            "proj:shape": list(raster.shape),
            "proj:transform": list(raster.transform)[:6],
            "proj:bbox": list(raster.bounds),
            "bands": [{**band, "raster:sampling": "area"} for band in bands],
        }
