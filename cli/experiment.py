"""``narcf-geo experiment``: presets, features, splits and protocols in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narcf_geo.cli.options import Directory
from narcf_geo.project.presets import PRESETS

if TYPE_CHECKING:
    import pandas as pd

    from narcf_geo.experiment import Experiment


def experiment(
    directory: Directory = Path(),
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="all (default), or names with commas: "
            f"{', '.join(PRESETS.built_in)}, climatology, ridge, boosting.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="YAML", help="What to run, instead of --preset.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=100, help="Repeats.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most so many, for a quick look.")
    ] = None,
    leaky: Annotated[
        bool | None,
        typer.Option(
            "--leaky/--honest",
            help="Leaky protocols and the control for every preset, or none; default: for narcf.",
        ),
    ] = None,
) -> None:
    """Fit and score presets and baselines side by side -> experiment/table.csv, table.md."""
    from narcf_geo.cli.show import progress_bar
    from narcf_geo.experiment import run_experiment, summarise, write
    from narcf_geo.project.project import Project, open_cube

    project = Project.open(directory)
    plan = _plan(preset, file, seeds, epochs, leaky)
    with progress_bar() as progress:
        outcomes = run_experiment(project, plan, progress)
    table = summarise(outcomes)
    synthetic = open_cube(project).attrs.get("synthetic")
    paths = write(project.path("experiment"), plan, table, synthetic)
    _show(plan, table, synthetic)
    typer.echo(f"Written: {', '.join(map(str, paths))}")


def _plan(
    preset: str | None, file: Path | None, seeds: int | None, epochs: int | None, leaky: bool | None
) -> Experiment:
    from narcf_geo.core.yamlfile import load
    from narcf_geo.experiment import Experiment, plan_of

    if file is None:
        names = [name.strip() for name in (preset or "all").split(",")]
        return plan_of(names, seeds=seeds or 1, epochs=epochs, leaky=leaky)
    if preset is not None or leaky is not None:
        raise typer.BadParameter("--file says what to run; leave --preset and --leaky out")
    changes = {k: v for k, v in (("seeds", seeds), ("epochs", epochs)) if v is not None}
    return load(file, Experiment).model_copy(update=changes)


def _show(plan: Experiment, table: pd.DataFrame, synthetic: str | None) -> None:
    from narcf_geo.cli.show import console
    from narcf_geo.experiment import leak_worth
    from narcf_geo.experiment.summary import NARROW, control_verdicts, label, shown, shown_worth

    columns = [n for n in NARROW if n != "bias_TgC" or "truth_bias_TgC" not in table]
    console.print(_rich(shown(table, columns), label(plan, synthetic)))
    worth = leak_worth(table)
    if len(worth):
        console.print(_rich(shown_worth(worth), "What each leak was worth: leaky less honest"))
    for line in control_verdicts(table):
        console.print(line)


def _rich(text: pd.DataFrame, title: str) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    names = ("preset", "features", "split", "protocol", "verdict")
    rich = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in text.columns:
        left = heading in names
        rich.add_column(
            heading, justify="left" if left else "right", no_wrap=left and heading != "verdict"
        )
    for row in text.itertuples(index=False):
        rich.add_row(*row)
    return rich
