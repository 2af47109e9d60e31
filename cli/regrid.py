"""``narcf-geo regrid``: the sources of a project, or files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narcf_geo.cli.options import (
    Coverage,
    Directory,
    Force,
    Resolution,
    Values,
    by_name,
    parameters,
)
from narcf_geo.core.methods import METHODS


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
        list[str] | None,
        typer.Option(
            metavar="[NAME=]METHOD",
            help=f"By default as the variable is; for all, or by name: {', '.join(METHODS)}.",
        ),
    ] = None,
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]mean|total", help="total where the values are sums over a cell."
        ),
    ] = None,
    categorical: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This variable holds class numbers (repeatable)."),
    ] = None,
    fractions: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Its class fractions, not its majority (repeatable)."),
    ] = None,
    percentile: Annotated[
        float | None, typer.Option(min=0, max=100, help="Of --method percentile.")
    ] = None,
    min_coverage: Coverage = 0.5,
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE:VARIABLE", help="Leave out source cells where this is 0."),
    ] = None,
    target_mask: Annotated[
        str | None,
        typer.Option(metavar="FILE:VARIABLE", help="Leave out target cells where this is 0."),
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option(help="Give cells without a value that of the nearest source cell.")
    ] = False,
    max_distance: Annotated[
        float | None,
        typer.Option(metavar="KM", help="To the nearest neighbour; default: its cell's size."),
    ] = None,
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
    from narcf_geo.regridding.masks import read_mask

    regrid_table(
        regrid_file(
            source,
            output,
            grid=cell_size if resolution is None else resolution,
            bounds=bounds,
            crs=crs,
            like=like,
            weights=weights,
            variables=variables,
            method=by_name([*(method or ()), *(f"{n}=fractions" for n in fractions or ())]),
            quantity=by_name(quantity),
            categorical=[*(categorical or ()), *(fractions or ())],
            percentile=percentile,
            min_coverage=min_coverage,
            source_mask=read_mask(mask) if mask else None,
            target_mask=read_mask(target_mask) if target_mask else None,
            extrapolate="nearest" if extrapolate else None,
            max_distance=max_distance,
        ),
        output,
    )
