"""narcf-geo: from gridded sources to a regional CO2-flux product."""

from __future__ import annotations

__version__ = "0.1.0"
