"""``narcf-geo catalog``: what the sources are, what is in them, and whether they can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narcf_geo.cli.options import Directory, Values, parameters

if TYPE_CHECKING:
    from narcf_geo.catalog.catalog import Catalog

app = typer.Typer(
    help="List, show, check and fetch the sources of the catalog; add a file to it.",
    no_args_is_help=True,
)

LIST_OPENS = 40
"""``list`` opens the files of at most so many sources, unless asked to open all."""

File = Annotated[
    Path | None, typer.Option("--catalog", metavar="FILE", help="Catalog, instead of a project's.")
]
Names = Annotated[list[str] | None, typer.Argument(help="Names of sources; default: all.")]


def _open(directory: Path, values: list[str] | None, file: Path | None = None) -> Catalog:
    """Open the catalog asked for, the project's, or the packaged one outside a project."""
    from narcf_geo.catalog.catalog import Catalog
    from narcf_geo.project.project import Project

    if file is not None:
        return Catalog.open(file, **parameters(values))
    if _is_project(directory):
        return Project.open(directory, **parameters(values)).catalog()
    return Catalog.open(**parameters(values))


def _is_project(directory: Path) -> bool:
    return (directory / "narcf.yaml").exists()


def _chosen(catalog: Catalog, names: list[str] | None) -> list[str]:
    """Return the names asked for, in their order, or all."""
    from narcf_geo.core.errors import UsageError
    from narcf_geo.core.plain import did_you_mean

    for name in names or []:
        if name not in catalog:
            near = did_you_mean(name, catalog)
            raise UsageError(
                f"{catalog.path}: no source {name!r}{near}; it has: {', '.join(catalog)}"
            )
    return list(dict.fromkeys(names)) if names else list(catalog)


@app.command(name="list")
def list_sources(
    directory: Directory = Path(),
    file: File = None,
    values: Values = None,
    open_all: Annotated[
        bool, typer.Option("--open", help=f"Open more than {LIST_OPENS} sources for their grids.")
    ] = False,
) -> None:
    """List the sources: role, grid, period, files and their size, description."""
    from rich.table import Table

    from narcf_geo.catalog.entry import presence
    from narcf_geo.cli.show import console
    from narcf_geo.core.errors import NarcfError

    catalog = _open(directory, values, file)
    files = {}
    for name in catalog:
        try:
            files[name] = presence(catalog[name])
        except NarcfError as error:
            files[name] = str(error).rsplit("; ", 1)[-1]
    present = [name for name, text in files.items() if text[0].isdigit()]
    opened = present if open_all or len(present) <= LIST_OPENS else []
    grids = {}
    if opened:
        from narcf_geo.catalog.glance import GLANCES_FILE, glances

        record = directory / GLANCES_FILE if file is None and _is_project(directory) else None
        grids = glances([catalog[name] for name in opened], record)
    rows = [
        (
            name,
            catalog.source(name).metadata.role,
            *(grids.get(name, ("", "")) if grids else ()),
            files[name],
        )
        for name in catalog
    ]
    table = Table()
    seen = ("grid", "period") if grids else ()
    table.add_column("source", no_wrap=True)
    for heading in ("role", *seen, "files", "description"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row, catalog.source(row[0]).description)
    console.print(table, soft_wrap=False)
    console.print(f"Catalog: {catalog.path}")
    if len(present) > len(opened):
        console.print("Grids and periods are left out of long lists; see them with --open")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    directory: Directory = Path(),
    file: File = None,
    values: Values = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the first variable into this file.")
    ] = None,
) -> None:
    """Read a source and show its variables, units before and after, grid and period."""
    from rich.table import Table

    from narcf_geo.catalog.describe import describe
    from narcf_geo.catalog.sketch import sketch
    from narcf_geo.cli.show import console

    catalog = _open(directory, values, file)
    _chosen(catalog, [name])
    description = describe(catalog[name])
    for label, text in description.facts.items():
        console.print(f"{label:<12}", end=" ", style="bold")
        console.print(text, markup=False)
    table = Table("variable", "in the file", "unit there", "unit here")
    for heading in ("minimum", "mean", "maximum", "missing"):
        table.add_column(heading, justify="right")
    for row in description.variables:
        numbers = (f"{value:.4g}" for value in (row.minimum, row.mean, row.maximum))
        table.add_row(*row[:4], *numbers, f"{row.missing:.1%}")
    console.print(table)
    console.print(sketch(description.grid), markup=False)
    console.print("# grid on land, + grid at sea, . other land")
    if plot is not None:
        from narcf_geo.catalog.sketch import plot as draw
        from narcf_geo.core.files import atomic_path

        figure = draw(description.dataset, description.grid, description.variables[0].name)
        with atomic_path(plot.with_suffix(".png")) as temporary:
            figure.savefig(temporary, dpi=150)
        console.print(f"Written: {plot.with_suffix('.png')}")


@app.command()
def check(
    names: Names = None,
    directory: Directory = Path(),
    file: File = None,
    values: Values = None,
    every: Annotated[
        bool, typer.Option("--all", help="All sources, not those alone that the project uses.")
    ] = False,
) -> None:
    """Open sources and report what is wrong and how to mend it; exit 1 where anything is."""
    from rich.table import Table

    from narcf_geo.catalog.check import check as checked
    from narcf_geo.catalog.check import period_problem
    from narcf_geo.cli.show import console, progress_bar
    from narcf_geo.core.errors import NarcfError

    catalog = _open(directory, values, file)
    chosen = _chosen(catalog, names)
    if not (names or file or every) and (directory / "narcf.yaml").exists():
        chosen = _used(directory, values)
    table = Table("source", "verdict", show_lines=True)
    wrong, months = 0, {}
    with progress_bar() as progress:
        for number, name in enumerate(chosen):
            progress(number, len(chosen), name)
            try:
                found, present = checked(catalog[name])
                levels, texts = [f.level for f in found], [f.text for f in found]
            except NarcfError as error:
                levels, texts, present = ["error"], [str(error)], None
            wrong += "error" in levels
            if present is not None:
                months[name] = present
            lines = [
                f"{'warning: ' * (level == 'warning')}{t}"
                for level, t in zip(levels, texts, strict=True)
            ]
            table.add_row(name, "\n".join(lines) or "good")
    console.print(table)
    if months:
        _print_periods(months)
    apart = period_problem(months)
    if apart:
        console.print(apart, markup=False)
    if wrong:
        console.print(f"{wrong} of {len(chosen)} sources cannot be used as they are")
    if wrong or apart:
        raise typer.Exit(1)


def _used(directory: Path, values: list[str] | None) -> list[str]:
    """Return the sources that the project in `directory` uses."""
    from narcf_geo.project.project import Project

    project = Project.open(directory, **parameters(values))
    return list(dict.fromkeys([*project.sources(), project.settings.land_cover.source]))


def _print_periods(months: dict) -> None:
    """Print the months of each source, the gaps among them, and what all share."""
    from rich.table import Table

    from narcf_geo.cli.show import console
    from narcf_geo.core.months import gaps, shared_months

    table = Table("source", "first month", "last month", "months", "gaps")
    for name, present in months.items():
        absent = "; ".join(f"{gap.first:%Y-%m} to {gap.last:%Y-%m}" for gap in gaps(present))
        ends = (f"{month:%Y-%m}" for month in (present[0], present[-1]))
        table.add_row(name, *ends, str(present.size), absent or "none")
    console.print(table)
    shared = shared_months(months)
    if len(shared):
        console.print(f"In all: {len(shared)} months, {shared[0]:%Y-%m} to {shared[-1]:%Y-%m}")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of sources.")],
    directory: Directory = Path(),
    file: File = None,
    values: Values = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only ask for the sizes and say what there is to do.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Files at a time.")] = 4,
) -> None:
    """Fetch the files of sources to where the catalog looks for them; checked, and resumed."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    from rich.table import Table

    from narcf_geo.catalog import fetch as fetching
    from narcf_geo.catalog.download import size as size_of
    from narcf_geo.cli.show import console

    catalog = _open(directory, values, file)
    downloads = [d for name in _chosen(catalog, names) for d in fetching.plan(catalog, name)]
    if dry_run:
        table = Table("source", "address", "to", "size")
        total = 0
        for download in downloads:
            size = size_of(download)
            total += size or 0
            text = "unknown" if size is None else f"{size / 1e6:.1f} MB"
            if download.path.exists():
                text += ", there already"
            table.add_row(download.source, str(download), str(download.path), text)
        console.print(table)
        console.print(f"{len(downloads)} files, {total / 1e6:.1f} MB; nothing was fetched")
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(20), DownloadColumn()
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bars:
        tasks: dict = {}

        def show_bytes(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        paths = fetching.fetch(downloads, show_bytes, workers=workers)
    folders = ", ".join(sorted({str(path.parent) for path in paths}))
    console.print(f"{len(paths)} files in {folders}; their checksums are in {fetching.LOCK} there")


@app.command()
def add(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A data file or Zarr store.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the entry; default: the file's.")
    ] = None,
    directory: Directory = Path(),
    file: File = None,
) -> None:
    """Inspect a file and add a commented entry for it to the catalog, to be edited."""
    import re

    from narcf_geo.catalog.add import append, draft
    from narcf_geo.cli.show import console
    from narcf_geo.project.project import Project

    if file is None:
        has_project = (directory / "narcf.yaml").exists()
        named = Project.open(directory).settings.catalog if has_project else "data_catalog.yaml"
        file = directory / named
    name = name or re.sub(r"\W+", "_", path.stem).strip("_").lower()[:64]
    name = name if name[:1].isalpha() else f"source_{name}"[:64]
    text = draft(path, name, file)
    append(text, name, file)
    console.print(text, markup=False, end="")
    console.print(f"Added to {file}. Go over it, then run `narcf-geo catalog show {name}`")
