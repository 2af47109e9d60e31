"""``narcf-geo catalog``: what the sources are, what is in them, and whether they can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from narcf_geo.catalog import Catalog

app = typer.Typer(help="List, show and check the sources of the catalog.", no_args_is_help=True)

Directory = Annotated[
    Path, typer.Option("--project", "-C", metavar="DIR", help="Project directory (narcf.yaml).")
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Value of a catalog parameter (repeatable)."),
]


def _open(directory: Path, values: list[str] | None) -> Catalog:
    """Open the project's catalog, or the packaged one outside a project."""
    from narcf_geo.cli.app import parameters

    from narcf_geo.catalog import Catalog
    from narcf_geo.project import Project

    if (directory / "narcf.yaml").exists():
        return Project.open(directory, **parameters(values)).catalog()
    return Catalog.open(**parameters(values))


@app.command(name="list")
def list_sources(directory: Directory = Path(), values: Values = None) -> None:
    """List the sources: role, product, whether their files are there, description."""
    from narcf_geo.cli.show import console
    from rich.table import Table

    from narcf_geo.catalog.check import presence

    catalog = _open(directory, values)
    table = Table("source", "role", "product", "files", "description")
    for name, entry in catalog.items():
        metadata = entry.metadata
        table.add_row(
            name, metadata.role, metadata.product, presence(entry), entry.source.description
        )
    console.print(table)
    console.print(f"Catalog: {catalog.path}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    directory: Directory = Path(),
    values: Values = None,
) -> None:
    """Read a source and show its variables, units, grid and period."""
    from narcf_geo.cli.show import console
    from rich.table import Table

    from narcf_geo.catalog.check import describe
    from narcf_geo.errors import UsageError

    catalog = _open(directory, values)
    if name not in catalog:
        raise UsageError(f"{catalog.path}: no source {name!r}; it has: {', '.join(catalog)}")
    description = describe(catalog[name])
    for label, text in description.facts.items():
        console.print(f"[bold]{label:<12}[/bold] {text}")
    table = Table("variable", "unit", "minimum", "mean", "maximum", "missing")
    for row in description.variables:
        table.add_row(*row)
    console.print(table)


@app.command()
def check(directory: Directory = Path(), values: Values = None) -> None:
    """Open every source and report what is wrong and how to mend it; exit 1 where anything is."""
    from narcf_geo.cli.show import console, progress_bar
    from rich.table import Table

    from narcf_geo.catalog.check import problem

    catalog = _open(directory, values)
    table = Table("source", "verdict")
    wrong = 0
    with progress_bar() as progress:
        for number, (name, entry) in enumerate(catalog.items()):
            progress(number, len(catalog), name)
            found = problem(entry)
            wrong += found is not None
            table.add_row(name, found or "[green]good[/green]")
    console.print(table)
    if wrong:
        console.print(f"{wrong} of {len(catalog)} sources cannot be used as they are")
        raise typer.Exit(1)
