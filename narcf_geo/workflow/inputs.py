"""From the sources to the cube: what is regridded, the biomes, and both joined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.datasets import open_zarr, write_zarr
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.progress import Progress
from narcf_geo.core.provenance import SOFTWARE
from narcf_geo.project.project import RESULTS, Project
from narcf_geo.workflow.options import Options

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from narcf_geo.catalog.entry import Entry


def regrid_source(
    project: Project, progress: Progress, options: Options, *, name: str
) -> list[Path]:
    """Regrid a source that the settings use -> ``regridded/<source>.zarr``."""
    from narcf_geo.catalog.describe import months_of
    from narcf_geo.catalog.gate import admitted, findings_of, looked_at
    from narcf_geo.catalog.readers.derived import made_of
    from narcf_geo.catalog.rules import sign_findings
    from narcf_geo.cube.cube import on_months
    from narcf_geo.fields.reading import named, reading
    from narcf_geo.grid import Grid
    from narcf_geo.regridding import regrid

    progress(0, 1, name)
    path, settings = _regridded(project, name), project.settings
    variables = project.sources()[name]
    entry = project.catalog()[name]
    source = entry.read()
    where = f"source {name!r}"
    if "flux" in variables and "flux_std" in source:
        variables = [*variables, "flux_std"]
    _require_variables(entry, source, variables)
    grid = Grid.from_dataset(source)
    months = settings.period.months()
    used = list(dict.fromkeys([*variables, *made_of(source, variables)]))
    aligned = on_months(source[used], months, _required_months(project, name), where=where)
    looked = source[used] if months_of(source) is None else aligned[used]
    cache = project.path(".narcf", "weights")
    cache.mkdir(parents=True, exist_ok=True)
    with named(where):
        regridded = regrid(
            aligned[variables],
            project.target_grid,
            source=grid,
            min_coverage=settings.min_coverage,
            weights=cache,
        )
    if not settings.valid_fraction:
        regridded = regridded.drop_vars([f"{v}_valid_fraction" for v in variables], errors="ignore")
    there = {variable: regridded[variable].notnull().any().data for variable in variables}

    def check(found: tuple[Any, Any]) -> None:
        seen, there = found
        options.findings.extend(admitted(findings_of(entry, looked, seen), options.allow))
        for variable in variables:
            if not there[variable]:
                raise NarcfError(
                    f"{where}, variable {variable!r}: no valid value in the region on "
                    f"{settings.period}; check region: in narcf.yaml and the file's coordinates"
                )

    with named(where), reading(entry.urlpaths[0]):
        write_zarr(regridded, path, (looked_at(entry, looked), there), check)
    if "flux" in variables:
        flux = open_zarr(path, "regrid")["flux"]
        options.findings.extend(sign_findings(entry, flux, project.target_grid))
    return [path]


def _require_variables(entry: Entry, source: xr.Dataset, variables: list[str]) -> None:
    absent = [v for v in variables if v not in source]
    if absent:
        raise NarcfError(
            f"{entry.catalog_path}: source {entry.name!r}: expected {', '.join(absent)}, found "
            f"{', '.join(map(str, source.data_vars))}; name it under `variables:` of the entry"
        )


def _regridded(project: Project, name: str) -> Path:
    return project.path(RESULTS["regrid"], f"{name}.zarr")


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
    """Map land cover to biomes -> ``biomes.zarr``."""
    from narcf_geo.catalog.gate import admitted, findings_of, looked_at, only_classes
    from narcf_geo.catalog.rules import legend_findings, sampled
    from narcf_geo.cube import biomes
    from narcf_geo.fields.reading import reading
    from narcf_geo.grid import Grid

    settings = project.settings
    entry = project.catalog()[settings.land_cover.source]
    source = entry.read()
    _require_variables(entry, source, ["land_cover"])
    source = source[["land_cover"]]
    grid = Grid.from_dataset(source)
    land_cover = only_classes(source["land_cover"])
    ds, counts = biomes.lazy_biomes(
        land_cover,
        project.target_grid,
        min_land=settings.land_cover.min_land,
        min_coverage=settings.min_coverage,
    )
    ds.attrs = {"title": f"Biomes of {settings.region.name}", "source": entry.source.description}

    def check(found: tuple[Any, Any, Any]) -> None:
        seen, sample, counted = found
        options.findings.extend(admitted(findings_of(entry, source, seen), options.allow))
        options.findings.extend(admitted(legend_findings(entry, sample, grid), options.allow))
        biomes.require_biomes(counted, settings.land_cover.min_land)

    path = project.path(RESULTS["biomes"])
    with reading(f"{entry.urlpaths[0]}: source {entry.name!r}"):
        write_zarr(ds, path, (looked_at(entry, source), sampled(land_cover, grid), counts), check)
    return [path]


def build_cube(project: Project, progress: Progress, options: Options) -> list[Path]:
    """Join what was regridded -> ``cube.zarr``."""
    import xarray as xr

    from narcf_geo.cube.cube import FLUX_NAMES, join

    settings = project.settings

    def regridded(source: str) -> xr.Dataset:
        return open_zarr(_regridded(project, source), "regrid")

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
    biomes = open_zarr(project.path(RESULTS["biomes"]), "biomes")
    cube = join(predictors, biomes, fluxes, project.target_grid)
    cube.attrs = {"source": SOFTWARE, **attributes(project)}
    path = project.path(RESULTS["cube"])
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
