"""``narcf-geo zonal``: rasters and polygons to a table of statistics and budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

_STATISTICS = "mean,total,min,max,coverage,fractions"


def zonal(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN... POLYGONS OUT",
            help="Rasters (NetCDF, Zarr, GeoTIFF; a quoted pattern; several), polygons "
            "(GeoPackage, GeoJSON, Shapefile, GeoParquet), the .csv, .gpkg or .parquet to write.",
        ),
    ],
    variables: Annotated[
        list[str] | None,
        typer.Option("--variable", metavar="NAME", help="Only this variable (repeatable)."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that names the polygons.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="LAYER", help="Layer of POLYGONS where it has several.")
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help=f"Some of {_STATISTICS}; default: what suits the variable.",
        ),
    ] = None,
    quantity: Annotated[
        Literal["mean", "total"] | None,
        typer.Option(help="mean, or total where the values are sums over a cell."),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="Unit of the values where the file states none.")
    ] = None,
    sign: Annotated[
        Literal["to_atmosphere", "uptake"] | None,
        typer.Option(help="What positive means in a CO2 flux."),
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            "--monthly",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Average finer steps to months of which this share is covered, such as 0.9.",
        ),
    ] = None,
) -> None:
    """Mean, total, TgC, extremes and class shares of rasters in polygons, by month."""
    if len(files) < 3:
        raise typer.BadParameter("name the rasters, the polygons, and the file to write")
    *sources, polygons, output = files
    from narcf_geo.cli.show import progress_bar, zonal_table
    from narcf_geo.outputs.zonal import zonal_file

    chosen = None if statistics is None else [s.strip() for s in statistics.split(",")]
    with progress_bar() as progress:
        progress(0, 1, "opening")
        table = zonal_file(
            sources,
            polygons,
            output,
            variables=variables,
            name=name,
            layer=layer,
            statistics=chosen,
            quantity=quantity,
            units=units,
            sign=sign,
            average=average,
            progress=progress,
        )
    zonal_table(table, output)
