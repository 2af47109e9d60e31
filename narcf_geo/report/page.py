"""Plain values in, one HTML page out."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.provenance import VERSION
from narcf_geo.figures.style import in_256_colors, percent, signed, synthetic_text
from narcf_geo.report.compare import OtherRun, side_by_side
from narcf_geo.report.rows import budget_rows, skill_rows

if TYPE_CHECKING:
    import pandas as pd

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class ReportFigure:
    """A PNG of the report: its heading, what a reader who cannot see it is told, its file."""

    title: str
    alt: str
    path: Path


@dataclass(frozen=True)
class ReportContext:
    """All that the page says; nothing in it is computed from data again.

    Attributes
    ----------
    title : str
        Of the page.
    months : sequence of str
        Months of the product, ``"2007-01"`` and so on: they decide which years are complete.
    metrics : mapping
        As in ``metrics.json``: ``train``, ``validation``, ``test`` with ``r``, ``rmse``, ``bias``
        (umol m-2 s-1), ``bias_TgC_per_year``, ``n``, ``period``; optionally ``by_month``,
        ``by_biome``, ``reference``, ``truth`` and ``cross_validation`` with the same keys.
    biomes : pandas.DataFrame
        As in ``biome_budget.csv``: ``biome``, ``name``, ``year``, ``area_km2``,
        ``mean_flux_umol_m2_s``, ``flux_TgC``, ``reference_TgC``, optionally ``flux_TgC_lower`` and
        ``flux_TgC_upper``; biome ``all`` is the region.
    figures : sequence of ReportFigure
        In the order of the page.
    provenance : sequence of (str, str)
        What is said of data and method, a name and a text each.
    summary : mapping of str to str
        Further facts for the head of the page, such as region and grid.
    synthetic : str
        What kind of synthetic data this is, such as ``twin experiment``; empty for real data.
    target, reference : str
        Names of what the model learned from and of the product it is compared with.
    warnings, citation : sequence of str
        A paragraph each.
    map : mapping, optional
        The interactive map, as `interactive_map` returns it.
    files : mapping of str to str
        Name of each file beside the page to what it holds.
    shared : pandas.DataFrame, optional
        As `biomes`, but each cell shared among its classes by fraction.
    regions : pandas.DataFrame, optional
        As `biomes`, of polygons: ``region`` in the place of ``biome``.
    applicable : float, optional
        Share of area and months, 0 to 1, where conditions are like those of the training.
    other : OtherRun, optional
        A run to put beside this one.
    """

    title: str
    months: Sequence[str]
    metrics: Mapping[str, Any]
    biomes: pd.DataFrame
    figures: Sequence[ReportFigure] = ()
    provenance: Sequence[tuple[str, str]] = ()
    summary: Mapping[str, str] = field(default_factory=dict)
    synthetic: str = ""
    target: str = "the inversion"
    reference: str = "the reference"
    warnings: Sequence[str] = ()
    citation: Sequence[str] = ()
    map: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    shared: pd.DataFrame | None = None
    regions: pd.DataFrame | None = None
    applicable: float | None = None
    other: OtherRun | None = None


def write_report(path: str | Path, context: ReportContext) -> Path:
    """Write the page, images, style and script inside it, whole or not at all.

    Parameters
    ----------
    path : path
        The ``.html`` file.
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
        "percent": percent,
    }
    page = environment.get_template("page.html.j2").render(
        context=context,
        version=VERSION,
        css=(folder / "page.css").read_text(encoding="utf-8"),
        script=_scripts(folder, context.map is not None),
        map_data=_json(context.map),
        figures=[_figure(figure) for figure in context.figures],
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


def _json(value: Mapping[str, Any] | None) -> str:
    """Return `value` as JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _figure(figure: ReportFigure) -> dict[str, Any]:
    try:
        content = Path(figure.path).read_bytes()
    except FileNotFoundError:
        raise NarcfError(
            f"expected the figure {figure.title!r} at {figure.path}, found no file; "
            "draw the figures before the report"
        ) from None
    if not content.startswith(_PNG):
        raise NarcfError(f"expected a PNG at {figure.path}, found another format")
    content, width, height = _small(content)
    return {
        "title": figure.title,
        "alt": figure.alt,
        "width": width,
        "height": height,
        "source": "data:image/png;base64," + base64.b64encode(content).decode("ascii"),
    }


def _small(content: bytes) -> tuple[bytes, int, int]:
    """Return a PNG as one with a palette, a third of the size, and its width and height."""
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    small = io.BytesIO()
    in_256_colors(image).save(small, "PNG", optimize=True)
    return small.getvalue(), image.width, image.height


def _plain(value: float, digits: int = 3) -> str:
    """Format a magnitude, without its sign, to `digits` significant digits."""
    return signed(abs(value), digits).lstrip("+")


def _count(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:,.0f}".replace(",", " ")
