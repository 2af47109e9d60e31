"""Time and memory of regridding, against CDO, xESMF, xarray-regrid and scipy.

    python benchmarks/regrid.py [--cases NAME ...] [--json OUT.json] [--peer PYTHON]

Every run is a process of its own (its peak memory is its own), one after the other; weights are
computed on one thread, here and by CDO, and timed in CPU seconds, so that other work on the machine
counts less; the rest is wall time. CDO is used when `cdo` is on the path; xarray-regrid runs in
the interpreter given by --peer (an environment with xarray-regrid in it), so that it needs nothing
of this one. What is absent is skipped with a line that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TARGET = (-170.0, 10.0, -50.0, 85.0, 1.0)
WORLD = (-180.0, -90.0, 180.0, 90.0)
Run = Callable[[Path], dict[str, Any]]
RUNS: dict[str, Run] = {}


def run(function: Run) -> Run:
    """Register a function that is run in a process of its own."""
    RUNS[function.__name__] = function
    return function


def least(
    function: Callable[[], Any], times: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Least of some times, seconds."""
    elapsed = []
    for _ in range(times):
        start = clock()
        function()
        elapsed.append(clock() - start)
    return min(elapsed)


def best(function: Callable[[], Any], times: int = 5) -> float:
    """Least of some wall times, seconds, after a call that may compile."""
    function()
    return least(function, times)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def extra_mib(function: Callable[[], Any]) -> float:
    """Peak memory of a call beyond what is held before it (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # set the high-water mark back

    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key))

    before = status("VmRSS:")
    function()
    return (status("VmHWM:") - before) / 1024


def narr() -> tuple[np.ndarray, np.ndarray]:
    """Corners of the NARR grid (NCEP grid 221), degrees, shape (278, 350)."""
    from pyproj import Proj

    lambert = Proj(proj="lcc", lat_1=50, lat_2=50, lat_0=50, lon_0=-107, R=6371200)
    x, y = lambert(-145.5, 1.0)
    step = 32463.41
    columns, rows = np.arange(350) - 0.5, np.arange(278) - 0.5
    return lambert(*np.meshgrid(x + step * columns, y + step * rows), inverse=True)


def lambert(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners of n x n cells of a Lambert grid over North America, degrees."""
    from pyproj import Proj

    plane = Proj(proj="lcc", lat_1=50, lat_2=50, lat_0=50, lon_0=-107, R=6371200)
    x, y = np.linspace(-5.5e6, 5.5e6, n + 1), np.linspace(-4e6, 4e6, n + 1)
    lon, lat = np.empty((2, n + 1, n + 1))
    for row in range(n + 1):
        lon[row], lat[row] = plane(x, np.full(n + 1, y[row]), inverse=True)
    return lon, lat


def global_corners(resolution: float) -> tuple[np.ndarray, np.ndarray]:
    nx, ny = round(360 / resolution), round(180 / resolution)
    return np.meshgrid(np.linspace(-180, 180, nx + 1), np.linspace(-90, 90, ny + 1))


def global_field(ny: int, nx: int) -> np.ndarray:
    """A smooth float32 field with an ocean of NaN."""
    lat, lon = np.linspace(-1.57, 1.57, ny)[:, None], np.linspace(-3.14, 3.14, nx)
    field = (np.cos(lat) * np.sin(3 * lon) + np.sin(2 * lat)).astype("float32")
    field[field < -0.8] = np.nan
    return field


def curvilinear_weights(corners: tuple[np.ndarray, np.ndarray], target: Any) -> dict[str, Any]:
    from narcf_geo.grid import Grid
    from narcf_geo.kernels.conservative import conservative_weights

    source = Grid.from_corners(*corners)
    start = time.process_time()
    weights = conservative_weights(source, target)
    first = time.process_time() - start
    peak = peak_mib()
    again = least(lambda: conservative_weights(source, target), 9, time.process_time)
    parallels = least(
        lambda: conservative_weights(source, target, edges="parallels"), 9, time.process_time
    )
    return {
        "seconds": again,
        "parallels": parallels,
        "first_call": first,
        "peak_mib": peak,
        "weights": weights.nnz,
    }


@run
def narr_weights(folder: Path) -> dict[str, Any]:
    from narcf_geo.grid import Grid

    return curvilinear_weights(narr(), Grid.regular(*TARGET))


@run
def quarter_weights(folder: Path) -> dict[str, Any]:
    from narcf_geo.grid import Grid

    return curvilinear_weights(global_corners(0.25), Grid.regular(*WORLD, 1))


@run
def lambert_weights(folder: Path) -> dict[str, Any]:
    from narcf_geo.grid import Grid

    return curvilinear_weights(lambert(1000), Grid.regular(*TARGET))


@run
def lambert_to_quarter_weights(folder: Path) -> dict[str, Any]:
    from narcf_geo.grid import Grid

    return curvilinear_weights(lambert(1000), Grid.regular(*TARGET[:4], 0.25))


def large_weights(n: int) -> dict[str, Any]:
    """n x n cells to 0.1 degree, weights in blocks."""
    from narcf_geo.grid import Grid
    from narcf_geo.regridding import compute_weights

    lon, lat = lambert(n)
    source, target = Grid.from_corners(lon, lat), Grid.regular(*TARGET[:4], 0.1)
    del lon, lat
    small = Grid.from_corners(*lambert(4))
    compute_weights(small, Grid.regular(*TARGET[:4], 5))
    start = time.process_time()
    compute_weights(source, target)
    return {"seconds": time.process_time() - start, "peak_mib": peak_mib()}


@run
def large_weights_1500(folder: Path) -> dict[str, Any]:
    return large_weights(1500)


@run
def large_weights_3000(folder: Path) -> dict[str, Any]:
    return large_weights(3000)


@run
def large_weights_6000(folder: Path) -> dict[str, Any]:
    return large_weights(6000)


@run
def narr_apply(folder: Path) -> dict[str, Any]:
    """108 months of 8 variables, float32, weights made before."""
    import scipy.sparse
    import xarray as xr
    import xesmf

    from narcf_geo.grid import Grid
    from narcf_geo.kernels.conservative import conservative_weights
    from narcf_geo.regridding import compute_weights, regrid
    from narcf_geo.regridding.exchange import xesmf_grid

    source, target = Grid.from_corners(*narr()), Grid.regular(*TARGET)
    rng = np.random.default_rng(0)
    fields = rng.random((108, 277, 349), dtype="float32")
    ds = xr.Dataset({f"v{i}": (("time", "y", "x"), fields + np.float32(i)) for i in range(8)})
    weights = compute_weights(source, target)
    ours = best(lambda: regrid(ds, target, source=source, weights=weights), 3)

    matrix = conservative_weights(source, target)
    entries = matrix.tocoo()
    row, col = entries.coords
    given = {"row_dst": row + 1, "col_src": col + 1, "weights": entries.data}
    grids = xesmf_grid(source), xesmf_grid(target)
    regridder = xesmf.Regridder(*grids, "conservative", weights=given)
    peer = best(lambda: regridder(ds), 3)
    single = scipy.sparse.csr_array(matrix.astype("float32"))

    def product() -> list[np.ndarray]:
        stacks = (ds[name].values.reshape(108, -1) for name in ds)
        return [(single @ stack.T).T.reshape(108, *target.shape) for stack in stacks]

    return {"seconds": ours, "xesmf": peer, "scipy_csr": best(product, 3), "peak_mib": peak_mib()}


@run
def fine_apply(folder: Path) -> dict[str, Any]:
    """0.05 degree global to 1 degree, one float32 field in memory."""
    import scipy.sparse
    import xarray as xr

    from narcf_geo.grid import Grid
    from narcf_geo.kernels.rectilinear import axis_matrices
    from narcf_geo.regridding import compute_weights, regrid

    source, target = Grid.regular(*WORLD, 0.05), Grid.regular(*WORLD, 1)
    da = xr.DataArray(global_field(*source.shape), dims=("lat", "lon"), name="field")
    small = xr.DataArray(np.ones((8, 16), "float32"), dims=("lat", "lon"), name="field")
    regrid(small, Grid.regular(0, 0, 16, 8, 2), source=Grid.regular(0, 0, 16, 8, 1))
    weights = compute_weights(source, target)
    extra = extra_mib(lambda: regrid(da, target, source=source, weights=weights))
    ours = least(lambda: regrid(da, target, source=source, weights=weights), 9)
    whole = least(lambda: regrid(da, target, source=source), 5)
    total = best(lambda: da.values.sum(), 9)
    y, x = (scipy.sparse.csr_array(m.astype("float32")) for m in axis_matrices(source, target))
    xt = scipy.sparse.csr_array(x.T)
    return {
        "seconds": ours,
        "with_weights": whole,
        "sum": total,
        "scipy_two_matrices": best(lambda: (y @ da.values) @ xt, 9),
        "extra_mib": extra,
        "peak_mib": peak_mib(),
    }


@run
def issue_211(folder: Path) -> dict[str, Any]:
    """8962 x 9040 cells of longitude-latitude to 1.25 x 1 degree: grid, weights and field."""
    import xarray as xr

    from narcf_geo.grid import Grid
    from narcf_geo.regridding import regrid

    field = global_field(8962, 9040)
    start = time.perf_counter()
    source = Grid.from_corners(np.linspace(-180, 180, 9041), np.linspace(-90, 90, 8963))
    target = Grid.regular(*WORLD, (1.25, 1))
    regrid(xr.DataArray(field, dims=("lat", "lon"), name="field"), target, source=source)
    return {"seconds": time.perf_counter() - start, "peak_mib": peak_mib()}


@run
def write_store(folder: Path) -> dict[str, Any]:
    """Write a Zarr store of 36000 x 18000 cells in strips."""
    import zarr

    array = zarr.create_group(folder / "fine.zarr").create_array(
        "sst",
        shape=(18000, 36000),
        chunks=(1500, 3000),
        dtype="float32",
        dimension_names=("lat", "lon"),
    )
    strip = global_field(1500, 36000)
    for row in range(0, 18000, 1500):
        array[row : row + 1500] = strip + np.float32(row / 18000)
    return {"peak_mib": peak_mib()}


@run
def stream(folder: Path) -> dict[str, Any]:
    """0.01 degree global (36000 x 18000) from Zarr to 1 degree."""
    import xarray as xr

    from narcf_geo.grid import Grid
    from narcf_geo.regridding import regrid

    start = time.perf_counter()
    source, target = Grid.regular(*WORLD, 0.01), Grid.regular(*WORLD, 1)
    ds = xr.open_zarr(folder / "fine.zarr", consolidated=False)
    out = regrid(ds, target, source=source).compute()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": peak_mib(), "mean": float(out.sst.mean())}


@run
def fine_xarray_regrid(folder: Path) -> dict[str, Any]:
    """Regrid the field of `fine_apply` by xarray-regrid."""
    import xarray as xr
    import xarray_regrid

    lat, lon = -90 + 0.05 * (np.arange(3600) + 0.5), -180 + 0.05 * (np.arange(7200) + 0.5)
    da = xr.DataArray(
        global_field(3600, 7200), dims=("lat", "lon"), coords={"lat": lat, "lon": lon}, name="f"
    )
    target = xarray_regrid.Grid(
        north=89.5, south=-89.5, west=-179.5, east=179.5, resolution_lat=1, resolution_lon=1
    ).create_regridding_dataset(lat_name="lat", lon_name="lon")
    start = time.perf_counter()
    da.regrid.conservative(target, latitude_coord="lat", skipna=True, nan_threshold=0.5)
    return {"seconds": time.perf_counter() - start, "peak_mib": peak_mib()}


@run
def write_narr(folder: Path) -> dict[str, Any]:
    """Write 736 steps of NARR as a compressed file, a chunk a step, and its first 8 steps."""
    import xarray as xr

    from narcf_geo.grid import Grid
    from narcf_geo.grid.coordinates import quads

    lon_b, lat_b = narr()
    grid = Grid.from_corners(lon_b, lat_b)
    lon, lat = grid.centers()
    rng = np.random.default_rng(0)
    plane = np.cos(np.radians(3 * lon)) * 20 + lat
    steps = (280 + plane + rng.normal(0, 0.3, plane.shape) + k / 50 for k in range(736))
    values = np.stack([step.astype("float32").round(2) for step in steps])
    degrees = {"lat": "degrees_north", "lon": "degrees_east"}
    ds = xr.Dataset(
        {
            "air": (("time", "y", "x"), values, {"units": "K", "coordinates": "lat lon"}),
            "lat_v": (("y", "x", "nv"), quads(lat_b)),
            "lon_v": (("y", "x", "nv"), quads(lon_b)),
            "lat": (("y", "x"), lat, {"units": degrees["lat"], "bounds": "lat_v"}),
            "lon": (("y", "x"), lon, {"units": degrees["lon"], "bounds": "lon_v"}),
        },
        {"time": ("time", 3.0 * np.arange(736), {"units": "hours since 1979-01-01"})},
    )
    stored = {"air": {"zlib": True, "shuffle": True, "complevel": 4, "chunksizes": (1, 277, 349)}}
    ds.to_netcdf(folder / "narr.nc", encoding=stored)
    ds.isel(time=slice(8)).to_netcdf(folder / "first.nc", encoding=stored)
    return {"peak_mib": peak_mib()}


def measured(command: list[str], **environment: str) -> tuple[str, float, float]:
    """Run a command; return its output, CPU seconds and peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, env={**os.environ, **environment})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} failed with exit code {child.returncode}")
        out.seek(0)
        return out.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def process(name: str, folder: Path, python: str = sys.executable) -> dict[str, Any]:
    """Run one of `RUNS` in a process of its own."""
    command = [python, __file__, "--run", name, "--folder", str(folder)]
    environment = {"NUMBA_NUM_THREADS": "1"} if name.endswith("_weights") else {}
    return json.loads(measured(command, **environment)[0].splitlines()[-1])


def cdo_weights(
    corners: tuple[np.ndarray, np.ndarray], box: tuple[float, ...], folder: Path
) -> dict[str, float] | None:
    """CPU time and memory of `cdo gencon`, which reads the grid and writes the weights."""
    import xarray as xr

    from narcf_geo.grid import Grid

    if shutil.which("cdo") is None:
        print("skipped: cdo is not installed (apt-get install cdo)")
        return None
    grid = Grid.from_corners(*corners)
    zero = xr.Dataset({"zero": (("y", "x"), np.zeros(grid.shape, "float32"))}, grid.coords())
    zero.to_netcdf(folder / "source.nc")
    cdo_target(box, folder / "target.txt")
    command = ["cdo", "-s", "-P", "1", f"gencon,{folder}/target.txt", f"{folder}/source.nc"]
    runs = [measured([*command, f"{folder}/weights.nc"])[1:] for _ in range(3)]
    return {"seconds": min(r[0] for r in runs), "peak_mib": max(r[1] for r in runs)}


def cdo_target(box: tuple[float, ...], path: Path) -> None:
    west, south, east, north, step = box
    path.write_text(
        f"gridtype = lonlat\nxsize = {(east - west) / step:.0f}\nysize = "
        f"{(north - south) / step:.0f}\nxfirst = {west + step / 2}\nxinc = {step}\n"
        f"yfirst = {south + step / 2}\nyinc = {step}\n"
    )


def narr_file(folder: Path) -> list[tuple[str, float, float | None]]:
    """CPU time and memory of the whole command, weights given, and of CDO's."""
    process("write_narr", folder)
    program = Path(sys.executable).with_name("narcf-geo")
    west, south, east, north, step = map(str, TARGET)
    options = ["--grid", step, "--bounds", west, south, east, north]
    runs: dict[str, list[str]] = {}
    for name, source in (("narcf_geo", "narr.nc"), ("narcf_geo, 8 steps", "first.nc")):
        files = [str(folder / source), str(folder / "ours.nc")]
        runs[name] = [str(program), "regrid", *files, *options, "--weights", str(folder / "w.nc")]
    measured(runs["narcf_geo, 8 steps"])  # writes the weights
    if shutil.which("cdo") is None:
        print("skipped: cdo is not installed (apt-get install cdo)")
    else:
        cdo_target(TARGET, folder / "target.txt")
        grid, weights, source = (str(folder / n) for n in ("target.txt", "cdo.nc", "narr.nc"))
        measured(["cdo", "-s", f"gencon,{grid}", source, weights])
        remap = [f"remap,{grid},{weights}", source, str(folder / "theirs.nc")]
        runs["cdo remap, not compressed"] = ["cdo", "-s", *remap]
        runs["cdo remap, compressed"] = ["cdo", "-s", "-f", "nc4", "-z", "zip_1", *remap]
    rows: list[tuple[str, float, float | None]] = []
    for name, command in runs.items():
        found = [measured(command)[1:] for _ in range(3)]
        rows.append((name, min(f[0] for f in found), max(f[1] for f in found)))
    return rows


CASES = {
    "narr_weights": "weights, NARR 349x277 (curvilinear) to 1 degree North America (CPU)",
    "quarter_weights": "weights, 0.25 degree global as 2-D corners to 1 degree (CPU)",
    "lambert_weights": "weights, 1000x1000 Lambert (curvilinear) to 1 degree North America (CPU)",
    "lambert_to_quarter_weights": "weights, 1000x1000 Lambert to 0.25 degree North America (CPU)",
    "large_weights": "weights in blocks, Lambert to 0.1 degree North America (CPU)",
    "narr_apply": "apply, NARR to 1 degree, 108 months x 8 variables, float32",
    "fine_apply": "apply, 0.05 degree global to 1 degree, one float32 field in memory",
    "issue_211": "whole job, 8962x9040 to 1.25x1 degree, one float32 field in memory",
    "narr_file": "whole command, 736 steps of NARR in a file to 1 degree, weights given (CPU)",
    "stream": "whole job, 0.01 degree global (36000x18000) from Zarr to 1 degree",
}


AGAINST_CDO: dict[str, tuple[Callable[[], Any], tuple[float, ...]]] = {
    "narr_weights": (narr, TARGET),
    "quarter_weights": (lambda: global_corners(0.25), (*WORLD, 1.0)),
    "lambert_weights": (lambda: lambert(1000), TARGET),
    "lambert_to_quarter_weights": (lambda: lambert(1000), (*TARGET[:4], 0.25)),
}


def measure(case: str, folder: Path, peer: str | None) -> list[tuple[str, float, float | None]]:
    """Rows (who, seconds, peak MiB) of one case, ours first."""
    if case == "narr_file":
        return narr_file(folder)
    if case == "stream":
        process("write_store", folder)
    if case == "large_weights":
        sizes = {n: process(f"large_weights_{n}", folder) for n in (1500, 3000, 6000)}
        return [(f"{n} x {n} cells", r["seconds"], r["peak_mib"]) for n, r in sizes.items()]
    ours = process(case, folder)
    rows = [("narcf_geo", ours["seconds"], ours["peak_mib"])]
    if case in AGAINST_CDO:
        rows.append(("narcf_geo, parallels", ours["parallels"], None))
        rows.append(("narcf_geo, first call of a process", ours["first_call"], ours["peak_mib"]))
        corners, box = AGAINST_CDO[case]
        theirs = cdo_weights(corners(), box, folder)
        if theirs:
            rows.append(("cdo gencon", theirs["seconds"], theirs["peak_mib"]))
    elif case == "narr_apply":
        rows += [("xesmf.Regridder", ours["xesmf"], None), ("scipy CSR", ours["scipy_csr"], None)]
    elif case == "fine_apply":
        rows += [
            ("narcf_geo, weights included", ours["with_weights"], None),
            ("narcf_geo, memory beyond the field", ours["seconds"], ours["extra_mib"]),
            ("x.sum()", ours["sum"], None),
            ("scipy, two sparse matrices, no NaN", ours["scipy_two_matrices"], None),
        ]
        if peer:
            theirs = process("fine_xarray_regrid", folder, peer)
            rows.append(("xarray-regrid", theirs["seconds"], theirs["peak_mib"]))
        else:
            print("skipped: xarray-regrid (give --peer PYTHON, an interpreter that has it)")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--peer", help="interpreter that has xarray-regrid")
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(RUNS[options.run](options.folder)))
        return
    results = {}
    for case in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(case, Path(folder), options.peer)
        print(f"\n{CASES[case]}\n  {'':36} {'seconds':>9} {'ratio':>8} {'peak MiB':>9}")
        for who, seconds, peak in rows:
            memory = "" if peak is None else f"{peak:9.0f}"
            print(f"  {who:36} {seconds:9.4f} {seconds / rows[0][1]:8.2f} {memory}", flush=True)
        results[case] = [
            {"who": who, "seconds": seconds, "peak_mib": peak} for who, seconds, peak in rows
        ]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
