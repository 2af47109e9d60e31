"""The commands on what a run has made: is it whole, and away with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narcf_geo.cli.options import Directory


def verify(
    directory: Directory = Path(),
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Compare the files that were read, too.")
    ] = False,
) -> None:
    """Compare all results with manifest.json: exit code 1 when any is lost or has changed."""
    from narcf_geo.cli.show import findings_table
    from narcf_geo.project.project import Project
    from narcf_geo.workflow.verify import verify

    if not findings_table(verify(Project.open(directory), inputs=inputs)):
        raise typer.Exit(1)


def clean(
    directory: Directory = Path(),
    results: Annotated[
        bool, typer.Option("--all", help="Remove the results, too: model, products, report.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what later stages read and nobody hands out: regridded/, biomes.zarr, cube.zarr."""
    from narcf_geo.cli.show import removal_list
    from narcf_geo.core.errors import UsageError
    from narcf_geo.project.project import Project
    from narcf_geo.workflow.clean import clean, cleanable

    project = Project.open(directory)
    if not removal_list(project, cleanable(project, results=results)):
        return
    try:
        agreed = yes or typer.confirm("Remove them?")
    except typer.Abort:
        raise UsageError(
            "expected yes or no, found the end of the input; nothing was removed: give --yes to "
            "remove without a question"
        ) from None
    if agreed:
        typer.echo(f"Removed: {len(clean(project, results=results))}")
    else:
        typer.echo("Nothing was removed")
