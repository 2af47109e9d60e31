"""The stages of a run: each reads what the stage before wrote, and writes files of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.datasets import load_netcdf, write_netcdf, write_zarr
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.pool import Pool, threads
from narcf_geo.core.progress import Progress
from narcf_geo.core.provenance import SOFTWARE
from narcf_geo.project.project import Project, open_cube, open_prediction

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from narcf_geo.catalog.rules import Finding


@dataclass(frozen=True)
class Options:
    """How to do the work; nothing of this changes a result that both give.

    Attributes
    ----------
    force : bool
        Do again even what is up to date.
    pool : callable
        Returns who does the work; opened when it is asked for first, and then the same.
    memory : str, optional
        What each process may take, such as "2GB".
    allow : tuple of str
        Sources, or their variables as ``source.variable``, whose impossible values pass.
    findings : list of Finding
        What was odd about the sources that were read; a stage adds to it.
    """

    force: bool = False
    pool: Callable[[], Pool] = threads
    memory: str | None = None
    allow: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def regrid_source(
    project: Project, progress: Progress, options: Options, *, name: str
) -> list[Path]:
    """Regrid a source that the settings use -> ``regridded/<source>.nc``."""
    progress(0, 1, name)
    path = project.path("regridded", f"{name}.nc")
    write_netcdf(_regridded(project, name, project.sources()[name], options), path)
    return [path]


def _regridded(project: Project, name: str, variables: list[str], options: Options) -> xr.Dataset:
    import dask

    from narcf_geo.catalog.describe import months_of
    from narcf_geo.catalog.gate import admitted, findings_of, looked_at
    from narcf_geo.catalog.readers.derived import made_of
    from narcf_geo.catalog.rules import sign_findings
    from narcf_geo.cube.cube import on_months
    from narcf_geo.fields.reading import named, reading
    from narcf_geo.grid import Grid
    from narcf_geo.regridding import regrid

    entry = project.catalog()[name]
    source = entry.read()
    where = f"source {name!r}"
    if "flux" in variables and "flux_std" in source:
        variables = [*variables, "flux_std"]
    absent = [v for v in variables if v not in source]
    if absent:
        raise NarcfError(
            f"{entry.catalog_path}: {where}: expected {', '.join(absent)}, found "
            f"{', '.join(map(str, source.data_vars))}; name it under `variables:` of the entry"
        )
    grid = Grid.from_dataset(source)
    months = project.settings.period.months()
    required = _required_months(project, name)
    used = list(dict.fromkeys([*variables, *made_of(source, variables)]))
    aligned = on_months(source[used], months, required, where=where)
    cache = project.path(".narcf", "weights")
    cache.mkdir(parents=True, exist_ok=True)
    with named(where):
        regridded = regrid(
            aligned[variables],
            project.target_grid,
            source=grid,
            min_coverage=project.settings.min_coverage,
            weights=cache,
        )
        # Together: what is read to be regridded is looked at, and nothing is read twice.
        looked = source[used] if months_of(source) is None else aligned[used]
        with reading(entry.urlpaths[0]):
            result, seen = dask.compute(regridded, looked_at(entry, looked))
    options.findings.extend(admitted(findings_of(entry, looked, seen), options.allow))
    for variable in variables:
        if not result[variable].notnull().any():
            raise NarcfError(
                f"{where}, variable {variable!r}: no valid value in the region on "
                f"{project.settings.period}; check region: in narcf.yaml and the file's coordinates"
            )
    if "flux" in variables:
        options.findings.extend(sign_findings(entry, result["flux"], project.target_grid))
    return result


def _required_months(project: Project, name: str) -> pd.DatetimeIndex:
    """Return the months a source must have: predictors all, the target those of the split."""
    settings = project.settings
    months = settings.period.months()
    if name in settings.predictors:
        return months
    if name == settings.target.source and (split := settings.periods):
        wanted = split.train.months().union(split.validation.months()).union(split.test.months())
        return months.intersection(wanted)
    return months if name == settings.target.source else months[:0]


def map_biomes(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Map land cover to biomes -> ``biomes.nc``."""
    import dask

    from narcf_geo.catalog.gate import admitted, findings_of, looked_at, only_classes
    from narcf_geo.catalog.rules import legend_findings, sampled
    from narcf_geo.cube import biomes
    from narcf_geo.fields.reading import reading
    from narcf_geo.grid import Grid

    settings = project.settings
    entry = project.catalog()[settings.land_cover.source]
    source = entry.read()[["land_cover"]]
    grid = Grid.from_dataset(source)
    with reading(f"{entry.urlpaths[0]}: source {entry.name!r}"):
        land_cover, seen = dask.compute(
            only_classes(source["land_cover"]), looked_at(entry, source)
        )
    found = findings_of(entry, source, seen)
    options.findings.extend(admitted(found, options.allow))
    found = legend_findings(entry, sampled(land_cover, grid), grid)
    options.findings.extend(admitted(found, options.allow))
    ds = biomes.map_biomes(
        land_cover,
        project.target_grid,
        min_land=settings.land_cover.min_land,
        min_coverage=settings.min_coverage,
    )
    ds.attrs = {"title": f"Biomes of {settings.region.name}", "source": entry.source.description}
    path = project.path("biomes.nc")
    write_netcdf(ds, path)
    return [path]


def build_cube(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Join what was regridded -> ``cube.zarr``."""
    import xarray as xr

    from narcf_geo.cube.cube import FLUX_NAMES, join

    settings = project.settings

    def regridded(source: str) -> xr.Dataset:
        return load_netcdf(project.path("regridded", f"{source}.nc"))

    predictors = xr.merge(
        [regridded(name)[variables] for name, variables in settings.predictors.items()],
        join="exact",
        compat="override",
    )
    fluxes = {}
    for role, name in FLUX_NAMES.items():
        flux = getattr(settings, role)
        if flux is None:
            continue
        source = regridded(flux.source)
        fluxes[name] = source[flux.variable].assign_attrs(product=flux.name)
        if role == "target" and "flux_std" in source:
            fluxes["flux_target_std"] = source["flux_std"]
    biomes = load_netcdf(project.path("biomes.nc"))
    cube = join(predictors, biomes, fluxes, project.target_grid)
    cube.attrs = {"source": SOFTWARE, **attributes(project)}
    path = project.path("cube.zarr")
    write_zarr(cube, path)
    return [path]


def attributes(project: Project) -> dict[str, str]:
    """Return the global attributes that all products of the project share."""
    attrs = {"region": project.settings.region.name}
    catalog = project.catalog()
    names = [*project.sources(), project.settings.land_cover.source]
    sources = [catalog[name].metadata for name in dict.fromkeys(names)]
    if cited := [s.citation or f"doi:{s.doi}" for s in sources if s.citation or s.doi]:
        attrs["references"] = "; ".join(dict.fromkeys(cited))
    notes = [note for name in project.sources() if (note := catalog[name].metadata.synthetic)]
    if notes:
        attrs["synthetic"] = "; ".join(sorted(set(notes)))
        attrs["comment"] = f"synthetic {attrs['synthetic']}: not observations"
    return attrs


def train_model(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Train the network of the preset -> ``model/``."""
    from narcf_geo.model.fit import fit_bundle

    directory, work = project.path("model"), project.path(".narcf", "training")
    with atomic_path(directory) as temporary:
        fit_bundle(open_cube(project).load(), project.settings, temporary, progress, work)
    remove(work)
    return [directory]


def predict_flux(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Predict every land cell and month -> ``prediction.zarr`` and the products."""
    from narcf_geo.prediction import predict_file

    store = project.path("prediction.zarr")
    attrs = {"title": project.settings.title}
    if project.settings.license:
        attrs["license"] = project.settings.license
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
        open_prediction(project).load(),
        project.path("products"),
        class_fraction=open_cube(project)["class_fraction"].load(),
        regions=read_regions(project.path(regions)) if regions else None,
    )
    return [store, *products]


def evaluate_flux(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Score the prediction -> ``evaluation/``."""
    from narcf_geo.evaluation.project import evaluation_metrics
    from narcf_geo.fields.regions import read_regions
    from narcf_geo.figures.style import save_figure
    from narcf_geo.report.figures import evaluation_figures

    cube = open_cube(project).load()
    prediction = open_prediction(project).load()
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
    figures = project_maps(open_cube(project).load(), open_prediction(project).load())
    for number, (name, figure) in enumerate(figures):
        progress(number, 11, name)
        paths.append(project.path("maps", f"{name}.png"))
        save_figure(figure, paths[-1])
    return paths


def write_project_report(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Write the report -> ``report/``."""
    from narcf_geo.report.contents import write_page

    return write_page(project, open_cube(project).load(), open_prediction(project).load())
