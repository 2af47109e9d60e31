from __future__ import annotations

import pytest
import xarray as xr
from tiny_cube import tiny_cube


@pytest.fixture(scope="session")
def cube() -> xr.Dataset:
    """A lake, the sea, and gaps in one predictor."""
    return tiny_cube()
