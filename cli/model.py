"""``narcf-geo model``: what a trained model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narcf_geo.cli.options import Directory

app = typer.Typer(help="Look at a trained model.", no_args_is_help=True)


@app.command()
def show(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="A model folder (bundle.json).")
    ] = None,
    directory: Directory = Path(),
) -> None:
    """Print the model card: features and their ranges, split, skill, uncertainty, origin."""
    from rich.markdown import Markdown

    from narcf_geo.cli.show import console
    from narcf_geo.core.plain import visible
    from narcf_geo.model.bundle import Bundle
    from narcf_geo.model.card import model_card

    card = model_card(Bundle.load(model or directory / "model"))
    console.print(Markdown(visible(card)) if console.is_terminal else card, markup=False)


@app.command()
def explain(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="NetCDF file (.nc) to write.")],
    directory: Directory = Path(),
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A model folder; default: the project's.")
    ] = None,
    months: Annotated[
        str | None, typer.Option(metavar="MONTHS", help="As 2014-07, 2014 or 2007:2015.")
    ] = None,
) -> None:
    """Split the flux of every cell and month into what each predictor adds -> OUT.

    Integrated gradients: with the flux of mean conditions they add up to the estimate.
    """
    from rich.table import Table

    from narcf_geo.cli.show import console
    from narcf_geo.core.plain import visible
    from narcf_geo.model.bundle import Bundle
    from narcf_geo.prediction.attribution import attribute_file
    from narcf_geo.project.project import open_cube

    bundle = Bundle.load(model or directory / "model")
    found = attribute_file(open_cube(directory), bundle, output, months)
    table = Table("feature", "mean magnitude", "mean", caption="umol m-2 s-1")
    for name, row in found.iterrows():
        size, mean = row["mean_magnitude"], row["mean"]
        table.add_row(visible(str(name)), f"{size:.4f}", f"{mean:+.4f}")
    console.print(table)
    typer.echo(f"{output}: contribution (feature, time, lat, lon)")
