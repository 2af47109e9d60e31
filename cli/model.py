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
