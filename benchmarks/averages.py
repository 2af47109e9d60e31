"""Monthly means of fine time steps beside plain xarray: CPU seconds and memory.

    python benchmarks/averages.py [--repeat 3] [--folder FOLDER]

Three-hourly fields of three months on the NARR grid, and daily fields of 20 years at 0.5 degrees
over North America, each step a chunk of a compressed NetCDF file. Eager xarray loads the file and
resamples it. Each is measured in a process of its own; memory is the peak beyond what the process
holds after its imports.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import extra_mib, once, table, timed

SIZES = {"three-hourly": (736, 277, 349), "daily": (7305, 110, 240)}
WAYS = ("eager", "lazy", "in memory", "show")
CATALOG = """\
sources:
  fields:
    description: fields to average
    driver: netcdf
    args: {{urlpath: {path}}}
    metadata: {{role: predictor, monthly_mean: 0.9, variables: {{temp: {{name: air}}}}}}
"""


def write(path: Path, kind: str, missing: bool) -> None:
    """Write fields of a kind, half of their cells without values where `missing`."""
    import netCDF4
    import numpy as np

    steps, ny, nx = SIZES[kind]
    random = np.random.default_rng(1)
    y, x = np.linspace(10, 65, ny), np.linspace(-170, -50, nx)
    plane = 300 - y[:, None] + 3 * np.sin(x / 10)
    sea = np.sin(y[:, None] / 9) > np.cos(x / 7)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", steps), ("lat", ny), ("lon", nx)):
            file.createDimension(name, size)
            axis = file.createVariable(name, "f8", (name,))
            if name == "time":
                hours = 3 if kind == "three-hourly" else 24
                axis.units, axis[:] = "hours since 2001-08-01", np.arange(steps) * hours
            else:
                axis.units = "degrees_north" if name == "lat" else "degrees_east"
                axis[:] = y if name == "lat" else x
        air = file.createVariable(
            "air",
            "f4",
            ("time", "lat", "lon"),
            zlib=True,
            complevel=4,
            shuffle=True,
            chunksizes=(1, ny, nx),
            fill_value=np.float32(-9e33),
        )
        air.units = "K"
        for step in range(steps):
            noise = np.round(random.standard_normal((ny, nx)), 1)
            field = plane + 10 * np.sin(step / 30) + noise
            air[step] = np.where(sea, -9e33, field) if missing else field


def work(way: str, path: Path) -> Callable[[], Any]:
    """Return what is measured, with its imports done."""
    import xarray as xr

    from narcf_geo.catalog import Catalog
    from narcf_geo.catalog.describe import describe
    from narcf_geo.fields.averages import monthly_mean

    if way == "eager":
        return lambda: xr.open_dataset(path).load().resample(time="MS").mean()
    if way == "lazy":
        return lambda: monthly_mean(xr.open_dataset(path, chunks={}), 0.9).compute()
    if way == "in memory":
        return lambda: monthly_mean(xr.open_dataset(path), 0.9)
    entry = Catalog.open(path.with_suffix(".yaml"))["fields"]
    return lambda: describe(entry)


def warm(path: Path, way: str) -> None:
    """Do the work on few steps, so that what is imported late is not measured."""
    import xarray as xr

    small = path.parent / f"{path.stem}-few.nc"
    if not small.exists():
        with xr.open_dataset(path) as ds:
            ds.isel(time=slice(0, 62)).to_netcdf(small)
        small.with_suffix(".yaml").write_text(CATALOG.format(path=small))
    work(way, small)()


def measured(way: str, path: Path) -> dict[str, float]:
    """CPU seconds and memory of one way, in this process."""
    warm(path, way)
    function = work(way, path)
    taken: dict[str, float] = {}
    memory = extra_mib(lambda: taken.update(timed(function)))
    return {**taken, "memory": memory}


def compare(folder: Path, kind: str, missing: bool, repeat: int) -> None:
    path = folder / f"{kind}{'-land' if missing else ''}.nc"
    if not path.exists():
        write(path, kind, missing)
    path.with_suffix(".yaml").write_text(CATALOG.format(path=path))
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(repeat):
        for way in WAYS:
            results[way].append(once([__file__, "--way", way, "--file", path]))
    best = {w: {k: min(r[k] for r in runs) for k in runs[0]} for w, runs in results.items()}
    cpu = best["eager"]["cpu"]
    rows = [
        (way, found["cpu"], found["cpu"] / cpu, found["wall"], found["memory"])
        for way, found in best.items()
    ]
    steps, ny, nx = SIZES[kind]
    title = f"{steps} {kind} steps of {ny} x {nx}" + (", half of the cells missing" * missing)
    table(title, ("", "CPU s", "of eager", "wall s", "MiB"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the files there")
    parser.add_argument("--kind", choices=[*SIZES], nargs="*", default=[*SIZES])
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measured(options.way, options.file)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for kind in options.kind:
            for missing in (False, True):
                compare(folder, kind, missing, options.repeat)


if __name__ == "__main__":
    main()
