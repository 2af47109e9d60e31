"""Draw the gallery: docs/gallery.md and its figures, from a finished sample project.

Usage: python docs/make_gallery.py PROJECT
"""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from narcf_geo.figures.style import in_256_colors

DOCS = Path(__file__).parent
SETUP = """import json
from pathlib import Path

import xarray as xr

from narcf_geo import budget
from narcf_geo.evaluation import compare
from narcf_geo.figures import agreement, annual, charts, landcover, maps, series, uncertainty
from narcf_geo.model.bundle import Bundle

cube = xr.open_zarr("demo/cube.zarr", consolidated=False).load()
prediction = xr.open_zarr("demo/prediction.zarr", consolidated=False).load()
errors = Bundle.load(Path("demo/model")).errors
metrics = json.loads(Path("demo/evaluation/metrics.json").read_text())
flux, area, biome = prediction.flux, prediction.cell_area, prediction.biome
inversion, fluxcom = cube.flux_target, cube.flux_reference
"""
HEAD = f"""# Gallery

Every figure below is drawn by the code above it, from the sample project: a synthetic twin
experiment, so the numbers say nothing about the real land. Made by
`python docs/make_gallery.py PROJECT`.

Each function takes labelled arrays and returns a matplotlib `Figure`. In a notebook:

```python
{SETUP}```

The maps need no notebook: `narcf-geo map demo/prediction.zarr map.png --kind trend`.
"""
MONTHLY = """{
        "Estimate": budget.monthly_total(flux, area),
        "Inversion": budget.monthly_total(inversion, area),
    }"""
BY_BIOME = MONTHLY.replace("monthly_total", "biome_series").replace(", area", ", biome, area")
FIGURES = (
    ("A month", 'maps.flux_map(flux.sel(time="2014-07-01"), area=area)'),
    ("A year", 'maps.month_panel(flux.sel(time="2014"), area=area)'),
    (
        "A region, in another projection",
        'maps.flux_map(\n    flux.sel(lat=slice(30, 50), lon=slice(-105, -75), time="2014-07-01"),'
        '\n    projection="EPSG:5070",\n)',
    ),
    (
        "Two products and their difference",
        'maps.comparison(flux, fluxcom, labels=("Estimate", "FLUXCOM-like"), area=area)',
    ),
    ("Seasons", "maps.season_panel(flux, area=area)"),
    ("Trend", "annual.trend_map(flux)"),
    ("Interannual variability", "annual.variability_map(flux)"),
    (
        "Uncertainty",
        "uncertainty.uncertainty_map(prediction.flux_std, area=area)",
    ),
    (
        "Where the model applies",
        "uncertainty.applicability_map(flux, prediction.applicable, area=area)",
    ),
    ("Biomes", "landcover.biome_map(biome)"),
    ("Class fractions", "landcover.fraction_panel(cube.class_fraction.where(biome > 0))"),
    ("Series of months and years", f"series.time_series(\n    {MONTHLY}\n)"),
    ("Seasonal cycle", f'charts.seasonal_cycle(\n    {MONTHLY},\n    units="TgC month-1",\n)'),
    ("Seasonal cycle of each biome", f"series.biome_seasons(\n    {BY_BIOME}\n)"),
    (
        "Budget of each biome",
        "table = budget.biome_budget("
        "flux, biome, area, fluxcom, std=prediction.flux_std, errors=errors)\n"
        'charts.biome_bars(table, synthetic="twin experiment")',
    ),
    (
        "Skill",
        'test = flux.sel(time=slice("2014", None))\n'
        "agreement.scatter(test, inversion, metrics=compare(test, inversion, area), area=area)",
    ),
    (
        "Do the intervals hold what they promise",
        'intervals = {"of the flux": metrics["intervals"]["flux"]["test"]["coverage"],\n'
        '             "of observed values": metrics["intervals"]["observed"]["test"]["coverage"]}\n'
        'uncertainty.reliability(intervals, synthetic="twin experiment")',
    ),
    ("Latitude and time", "series.hovmoeller(flux)"),
    (
        "Taylor diagram",
        'agreement.taylor({"Estimate": flux, "FLUXCOM-like": fluxcom}, inversion, area=area)',
    ),
    (
        "Pairs of variables",
        'agreement.pairplot({name: cube[name] for name in ("temp", "R_sw", "vpd", "nirv")})',
    ),
)


def main(project: Path) -> None:
    """Write the page and the figures, each with a palette of 256 colours."""
    names: dict[str, Any] = {}
    exec(SETUP.replace('"demo/', f'"{project}/'), names)
    kind = names["cube"].attrs["synthetic"]
    for ds in (names["cube"], names["prediction"]):
        for variable in ds.data_vars.values():
            variable.attrs["synthetic"] = kind
    names |= {
        "flux": names["prediction"]["flux"],
        "inversion": names["cube"]["flux_target"],
        "fluxcom": names["cube"]["flux_reference"],
    }
    folder = DOCS / "figures" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [HEAD]
    for title, code in FIGURES:
        figure: Figure = drawn(code, names)
        stem = "_".join(title.lower().replace(",", "").split())
        save_small(figure, folder / f"{stem}.png")
        parts.append(
            f"## {title}\n\n```python\n{code}\n```\n\n![{title}](figures/gallery/{stem}.png)\n"
        )
        print(title)
    (DOCS / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


def drawn(code: str, names: dict[str, Any]) -> Figure:
    """Run the code and return the value of its last expression."""
    *first, last = ast.parse(code).body
    exec(compile(ast.Module(first, []), "gallery", "exec"), names)
    figure: Figure = eval(ast.get_source_segment(code, last) or "", names)
    return figure


def save_small(figure: Figure, path: Path) -> None:
    """Save a figure at the size of a page, a fraction of the bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    image = Image.open(buffer).convert("RGB")
    in_256_colors(image).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
