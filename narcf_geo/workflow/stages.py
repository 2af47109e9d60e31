"""From the cube to the report: each stage reads what those before it wrote."""

from __future__ import annotations

import gc
import json
from pathlib import Path

from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.progress import Progress
from narcf_geo.project.project import Project, open_cube, open_prediction
from narcf_geo.workflow.options import Options


def train_model(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Train the network of the preset -> ``model/``."""
    from narcf_geo.model.fit import fit_bundle

    directory, work = project.path("model"), project.path(".narcf", "training")
    with atomic_path(directory) as temporary:
        fit_bundle(open_cube(project), project.settings, temporary, progress, work)
    remove(work)
    return [directory]


def model_holds(project: Project) -> bool:
    """Tell whether the model learned from what it would learn from now."""
    from narcf_geo.model.fit import learns_the_same

    work = project.path(".narcf", "training")
    holds = learns_the_same(open_cube(project), project.settings, project.path("model"), work)
    if holds:
        remove(work)
    return holds


def predict_flux(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Predict every land cell and month -> ``prediction.zarr`` and the products."""
    from narcf_geo.prediction import predict_file

    store = project.path("prediction.zarr")
    settings = project.settings
    said = {
        "title": settings.title,
        "license": settings.license,
        "summary": settings.summary,
        "institution": settings.institution,
        "creator_name": settings.creator,
        "doi": settings.doi,
    }
    attrs = {name: text for name, text in said.items() if text}
    predict_file(
        project.path("cube.zarr"),
        store,
        project.path("model"),
        memory=options.memory,
        pool=options.pool(),
        state=project.path(".narcf", "prediction"),
        attrs=attrs,
        force=options.force,
        progress=progress,
    )
    # Imported late: with what it needs it would keep the first chunk waiting.
    from narcf_geo.fields.regions import read_regions
    from narcf_geo.outputs.products import write_products

    progress(0, 1, "products")
    regions = project.settings.regions
    products = write_products(
        open_prediction(project),
        project.path("products"),
        class_fraction=open_cube(project)["class_fraction"],
        regions=read_regions(project.path(regions)) if regions else None,
    )
    return [store, *products]


def evaluate_flux(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Score the prediction -> ``evaluation/``."""
    from narcf_geo.evaluation.project import evaluation_metrics
    from narcf_geo.fields.regions import read_regions
    from narcf_geo.figures.style import save_figure
    from narcf_geo.report.figures import evaluation_figures

    cube, prediction = open_cube(project), open_prediction(project)
    settings, model = project.settings, project.path("model")
    regions = read_regions(project.path(settings.regions)) if settings.regions else None
    metrics = evaluation_metrics(cube, prediction, settings, model, regions)
    path = project.path("evaluation", "metrics.json")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2), encoding="utf-8")
    paths = [path]
    for name, figure in evaluation_figures(cube, prediction, metrics, settings, model):
        paths.append(project.path("evaluation", f"{name}.png"))
        save_figure(figure, paths[-1])
    return paths


def draw_maps(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Draw the maps -> ``maps/``."""
    from narcf_geo.figures.style import save_figure
    from narcf_geo.report.figures import project_maps

    paths = []
    figures = project_maps(open_cube(project), open_prediction(project))
    for number, (name, figure) in enumerate(figures):
        progress(number, 11, name)
        paths.append(project.path("maps", f"{name}.png"))
        save_figure(figure, paths[-1])
        del figure
        gc.collect()  # figures refer to themselves, and would pile up
    return paths


def write_project_report(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Write the report -> ``report/``."""
    from narcf_geo.report.contents import write_page

    return write_page(project, open_cube(project), open_prediction(project))
