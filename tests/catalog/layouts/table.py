"""The table of docs/catalog.md: run this file to print it."""

from __future__ import annotations

from catalog.layouts.registered import LAYOUTS, Layout

HEAD = "| product | what `catalog add` says unedited | what you must state |\n|---|---|---|"


def says(case: Layout) -> str:
    """Return what a draft is worth, in words."""
    if case.says:
        return case.says
    assert case.want is not None
    return "right: " + ", ".join(f"`{name}`" for name in case.want)


def table() -> str:
    """Return the table of all layouts."""
    rows = [f"| {case.product} | {says(case)} | {case.state} |" for case in LAYOUTS]
    return "\n".join([HEAD, *rows])


if __name__ == "__main__":
    print(table())
