"""Names of the package, of this process, and of other distributions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.registry import Registry

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution of one module on the path, as an installer does."""

    def make(name: str, entry_points: str, code: str = "", metadata: bool = True) -> Path:
        site = tmp_path / name
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[narcf_geo.shapes]\n{entry_points}\n")
        (site / f"{name}_module.py").write_text(code)
        monkeypatch.syspath_prepend(site)
        return site

    return make


def shapes() -> Registry[int]:
    return Registry(
        "narcf_geo.shapes",
        "shape",
        {"square": 4, "deep": "math:inf"},
        valid=lambda value: isinstance(value, int),
        expected="a number of corners",
    )


def test_an_entry_point_is_loaded_when_its_name_is_asked_for(install: Install) -> None:
    install("hexes", "hexagon = hexes_module:CORNERS", "CORNERS = 6")
    known = shapes()
    assert "hexagon" in known
    assert list(known) == ["square", "deep", "hexagon"]
    assert known.built_in == ("square", "deep")
    assert "hexes_module" not in sys.modules
    assert known["square"] == 4
    assert "hexes_module" not in sys.modules
    assert known["hexagon"] == 6
    assert known.origin("hexagon") == "hexes 1.2"
    assert known.origin("square") is None


def test_a_built_in_name_stays_what_it_is(install: Install) -> None:
    install("thieves", "square = thieves_module:CORNERS", "CORNERS = 5")
    known = shapes()
    assert known["square"] == 4
    assert known.origin("square") is None
    assert list(known).count("square") == 1
    with pytest.raises(UsageError, match="'square' is built in"):
        known.register("square", 5)


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("OTHER = 1", "AttributeError"),
        ("CORNERS = 'six'", "expected a number of corners, found str"),
    ],
)
def test_a_broken_entry_point_names_its_distribution(
    install: Install, code: str, words: str, metadata: bool
) -> None:
    name = f"broken{abs(hash((code, metadata)))}"
    site = install(name, f"hexagon = {name}_module:CORNERS", code, metadata)
    with pytest.raises(NarcfError, match=words) as caught:
        shapes()["hexagon"]
    assert (f"{name} 1.2" if metadata else str(site)) in str(caught.value)
    # The others are not held up.
    assert shapes()["square"] == 4


def test_two_distributions_with_one_name(install: Install) -> None:
    for name in ("firsts", "seconds"):
        install(name, f"hexagon = {name}_module:CORNERS", "CORNERS = 6")
    with pytest.raises(NarcfError, match=r"2 distributions \((firsts 1.2, seconds|seconds 1.2, f)"):
        shapes()["hexagon"]


@pytest.mark.parametrize("name", ["os:system", "math:tau", "squared", ""])
def test_only_registered_names_are_known(name: str) -> None:
    known = shapes()
    assert name not in known
    with pytest.raises(UsageError, match="choose from square, deep"):
        known[name]


def test_registered_in_this_process() -> None:
    known = shapes()
    known.register("triangle", 3)
    assert known["triangle"] == 3
    assert list(known) == ["square", "deep", "triangle"]
    known.register("triangle", 33)  # a cell of a notebook that is run again
    assert known["triangle"] == 33
    with pytest.raises(UsageError, match="expected a number of corners, found str"):
        known.register("circle", "none")  # type: ignore[arg-type]
    assert "triangle" not in shapes()


def test_nothing_is_looked_for_on_import() -> None:
    code = (
        "import importlib.metadata as m\n"
        "found = m.entry_points\n"
        "def not_ours(**k):\n"
        "    assert not str(k.get('group')).startswith('narcf_geo'), k\n"
        "    return found(**k)\n"
        "m.entry_points = not_ours\n"
        "import narcf_geo.catalog.readers.derived, narcf_geo.project.settings\n"
        "import narcf_geo.experiment, narcf_geo.cli.app\n"
        "print(narcf_geo.project.settings.ModelSettings(preset='narcf').recipe().epochs)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "100\n", done.stderr
    code += "narcf_geo.project.settings.ModelSettings(preset='elsewhere')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "{'group': 'narcf_geo.presets'}" in done.stderr
