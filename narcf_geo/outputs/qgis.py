"""QGIS styles (``.qml``), so that a file opens looking as its map does."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from narcf_geo.constants import IGBP
from narcf_geo.figures.style import flux_colors
from narcf_geo.files import atomic_path

_STOPS = 17


def write_flux_style(path: str | Path, limit: float, band: int = 1) -> Path:
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
    stops = np.linspace(-limit, limit, _STOPS)
    root, pipe = _style_root()
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band=str(band),
        opacity="1",
        alphaBand="-1",
        classificationMin=f"{-limit:g}",
        classificationMax=f"{limit:g}",
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
        minimumValue=f"{-limit:g}",
        maximumValue=f"{limit:g}",
        labelPrecision="2",
    )
    for value, color in zip(stops, flux_colors(_STOPS), strict=True):
        ET.SubElement(
            shader,
            "item",
            value=f"{value:.6g}",
            color=color,
            alpha="255",
            label=_label(value, limit),
        )
    return _write(path, root)


def write_biome_style(path: str | Path, classes: Sequence[int]) -> Path:
    """Write the paletted style of a biome raster: a legend entry for each class in `classes`."""
    root, pipe = _style_root()
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
    return _write(path, root)


def _label(value: float, limit: float) -> str:
    text = f"{value:+.2f}" if value else "0"
    if np.isclose(value, -limit):
        return f"{text} µmol m⁻² s⁻¹ (uptake)"
    if np.isclose(value, limit):
        return f"{text} µmol m⁻² s⁻¹ (release)"
    return text


def _style_root() -> tuple[ET.Element, ET.Element]:
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
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
    return root, pipe


def _write(path: str | Path, root: ET.Element) -> Path:
    path = Path(path)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    with atomic_path(path) as temporary:
        temporary.write_text(
            "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + body + "\n",
            encoding="utf-8",
        )
    return path
