"""One QGIS project (``narcf.qgz``) of all products: a layer a month for the time slider."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET  # XML is written, none is read # nosec B405
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.outputs.qgis import amount_pipe, biome_pipe, flux_pipe, fraction_pipe, xml_text
from narcf_geo.outputs.qgis_context import write_context
from narcf_geo.outputs.qgis_layout import abstract, layout, metadata, themes

if TYPE_CHECKING:
    import geopandas as gpd

_VERSION = "3.22.0"
_SECOND = pd.Timedelta(seconds=1)
_FLUX = "Net CO₂ flux (µmol m⁻² s⁻¹)"
_PER_BAND = "3"
"""How QGIS calls a time range for each band."""

_AREAS = ("region", "regions")


@dataclass(frozen=True)
class _Layer:
    """A layer of the project: its element, and its name and place in the tree of layers."""

    name: str
    element: ET.Element
    group: str = ""
    checked: bool = True

    @property
    def id(self) -> str:
        return str(self.element.findtext("id"))


def write_qgis_project(
    path: str | PathLike[str],
    fluxes: Sequence[Path],
    *,
    limit: float,
    biomes: Path | None = None,
    fractions: Path | None = None,
    amounts: Mapping[str, Sequence[Path]] | None = None,
    title: str = "Net CO2 flux of the land",
    years: Sequence[int] | None = None,
    region: shapely.Geometry | None = None,
    regions: gpd.GeoDataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write the project, and ``context.gpkg`` (region, coastline, borders, states) beside it.

    Paths in it are relative: the folder can be moved. Each month is a layer with its time, so that
    the time slider of QGIS (3.14 or newer) goes through the months; a theme shows one of them, a
    page to print too. In ``<stem>_bands.qgz`` each raster is one layer whose bands have their times
    (QGIS 3.38 or newer).

    Parameters
    ----------
    path : path
        The ``.qgz`` file, in the folder of the rasters.
    fluxes : sequence of path
        As `write_flux_geotiffs` wrote them.
    limit : float
        End of the colour scale, umol m-2 s-1.
    biomes, fractions : path, optional
        As `write_biomes_geotiff` and `write_fractions_geotiff` wrote them.
    amounts : mapping, optional
        Name of a group of layers, such as "Standard deviation", to its rasters, one a year.
    title : str
        Of the project.
    years : sequence of int, optional
        Take only the months of these years.
    region : shapely.Geometry, optional
        Where the cells are, within -180..180 degrees; by default the box of the rasters.
    regions : geopandas.GeoDataFrame, optional
        Polygons for a further layer, in any CRS.
    words : mapping, optional
        ``summary``, ``license``, ``institution``, ``creator_name`` and ``doi`` of the products.

    Returns
    -------
    list of path
        The two projects.

    Raises
    ------
    NarcfError
        When no month is left, or a raster lies in another folder.
    """
    import rasterio

    path = Path(path)
    others = [p for paths in (amounts or {}).values() for p in paths]
    rasters = (*fluxes, biomes, fractions, *others)
    strange = [p for p in rasters if p and Path(p).parent != path.parent]
    if strange:
        raise NarcfError(f"expected the rasters of a project in {path.parent}, found {strange[0]}")
    months: dict[pd.Timestamp, tuple[Path, int]] = {}
    for flux in map(Path, fluxes):
        with rasterio.open(flux) as raster:
            box = raster.bounds
            for band, name in enumerate(raster.descriptions, start=1):
                month = pd.Timestamp(name)
                if years is None or month.year in years:
                    months[month] = (flux, band)
    if not months:
        raise NarcfError(f"expected months of {years} in {[p.name for p in fluxes]}, found none")
    context = path.with_name("context.gpkg")
    lines = write_context(context, shapely.box(*box) if region is None else region, regions)
    lined = [
        _line_layer(context, name, color, width, box) for name, (color, width) in lines.items()
    ]
    by_month = [_month_layer(*months[month], month, limit, box) for month in sorted(months)]
    by_band = _band_layers(months, limit, box)
    layers: list[_Layer] = []
    for group, paths in (amounts or {}).items():
        for amount in paths:
            layers += _amount_layers(amount, group, box, years)
    if biomes is not None:
        with rasterio.open(biomes) as raster:
            present = [int(n) for n in np.unique(raster.read(1)) if n != raster.nodata]
        name = "Biomes (IGBP)"
        element = _raster("biomes", biomes, biome_pipe(present), box, name)
        layers.append(_Layer(name, element, checked=False))
    if fractions is not None:
        with rasterio.open(fractions) as raster:
            layers += [
                _Layer(
                    name,
                    _raster(f"fraction_{band}", fractions, fraction_pipe(band), box, name),
                    "Class fractions",
                    checked=False,
                )
                for band, name in enumerate(raster.descriptions, start=1)
            ]
    paths = []
    for project, fields in ((path, by_month), (path.with_name(f"{path.stem}_bands.qgz"), by_band)):
        document = xml_text(
            _project(title, [*lined, *fields, *layers], box, sorted(months), words or {})
        )
        paths.append(_write_archive(project, document))
    return paths


def _write_archive(path: Path, document: str) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date: the same products give the same bytes.
        member = zipfile.ZipInfo(f"{path.stem}.qgs", (1980, 1, 1, 0, 0, 0))
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, document.encode("utf-8"))
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path


def _amount_layers(
    path: Path,
    group: str,
    box: tuple[float, float, float, float],
    years: Sequence[int] | None,
) -> list[_Layer]:
    """Return a hidden layer for the middle month of a raster of monthly amounts."""
    import rasterio

    with rasterio.open(path) as raster:
        band = (raster.count + 2) // 2
        month = str(raster.descriptions[band - 1])
        limit = float(raster.tags(band).get("STATISTICS_MAXIMUM", 1)) or 1.0
    if years is not None and int(month[:4]) not in years:
        return []
    name = f"{group} {month}"
    element = _raster(path.stem, path, amount_pipe(limit, band), box, name)
    return [_Layer(name, element, group, checked=False)]


def _project(
    title: str,
    layers: Sequence[_Layer],
    box: tuple[float, float, float, float],
    months: Sequence[pd.Timestamp],
    words: Mapping[str, str],
) -> ET.Element:
    root = ET.Element("qgis", version=_VERSION, projectname=title)
    ET.SubElement(root, "title").text = title
    root.append(metadata(title, words))
    ET.SubElement(root, "projectCrs").append(_wgs84())
    tree = ET.SubElement(root, "layer-tree-group")
    groups: dict[str, ET.Element] = {"": tree}
    for layer in layers:
        parent = tree
        for depth in range(layer.group.count("/") + 1 if layer.group else 0):
            name = "/".join(layer.group.split("/")[: depth + 1])
            if name not in groups:
                shown = "1" if layer.checked and "/" not in name else "0"
                groups[name] = ET.SubElement(
                    parent,
                    "layer-tree-group",
                    name=name.split("/")[-1],
                    checked="Qt::Checked" if layer.checked else "Qt::Unchecked",
                    expanded=shown,
                )
            parent = groups[name]
        ET.SubElement(
            parent,
            "layer-tree-layer",
            id=layer.id,
            name=layer.name,
            source=str(layer.element.findtext("datasource")),
            providerKey=str(layer.element.findtext("provider")),
            checked="Qt::Checked" if layer.checked else "Qt::Unchecked",
            expanded="1" if layer.name == "Biomes (IGBP)" else "0",
        )
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas")
    ET.SubElement(canvas, "units").text = "degrees"
    canvas.append(_extent(box))
    ET.SubElement(canvas, "destinationsrs").append(_wgs84())
    ET.SubElement(root, "projectlayers").extend(layer.element for layer in layers)
    order = ET.SubElement(root, "layerorder")
    for layer in layers:
        ET.SubElement(order, "layer", id=layer.id)
    fluxes = [layer for layer in layers if layer.group.startswith(_FLUX)]
    others = [layer.id for layer in layers if layer.checked and layer not in fluxes]
    middle = fluxes[len(fluxes) // 2]
    one = f"One step: {middle.name}"
    views = {
        "All months (time slider)": [*others, *(layer.id for layer in fluxes)],
        one: [*others, middle.id],
    }
    views |= {layer.name: [*others, layer.id] for layer in layers if layer.id == "narcf_geo_biomes"}
    root.append(themes(views))
    source = f"{abstract(words)}. Coast and borders: Natural Earth".removeprefix(". ")
    legend = [(middle.id, f"{_FLUX}, {middle.name}")]
    root.append(layout(title, source, box, one, legend))
    start, end = _instant(months[0]), _instant(_last(months[-1]))
    properties = ET.SubElement(root, "properties")
    for section, name, kind, value in (
        ("Paths", "Absolute", "bool", "false"),
        ("SpatialRefSys", "ProjectionsEnabled", "int", "1"),
        # 1: the slider is on when the project opens, at the first month.
        ("TemporalControllerWidget", "NavigationMode", "int", "1"),
        ("TemporalControllerWidget", "StartDateTime", "QString", start),
        ("TemporalControllerWidget", "EndDateTime", "QString", end),
    ):
        if properties.find(section) is None:
            ET.SubElement(properties, section)
        ET.SubElement(properties.findall(section)[0], name, type=kind).text = value
    settings = ET.SubElement(
        root,
        "ProjectTimeSettings",
        timeStepUnit="mon",
        timeStep="1",
        frameRate="1",
        cumulativeTemporalRange="0",
    )
    span = ET.SubElement(settings, "TemporalRange")
    ET.SubElement(span, "start").text = start
    ET.SubElement(span, "end").text = end
    return root


def _month_layer(
    path: Path, band: int, month: pd.Timestamp, limit: float, box: tuple[float, ...]
) -> _Layer:
    name = f"{month:%Y-%m}"
    element = _raster(f"flux_{month:%Y_%m}", path, flux_pipe(limit, band), box, name)
    temporal = ET.SubElement(element, "temporal", enabled="1", mode="0", fetchMode="0")
    span = ET.SubElement(temporal, "fixedRange")
    # QGIS counts both ends in: a second off them keeps the month out of the steps beside it.
    ET.SubElement(span, "start").text = _instant(month + _SECOND)
    ET.SubElement(span, "end").text = _instant(_last(month))
    return _Layer(name, element, f"{_FLUX}/{month:%Y}")


def _band_layers(
    months: Mapping[pd.Timestamp, tuple[Path, int]], limit: float, box: tuple[float, ...]
) -> list[_Layer]:
    """Return a layer for each raster, whose bands have the times of their months."""
    files: dict[Path, dict[int, pd.Timestamp]] = {}
    for month in sorted(months):
        path, band = months[month]
        files.setdefault(path, {})[band] = month
    layers = []
    for path, bands in files.items():
        name = path.stem.removeprefix("flux_")
        element = _raster(f"bands_{name}", path, flux_pipe(limit, min(bands)), box, name)
        temporal = ET.SubElement(element, "temporal", enabled="1", mode=_PER_BAND, fetchMode="0")
        ranges = ET.SubElement(temporal, "ranges")
        for band, month in bands.items():
            ET.SubElement(
                ranges,
                "range",
                band=str(band),
                begin=_instant(month),
                end=_instant(month + pd.offsets.MonthBegin(1)),
                includeBeginning="1",
                includeEnd="0",
            )
        layers.append(_Layer(name, element, _FLUX))
    return layers


def _raster(
    number: str, path: Path, pipe: ET.Element, box: tuple[float, ...], name: str = ""
) -> ET.Element:
    element = _map_layer("raster", number, f"./{Path(path).name}", "gdal", name or number, box)
    element.append(pipe)
    return element


def _line_layer(path: Path, name: str, color: str, width: float, box: tuple[float, ...]) -> _Layer:
    source = f"./{path.name}|layername={name}"
    element = _map_layer("vector", name, source, "ogr", name, box)
    area = name in _AREAS
    element.set("geometry", "Polygon" if area else "Line")
    renderer = ET.SubElement(element, "renderer-v2", type="singleSymbol", symbollevels="0")
    symbol = ET.SubElement(
        ET.SubElement(renderer, "symbols"),
        "symbol",
        type="fill" if area else "line",
        name="0",
        alpha="1",
    )
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleLine", "enabled": "1"})
    layer.set("pass", "0")
    options = ET.SubElement(layer, "Option", type="Map")
    rgb = ",".join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))
    for key, value in (("line_color", f"{rgb},255"), ("line_width", f"{width:g}")):
        ET.SubElement(options, "Option", type="QString", name=key, value=value)
    return _Layer(name, element)


def _map_layer(
    kind: str, number: str, source: str, provider: str, name: str, box: tuple[float, ...]
) -> ET.Element:
    element = ET.Element("maplayer", type=kind)
    element.append(_extent(box))
    # QGIS does not find layers again by an id of ten characters or fewer.
    for tag, text in (("id", f"narcf_geo_{number}"), ("datasource", source), ("layername", name)):
        ET.SubElement(element, tag).text = text
    ET.SubElement(element, "srs").append(_wgs84())
    ET.SubElement(element, "provider", encoding="UTF-8").text = provider
    return element


def _extent(box: tuple[float, ...]) -> ET.Element:
    extent = ET.Element("extent")
    for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
        ET.SubElement(extent, tag).text = f"{value:.10g}"
    return extent


@cache
def _wgs84_text() -> str:
    from pyproj import CRS

    return str(CRS.from_epsg(4326).to_wkt())


def _wgs84() -> ET.Element:
    system = ET.Element("spatialrefsys")
    for tag, text in (
        ("wkt", _wgs84_text()),
        ("proj4", "+proj=longlat +datum=WGS84 +no_defs"),
        ("srid", "4326"),
        ("authid", "EPSG:4326"),
        ("description", "WGS 84"),
        ("projectionacronym", "longlat"),
        ("ellipsoidacronym", "EPSG:7030"),
        ("geographicflag", "true"),
    ):
        ET.SubElement(system, tag).text = text
    return system


def _last(month: pd.Timestamp) -> pd.Timestamp:
    return month + pd.offsets.MonthBegin(1) - _SECOND


def _instant(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"
