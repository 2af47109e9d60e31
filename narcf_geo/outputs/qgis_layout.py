"""What a QGIS project has beside its layers: themes, metadata, and a page to print."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET  # XML is written, none is read # nosec B405
from collections.abc import Mapping, Sequence

_MAP, _LEGEND, _LABEL, _SCALE, _PAGE = "65639", "65642", "65641", "65646", "65638"
_PAGE_MM = (297, 210)
_MAP_MM = (10, 22, 200, 160)


def themes(shown: Mapping[str, Sequence[str]]) -> ET.Element:
    """Return map themes: under each name the ids of the layers that it shows."""
    root = ET.Element("visibility-presets")
    for name, layers in shown.items():
        theme = ET.SubElement(root, "visibility-preset", name=name)
        for layer in layers:
            ET.SubElement(theme, "layer", id=layer, style="default", visible="1", expanded="0")
    return root


def metadata(title: str, words: Mapping[str, str]) -> ET.Element:
    """Return the metadata of a project: its title, and what is said of the products."""
    root = ET.Element("projectMetadata")
    said = {
        "identifier": words.get("doi", ""),
        "title": title,
        "abstract": abstract(words),
        "author": words.get("creator_name", words.get("institution", "")),
    }
    for tag, text in said.items():
        ET.SubElement(root, tag).text = text
    return root


def abstract(words: Mapping[str, str]) -> str:
    """Return what is said of the products in sentences."""
    parts = [words[name] for name in ("summary", "synthetic", "comment") if words.get(name)]
    parts += [f"Licence: {words['license']}"] if words.get("license") else []
    return ". ".join(part.strip().rstrip(".") for part in parts)


def layout(
    title: str, source: str, box: tuple[float, ...], theme: str, legend: Sequence[tuple[str, str]]
) -> ET.Element:
    """Return the element ``Layouts`` with one page: map, legend, scale bar, title and source.

    Parameters
    ----------
    title, source : str
        Above and below the map.
    box : tuple of float
        West, south, east and north of the map, degrees.
    theme : str
        The theme that the map shows.
    legend : sequence of (str, str)
        Ids and names of the layers in the legend.
    """
    root = ET.Element("Layouts")
    page = ET.SubElement(root, "Layout", name="Map", units="mm", printResolution="200")
    pages = ET.SubElement(page, "PageCollection")
    _item(pages, _PAGE, "page", (0, 0, *_PAGE_MM))
    where = _item(page, _MAP, "map", _MAP_MM, followPreset="true", followPresetName=theme)
    where.set("frame", "true")
    west, south, east, north = _of_shape(box, _MAP_MM[2] / _MAP_MM[3])
    ends = {"xmin": west, "ymin": south, "xmax": east, "ymax": north}
    ET.SubElement(where, "Extent", {name: f"{value:.10g}" for name, value in ends.items()})
    _label(page, "title", title, (10, 8, 277, 12), 16)
    _label(page, "source", source, (10, 195, 277, 10), 7)
    of_map = where.get("uuid", "")
    box_mm = (214, 22, 75, 160)
    key = _item(page, _LEGEND, "legend", box_mm, map_uuid=of_map, resizeToContents="1")
    key.set("legendFilterByAtlas", "0")
    tree = ET.SubElement(key, "layer-tree-group")
    for number, name in legend:
        entry = ET.SubElement(tree, "layer-tree-layer", id=number, checked="Qt::Checked")
        said = ET.SubElement(ET.SubElement(entry, "customproperties"), "Option", type="Map")
        ET.SubElement(said, "Option", name="legend/title-label", type="QString", value=name)
    styles = ET.SubElement(key, "styles")
    for name, size in (("title", 12), ("group", 10), ("subgroup", 9), ("symbolLabel", 8)):
        style = ET.SubElement(styles, "style", name=name, marginBottom="1", alignment="1")
        ET.SubElement(style, "styleFont", description=f"Sans,{size},-1,5,50,0,0,0,0,0")
    _item(
        page,
        _SCALE,
        "scale",
        (10, 184, 80, 10),
        mapUuid=of_map,
        style="Single Box",
        unitType="km",
        unitLabel="km",
        numMapUnitsPerScaleBarUnit="1",
        segmentSizeMode="1",
        minBarWidth="30",
        maxBarWidth="70",
        numSegments="2",
        numSegmentsLeft="0",
        height="2",
    )
    return root


def _of_shape(box: tuple[float, ...], shape: float) -> tuple[float, float, float, float]:
    """Return a box widened to a ratio of width to height, which QGIS would stretch otherwise."""
    west, south, east, north = box
    width, height = east - west, north - south
    across, along = max(width, height * shape), max(height, width / shape)
    x, y = (west + east) / 2, (south + north) / 2
    return x - across / 2, y - along / 2, x + across / 2, y + along / 2


def _label(page: ET.Element, name: str, text: str, mm: tuple[float, ...], size: int) -> None:
    # A label evaluates what stands in [% %]: text from data must not be run.
    item = _item(page, _LABEL, name, mm, labelText=text.replace("[%", "[ %"), htmlState="0")
    ET.SubElement(item, "LabelFont", description=f"Sans,{size},-1,5,50,0,0,0,0,0")


def _item(
    parent: ET.Element, kind: str, name: str, mm: tuple[float, ...], **attributes: str
) -> ET.Element:
    number = "{" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"narcf-geo/{name}")) + "}"
    x, y, width, height = mm
    return ET.SubElement(
        parent,
        "LayoutItem",
        {
            "type": kind,
            "uuid": number,
            "templateUuid": number,
            "id": name,
            "position": f"{x},{y},mm",
            "positionOnPage": f"{x},{y},mm",
            "size": f"{width},{height},mm",
            "referencePoint": "0",
            "visibility": "1",
            "opacity": "1",
            "background": "false",
            **attributes,
        },
    )
