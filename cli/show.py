"""What the commands show: progress while they work, and a table of what they made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from narcf_geo.core.plain import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from narcf_geo.core.progress import Progress
    from narcf_geo.prediction import Summary as Prediction
    from narcf_geo.project.project import Project
    from narcf_geo.regridding.summary import Summary
    from narcf_geo.workflow import Result
    from narcf_geo.workflow.verify import Finding

MOST_TABLES = 4
"""Variables whose tables are shown."""

SHOWN_ROWS = 8
"""Rows of a long table that are shown."""


class _Plain(Console):
    """A console to which names from data are text alone, whatever is in them."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


console = _Plain(highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar for what is being done; nothing where the output is no terminal."""
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        BarColumn(20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.description}", markup=False),
    )
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None)

        def show(done: int, total: int, text: str) -> None:
            bars.update(task, completed=done, total=total, description=text)

        yield show


def initialise(directory: Path, sample: bool, **twin: Any) -> None:
    """Write a project, with `twin` as seed and difficulty of its sample; say what was written."""
    from narcf_geo.project.init import init_project

    with progress_bar() as progress:
        progress(0, 1, "writing the sample inputs" if sample else "writing the project")
        written = init_project(directory, sample=sample, **twin)
    console.print(f"Project written to {directory}: {', '.join(written)}")


def run_stages(project: Project, *stages: str, **options: Any) -> None:
    """Run stages, a line for each as it ends; then say where to look."""
    from narcf_geo.workflow import iter_run, locked

    results = []
    with progress_bar() as progress, locked(project):
        for result in iter_run(project, *stages, **options, progress=progress):
            progress(0, 1, "")
            results.append(result)
            took = "up to date" if result.seconds is None else f"{result.seconds:8.1f} s"
            console.print(f"  {result.stage:<10}{took:>12}   {_places(project, result)}")
            if result.why:
                console.print(f"  {'':<10}{'':>12}   ({result.why})", markup=False)
            for found in result.findings:
                verdict = "Allowed" if found.allowed else "Warning"
                console.print(f"  {verdict}: {found.text}", markup=False)
    if report := next((r for r in results if r.stage == "report"), None):
        for line in _summary(project):
            console.print(line)
        console.print(f"Report: {report.outputs[0]}")


def forecast_table(project: Project, *, force: bool) -> None:
    """Show what a run would do, and about what it would cost; refuse what cannot fit."""
    from narcf_geo.workflow.forecast import forecast, require_room

    steps = forecast(project, force=force)
    table = Table("step", "", "why", box=SIMPLE_HEAD)
    for name in ("rows", "memory", "disk", "time"):
        table.add_column(name, justify="right")
    for step in steps:
        numbers = []
        if cost := step.cost:
            sizes = (decimal(round(size)) for size in (cost.memory, cost.disk))
            numbers = [f"{cost.rows:,}", *sizes, _duration(cost.seconds)]
        table.add_row(step.step, step.does, step.why, *numbers)
    console.print(table)
    seconds = sum(step.cost.seconds for step in steps if step.cost)
    if seconds:
        console.print(f"About {_duration(seconds)} in all; nothing was run.")
    else:
        console.print("All is up to date.")
    require_room(project)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _places(project: Project, result: Result) -> str:
    """Return the files of a stage, a folder with many of them by its name and number."""
    folders: dict[Path, list[Path]] = {}
    for path in result.outputs:
        folders.setdefault(path.parent, []).append(path)
    texts = []
    for folder, paths in folders.items():
        names = [str(p.relative_to(project.directory)) for p in paths]
        if len(names) > 3:
            texts.append(f"{folder.relative_to(project.directory)}/ ({len(names)} files)")
        else:
            texts += names
    return ", ".join(texts)


def _summary(project: Project) -> list[str]:
    """Return the scores of the test part and the region's budget in a line each."""
    import json

    metrics = json.loads(project.path("evaluation", "metrics.json").read_text(encoding="utf-8"))
    test = metrics["test"]
    r = "undefined" if test["r"] is None else f"{test['r']:.3f}"
    lines = [
        f"Test {' to '.join(test['period'])}: r {r}, RMSE {test['rmse']:.3f} and bias "
        f"{test['bias']:+.4f} umol m-2 s-1 ({test['bias_TgC_per_year']:+.1f} TgC per year), "
        f"n {test['n']:,}"
    ]
    region = metrics["region"]
    first, last = region["period"]
    # A rate per year of a part of a year would be read as a budget.
    complete = [year for year, months in region.get("by_year_months", {}).items() if months == 12]
    if complete:
        years = complete[0] if len(complete) == 1 else f"mean of {len(complete)} complete years"
        total, unit = region["flux_TgC_per_year"], f"TgC per year ({years})"
    else:
        total, unit = (
            region["flux_TgC"],
            f"TgC in {first if first == last else f'{first} to {last}'}",
        )
    word = "sink" if total < 0 else "source"
    return [*lines, f"Region: {total:+.0f} {unit} to the atmosphere ({word})"]


def findings_table(findings: Sequence[Finding]) -> bool:
    """Show how each step's files are found, those that differ by name; return whether all are."""
    steps: dict[str, list[Finding]] = {}
    for finding in findings:
        steps.setdefault(finding.step, []).append(finding)
    table = Table("step", "files and folders", "size", "found", box=SIMPLE_HEAD)
    for step, found in steps.items():
        odd = [f for f in found if f.found != "ok"]
        size = decimal(sum(f.bytes for f in found))
        table.add_row(step, f"{len(found):,}", size, f"{len(odd)} differ" if odd else "ok")
    console.print(table)
    different = [f for f in findings if f.found != "ok"]
    for finding in different:
        console.print(f"{finding.path}: {finding.found} ({finding.step})", markup=False)
    if different:
        console.print("What is not as it was is made again by `narcf-geo run`", markup=False)
    return not different


def removal_list(project: Project, paths: Sequence[Path]) -> bool:
    """Show what would be removed; return whether there is anything."""
    from narcf_geo.core.hashes import size

    for path in paths:
        name = f"{path.relative_to(project.directory)}{'/' if path.is_dir() else ''}"
        console.print(f"{name}  {decimal(size(path))}", markup=False)
    if not paths:
        console.print("There is nothing to remove")
    return bool(paths)


def regrid_table(rows: Sequence[Summary]) -> None:
    """Show what became of every variable, file by file, and where the files are."""
    files: dict[Path, list[Summary]] = {}
    for row in rows:
        files.setdefault(row.path, []).append(row)
    for path, found in files.items():
        _regridded(found)
        for fate, why in (("copied", False), ("replaced", False), ("dropped", True)):
            named = [(r.variable, r.how) for r in found if r.fate == fate]
            if named and not why:
                names = ", ".join(name for name, _ in named)
                console.print(f"{fate.capitalize():<10}{names}: {named[0][1]}", markup=False)
            for name, reason in named if why else ():
                console.print(f"{fate.capitalize():<10}{name}: {reason}", markup=False)
        console.print(f"Written in {found[0].seconds:.1f} s: {path}", markup=False)


def _regridded(rows: Sequence[Summary]) -> None:
    """Show the grids, then how each variable was made, its coverage and its integrals."""
    fields = [row for row in rows if row.fate == "regridded"]
    for source in dict.fromkeys(row.source_grid for row in fields):
        names = ", ".join(row.variable for row in fields if row.source_grid == source)
        alone = len({row.source_grid for row in fields}) == 1
        console.print(f"From      {source}{'' if alone else f': {names}'}", markup=False)
    console.print(f"To        {fields[0].target_grid}", markup=False)
    table = Table("variable", "method", "covered", "integral before", "after", "unit")
    for row in fields:
        covered = "" if row.coverage is None else f"{row.coverage:.1%}"
        numbers = (row.integral_before, row.integral_after)
        shown = ("" if n is None else f"{n:.6g}" for n in numbers)
        table.add_row(row.variable, row.how, covered, *shown, row.units)
    console.print(table)


def prediction_table(done: Prediction) -> None:
    """Show what was predicted, how fast, and where it is."""
    months, lat, lon = done.shape
    table = Table.grid(padding=(0, 2))
    table.add_row("cells", f"{lat:,} x {lon:,}, {done.land:,} of them land")
    table.add_row("months", f"{months:,}, {done.months[0]} to {done.months[1]}")
    kept = done.chunks - done.computed
    table.add_row(
        "chunks", f"{done.computed:,} predicted, {kept:,} of {done.chunks:,} were finished before"
    )
    rate = f", {done.rows / done.seconds:,.0f} rows/s" if done.rows else ""
    table.add_row("rows", f"{done.rows:,} in {done.seconds:.1f} s{rate}")
    console.print(table)
    console.print(f"Written: {done.path}", markup=False)


def evaluation_table(metrics: dict[str, Any], output: Path | None) -> None:
    """Show the scores of one file against another: what was compared, a line a part, the notes."""
    from rich import box

    from narcf_geo.evaluation.files import COLUMNS, table_rows

    for name in ("estimate", "observed"):
        about = metrics[name]
        text = f"{about['file']}: {about['variable']}, {about['period']}"
        console.print(f"{name.capitalize():<10}{text}", markup=False)
    console.print(f"On        {metrics['grid']}", markup=False)
    table = Table(COLUMNS[0], box=box.SIMPLE_HEAD)
    for heading in COLUMNS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for group in table_rows(metrics):
        for row in group:
            table.add_row(*row)
        table.add_section()
    console.print(table)
    console.print(f"RMSE and bias in {metrics['units']}, or in TgC per month where stated")
    for note in metrics["notes"]:
        console.print(f"Note: {note}", markup=False)
    if output is not None:
        console.print(f"Written: {output}")


def towers_table(found: dict[str, Any], output: Path | None) -> None:
    """Show the scores of towers: what was compared, a line a part, the notes."""
    from rich import box

    from narcf_geo.outputs.scores import score_table

    one, other = found["estimate"], found["towers"]
    console.print(f"Estimate  {one['file']}: {one['variable']}, {one['period']}", markup=False)
    text = f"{other['file']}: {other['variable']} ({other['units']}, positive {other['positive']})"
    console.print(f"Towers    {text}, {other['period']}", markup=False)
    console.print(f"On        {found['grid']}", markup=False)
    table = Table("part", box=box.SIMPLE_HEAD)
    for heading in ("class", "months", "r", "RMSE", "bias"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part, rows in score_table(found).groupby("part", sort=False):
        for row in rows.itertuples():
            label = str(row.name or part).replace("_", " ")
            values = (("n", ",.0f"), ("r", ".3f"), ("rmse", ".3f"), ("bias", "+.3f"))
            known = [(getattr(row, name), how) for name, how in values]
            table.add_row(
                f"month {label}" if part == "by_month" else label,
                str(row.igbp),
                *("" if value is None or value != value else f"{value:{h}}" for value, h in known),
            )
        table.add_section()
    console.print(table)
    console.print(f"RMSE and bias in {found['units']}; each month of a tower counts the same")
    for note in found["notes"]:
        console.print(f"Note: {note}", markup=False)
    if output is not None:
        console.print(f"Written: {output}")


def zonal_table(table: pd.DataFrame, output: Path) -> None:
    """Show the first rows of a zonal table, the total of each flux, the notes, and the file."""
    for name in list(table["variable"].unique())[:MOST_TABLES]:
        _zonal_rows(str(name), table[table["variable"] == name])
    if "flux_TgC" in table:
        known = table[table["flux_TgC"].notna()]
        for (variable, region), part in list(known.groupby(["variable", "region"], sort=False))[:8]:
            total, steps = part["flux_TgC"].sum(), len(part)
            step = ("month" if "month" in part else "step") + ("" if steps == 1 else "s")
            text = f"{total:+,.4g} TgC to the atmosphere in {steps:,} {step}"
            console.print(f"{variable} in {region}: {text}", markup=False)
    for note in table.attrs.get("notes", ()):
        console.print(f"Note: {note}", markup=False)
    console.print(f"Written: {output} ({len(table):,} rows)", markup=False)


def _zonal_rows(name: str, table: pd.DataFrame) -> None:
    """Show the first rows of a variable; its units once, so that numbers fit into 80 columns."""
    table = table.dropna(axis="columns", how="all")
    flux = "flux_TgC" in table
    units = table["units"].iloc[0] if "units" in table else "no unit"
    total = "" if flux or "total_units" not in table else table["total_units"].iloc[0]
    console.print(f"{name}, {units}{f'; total in {total}' if total else ''}", markup=False)
    hidden = {"variable", "units", "total_units", *(("total",) if flux else ())}
    classes = [c for c in table.columns if c.startswith("fraction_")]
    columns = [c for c in table.columns if c not in hidden and c not in classes[4:]]
    shown = Table(box=SIMPLE_HEAD)
    for column in columns:
        right = table[column].dtype.kind == "f"
        heading = column.replace("fraction_", "class ")
        shown.add_column(heading, justify="right" if right else "left", no_wrap=column != "region")
    for _, row in table.head(SHOWN_ROWS).iterrows():
        shown.add_row(*(_short(row[c]) for c in columns))
    console.print(shown)
    more = [f"{len(table) - SHOWN_ROWS:,} more rows"] if len(table) > SHOWN_ROWS else []
    more += [f"{len(classes) - 4} more classes"] if len(classes) > 4 else []
    if more:
        console.print(f"and {', '.join(more)}")


def _short(value: Any) -> str:
    if isinstance(value, float):
        whole = abs(value) >= 1000 and abs(value) < 1e9
        return "" if value != value else f"{value:,.0f}" if whole else f"{value:.4g}"
    if hasattr(value, "strftime"):
        if value.hour or value.minute:
            return str(value)
        return value.strftime("%Y-%m" if value.day == 1 else "%Y-%m-%d")
    return "" if value is None else str(value)
