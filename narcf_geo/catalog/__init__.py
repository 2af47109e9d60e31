"""The catalog of gridded sources: an intake-style YAML file, opened lazily."""

from narcf_geo.catalog.catalog import PACKAGED, Catalog
from narcf_geo.catalog.entry import Entry

__all__ = ["PACKAGED", "Catalog", "Entry"]
