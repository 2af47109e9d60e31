"""The public names: few, documented as numpydoc asks, with examples that run as doctests."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import narcf_geo as ng

FUNCTIONS = [n for n in ng.__all__ if inspect.isfunction(getattr(ng, n))]
CLASSES = [n for n in ng.__all__ if inspect.isclass(getattr(ng, n))]
WAYS_IN = (
    "Grid.regular",
    "Grid.from_corners",
    "Grid.from_dataset",
    "Mesh.from_vertices",
    "Mesh.from_polygons",
    "Mesh.from_dataset",
    "Mesh.healpix",
    "Catalog.open",
    "Project.open",
    "Bundle.load",
)


def found(path: str) -> Any:
    """The object at a dotted path of the package."""
    value: Any = ng
    for part in path.split("."):
        value = getattr(value, part)
    return value


def test_each_name_is_a_function_or_a_class() -> None:
    assert sorted([*FUNCTIONS, *CLASSES, "__version__"]) == sorted(ng.__all__)
    assert set(ng.__all__) <= set(dir(ng))
    with pytest.raises(AttributeError, match="no attribute 'regird'"):
        ng.regird  # noqa: B018


@pytest.mark.parametrize("name", [*FUNCTIONS, *WAYS_IN])
def test_every_function_says_what_it_takes_returns_and_refuses(name: str) -> None:
    text = inspect.getdoc(found(name)) or ""
    for section in ("Parameters", "Raises", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text, f"{name}: no section {section}"
    signature = inspect.signature(found(name))
    assert ">>> " in text
    described = text.split("\nParameters\n")[1].split("\nReturns\n")[0].split("\nRaises\n")[0]
    named = {
        part.strip("* ")
        for line in described.splitlines()
        if line and not line.startswith(" ")
        for part in line.split(" : ")[0].split(",")
    }
    assert {p for p in signature.parameters if p not in ("self", "cls")} <= named, name


@pytest.mark.parametrize("name", [n for n in CLASSES if not issubclass(getattr(ng, n), Exception)])
def test_every_class_shows_itself(name: str) -> None:
    assert getattr(ng, name).__repr__ is not object.__repr__
    assert len(inspect.getdoc(getattr(ng, name)) or "") > 40


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("UsageError", ValueError),
        ("UnitError", ValueError),
        ("TimeError", ValueError),
        ("GridMismatchError", ValueError),
        ("UnreadableError", OSError),
        ("MissingFileError", FileNotFoundError),
    ],
)
def test_errors_are_of_the_kinds_that_python_knows(name: str, kind: type[Exception]) -> None:
    assert issubclass(getattr(ng, name), kind)
    assert issubclass(getattr(ng, name), ng.NarcfError)
    assert str(getattr(ng, name)("words")) == "words"
