"""The commands. Whatever is heavy is imported inside them, so that ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narcf_geo.cli import catalog, model
from narcf_geo.cli.experiment import experiment
from narcf_geo.cli.options import (
    Allow,
    Directory,
    FluxVariable,
    Force,
    Memory,
    Scheduler,
    Values,
    Workers,
    parameters,
)
from narcf_geo.cli.regrid import regrid
from narcf_geo.cli.results import clean, export, verify
from narcf_geo.cli.zonal import zonal

if TYPE_CHECKING:
    from narcf_geo.project.project import Project

app = typer.Typer(
    help="From gridded sources to a regional CO2-flux product, its maps and its report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(catalog.app, name="catalog")
app.add_typer(model.app, name="model")


def version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        from narcf_geo.core.provenance import SOFTWARE

        typer.echo(SOFTWARE)
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")] = False,
) -> None:
    """Take the options that hold for all commands; ``main`` acts on --debug."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    sample: Annotated[
        bool, typer.Option("--sample", help="With the synthetic twin experiment as input.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the sample: another one is another world.")
    ] = None,
    difficulty: Annotated[
        str | None, typer.Option(help="Of the sample: easy or hard, see docs/sample.md.")
    ] = None,
) -> None:
    """Write narcf.yaml and data_catalog.yaml (and the sample inputs) into DIR."""
    from narcf_geo.cli.show import initialise
    from narcf_geo.core.errors import UsageError

    twin = {"seed": seed, "difficulty": difficulty}
    twin = {name: value for name, value in twin.items() if value is not None}
    if twin and not sample:
        raise UsageError(
            f"--{' and --'.join(twin)}: expected --sample beside it, found a project of your own "
            "data; add --sample, or leave it out"
        )
    initialise(directory, sample, **twin)


@app.command()
def run(
    directory: Directory = Path(),
    sample: Annotated[
        bool, typer.Option("--sample", help="Write the sample project first where there is none.")
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    force: Force = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would run, why, and about what it would cost."),
    ] = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Run all stages, from the catalog to the report; skip what is up to date."""
    from narcf_geo.cli.show import forecast_table, initialise, run_stages

    if sample and not (directory / "narcf.yaml").exists():
        initialise(directory, sample=True)
    if dry_run:
        forecast_table(_project(directory, values), force=force)
        return
    run_stages(
        _project(directory, values),
        force=force,
        workers=workers,
        scheduler=scheduler,
        memory=memory,
        allow=allow or (),
    )


app.command()(regrid)


@app.command()
def biomes(
    directory: Directory = Path(),
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Majority IGBP class and the 18 class fractions of each cell -> biomes.zarr."""
    _stage("biomes", directory, force, allow, values)


@app.command()
def train(
    directory: Directory = Path(),
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Train the network on the training months -> model/."""
    _stage("train", directory, force, allow, values)


@app.command()
def predict(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[IN]", help="Predictors: a Zarr store, NetCDF, a pattern, a URL or kerchunk."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Store (.zarr) or file (.nc) to write.")
    ] = None,
    directory: Directory = Path(),
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A model folder; default: the project's.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Predict the project -> prediction.zarr, products/, or a cube of any size: IN OUT."""
    from narcf_geo.cli.show import prediction_table, progress_bar, run_stages

    if source is None:
        if model is not None:
            raise typer.BadParameter("name the cube and the file to write, or leave --model out")
        options = {"workers": workers, "scheduler": scheduler, "memory": memory}
        run_stages(
            _project(directory, values), "predict", force=force, allow=allow or (), **options
        )
        return
    if output is None or output.suffix not in (".zarr", ".nc"):
        raise typer.BadParameter("name the .zarr store or .nc file to write after the predictors")
    from narcf_geo.prediction import open_pool, predict_file, predict_netcdf

    write = predict_netcdf if output.suffix == ".nc" else predict_file
    folder = model or directory / "model"
    with progress_bar() as progress:
        progress(0, 1, "starting")
        with open_pool(workers, scheduler) as pool:
            done = write(
                source, output, folder, memory=memory, pool=pool, force=force, progress=progress
            )
    prediction_table(done)
    if output.suffix == ".zarr":
        typer.echo(f"NetCDF, GeoTIFF and a QGIS project: narcf-geo export {output} products")


@app.command()
def evaluate(
    estimate: Annotated[
        Path | None, typer.Argument(metavar="[ESTIMATE]", help="File to score.")
    ] = None,
    observed: Annotated[
        Path | None,
        typer.Argument(metavar="[OBSERVED]", help="File to score it against; .csv: of towers."),
    ] = None,
    directory: Directory = Path(),
    regions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Polygons to score one by one.")
    ] = None,
    region_name: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that names them.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", metavar="JSON", help="File for the scores; of towers also .csv."),
    ] = None,
    estimate_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="Flux in ESTIMATE.")
    ] = None,
    observed_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="Flux in OBSERVED.")
    ] = None,
    units: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Of the flux of towers: g C m-2 day-1.")
    ] = None,
    sign: Annotated[
        str | None, typer.Option(help="Positive flux of towers: to_atmosphere or uptake.")
    ] = None,
    min_quality: Annotated[
        float | None, typer.Option(help="Least quality share of a month of a tower [0.5].")
    ] = None,
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Score the prediction -> evaluation/, or a file against a file or a table of towers."""
    if estimate is None:
        _stage("evaluate", directory, force, allow, values)
        return
    if observed is None:
        raise typer.BadParameter("name the file to score against after the file to score")
    from narcf_geo.cli.show import evaluation_table, towers_table
    from narcf_geo.evaluation.files import evaluate_files
    from narcf_geo.evaluation.towers import evaluate_towers
    from narcf_geo.fields.sites import is_table
    from narcf_geo.outputs.scores import write_scores

    of_towers: dict[str, Any] = {"units": units, "sign": sign, "min_quality": min_quality}
    of_towers = {name: value for name, value in of_towers.items() if value is not None}
    if is_table(observed):
        if regions is not None:
            raise typer.BadParameter("--regions is for files of cells; towers are scored by site")
        towers = evaluate_towers(
            estimate,
            observed,
            estimate_variable=estimate_variable,
            tower_variable=observed_variable,
            **of_towers,
        )
        if output is not None:
            write_scores(towers, output, (estimate, observed))
        towers_table(towers, output)
        return
    if of_towers:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in of_towers)
        raise typer.BadParameter(f"{options}: only for a table of towers (.csv)")
    scores = evaluate_files(
        estimate,
        observed,
        output,
        regions=regions,
        region_name=region_name,
        estimate_variable=estimate_variable,
        observed_variable=observed_variable,
    )
    evaluation_table(scores, output)


@app.command(name="map")
def draw(
    source: Annotated[
        Path | None, typer.Argument(metavar="[IN]", help="NetCDF file or Zarr store to draw.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT]", help="PNG, SVG or PDF; GIF or MP4 of the months."),
    ] = None,
    directory: Directory = Path(),
    kind: Annotated[
        str,
        typer.Option(
            help="mean, months, seasons, trend, variability, comparison, uncertainty, "
            "applicability, biomes or fractions."
        ),
    ] = "mean",
    variable: FluxVariable = None,
    months: Annotated[
        str | None, typer.Option(help="Such as 2014-07, 2014 or 2007:2015; default: all.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The other product of a comparison.")
    ] = None,
    bounds: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(metavar="W S E N", help="Draw only this box, degrees."),
    ] = None,
    polygons: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw only what lies in these polygons.")
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(
            help="auto, lambert, albers, robinson, mollweide, mercator, polar, platecarree or "
            "EPSG:CODE or a PROJ string."
        ),
    ] = None,
    limit: Annotated[
        float | None, typer.Option(help="End of the colour scale, umol m-2 s-1.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the figure.")] = None,
    size: Annotated[
        float | None, typer.Option(metavar="MM", help="Width of the figure; text scales with it.")
    ] = None,
    dpi: Annotated[int, typer.Option(help="Pixels to the inch.")] = 200,
    font: Annotated[str | None, typer.Option(help="Family of all text, such as Arial.")] = None,
    cmap: Annotated[
        str | None, typer.Option(help="Colour map of matplotlib, such as RdBu_r.")
    ] = None,
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Draw the project's maps -> maps/*.png, or one map of a file: IN OUT --kind trend."""
    if source is None:
        _stage("map", directory, force, allow, values)
        return
    if output is None:
        raise typer.BadParameter("name the figure to write after the file to draw")
    from narcf_geo.figures.draw import draw_map
    from narcf_geo.figures.finish import Finish

    draw_map(
        source,
        output,
        kind=kind,
        months=months,
        reference=reference,
        bounds=bounds,
        polygons=polygons,
        variable=variable,
        projection=projection,
        limit=limit,
        title=title,
        finish=Finish(size, dpi, font, cmap),
    )
    typer.echo(f"Written: {output}")


app.command()(export)


@app.command()
def report(
    directory: Directory = Path(),
    compare: Annotated[
        Path | None,
        typer.Option(metavar="OTHER", help="Put this project beside it -> report/compare.html."),
    ] = None,
    force: Force = False,
    allow: Allow = None,
    values: Values = None,
) -> None:
    """Write the per-biome flux report -> report/index.html, CSV (TgC), GeoPackage."""
    other = None if compare is None else _project(compare, None)
    _stage("report", directory, force, allow, values)
    if other is not None:
        from narcf_geo.report.contents import write_comparison

        page = write_comparison(_project(directory, values), other)
        typer.echo(f"Comparison: {page}")


app.command()(experiment)
app.command()(zonal)
app.command()(verify)
app.command()(clean)


def _stage(
    name: str, directory: Path, force: bool, allow: list[str] | None, values: list[str] | None
) -> None:
    from narcf_geo.cli.show import run_stages

    run_stages(_project(directory, values), name, force=force, allow=allow or ())


def _project(directory: Path, values: list[str] | None) -> Project:
    from narcf_geo.project.project import Project

    return Project.open(directory, **parameters(values))
