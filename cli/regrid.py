"""``narcf-geo regrid``: the sources of a project, or files of one's own."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from narcf_geo.cli.options import (
    Allow,
    Coverage,
    Directory,
    Force,
    Memory,
    Resolution,
    Scheduler,
    Values,
    Workers,
    by_name,
    parameters,
)
from narcf_geo.core.methods import METHODS


def regrid(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IN... OUT]",
            help="Files, patterns or URLs to regrid, several along time into one; then the file "
            "(.nc, .zarr, .tif) to write, or a folder to have each file by itself.",
            show_default=False,
        ),
    ] = None,
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
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Of the result: float32, or int16, uint8, ... packed by scale and offset."
        ),
    ] = None,
    compress: Annotated[
        str | None,
        typer.Option(
            metavar="CODEC[:LEVEL]", help="deflate, zstd, lzw (.tif), lz4 (.zarr) or none."
        ),
    ] = None,
    chunks: Annotated[
        str | None,
        typer.Option(metavar="DIM=N,...", help="Stored chunks, such as time=12,lat=180,lon=360."),
    ] = None,
    valid_fraction: Annotated[
        Literal["band", "file", "none"] | None,
        typer.Option(
            help="The covered fraction of each cell: in the same file (default of .nc and .zarr), "
            "in one of its own, or nowhere (default of .tif)."
        ),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Read buckets without credentials.")
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Regrid the project's sources -> regridded/<source>.zarr, or files: IN... OUT --grid 1.

    The target grid: --grid DEGREES; --crs CRS --resolution SIZE; or --like FILE. The first two fill
    --bounds, by default the extent of the file."""
    from narcf_geo.cli.show import progress_bar, regrid_table, run_stages

    if not files:
        from narcf_geo.project.project import Project

        project = Project.open(directory, **parameters(values))
        run_stages(project, "regrid", force=force, allow=allow or ())
        return
    *sources, output = files
    if not sources:
        raise typer.BadParameter("name the file to write after the file to regrid")
    if (crs is None) != (cell_size is None):
        raise typer.BadParameter(
            "give --crs and --resolution together; --grid is the cell size in degrees"
        )
    if crs is not None and resolution is not None:
        raise typer.BadParameter("give --grid (degrees), or --crs and --resolution, not both")
    from narcf_geo.core.pool import open_pool
    from narcf_geo.regridding.files import regrid_file
    from narcf_geo.regridding.masks import read_mask

    with progress_bar() as progress, kept_in_words(output):
        progress(0, 1, "starting")
        with open_pool(workers, scheduler) as pool:
            rows = regrid_file(
                sources,
                output,
                grid=cell_size if resolution is None else resolution,
                bounds=bounds,
                crs=crs,
                like=like,
                edges=edges,
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
                dtype=dtype,
                compress=compress,
                chunks=sizes(chunks),
                valid_fraction=valid_fraction,
                anonymous=anonymous,
                pool=pool,
                memory=memory,
                command=typed(),
                progress=progress,
            )
    regrid_table(rows)


def sizes(text: str | None) -> dict[str, int] | None:
    """Return ``DIM=N,...`` as a dict."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    for name, _, size in pairs:
        if not name.strip() or not size.strip().isdigit():
            raise typer.BadParameter(
                f"expected DIM=N,... such as time=12,lat=180, found {text!r}", param_hint="--chunks"
            )
    return {name.strip(): int(size) for name, _, size in pairs}


def typed() -> str:
    """Return what the user typed, addresses without their secrets."""
    from narcf_geo.core.addresses import shown

    return shlex.join(["narcf-geo", *(shown(argument) for argument in sys.argv[1:])])


@contextmanager
def kept_in_words(output: str) -> Iterator[None]:
    """Say what an interrupted run leaves behind."""
    try:
        yield
    except KeyboardInterrupt:
        folder = Path(output).with_name(f".{Path(output).name}")
        kept = f"what was finished stays in {folder}: run the same command again to go on"
        left = kept if folder.exists() else "nothing was written"
        typer.echo(f"Interrupted; {left}", err=True)
        raise typer.Exit(130) from None
