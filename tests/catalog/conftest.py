"""Catalogs of a few lines, and the real files where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from narcf_geo.catalog.catalog import Catalog, Entry


@pytest.fixture
def entry(tmp_path: Path) -> Callable[..., Entry]:
    """Return the entry of a catalog of one source, whose files lie in `tmp_path`."""

    def make(urlpath: Any, driver: str = "netcdf", **metadata: Any) -> Entry:
        args = {"urlpath": urlpath, **metadata.pop("args", {})}
        source = {
            "description": "a test",
            "driver": driver,
            "args": args,
            "metadata": {"role": "predictor", **metadata},
        }
        path = tmp_path / "data_catalog.yaml"
        path.write_text(yaml.safe_dump({"sources": {"it": source}}, sort_keys=False))
        return Catalog.open(path)["it"]

    return make


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real files; tests that take it are skipped where it is absent."""
    beside = Path(__file__).parents[2] / "../shared/data/real"
    folder = Path(os.environ.get("NARCF_REAL_DATA", beside)).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; name their folder in NARCF_REAL_DATA")
    return folder
