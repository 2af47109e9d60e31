"""The report: one self-contained page a reader needs no network, program or manual for."""

from __future__ import annotations

from narcf_geo.report.context import OtherRun, ReportContext, ReportFigure
from narcf_geo.report.mapdata import interactive_map
from narcf_geo.report.page import write_report

__all__ = ["OtherRun", "ReportContext", "ReportFigure", "interactive_map", "write_report"]
