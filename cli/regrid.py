"""``narcf-geo regrid``: the sources of a project, or files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from narcf_geo.cli.options import Coverage, Directory, Force, Resolution, Values, parameters


def regrid(
    source: Annotated[Path | None, typer.Argument(metavar="[IN]", help="File to regrid.")] = None,
    output: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="File to write.")] = None,
    directory: Directory = Path(),
    resolution: Resolution = None,
    bounds: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(
            metavar="W S E N",
            help="Box of the target grid, degrees or units of --crs; default: the extent of IN.",
        ),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            metavar="CRS",
            help="Reference system of the target grid, such as EPSG:3035; --resolution and "
            "--bounds are then in its units.",
        ),
    ] = None,
    cell_size: Annotated[
        float | None,
        typer.Option("--resolution", metavar="SIZE", help="Cell size in units of --crs."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the target grid from this file, or by CDO's name, such as r360x180.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="conservative, bilinear, nearest_s2d or nearest_d2s.")
    ] = "conservative",
    quantity: Annotated[
        Literal["mean", "total"],
        typer.Option(help="mean, or total where the values are sums over a cell."),
    ] = "mean",
    min_coverage: Coverage = 0.5,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weight file to use, or to write.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option(help="Only this variable (repeatable).")
    ] = None,
    force: Force = False,
    values: Values = None,
) -> None:
    """Regrid the project's sources -> regridded/<source>.nc, or one file: IN OUT --grid 1.

    The target grid: --grid DEGREES; --crs CRS --resolution SIZE; or --like FILE. The first two fill
    --bounds, by default the extent of the file."""
    from narcf_geo.cli.show import regrid_table, run_stages

    if source is None:
        from narcf_geo.project.project import Project

        run_stages(Project.open(directory, **parameters(values)), "regrid", force=force)
        return
    if output is None:
        raise typer.BadParameter("name the file to write after the file to regrid")
    if (crs is None) != (cell_size is None):
        raise typer.BadParameter(
            "give --crs and --resolution together; --grid is the cell size in degrees"
        )
    if crs is not None and resolution is not None:
        raise typer.BadParameter("give --grid (degrees), or --crs and --resolution, not both")
    from narcf_geo.regridding.files import regrid_file

    regrid_table(
        regrid_file(
            source,
            output,
            grid=cell_size if resolution is None else resolution,
            bounds=bounds,
            crs=crs,
            like=like,
            method=method,
            quantity=quantity,
            min_coverage=min_coverage,
            weights=weights,
            variables=variables,
        ),
        output,
    )
