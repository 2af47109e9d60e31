"""The commands on what a run has made: products of it, is it whole, and away with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narcf_geo.cli.options import Directory, FluxVariable


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


def export(
    source: Annotated[Path, typer.Argument(metavar="IN", help="NetCDF file or Zarr store.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    variable: FluxVariable = None,
    monthly: Annotated[
        bool, typer.Option("--monthly", help="A GeoTIFF a month rather than a year.")
    ] = False,
    years: Annotated[
        list[int] | None, typer.Option(help="Year that the QGIS project shows (repeatable).")
    ] = None,
    regions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Polygons that it shows too.")
    ] = None,
    zarr: Annotated[bool, typer.Option("--zarr", help="Write flux.zarr as well.")] = False,
    zarr_format: Annotated[
        int, typer.Option(min=2, max=3, help="Of flux.zarr; 2 for older readers.")
    ] = 3,
    nbp: Annotated[
        bool, typer.Option("--nbp", help="Write it as nbp of CMIP as well, for ILAMB.")
    ] = False,
) -> None:
    """Write a flux file as NetCDF, GeoTIFF, QGIS project (narcf.qgz) and STAC item."""
    from narcf_geo.outputs.products import export_products

    paths = export_products(
        source,
        folder,
        variable=variable,
        regions=regions,
        monthly=monthly,
        years=years,
        zarr=zarr or zarr_format == 2,
        zarr_format=2 if zarr_format == 2 else 3,
        nbp=nbp,
    )
    typer.echo(f"Written: {folder} ({len(paths)} files); open {folder / 'narcf.qgz'} in QGIS")
