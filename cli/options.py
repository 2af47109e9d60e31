"""The options that several commands take, and what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path, typer.Option("--project", "-C", metavar="DIR", help="Project directory (narcf.yaml).")
]
Force = Annotated[bool, typer.Option("--force", help="Run even where all is up to date.")]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Value of a catalog parameter (repeatable)."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Let impossible values of a source, or of SOURCE.VARIABLE, pass (repeatable).",
    ),
]
Resolution = Annotated[
    float | None, typer.Option("--grid", metavar="DEGREES", help="Cell size of the target grid.")
]
Bounds = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(metavar="W S E N", help="Box of the target grid, degrees; default: the globe."),
]
FluxVariable = Annotated[
    str | None,
    typer.Option("--variable", metavar="NAME", help="The flux in IN; default: the only one."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Work in N processes, instead of in threads."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Work on a dask cluster, such as tcp://host:8786."),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="What each process may take, such as 2GB."),
]
Coverage = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of a target cell that valid source must cover."),
]


def by_name(values: list[str] | None) -> str | dict[str, str] | None:
    """Return ``VALUE`` or ``NAME=VALUE`` texts as one value for all, or a dict by name.

    Of both kinds together, that without a name stands under the name ``*``.
    """
    pairs: dict[str, str] = {}
    for name, _, value in (text.rpartition("=") for text in values or []):
        if pairs.setdefault(name, value) != value:
            raise typer.BadParameter(
                f"expected one value {f'for {name}' if name else 'for all variables'}, found "
                f"{pairs[name]!r} and {value!r}"
            )
    return pairs[""] if set(pairs) == {""} else {n or "*": v for n, v in pairs.items()} or None


def parameters(values: list[str] | None) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a dict."""
    pairs = [value.partition("=") for value in values or []]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise typer.BadParameter(f"expected NAME=VALUE, found {name!r}", param_hint="--set")
    return {name: value for name, _, value in pairs}
