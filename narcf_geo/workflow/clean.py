"""Removing what a run has made: what can be made again, and nothing of the user's own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from narcf_geo.core.addresses import is_address
from narcf_geo.core.errors import UsageError
from narcf_geo.core.filenames import expand
from narcf_geo.core.files import remove
from narcf_geo.project.project import RESULTS, Project
from narcf_geo.workflow.manifest import MANIFEST, Manifest
from narcf_geo.workflow.runner import locked

INTERMEDIATES = tuple(RESULTS[stage] for stage in ("regrid", "biomes", "cube"))
"""What later stages read and nobody hands out."""

_WORK = ".narcf"


def cleanable(project: Project, *, results: bool = False) -> list[Path]:
    """Return what `clean` would remove: files and folders, sorted.

    Parameters
    ----------
    project : Project
        The project.
    results : bool
        The model, the prediction, products, scores, figures and report as well, and the manifest.

    Returns
    -------
    list of Path
        What steps of a run wrote, as the manifest names it, and the folder ``.narcf`` of work in
        progress. Files of others in the same folders are none of it, and neither are inputs, the
        catalog and ``narcf.yaml``.
    """
    manifest = Manifest.open(project.directory)
    kept = _kept(project)
    home = project.directory.resolve()
    found = {project.path(_WORK)}
    for name in manifest.outputs():
        path = project.path(name)
        if results or name.split("/")[0] in INTERMEDIATES:
            # With the side-cars of a raster: its style and its statistics.
            beside = path.parent.glob(f"{path.stem}.*") if path.suffix == ".tif" else ()
            found |= {path, *beside}
    if results:
        found.add(project.path(MANIFEST))

    def may_go(path: Path) -> bool:
        at = path.parent.resolve() / path.name
        own = home in at.parents and not any(at in (k, *k.parents) or k in at.parents for k in kept)
        return own and (path.exists() or path.is_symlink())

    return sorted(filter(may_go, found))


def clean(project: Project, *, results: bool = False) -> list[Path]:
    """Remove what a run has made and can make again; return what was removed.

    Parameters
    ----------
    project, results
        As for `cleanable`.

    Raises
    ------
    NarcfError
        When another process runs the project.

    Examples
    --------
    >>> project = Project.open("demo")  # doctest: +SKIP
    >>> [path.name for path in clean(project)]  # doctest: +SKIP
    ['.narcf', 'biomes.zarr', 'cube.zarr', 'fluxcom.zarr', 'ndvi.zarr']
    """
    with locked(project):
        found = cleanable(project, results=results)
        for path in found:
            if path.name == _WORK:
                _empty(path)
                continue
            remove(path)
            if path.parent != project.directory and not any(path.parent.iterdir()):
                path.parent.rmdir()
    with suppress(OSError):  # another process has begun there
        project.path(_WORK).rmdir()
    return found


def _empty(folder: Path) -> None:
    """Remove what is in the folder of work in progress, but for the lock that is held."""
    for path in folder.iterdir():
        if path.name != "lock":
            remove(path)


def _kept(project: Project) -> set[Path]:
    """Return what is never removed: what a run reads."""
    found = {project.path("narcf.yaml"), project.path(project.settings.catalog)}
    if project.settings.regions:
        found.add(project.path(project.settings.regions))
    catalog = project.catalog()
    for name in catalog:
        try:
            entry = catalog[name]
        except UsageError:  # a parameter without a value: no file is known
            continue
        for location in entry.locations:
            found |= set() if is_address(location) else set(expand(location))
        found |= {entry.companion} if entry.companion else set()
    return {path.parent.resolve() / path.name for path in found}
