"""Maps and charts: each function takes labelled arrays and returns a matplotlib Figure."""

from __future__ import annotations

from narcf_geo.figures.style import save_figure

__all__ = ["save_figure"]
