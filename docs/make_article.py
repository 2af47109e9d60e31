"""Redo the article's story on a project: article.md, its figures and its table.

Usage: python docs/make_article.py PROJECT [FOLDER]

FOLDER is the folder of this script where none is given. What `narcf-geo experiment -C PROJECT
--file docs/article.yaml` has finished is read, the rest is run first.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from narcf_geo.budget.tables import biome_budget
from narcf_geo.core.constants import IGBP
from narcf_geo.core.yamlfile import load
from narcf_geo.evaluation import by_biome, compare
from narcf_geo.experiment import Experiment, Outcome, run_experiment, summarise
from narcf_geo.experiment.summary import markdown
from narcf_geo.figures import agreement, charts, landcover, maps, style
from narcf_geo.figures.layout import heading, house_style
from narcf_geo.project.project import Project, open_cube

DOCS = Path(__file__).parent
STEPS = (
    ("linear", "environment and coordinates", "Linear, with coordinates", "0.633", ""),
    (
        "wecann",
        "environment with coordinates and month",
        "One hidden layer of 15, with coordinates and month",
        "0.890",
        "0.92",
    ),
    ("narcf-mid", "environment", "Mid-size network, environment alone", "0.568", "below 0.60"),
    ("narcf", "environment", "Deep network, environment alone", "0.866", "0.83"),
    ("narcf", "environment and land cover", "Deep network, with land cover", "0.904", "0.90"),
)
"""Preset, features, title, and the r the article prints in its figures and in its text."""

LEAKY, HONEST = "leaky-article", "honest"


class Story:
    """The project, its cases, and the figures drawn so far."""

    def __init__(self, project: Project, folder: Path) -> None:
        plan = load(DOCS / "article.yaml", Experiment)
        outcomes = run_experiment(project, plan, lambda done, total, text: print(text, end="\r"))
        self.outcomes = {(o.case.preset, o.case.features, o.case.protocol): o for o in outcomes}
        self.table = summarise(outcomes)
        self.cube = open_cube(project).load()
        kind = self.cube.attrs.get("synthetic", "")
        self.synthetic = style.synthetic_text(kind)
        for variable in self.cube.data_vars.values():
            variable.attrs["synthetic"] = kind
        self.area, self.target = self.cube["cell_area"], self.cube["flux_target"]
        self.predictors = [
            n for n in project.settings.predictor_names if "time" in self.cube[n].dims
        ]
        self.folder, self.number = folder, 0
        self.images = folder / "images" / "article"
        self.images.mkdir(parents=True, exist_ok=True)

    def outcome(self, preset: str, features: str, protocol: str) -> Outcome:
        """Return a finished case."""
        return self.outcomes[preset, features, protocol]

    def estimate(self, preset: str, features: str, protocol: str) -> xr.DataArray:
        """Return the flux of its test months."""
        path = self.outcome(preset, features, protocol).estimates
        flux: xr.DataArray = xr.load_dataset(path)["flux"]
        return flux.assign_attrs(synthetic=self.cube.attrs.get("synthetic", ""))

    def figure(self, figure: Figure, name: str, text: str, *, real: bool = False) -> str:
        """Save a figure, small, and return its part of the page; `real` tells of real data."""
        self.number += 1
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=85)
        path = self.images / f"{self.number:02d}_{name}.png"
        style.in_256_colors(Image.open(buffer).convert("RGB")).save(path, optimize=True)
        kind = "" if real else self.synthetic
        note = f" *{kind.capitalize()}.*" if kind else ""
        return (
            f"![Figure {self.number}](images/article/{path.name})\n\n"
            f"**Figure {self.number}.** {text}{note}\n"
        )


def main(project: Path, folder: Path = DOCS) -> None:
    """Write the page and its figures."""
    story = Story(Project.open(project), folder)
    parts: list[Callable[[Story], str]] = [
        opening,
        data_maps,
        target_map,
        land_cover,
        pairs,
        correlation_matrix,
        steps,
        curves,
        compared,
        biomes,
        closing,
    ]
    page = "\n".join(part(story) for part in parts)
    (folder / "article.md").write_text(page, encoding="utf-8")
    print(f"Written: {folder / 'article.md'}, {story.number} figures")


def opening(story: Story) -> str:
    """What this page is, and the table of the steps."""
    test = story.estimate("narcf", STEPS[-1][1], HONEST)["time"].dt.strftime("%Y-%m").values
    return f"""# The article's story, redone

The model of the article predicts the monthly CO2 flux of an inversion on a 1 degree grid from
regional weather, vegetation and land cover. It is told in steps: a linear model with coordinates,
one hidden layer with coordinates and the month, then networks that know neither place nor calendar,
and at last land cover. Each step is here twice: under the protocol of the article's notebook, which
is **leaky**, and under ours. {_of_what(story)}

The leaky protocol fits the scaler on all rows, test included; chooses the epoch on the test rows;
and takes a missing predictor for 0. It trains on the same months as the honest one, so that the
difference is the leaks' alone. Tested: {test[0]} to {test[-1]}. Figures are numbered in the order
of the story.

{results(story)}
"""


def _of_what(story: Story) -> str:
    if not story.synthetic:
        return ""
    return (
        "**All numbers and figures are of the synthetic twin experiment** ([sample](sample.md)): "
        "they say how the protocols differ, nothing of the real land; the article's own numbers, "
        "of real data, stand beside them and are not to be met."
    )


def results(story: Story) -> str:
    """Return the table of the steps and a sentence on what it says."""
    rows, changes = [], []
    for preset, features, title, printed, said in STEPS:
        leaky, honest = (story.outcome(preset, features, p).scores for p in (LEAKY, HONEST))
        change = _number(leaky["r"]) - _number(honest["r"])
        changes.append(change)
        row = {
            "step": title,
            "article's figure": printed,
            "its text": said,
            "leaky r": f"{leaky['r']:.3f}",
            "honest r": f"{honest['r']:.3f}",
            "worth": f"{change:+.3f}",
            "leaky RMSE": f"{leaky['rmse']:.3f}",
            "honest RMSE": f"{honest['rmse']:.3f}",
            "bias TgC/yr": f"{honest['bias_TgC']:+.0f}",
        }
        if honest.get("truth_rmse"):
            row["honest RMSE to truth"] = f"{honest['truth_rmse']:.3f}"
        rows.append(row)
    raised = sum(change > 0.001 for change in changes)
    verdict = (
        f"The leaks raise r by more than 0.001 in {raised} of {len(changes)} steps, by at most "
        f"{max(changes):+.3f}; where the number is not positive they did not help. One seed each: "
        "repeat with more before a difference of thousandths is believed."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\nBias is of the honest model. {verdict}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def data_maps(story: Story) -> str:
    """Figure 1: the predictors."""
    names = [
        n for n in ("temp", "precip", "R_sw", "soil_moisture", "nirv", "sif") if n in story.cube
    ]
    july = story.cube[names].sel(time=story.cube["time"].dt.month == 7).mean("time")
    july = july.where(story.target.notnull().any("time"))
    with house_style():
        fig = Figure(figsize=(9, 5.2))
        heading(fig, "Predictors", "mean July", story.synthetic)
        axes = fig.subplots(2, 3)
        fig.subplots_adjust(0.05, 0.06, 0.97, 0.83, wspace=0.25, hspace=0.3)
        for ax, name in zip(axes.flat, names, strict=False):
            mesh = ax.pcolormesh(july["lon"], july["lat"], july[name], cmap="viridis")
            fig.colorbar(mesh, ax=ax, shrink=0.85)
            ax.set_title(f"{name} ({style.pretty_units(story.cube[name].attrs['units'])})")
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
    return "## The data\n\n" + story.figure(fig, "predictors", "What the model sees, in July.")


def target_map(story: Story) -> str:
    """Figure 2: the target."""
    fig = maps.flux_map(story.target, area=story.area, title="The target: mean flux")
    return story.figure(fig, "target", "The flux of the inversion, mean of all months.")


def land_cover(story: Story) -> str:
    """Figure 3: the biomes."""
    fig = landcover.biome_map(story.cube["biome"], synthetic="" if story.synthetic else None)
    return story.figure(
        fig,
        "land_cover",
        "Land cover, which is real; the model is given the fractions of 18 classes.",
        real=True,
    )


def _variables(story: Story) -> dict[str, xr.DataArray]:
    names = ("temp", "R_sw", "vpd", "nirv", "sif", "flux_target")
    return {name: story.cube[name] for name in names if name in story.cube}


def pairs(story: Story) -> str:
    """Figure 4: variables in pairs."""
    few = dict(list(_variables(story).items())[-5:])
    fig = agreement.pairplot(few, title="Variables in pairs")
    return story.figure(fig, "pairs", "Some predictors and the target, months and cells.")


def correlation_matrix(story: Story) -> str:
    """Figure 5: the correlation matrix."""
    names = [*story.predictors, "flux_target"]
    known = story.target.notnull().values
    frame = pd.DataFrame({n: story.cube[n].values[known] for n in names})
    r = frame.sample(min(len(frame), 50_000), random_state=0).corr()
    with house_style():
        fig = Figure(figsize=(6.4, 6.2))
        heading(fig, "Correlation of predictors and target", "", story.synthetic)
        ax = fig.add_axes((0.2, 0.04, 0.76, 0.68))
        ax.imshow(r, cmap="PuOr_r", vmin=-1, vmax=1)
        for i, j in np.ndindex(r.shape):
            color = "white" if abs(r.values[i, j]) > 0.7 else style.INK
            ax.text(
                j, i, f"{r.values[i, j]:.2f}", ha="center", va="center", fontsize=6.5, color=color
            )
        ax.set_xticks(range(len(names)), names, rotation=60, ha="left")
        ax.set_yticks(range(len(names)), names)
        ax.xaxis.tick_top()
    strong = r["flux_target"].drop("flux_target").abs().idxmax()
    return story.figure(
        fig,
        "correlations",
        f"Pearson correlation; {strong} is the one closest to the target "
        f"({r.loc[strong, 'flux_target']:+.2f}).",
    )


def steps(story: Story) -> str:
    """Figures 6 to 10: estimated against target flux in every step, leaky and honest."""
    parts = ["## The steps\n"]
    for preset, features, title, printed, said in STEPS:
        pair = [story.outcome(preset, features, p) for p in (LEAKY, HONEST)]
        fig = _scatters(story, pair, title)
        article = f"The article: {printed}" + (f" (its text: {said})" if said else "")
        leaky, honest = (o.scores for o in pair)
        text = (
            f"{title}. r {leaky['r']:.3f} under the leaky protocol, {honest['r']:.3f} under ours. "
            f"{article}."
        )
        name = f"{preset}_{features}".replace(" ", "_")
        parts.append(story.figure(fig, name, text))
    return "\n".join(parts)


def _scatters(story: Story, pair: list[Outcome], title: str) -> Figure:
    from matplotlib.colors import LogNorm

    with house_style():
        fig = Figure(figsize=(8.4, 4.7))
        heading(fig, title, "test months; left: leaky protocol, right: ours", story.synthetic)
        for place, (outcome, name) in enumerate(zip(pair, ("leaky", "honest"), strict=True)):
            flux = xr.load_dataset(outcome.estimates)["flux"]
            x, y = story.target.sel(time=flux["time"]).values.ravel(), flux.values.ravel()
            known = np.isfinite(x) & np.isfinite(y)
            ax = fig.add_axes((0.09 + 0.48 * place, 0.12, 0.4, 0.68))
            low, high = np.nanquantile(x[known], [0.0002, 0.9998])
            ax.hexbin(
                x[known],
                y[known],
                gridsize=60,
                extent=(low, high, low, high),
                norm=LogNorm(),
                cmap="viridis_r",
                mincnt=1,
                linewidths=0.1,
            )
            ax.plot([low, high], [low, high], color=style.INK, linewidth=0.9)
            ax.set(xlim=(low, high), ylim=(low, high))
            ax.set_xlabel(f"inversion ({style.UNITS_TEXT})")
            if not place:
                ax.set_ylabel(f"estimate ({style.UNITS_TEXT})")
            scores = compare(flux, story.target, story.area)
            ax.text(
                0.04,
                0.96,
                f"{name}\nr = {scores['r']:.3f}\nRMSE = {scores['rmse']:.3f}",
                transform=ax.transAxes,
                va="top",
            )
    return fig


def curves(story: Story) -> str:
    """Figure 11: the losses."""
    preset, features = STEPS[-1][0], STEPS[-1][1]
    with house_style():
        fig = Figure(figsize=(7.2, 4.2))
        heading(fig, "Training of the deep network", "mean absolute error", story.synthetic)
        ax = fig.add_axes((0.11, 0.13, 0.86, 0.66))
        best = {}
        for protocol, color in ((HONEST, style.SERIES[1][0]), (LEAKY, style.SERIES[2][0])):
            history = story.outcome(preset, features, protocol).histories[0]
            held = "validation months" if protocol == HONEST else "test months (the leak)"
            ax.plot(
                history["train"], color=color, linestyle="--", label=f"{protocol}: training months"
            )
            ax.plot(history["validation"], color=color, label=f"{protocol}: {held}")
            best[protocol] = history["best_epoch"]
            ax.axvline(best[protocol] - 1, color=color, linewidth=0.6)
        ax.set_xlabel("epoch")
        ax.set_ylabel(f"loss ({style.UNITS_TEXT})")
        ax.legend()
    return "## Training, maps and budgets\n\n" + story.figure(
        fig,
        "training",
        f"Loss of the deep network with land cover. Kept is epoch {best[HONEST]} honestly, "
        f"{best[LEAKY]} where the test months choose.",
    )


def compared(story: Story) -> str:
    """Figure 12: the estimate and, where there is one, the reference beside the target."""
    preset, features = STEPS[-1][0], STEPS[-1][1]
    flux = story.estimate(preset, features, HONEST)
    target = story.target.sel(time=flux["time"])
    fig = maps.comparison(flux, target, labels=("Estimate", "Inversion"), area=story.area)
    parts = [story.figure(fig, "estimate", "The honest estimate and the target, test months.")]
    scores = story.outcome(preset, features, HONEST).scores
    if scores.get("misaligned_r") is not None:
        parts.append(
            "The reference product (FLUXCOM in the article) against the target of the test months: "
            f"r {scores['reference_r']:.3f}, RMSE {scores['reference_rmse']:.3f}. The article "
            "compared it with other years than its own; done so here, the leak called "
            f"*misaligned*, it scores r {scores['misaligned_r']:.3f}, RMSE "
            f"{scores['misaligned_rmse']:.3f}: the product "
            f"{_worse(scores)} by it, and the network "
            "beside it gains without having done anything. On the same months and "
            f"cells the network has r {scores['r']:.3f}.\n"
        )
    return "\n".join(parts)


def _worse(scores: dict[str, float | None]) -> str:
    lost = _number(scores["reference_r"]) - _number(scores["misaligned_r"])
    return f"loses {lost:.3f} of r" if lost > 0 else "loses nothing"


def biomes(story: Story) -> str:
    """Figure 13: by biome."""
    preset, features = STEPS[-1][0], STEPS[-1][1]
    flux = story.estimate(preset, features, HONEST)
    area, biome = story.area, story.cube["biome"]
    target = story.target.sel(time=flux["time"])
    table = biome_budget(flux, biome, area, target)
    fig = charts.biome_bars(
        table,
        title="Estimate and inversion by biome",
        reference_label="the inversion",
        synthetic=story.cube.attrs.get("synthetic"),
    )
    parts = [story.figure(fig, "biomes", "Budget of each biome in the test years.")]
    found = {
        p: by_biome(story.estimate(preset, features, p), story.target, area, biome)
        for p in (LEAKY, HONEST)
    }
    rows = [
        {
            "biome": IGBP[int(name)].name,
            "cells × months": f"{honest['n']:,}",
            "leaky r": f"{found[LEAKY][name]['r']:.3f}",
            "honest r": f"{honest['r']:.3f}",
            "honest RMSE": f"{honest['rmse']:.3f}",
            "bias TgC/yr": f"{honest['bias_TgC_per_year']:+.1f}",
        }
        for name, honest in found[HONEST].items()
        if honest["n"] and name in found[LEAKY]
    ]
    return "\n".join([*parts, markdown(pd.DataFrame(rows)), ""])


def closing(story: Story) -> str:
    """How to redo it."""
    return """## Redo it on your data

A project with your own catalog ([project](project.md)) needs one command for the table:

```sh
narcf-geo experiment -C PROJECT --file docs/article.yaml
```

and one for this page with its figures, written into a folder of your choice:

```sh
python docs/make_article.py PROJECT my-article
```

Both go on where they were stopped. `--seeds 5` repeats every step, for the differences above that
are small; [experiment](experiment.md) says what else can be asked.
"""


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
