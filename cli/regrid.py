"""``narcf-geo regrid``: the sources of a project, or files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from narcf_geo.cli.options import Bounds, Coverage, Directory, Force, Resolution, Values, parameters


def regrid(
    source: Annotated[Path | None, typer.Argument(metavar="[IN]", help="File to regrid.")] = None,
    output: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="File to write.")] = None,
    directory: Directory = Path(),
    resolution: Resolution = None,
    bounds: Bounds = None,
    like: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take the target grid from this file.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="conservative, bilinear, nearest_s2d or nearest_d2s.")
    ] = "conservative",
    quantity: Annotated[
        Literal["mean", "total"],
        typer.Option(help="mean, or total where the values are sums over a cell."),
    ] = "mean",
    min_coverage: Coverage = 0.5,
    edges: Annotated[
        Literal["parallels", "great_circles"],
        typer.Option(
            help="Northern and southern edges of longitude-latitude cells; great circles as in "
            "ESMF and xESMF."
        ),
    ] = "parallels",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weight file to use, or to write.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option(help="Only this variable (repeatable).")
    ] = None,
    force: Force = False,
    values: Values = None,
) -> None:
    """Regrid the project's sources -> regridded/<source>.nc, or one file: IN OUT --grid 1."""
    from narcf_geo.cli.show import regrid_table, run_stages

    if source is None:
        from narcf_geo.project.project import Project

        run_stages(Project.open(directory, **parameters(values)), "regrid", force=force)
        return
    if output is None:
        raise typer.BadParameter("name the file to write after the file to regrid")
    from narcf_geo.regridding.files import regrid_file

    regrid_table(
        regrid_file(
            source,
            output,
            grid=resolution,
            bounds=bounds,
            like=like,
            method=method,
            quantity=quantity,
            min_coverage=min_coverage,
            edges=edges,
            weights=weights,
            variables=variables,
        ),
        output,
    )
