"""Regrid files: NetCDF, Zarr, GeoTIFF or GRIB in; NetCDF, Zarr or GeoTIFF out."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import require_replaceable
from narcf_geo.core.progress import Progress, silent
from narcf_geo.fields.joined import shown_names
from narcf_geo.fields.reading import named, reading
from narcf_geo.grid import Cells
from narcf_geo.regridding.attributes import as_stored, described
from narcf_geo.regridding.inputs import Location, expand, groups_of, in_blocks, open_inputs
from narcf_geo.regridding.job import Job
from narcf_geo.regridding.meshes import as_rows, fields_as_rows, without_rows
from narcf_geo.regridding.options import Options, RegridOptions
from narcf_geo.regridding.output import Output, Result, ValidFraction, planes
from narcf_geo.regridding.plan import CELL_AREA, Task, plan
from narcf_geo.regridding.regridder import regridded, valid
from narcf_geo.regridding.summary import Summary, integral_units, integrals
from narcf_geo.regridding.target import Box, target_grid
from narcf_geo.regridding.variables import OnGrid, Sorted, sort_variables
from narcf_geo.regridding.writing import write

if TYPE_CHECKING:
    from pyproj import CRS

    from narcf_geo.core.pool import Pool
    from narcf_geo.fields.remote import RemoteFile


def regrid_file(
    source: Location | Iterable[Location],
    target_path: str | os.PathLike[str],
    *,
    grid: Cells | float | Sequence[float] | None = None,
    like: str | os.PathLike[str] | None = None,
    bounds: Box | None = None,
    crs: CRS | str | int | None = None,
    weights: str | os.PathLike[str] | None = None,
    variables: Sequence[str] | None = None,
    dtype: str | None = None,
    compress: str | None = None,
    chunks: Mapping[str, int] | None = None,
    valid_fraction: ValidFraction | None = None,
    anonymous: bool = False,
    pool: Pool | None = None,
    memory: str | float | None = None,
    command: str | None = None,
    progress: Progress = silent,
    **options: Unpack[RegridOptions],
) -> list[Summary]:
    """Regrid the variables of files, block by block, and write the result whole.

    Fields on several grids in one file are each regridded from their own grid. A Zarr store is
    written region by region in a folder beside it: a run that was stopped goes on where it was,
    and the bytes are the same.

    Parameters
    ----------
    source : path, str or iterable of these
        NetCDF, Zarr or GeoTIFF; any other format of `narcf_geo.open_fields` too. Patterns such as
        ``air_*.nc`` and addresses (https, s3, gs) are expanded. Several files are joined along
        time, each in the unit of the first.
    target_path : path
        ``.nc``, ``.zarr`` or ``.tif`` (one variable with at most one more dimension). An older file
        is replaced when the new one is whole. A folder, existing or with a slash at its end, takes
        one file for each of the source.
    grid : Grid, float or pair of float, optional
        The target: a `Grid`, or a resolution in degrees or in units of `crs`, one for both
        directions or (longitude, latitude).
    like : path or str, optional
        A file whose grid is the target, a grid description of CDO, or one of its names, such as
        ``r360x180``; instead of `grid`.
    bounds : tuple of float, optional
        West, south, east, north for a resolution, in the same unit; the extent of the source, moved
        outwards to whole cells, when not given.
    crs : pyproj.CRS, str or int, optional
        Reference system of a resolution, such as ``"EPSG:3035"``.
    weights : path, optional
        A weight file to read, or to write when it is absent.
    variables : sequence of str, optional
        Those to regrid; all numeric ones on a grid when not given.
    dtype : str, optional
        Of the result, such as ``float32`` or ``int16``. Values are packed into integers with the
        scale and offset of the source if it has this dtype, else with those that its values need.
    compress : str, optional
        ``deflate``, ``zstd``, ``lzw`` (GeoTIFF), ``lz4`` (Zarr) or ``none``; with a level if
        wished: ``zstd:9``.
    chunks : mapping, optional
        Size of the stored chunks along some of the dimensions.
    valid_fraction : {"band", "file", "none"}, optional
        Where the covered fraction goes: into the same file, as a variable or in a GeoTIFF as a
        band for each band of values; into ``<name>_valid_fraction`` beside it; or nowhere. By
        default ``none`` for a GeoTIFF and ``band`` else.
    anonymous : bool
        Read buckets without credentials.
    pool : Pool, optional
        Who computes, as from `narcf_geo.core.pool.open_pool`; by default a thread for each core, as
        far as memory allows.
    memory : str or float, optional
        What each process may take: as "2GB" or in bytes.
    command : str, optional
        What the user typed, for the history.
    progress : callable
        Called with the pieces that are done, all pieces and a text.
    **options
        Those of `regrid`: `method`, `quantity`, `categorical`, `min_coverage`, `percentile`,
        `source_mask`, `target_mask`, `max_distance`, `extrapolate`.

    Returns
    -------
    list of Summary
        One for every variable of the source: regridded, copied, replaced or dropped, and why.

    Raises
    ------
    UsageError
        For options that exclude each other, output formats that cannot hold the result, and an
        output that is one of the inputs or holds one.
    MissingFileError
        When there is no such file.
    NarcfError
        For files that cannot be read, have no grid, or are not of one series.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> import numpy as np
    >>> from narcf_geo.grid import Grid
    >>> fine = Grid.regular(-100, 40, -96, 44, 1)
    >>> nee = xr.Dataset({"nee": (fine.dims, np.full(fine.shape, -1.5))}, fine.coords())
    >>> nee.to_netcdf(folder / "nee.nc")
    >>> rows = regrid_file(folder / "nee.nc", folder / "coarse.nc", grid=2)
    >>> [(row.variable, row.fate) for row in rows if row.fate == "regridded"]
    [('nee', 'regridded')]
    >>> rows[0].coverage, round(rows[0].integral_after / rows[0].integral_before, 9)
    (1.0, 1.0)
    """
    asked = Options(**options)
    files = expand(source, anonymous=anonymous)
    jobs: dict[tuple[Cells, Cells], Job] = {}

    def job_for(one: Cells, other: Cells) -> Job:
        if (one, other) not in jobs:
            jobs[one, other] = Job.of(one, other, weights, asked)
        return jobs[one, other]

    def target_for(one: Cells) -> Cells:
        return _target(one, grid, like, bounds, crs)

    rows: list[Summary] = []
    for part, path in _parts(files, target_path):
        output = Output.of(path, dtype, compress, chunks, valid_fraction)
        inputs = [p for p in (*part, like, weights) if isinstance(p, str | os.PathLike)]
        require_replaceable(path, inputs, store=path.suffix == ".zarr")
        for beside in output.beside:
            require_replaceable(beside, [*inputs, path], store=False)
        made = _OneFile(part, variables, target_for, job_for, asked, output, command, weights)
        rows += made.run(pool, memory, progress)
    return rows


def _parts(
    files: Sequence[Path | RemoteFile], target_path: str | os.PathLike[str]
) -> list[tuple[list[Path | RemoteFile], Path]]:
    """Return what goes into which file: all into one, or each into its own of a folder."""
    text, path = os.fspath(target_path), Path(target_path)
    folder = text.endswith(("/", os.sep)) or (path.is_dir() and path.suffix != ".zarr")
    if not folder or path.suffix.lower() in (".nc", ".nc4", ".tif", ".tiff"):
        return [(list(files), path)]
    found: dict[Path, Path | RemoteFile] = {}
    for file in files:
        suffix = Path(file.name).suffix.lower()
        name = Path(file.name).stem + (suffix if suffix in (".tif", ".zarr") else ".nc")
        if path / name in found:
            raise UsageError(
                f"{file}: expected files of different names for the folder {path}, found {name} "
                f"of {found[path / name]} too; regrid them one by one"
            )
        found[path / name] = file
    return [([file], out) for out, file in found.items()]


class _OneFile:
    """One file to write, and what it is made of."""

    def __init__(
        self,
        files: Sequence[Path | RemoteFile],
        variables: Sequence[str] | None,
        target_for: Callable[[Cells], Cells],
        job_for: Callable[[Cells, Cells], Job],
        asked: Options,
        output: Output,
        command: str | None,
        weights: str | os.PathLike[str] | None,
    ) -> None:
        self.files, self.variables = list(files), variables
        self.target_for, self.job_for = target_for, job_for
        self.asked, self.output = asked, output
        self.command, self.weights = command, weights

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [file.name for file in self.files]

    def run(
        self, pool: Pool | None, memory: str | float | None, progress: Progress
    ) -> list[Summary]:
        """Regrid the files and write the result."""
        started = time.perf_counter()
        progress(0, 1, f"opening {shown_names(self.names)}")
        with open_inputs(self.files, self.variables or ()) as ds:
            where = shown_names([str(file) for file in self.files])
            with named(where):
                found = sort_variables(ds, self.variables, where)
            goal = self.target_for(found.groups[0].source)
            tasks = self._tasks(found)
            copied = ds[found.copied] if found.copied else ds.drop_vars(list(ds.variables))
            out = as_stored(copied.assign_attrs(ds.attrs))
            results: list[Result] = []
            rows: list[Summary] = []
            for group in found.groups:
                progress(0, 1, f"weights from {group.source}")
                own = {name: tasks[name] for name in group.names}
                with named(where), reading(where):
                    out, made = self._with_group(out, group, goal, own)
                results += made
                rows += [self._row(task, group, goal, out) for task in own.values()]
            classes = [n for n, t in tasks.items() if t.method.name == "majority"]
            fields = [n for r in results for n in (r.name, r.fraction)]
            out = described(out, self._history(found, goal, tasks), fields, classes)
            key = self._key(out)
            with reading(where):
                sums = write(out, results, self.output, key, pool, memory, progress)
        seconds = time.perf_counter() - started
        steps = {result.name: result.steps for result in results}
        done = [
            row.with_sums(sums[row.variable], steps[row.variable]) if row.variable in sums else row
            for row in rows
        ]
        return [replace(row, seconds=seconds) for row in [*done, *self._others(found)]]

    def _tasks(self, found: Sorted) -> dict[str, Task]:
        """Return how each field is regridded: together, so that one error names all of them."""
        together = found.groups[0].ds
        for group in found.groups[1:]:
            alone = {n: xr.Variable((), 0, group.ds[n].attrs) for n in group.names}
            for name in group.names:
                alone[name].encoding = {**group.ds[name].encoding, "dtype": group.ds[name].dtype}
            together = together.assign(alone)
        names = [n for group in found.groups for n in group.names]
        return plan(together, names, self.asked)

    def _with_group(
        self, out: xr.Dataset, group: OnGrid, goal: Cells, tasks: dict[str, Task]
    ) -> tuple[xr.Dataset, list[Result]]:
        """Return `out` with the fields of one grid regridded, and what is to be written of them."""
        fields = in_blocks(group.ds, group.names, group.source.dims)
        fields, source = fields_as_rows(_valid(fields, group.names), group.source)
        job = self.job_for(source, as_rows(goal))
        rows = regridded(fields, job, tasks)
        whole = without_rows(rows, goal)
        new = [n for n in whole.variables if n not in fields.variables or n in tasks]
        out = out.assign({n: whole[n] for n in new if n in whole.data_vars})
        out = out.assign_coords({n: whole[n] for n in new if n in whole.coords})
        plane = len(goal.dims)
        results = []
        for name, task in tasks.items():
            fraction = f"{name}_valid_fraction"
            if fraction not in rows:  # areas of cells, which are made at once
                continue
            values, before = rows[name].variable, fields[name].variable
            sums = integrals(before, values, rows[fraction].variable, job, task)
            made = Result(
                name=name,
                fraction=fraction,
                steps=planes(whole[name].variable, plane),
                plane=plane,
                sums=sums,
                packing=dict(group.ds[name].encoding) if task.keeps_packing else {},
                classes=dict(whole[name].encoding) if task.method.name == "majority" else {},
                block=_bytes(before),
            )
            results.append(made)
        return out, results

    def _row(self, task: Task, group: OnGrid, goal: Cells, out: xr.Dataset) -> Summary:
        units = integral_units(str(out[task.name].attrs.get("units", "")), task.quantity)
        total = task.quantity == "total" and task.method != CELL_AREA
        return Summary(
            variable=task.name,
            fate="regridded",
            how=f"{task.method.name} total" if total else task.method.name,
            path=self.output.path,
            source_grid=repr(group.source),
            target_grid=repr(goal),
            units=units if task.keeps_integral else "",
        )

    def _others(self, found: Sorted) -> list[Summary]:
        path = self.output.path
        fields = [group.ds[n] for group in found.groups for n in group.names]
        kept = {str(d) for field in fields for d in field.dims}
        lost = [n for n in found.copied if self.output.kind == "geotiff" and n not in kept]
        copied = [n for n in found.copied if n not in lost]
        groups = dict.fromkeys(f"{g}/" for file in self.files for g in groups_of(file))
        return [
            *(Summary(n, "copied", "no dimension of a grid", path) for n in copied),
            *(Summary(n, "dropped", "a GeoTIFF holds one field", path) for n in lost),
            *(Summary(n, "replaced", "the target has its own", path) for n in found.replaced),
            *(Summary(n, "dropped", reason, path) for n, reason in found.dropped.items()),
            *(Summary(n, "dropped", "groups are not read", path) for n in groups),
        ]

    def _history(self, found: Sorted, goal: Cells, tasks: dict[str, Task]) -> str:
        hows = sorted({f"{task.method.name} {task.quantity}" for task in tasks.values()})
        options = f"min_coverage {self.asked.min_coverage:g}"
        if self.asked.edges == "great_circles":
            options += ", edges on great circles"
        grids = "; ".join(f"{', '.join(g.names)} from {g.source}" for g in found.groups)
        by = f"weights from {Path(self.weights).name}" if self.weights else "weights computed"
        text = (
            f"regridded {shown_names(self.names)} by {', '.join(hows)} ({options}), {by}: {grids} "
            f"to {goal}"
        )
        return f"{self.command}; {text}" if self.command else text

    def _key(self, out: xr.Dataset) -> dict[str, Any]:
        """Return what tells this job from another one for the same output."""
        return {
            "files": [[str(file), _stamp(file)] for file in self.files],
            "options": {name: _plain(value) for name, value in vars(self.asked).items()},
            "weights": str(self.weights or ""),
            "variables": [str(n) for n in out.data_vars],
            "coords": {str(n): _digest(v) for n, v in out.coords.items() if v.ndim},
        }


def _plain(value: Any) -> Any:
    """Return an option as text, an array by its content."""
    if isinstance(value, xr.DataArray | np.ndarray):
        return _digest(xr.DataArray(value))
    return sorted(value) if isinstance(value, frozenset) else repr(value)


def _digest(array: xr.DataArray) -> str:
    return hashlib.sha256(repr(array.values.tolist()).encode()).hexdigest()


def _stamp(file: Path | RemoteFile) -> Any:
    """Return what tells this version of a file from another."""
    if not isinstance(file, Path):
        return file.stamp()
    paths = sorted(file.rglob("*")) if file.is_dir() else [file]
    stats = [p.stat() for p in paths]
    return [[s.st_size, s.st_mtime_ns] for s in stats]


def _bytes(variable: xr.Variable) -> int:
    chunks = variable.chunks or ()
    return int(variable.dtype.itemsize * math.prod(max(c) for c in chunks))


def _valid(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Return fields with NaN for what is outside their valid range, their encodings kept."""
    encodings = {n: dict(ds[n].encoding) for n in names}
    ds = valid(ds)
    for name, encoding in encodings.items():
        ds[name].encoding = encoding
    return ds


def _target(
    source: Cells,
    grid: Cells | float | Sequence[float] | None,
    like: str | os.PathLike[str] | None,
    bounds: Box | None,
    crs: CRS | str | int | None,
) -> Cells:
    if like is None:
        if grid is None:
            raise UsageError("expected a grid (a resolution), or a file or name to be like")
        return target_grid(grid, source, bounds, crs)
    if grid is not None or bounds is not None or crs is not None:
        raise UsageError(
            "expected a grid (with bounds and a reference system), or a file to be like, found both"
        )
    return target_grid(like, source)
