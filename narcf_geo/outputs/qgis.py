"""QGIS styles (``.qml``), so that a file opens looking as its map does."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # XML is written, none is read # nosec B405
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from narcf_geo.core.constants import IGBP
from narcf_geo.core.files import atomic_path
from narcf_geo.core.plain import visible
from narcf_geo.figures.style import amount_colors, flux_colors, fraction_colors

_STOPS = 17


def write_flux_style(path: str | PathLike[str], limit: float, band: int = 1) -> Path:
    """Write the style of a flux raster: one band, symmetric about zero, uptake in green.

    Without it QGIS shows the first three months as red, green and blue.

    Parameters
    ----------
    path : path
        The ``.qml`` beside the raster, with the raster's stem.
    limit : float
        End of the colour scale, umol m-2 s-1 (> 0); the scale runs from -limit to limit.
    band : int
        Band shown first, from 1.
    """
    return write_xml(path, _style(flux_pipe(limit, band)))


def write_biome_style(path: str | PathLike[str], classes: Sequence[int]) -> Path:
    """Write the paletted style of a biome raster: a legend entry for each class in `classes`."""
    return write_xml(path, _style(biome_pipe(classes)))


def write_fraction_style(path: str | PathLike[str], band: int = 1) -> Path:
    """Write the style of the class fractions: one band from 0 to 1, light to dark green."""
    return write_xml(path, _style(fraction_pipe(band)))


def write_amount_style(path: str | PathLike[str], limit: float, band: int = 1) -> Path:
    """Write the style of an amount from 0 to `limit`, in the unit of the raster: light to dark."""
    return write_xml(path, _style(amount_pipe(limit, band)))


def amount_pipe(limit: float, band: int) -> ET.Element:
    """Return how QGIS draws one band of an amount from 0 up."""
    stops = np.linspace(0, limit, _STOPS)
    return _ramp_pipe(stops, amount_colors(_STOPS), [f"{stop:.3g}" for stop in stops], band)


def flux_pipe(limit: float, band: int) -> ET.Element:
    """Return how QGIS draws one band of a flux raster."""
    stops = np.linspace(-limit, limit, _STOPS)
    labels = [_label(value, limit) for value in stops]
    return _ramp_pipe(stops, flux_colors(_STOPS), labels, band)


def fraction_pipe(band: int) -> ET.Element:
    """Return how QGIS draws the fraction of one class."""
    stops = np.linspace(0, 1, 5)
    return _ramp_pipe(stops, fraction_colors(5), [f"{100 * s:.0f} %" for s in stops], band)


def biome_pipe(classes: Sequence[int]) -> ET.Element:
    """Return how QGIS draws IGBP classes, with the names of those in `classes`."""
    pipe = _pipe()
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for number in classes:
        biome = IGBP[number]
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(number),
            color=biome.color,
            alpha="255",
            label=f"{biome.code} – {biome.name}",
        )
    return pipe


def _ramp_pipe(
    stops: np.ndarray, colors: Sequence[str], labels: Sequence[str], band: int
) -> ET.Element:
    pipe = _pipe()
    low, high = f"{stops[0]:g}", f"{stops[-1]:g}"
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band=str(band),
        opacity="1",
        alphaBand="-1",
        classificationMin=low,
        classificationMax=high,
        nodataColor="",
    )
    origin = ET.SubElement(renderer, "minMaxOrigin")
    ET.SubElement(origin, "limits").text = "None"
    ET.SubElement(origin, "extent").text = "WholeRaster"
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="2",
        clip="0",
        minimumValue=low,
        maximumValue=high,
        labelPrecision="2",
    )
    for value, color, label in zip(stops, colors, labels, strict=True):
        ET.SubElement(shader, "item", value=f"{value:.6g}", color=color, alpha="255", label=label)
    return pipe


def _label(value: float, limit: float) -> str:
    text = f"{value:+.2f}" if value else "0"
    if np.isclose(value, -limit):
        return f"{text} µmol m⁻² s⁻¹ (uptake)"
    if np.isclose(value, limit):
        return f"{text} µmol m⁻² s⁻¹ (release)"
    return text


def _style(pipe: ET.Element) -> ET.Element:
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    root.append(pipe)
    return root


def _pipe() -> ET.Element:
    pipe = ET.Element("pipe")
    provider = ET.SubElement(pipe, "provider")
    # A mean of neighbours would show values that the file does not hold.
    ET.SubElement(
        provider,
        "resampling",
        enabled="false",
        maxOversampling="2",
        zoomedInResamplingMethod="nearestNeighbour",
        zoomedOutResamplingMethod="nearestNeighbour",
    )
    return pipe


def xml_text(root: ET.Element) -> str:
    """Return the document that QGIS reads: its type, then `root`, indented."""
    for element in root.iter():  # XML has no way to write control characters
        element.text = element.text and visible(element.text)
        element.attrib.update({key: visible(value) for key, value in element.items()})
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{body}\n"


def write_xml(path: str | PathLike[str], root: ET.Element) -> Path:
    """Write `root` as a style file."""
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(xml_text(root), encoding="utf-8")
    return path
