"""Plain values in, one HTML page out."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike
from pathlib import Path
from typing import Any

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.provenance import VERSION
from narcf_geo.figures.style import in_256_colors, percent, signed, synthetic_text
from narcf_geo.report.compare import side_by_side
from narcf_geo.report.context import ReportContext, ReportFigure
from narcf_geo.report.rows import budget_rows, skill_rows

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 5_900_000
"""Of the page, where images not too small to be read allow it."""
_WIDTHS = (1.0, 0.85, 0.72, 0.61, 0.52)
"""Shares of their width to which the images are scaled until the page is small enough."""


def write_report(path: str | PathLike[str], context: ReportContext) -> Path:
    """Write the page, images, style and script inside it, whole or not at all.

    Parameters
    ----------
    path : path
        The ``.html`` file. Where its images would make it larger than 5.9 MB, they are scaled down;
        those in the project's folders keep their size.
    context : ReportContext
        What the page says.

    Raises
    ------
    NarcfError
        When a figure is missing or no PNG, a metric section is missing, or the budget has no total
        of the region.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    path = Path(path)
    folder = files("narcf_geo.report")
    environment = Environment(
        loader=FileSystemLoader(str(folder)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "signed": signed,
        "plain": _plain,
        "count": _count,
        "number": _number,
        "p_value": _p_value,
        "percent": percent,
    }
    script = _scripts(folder, context.map is not None)
    map_data = _json(context.map)
    page = environment.get_template("page.html.j2").render(
        context=context,
        version=VERSION,
        css=(folder / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=_csp_hash(script),
        map_data=map_data,
        figures=_figures(context.figures, _MOST_BYTES - len(map_data) - _outlines(context.map)),
        skill=skill_rows(context),
        synthetic=synthetic_text(context.synthetic),
        sides=context.other and side_by_side(context.metrics, context.biomes, context.other),
        **budget_rows(context),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _scripts(folder: Traversable, with_map: bool) -> str:
    names = ["page.js", "map.js"] if with_map else ["page.js"]
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _csp_hash(script: str) -> str:
    """Return what allows this script, and no other, under a Content-Security-Policy."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _json(value: Mapping[str, Any] | None) -> str:
    """Return `value` as JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _outlines(data: Mapping[str, Any] | None) -> int:
    """Return how many characters the outlines take that stand beside the data of the map."""
    return sum(len(path) for path in data["outlines"].values()) if data else 0


def _figures(figures: Sequence[ReportFigure], most: int) -> list[dict[str, Any]]:
    """Return the figures as the page takes them, no wider than `most` bytes of all allow."""
    contents = [_content(figure) for figure in figures]
    for share in _WIDTHS:
        shown = [_figure(f, content, share) for f, content in zip(figures, contents, strict=True)]
        if sum(len(figure["source"]) for figure in shown) <= most:
            break
    return shown


def _content(figure: ReportFigure) -> bytes:
    try:
        content = Path(figure.path).read_bytes()
    except FileNotFoundError:
        raise NarcfError(
            f"expected the figure {figure.title!r} at {figure.path}, found no file; "
            "draw the figures before the report"
        ) from None
    if not content.startswith(_PNG):
        raise NarcfError(f"expected a PNG at {figure.path}, found another format")
    return content


def _figure(figure: ReportFigure, content: bytes, share: float) -> dict[str, Any]:
    content, width, height = _small(content, share)
    return {
        "title": figure.title,
        "alt": figure.alt,
        "width": width,
        "height": height,
        "source": "data:image/png;base64," + base64.b64encode(content).decode("ascii"),
    }


def _small(content: bytes, share: float) -> tuple[bytes, int, int]:
    """Return a PNG as one with a palette, a third of the size, and its width and height."""
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    if share < 1:
        size = (max(1, round(share * image.width)), max(1, round(share * image.height)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    small = io.BytesIO()
    in_256_colors(image).save(small, "PNG", optimize=True)
    return small.getvalue(), image.width, image.height


def _plain(value: float, digits: int = 3) -> str:
    """Format a magnitude, without its sign, to `digits` significant digits."""
    return signed(abs(value), digits).lstrip("+")


def _number(value: float | None, digits: int = 3) -> str:
    """Format a number with its sign; what is not known is n/a."""
    return "n/a" if value is None else signed(value, digits)


def _p_value(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _count(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:,.0f}".replace(",", " ")
