"""What the page says, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class OtherRun:
    """Another run: what its page is called, its ``metrics.json`` and its ``biome_budget.csv``."""

    title: str
    metrics: Mapping[str, Any]
    biomes: pd.DataFrame


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
        Months of the product, ``"2007-01"`` and so on.
    metrics : mapping
        As in ``metrics.json``: ``train``, ``validation``, ``test`` with ``r``, ``rmse``, ``bias``
        (umol m-2 s-1), ``bias_TgC_per_year``, ``n``, ``period``; optionally ``by_month``,
        ``by_biome``, ``reference``, ``truth`` and ``cross_validation`` with the same keys.
    biomes : pandas.DataFrame
        As in ``biome_budget.csv``: the columns of `narcf_geo.budget.tables.COLUMNS`, optionally
        ``flux_TgC_lower`` and ``flux_TgC_upper``; biome ``all`` is the region. Means are of years
        whose ``months`` are 12.
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
