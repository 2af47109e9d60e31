"""The stages in order: the steps of each, and what a step reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from narcf_geo.catalog.entry import Entry, with_side_files
from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import UsageError
from narcf_geo.core.progress import Progress
from narcf_geo.fields.remote import RemoteFile
from narcf_geo.project.presets import PRESETS
from narcf_geo.project.project import Project
from narcf_geo.workflow import inputs, stages
from narcf_geo.workflow.options import Options

_BOX = {"region": {"west", "south", "east", "north"}, "resolution": True, "min_coverage": True}
_READING = {
    *("product", "variables", "sign", "legend", "climatology", "monthly_mean", "time", "crs"),
    "synthetic",
}
"""Keys of an entry that change what is read; the others say what it is and where it is from."""


@dataclass(frozen=True)
class Step:
    """What is done at once, and is done again when anything that it reads has changed.

    Attributes
    ----------
    name : str
        Of the step, in the manifest.
    run : callable
        Does the work, as the `Options` say, and returns the files and stores it wrote.
    options : dict
        The settings that change its result, as plain values.
    files : list
        The files it reads, beside what the stages before have written.
    words : bool
        Whether titles, citations and the like of what it reads change its result.
    holds : callable, optional
        Tells whether what it wrote still holds though what it reads has changed.
    """

    name: str
    run: Callable[[Project, Progress, Options], list[Path]]
    options: dict[str, Any]
    files: list[Path | RemoteFile] = field(default_factory=list)
    words: bool = True
    holds: Callable[[Project], bool] | None = None


@dataclass(frozen=True)
class Stage:
    """A stage of the run.

    Attributes
    ----------
    name : str
        Also the name of its command.
    needs : tuple of str
        The stages whose results it reads.
    steps : callable
        Returns its steps.
    format : int
        Version of what it writes: raised when the code changes that, and all is made anew.
    """

    name: str
    needs: tuple[str, ...]
    steps: Callable[[Project], list[Step]]
    format: int = 1


def _regrid(project: Project) -> list[Step]:
    catalog, settings = project.catalog(), project.settings
    steps = []
    for name, variables in project.sources().items():
        options = _settings(project, {**_BOX, "period": True, "valid_fraction": True})
        options |= {"variables": variables, "source": _reading(catalog[name])}
        if name == settings.target.source and settings.periods is not None:
            options["months_needed"] = settings.periods.model_dump(mode="json")
        run = partial(inputs.regrid_source, name=name)
        steps.append(Step(f"regrid {name}", run, options, with_side_files(catalog[name].files())))
    return steps


def _biomes(project: Project) -> list[Step]:
    entry = project.catalog()[project.settings.land_cover.source]
    options = _settings(project, {**_BOX, "land_cover": {"min_land"}})
    options["region"]["name"] = project.settings.region.name
    options |= {"source": _reading(entry), "description": entry.source.description}
    return [Step("biomes", inputs.map_biomes, options, with_side_files(entry.files()))]


def _cube(project: Project) -> list[Step]:
    wanted = dict.fromkeys(("predictors", "target", "reference", "truth"), True)
    words = {"attributes": inputs.attributes(project)}
    return [Step("cube", inputs.build_cube, _settings(project, {**_BOX, **wanted}) | words)]


_OF_PRODUCTS = ("license", "summary", "institution", "creator", "doi")
"""Settings that only the products say."""


def _train(project: Project) -> list[Step]:
    wanted = ("split", "missing", "features", "coordinates", "biome_features", "max_rows", "seed")
    options = _settings(project, dict.fromkeys(wanted, True))
    options["predictors"] = project.settings.predictor_names
    options["model"] = asdict(project.settings.model.recipe())
    options |= _added_by(PRESETS.origin(project.settings.model.preset))
    return [Step("train", stages.train_model, options, words=False, holds=stages.model_holds)]


def _predict(project: Project) -> list[Step]:
    options = _settings(project, dict.fromkeys(("title", *_OF_PRODUCTS), True))
    return [Step("predict", stages.predict_flux, options, _polygons(project))]


def _evaluate(project: Project) -> list[Step]:
    options = _settings(project, {"split": True, "period": True, "region": {"name"}})
    return [Step("evaluate", stages.evaluate_flux, options, _polygons(project))]


def _map(project: Project) -> list[Step]:
    return [Step("map", stages.draw_maps, {})]


def _report(project: Project) -> list[Step]:
    catalog, settings = project.catalog(), project.settings
    unread = {"catalog", "catalog_parameters", "seed", "model", *_OF_PRODUCTS}
    options = settings.model_dump(mode="json", exclude=unread)
    names = dict.fromkeys([*project.sources(), settings.land_cover.source])
    options["sources"] = {
        name: {
            "description": catalog[name].source.description,
            **catalog[name].metadata.model_dump(mode="json", include={"doi", "citation"}),
        }
        for name in names
    }
    return [Step("report", stages.write_project_report, options, _polygons(project))]


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("regrid", (), _regrid, format=2),
        Stage("biomes", (), _biomes, format=2),
        Stage("cube", ("regrid", "biomes"), _cube, format=2),
        Stage("train", ("cube",), _train, format=3),
        Stage("predict", ("cube", "train"), _predict, format=3),
        Stage("evaluate", ("cube", "train", "predict"), _evaluate, format=3),
        Stage("map", ("cube", "predict"), _map, format=3),
        Stage("report", ("cube", "train", "predict", "evaluate", "map"), _report, format=3),
    )
}
"""All stages, in the order in which they run."""


def wanted(names: tuple[str, ...]) -> list[Stage]:
    """Return the stages named, or all, and what they need, in order of running.

    Raises
    ------
    UsageError
        When there is no stage of that name.
    """
    if unknown := [name for name in names if name not in STAGES]:
        raise UsageError(f"no stage {', '.join(unknown)}; there are: {', '.join(STAGES)}")
    found = set(names or STAGES)
    for stage in reversed(STAGES.values()):
        if stage.name in found:
            found.update(stage.needs)
    return [stage for stage in STAGES.values() if stage.name in found]


def _settings(project: Project, include: dict[str, Any]) -> dict[str, Any]:
    return project.settings.model_dump(mode="json", include=include)


def _reading(entry: Entry) -> dict[str, Any]:
    """Return how an entry's files are read, without what may be secret: folders and queries."""
    from narcf_geo.catalog.readers import READERS
    from narcf_geo.catalog.readers.derived import FORMULAS

    args, metadata = entry.source.args, entry.metadata
    said = metadata.model_dump(mode="json", include=_READING, exclude_defaults=True)
    found = {
        "driver": entry.source.driver,
        "files": [Path(shown(location)).name for location in entry.locations],
        **said,
    }
    for name in ("xarray_kwargs", "csv_kwargs"):
        if given := getattr(args, name):
            text = json.dumps(given, sort_keys=True, default=str)
            found[name] = hashlib.sha256(text.encode()).hexdigest()
    formulas = (FORMULAS.origin(name) for name in FORMULAS)
    return found | _added_by(READERS.origin(metadata.product), *formulas)


def _added_by(*origins: str | None) -> dict[str, Any]:
    """Return the other distributions whose code a step runs, with their versions."""
    found = sorted({origin for origin in origins if origin})
    return {"added_by": found} if found else {}


def _polygons(project: Project) -> list[Path | RemoteFile]:
    regions = project.settings.regions
    return with_side_files([project.path(regions)]) if regions else []
