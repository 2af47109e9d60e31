from pathlib import Path

import pytest

from narcf_geo.sample import generate


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as a user gets it."""
    directory = tmp_path_factory.mktemp("sample")
    generate(directory)
    return directory
