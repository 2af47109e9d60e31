"""Writing a new project directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from narcf_geo.catalog.catalog import PACKAGED
from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import atomic_path

DATA = Path(__file__).parents[1] / "data"


def init_project(
    directory: str | os.PathLike[str],
    *,
    sample: bool = False,
    seed: int = 2007,
    difficulty: str = "easy",
) -> list[str]:
    """Write ``narcf.yaml``, ``data_catalog.yaml`` and the embedded land cover into `directory`.

    Parameters
    ----------
    directory : path
        Made where absent.
    sample : bool
        Also write the inputs of the synthetic twin experiment, and settings that use them.
    seed : int
        Of the twin experiment.
    difficulty : {"easy", "hard"}
        Of the twin experiment.

    Returns
    -------
    list of str
        Names of what was written in `directory`.

    Raises
    ------
    UsageError
        When `directory` holds a project, or is a file, or there is no such difficulty.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> init_project(folder)
    ['narcf.yaml', 'data_catalog.yaml', 'data/']
    >>> init_project(folder)
    Traceback (most recent call last):
    narcf_geo.core.errors.UsageError: .../narcf.yaml: is there already and is not overwritten; ...
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: expected a folder, found a file; name another")
    for name in ("narcf.yaml", "data_catalog.yaml"):
        if (directory / name).exists():
            raise UsageError(
                f"{directory / name}: is there already and is not overwritten; name another "
                "folder, or remove it first"
            )
    label = "twin experiment"
    if sample:
        from narcf_geo.sample import Difficulty, generate

        label = Difficulty.of(difficulty).label
    data = directory / "data"
    # What is written last is what tells a whole project from a broken-off one.
    with atomic_path(data / "landcover") as temporary:
        shutil.copytree(DATA / "landcover", temporary)
    if sample:
        generate(data, seed=seed, difficulty=difficulty)
    templates = {
        "data_catalog.yaml": DATA / "sample" / "data_catalog.yaml" if sample else PACKAGED,
        "narcf.yaml": (DATA / "sample" if sample else DATA) / "narcf.yaml",
    }
    for name, template in templates.items():
        text = template.read_text(encoding="utf-8").replace("twin experiment", label)
        with atomic_path(directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return ["narcf.yaml", "data_catalog.yaml", "data/"]
