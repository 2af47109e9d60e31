"""Regridding labelled fields: the coverage rule, conservation, laziness, attributes."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import rectilinear_grids, rotated_grids

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import compute_weights, regrid
from narcf_geo.regridding.exchange import xesmf_grid
from narcf_geo.regridding.summary import source_areas
from narcf_geo.regridding.weights import Weights

SOURCE = Grid.regular(-180, -90, 180, 90, 4)
TARGET = Grid.regular(0, -90, 360, 90, (6, 5))
CURVED = Grid.from_corners(*SOURCE.corners())


def field(grid: Grid, times: int = 3, seed: int = 0, gaps: float = 0.0) -> xr.DataArray:
    """A field that differs in every cell, with gaps that move."""
    rng = np.random.default_rng(seed)
    values = rng.normal(280, 10, (times, *grid.shape))
    values[rng.random(values.shape) < gaps] = np.nan
    coords = {grid.dims[0]: grid.lat, grid.dims[1]: grid.lon} if grid.is_rectilinear else {}
    return xr.DataArray(
        values, dims=("time", *grid.dims), coords=coords, name="t", attrs={"units": "K"}
    )


def by_hand(values: np.ndarray, weights: Weights, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The rule in plain matrices: mean over the valid part, where there is enough of it."""
    matrix = weights.matrix().toarray()
    flat = values.reshape(len(values), -1)
    valid = np.isfinite(flat)
    total, covered = np.where(valid, flat, 0) @ matrix.T, valid @ matrix.T
    mean = np.where(covered >= least, total / np.where(covered > 0, covered, 1), np.nan)
    shape = len(values), *weights.target.shape
    return mean.reshape(shape), covered.reshape(shape)


@pytest.mark.parametrize("source", [SOURCE, CURVED])
@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.9])
def test_the_coverage_rule(source: Grid, gaps: float) -> None:
    data = field(source, gaps=gaps)
    data[1, 10:20] = np.nan
    out = regrid(data, TARGET, source=source, min_coverage=0.6)
    mean, covered = by_hand(data.values, compute_weights(source, TARGET), 0.6)
    np.testing.assert_allclose(out.values, mean, rtol=1e-12)
    np.testing.assert_allclose(out.t_valid_fraction.values, covered, atol=1e-12)
    assert out.dims == ("time", "lat", "lon")
    assert np.isnan(out[1].values).any()


def test_half_covered_is_valid_and_less_is_not() -> None:
    data = xr.DataArray([[5.0, np.nan], [7.0, 9.0]], dims=("lat", "lon"), name="f")
    source = Grid.regular(0, -1, 2, 1, 1)
    target = Grid.regular(0, -1, 4, 1, 2)
    assert (
        regrid(
            data[:1], Grid.regular(0, -1, 2, 0, (2, 1)), source=Grid.regular(0, -1, 2, 0, 1)
        ).item()
        == 5
    )
    out = regrid(data, target, source=source, min_coverage=0.75)
    assert out.values[0].tolist() == pytest.approx([7.0, np.nan], nan_ok=True)
    assert out.f_valid_fraction.values[0].tolist() == pytest.approx([0.75, 0.0])
    assert np.isnan(regrid(data, target, source=source, min_coverage=0.76).values).all()


def test_no_zero_is_written_outside_the_source() -> None:
    data = field(Grid.regular(10, 10, 50, 50, 4))
    out = regrid(data, TARGET, min_coverage=0)
    outside = out.t_valid_fraction.values == 0
    assert outside.any()
    assert np.isnan(out.values[outside]).all()
    assert np.isfinite(out.values[~outside]).all()


@given(
    st.one_of(rectilinear_grids(), rotated_grids()), st.one_of(rectilinear_grids(), rotated_grids())
)
@settings(max_examples=40, deadline=None)
def test_constants_stay_and_integrals_are_kept(source: Grid, target: Grid) -> None:
    rng = np.random.default_rng(1)
    weights = compute_weights(source, target)
    rows = weights.matrix().sum(axis=1).reshape(target.shape)
    assert rows.max() < 1 + 1e-9
    if rows.max() < 1e-6:
        return
    constant = xr.DataArray(np.full(source.shape, 287.3), dims=source.dims, name="t")
    constant.values[rng.random(source.shape) < 0.2] = np.nan
    out = regrid(constant, target, source=source, min_coverage=0, weights=weights)
    assert np.nanmax(np.abs(out.values - 287.3), initial=0) < 287.3e-12
    full = xr.DataArray(1 + rng.random(source.shape), dims=source.dims, name="t")
    out = regrid(full, target, source=source, min_coverage=0, weights=weights)
    np.testing.assert_allclose(out.t_valid_fraction.values, np.clip(rows, 0, 1), atol=1e-12)
    inside = np.prod(
        np.broadcast_arrays(
            *[
                np.expand_dims(a, [k for k, d in enumerate(source.dims) if d not in dims])
                for a, dims in source_areas(weights, "mean")
            ]
        ),
        axis=0,
    )
    before = (full.values * inside).sum()
    after = (out.fillna(0).values * out.t_valid_fraction.values * weights.target_area).sum()
    assert after == pytest.approx(before, rel=1e-10)


@pytest.mark.parametrize("source", [SOURCE, CURVED])
def test_global_integral_is_kept(source: Grid) -> None:
    data = field(source, gaps=0.4)
    out = regrid(data, TARGET, source=source, min_coverage=0)
    weights = compute_weights(source, TARGET)
    area = SOURCE.area if source is SOURCE else source.area
    before = np.nansum(data.values * area, axis=(1, 2))
    after = np.nansum(out.values * out.t_valid_fraction.values * weights.target_area, axis=(1, 2))
    np.testing.assert_allclose(after, before, rtol=1e-10)
    # A mean of a mean is not an integral: without the covered fraction it would not be kept.
    naive = np.nansum(out.values * weights.target_area, axis=(1, 2))
    assert np.abs(naive / before - 1).min() > 0.01


@pytest.mark.parametrize("source", [SOURCE, CURVED])
def test_totals_are_kept_and_not_multiplied(source: Grid) -> None:
    people = field(source, gaps=0.2)
    fine = Grid.regular(-180, -90, 180, 90, 1.5)
    out = regrid(people, fine, source=source, quantity="total", min_coverage=0)
    np.testing.assert_allclose(out.sum(("lat", "lon")), people.sum(source.dims), rtol=1e-12)
    assert out.attrs["cell_methods"] == "area: sum"
    mean = regrid(people, fine, source=source, min_coverage=0)
    assert float(abs(mean.sum(("lat", "lon")) / people.sum(source.dims) - 1).min()) > 1


@pytest.mark.parametrize("source", [SOURCE, CURVED])
def test_order_of_cells_does_not_matter(source: Grid) -> None:
    data = field(source, gaps=0.3)
    expected = regrid(data, TARGET, source=source)
    y, x = source.dims
    turned = data.transpose(x, "time", y)
    xr.testing.assert_allclose(regrid(turned, TARGET, source=source), expected, rtol=1e-12)
    lon_c, lat_c = source.corners()
    upside_down = Grid.from_corners(lon_c[::-1], lat_c[::-1], dims=source.dims)
    if source.is_rectilinear:
        upside_down = Grid.from_corners(source.lon_b, source.lat_b[::-1])
    flipped = data.isel({y: slice(None, None, -1)})
    np.testing.assert_allclose(
        regrid(flipped, TARGET, source=upside_down).values, expected.values, rtol=1e-12
    )
    around = Grid.from_corners(source.lon_b + 360, source.lat_b, dims=source.dims)
    np.testing.assert_allclose(
        regrid(data.drop_vars(data.coords), TARGET, source=around).values,
        expected.values,
        rtol=1e-11,
    )


def test_rolled_longitudes_through_the_coordinates() -> None:
    data = field(SOURCE, gaps=0.3)
    expected = regrid(data, TARGET)
    rolled = data.roll(lon=45, roll_coords=True)
    rolled = rolled.assign_coords(lon=np.where(rolled.lon < 0, rolled.lon + 360, rolled.lon))
    assert rolled.lon.values[[0, -1]].tolist() == [2, 358]
    np.testing.assert_allclose(regrid(rolled, TARGET).values, expected.values, rtol=1e-12)


@pytest.mark.parametrize("source", [SOURCE, CURVED])
@pytest.mark.parametrize("quantity", ["mean", "total"])
@pytest.mark.parametrize("chunks", [(1, 45, 90), (2, 7, 90), (3, 13, 17)])
def test_dask_is_lazy_and_equal(source: Grid, quantity: str, chunks: tuple[int, ...]) -> None:
    data = field(source, gaps=0.3)
    eager = regrid(data, TARGET, source=source, quantity=quantity)
    lazy = regrid(
        data.chunk(dict(zip(data.dims, chunks, strict=True))),
        TARGET,
        source=source,
        quantity=quantity,
    )
    assert isinstance(lazy.data, da.Array)
    assert lazy.chunks[0] == data.chunk(time=chunks[0]).chunks[0]
    np.testing.assert_allclose(lazy.values, eager.values, rtol=1e-11)
    np.testing.assert_allclose(
        lazy.t_valid_fraction.values, eager.t_valid_fraction.values, atol=1e-12
    )


def test_nothing_is_computed_and_each_block_is_read_once() -> None:
    seen: list[tuple[int, ...]] = []

    def block(block_info: dict | None = None) -> np.ndarray:
        place = block_info[None]["array-location"]
        seen.append(tuple(p[0] for p in place))
        return np.ones([stop - start for start, stop in place])

    data = da.map_blocks(
        block, chunks=((2,) * 2, (15,) * 3, (30,) * 3), dtype="f8", meta=np.ones((0, 0, 0))
    )
    seen.clear()
    lazy = regrid(xr.DataArray(data, dims=("time", "lat", "lon"), name="t"), TARGET, source=SOURCE)
    assert seen == []
    with dask.config.set(scheduler="synchronous"):
        values, _ = dask.compute(lazy.data, lazy.t_valid_fraction.data)
    assert len(seen) == len(set(seen)) == 18
    np.testing.assert_allclose(values, 1, rtol=1e-14)


def test_a_source_larger_than_one_target_chunk() -> None:
    fine = Grid.regular(0, 0, 60, 50, 0.02)
    data = field(Grid.regular(0, 0, 60, 50, 10), times=1)
    lazy = regrid(data.chunk(lat=2, lon=4), fine)
    assert lazy.data.npartitions > 1
    np.testing.assert_array_equal(lazy.values, regrid(data, fine).values)


def test_threads_and_blocks_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from narcf_geo.regridding import apply

    data = field(CURVED, times=40, gaps=0.1)
    one = regrid(data, TARGET, source=CURVED)
    monkeypatch.setattr(apply, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(apply, "TARGET_BLOCK_CELLS", 500)
    many = regrid(data, TARGET, source=CURVED)
    assert one.values.tobytes() == many.values.tobytes()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("f4", "f4"),
        ("f8", "f8"),
        (">f4", "f4"),
        ("f2", "f2"),
        ("i2", "f4"),
        ("i4", "f8"),
        ("bool", "f4"),
    ],
)
@pytest.mark.parametrize("chunks", [None, {"lat": 20}])
def test_dtypes(dtype: str, expected: str, chunks: dict | None) -> None:
    data = field(SOURCE, times=1).astype("i4").astype(dtype)
    out = regrid(data.chunk(chunks) if chunks else data, TARGET)
    assert out.dtype == np.dtype(expected)
    assert out.compute().dtype == np.dtype(expected)
    reference = regrid(data.astype("f8"), TARGET)
    np.testing.assert_allclose(
        out.values, reference.values, rtol=1e-3 if expected == "f2" else 1e-6
    )


def test_attributes_times_and_bounds() -> None:
    ds = field(SOURCE).to_dataset()
    ds["t"].attrs |= {
        "cell_methods": "time: mean",
        "grid_mapping": "crs",
        "cell_measures": "area: areacella",
        "standard_name": "air_temperature",
    }
    ds["t"].encoding = {"chunksizes": (1, 45, 90), "scale_factor": 0.1}
    ds["crs"] = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    ds["time_bnds"] = (("time", "bnds"), np.arange(6.0).reshape(3, 2))
    ds = ds.assign_coords(SOURCE.coords()).assign_coords(time=[1, 2, 3], height=2.0)
    ds["name"] = ("time", ["a", "b", "c"])
    ds.attrs["title"] = "a title"
    out = regrid(ds, TARGET)
    assert set(out.data_vars) == {"t", "t_valid_fraction", "time_bnds", "name"}
    assert out["t"].attrs == {
        "units": "K",
        "standard_name": "air_temperature",
        "cell_methods": "time: mean area: mean",
        "ancillary_variables": "t_valid_fraction",
        "grid_mapping": "spatial_ref",
    }
    assert out["t"].encoding == {}
    assert out["spatial_ref"].attrs["grid_mapping_name"] == "latitude_longitude"
    xr.testing.assert_identical(
        out["time_bnds"].drop_vars(["height", "spatial_ref"]), ds["time_bnds"].drop_vars("height")
    )
    assert out.attrs == ds.attrs
    assert out["lat_bnds"].shape == (36, 2)
    assert Grid.from_dataset(out) == TARGET
    assert set(regrid(out, SOURCE).data_vars) == set(out.data_vars)


def test_another_curvilinear_grid_as_target() -> None:
    lon, lat = np.meshgrid(np.linspace(-20, 30, 8), np.linspace(40, 60, 6))
    target = Grid.from_corners(lon + 0.3 * lat, lat + 0.1 * lon)
    out = regrid(field(SOURCE), target)
    assert out.dims == ("time", "y", "x")
    assert out["lat"].dims == ("y", "x")
    mean, _ = by_hand(field(SOURCE).values, compute_weights(SOURCE, target), 0.5)
    np.testing.assert_allclose(out.values, mean, rtol=1e-12)


@pytest.mark.parametrize("method", ["bilinear", "nearest_s2d", "nearest_d2s"])
def test_other_methods_are_xesmf(method: str) -> None:
    import xesmf

    data = field(SOURCE)
    regridder = xesmf.Regridder(xesmf_grid(SOURCE), xesmf_grid(TARGET), method, periodic=True)
    expected = regridder(data.drop_vars(data.coords)).values
    out = regrid(data, TARGET, method=method)
    valid = np.isfinite(out.values)
    assert valid.mean() > 0.5
    assert "cell_methods" not in out.attrs
    # Where several sources have one nearest target, ESMF adds them up; here their mean is taken.
    many = regridder.weights.data.sum(axis=1).todense().reshape(TARGET.shape)
    np.testing.assert_allclose(out.values[valid], (expected / many)[valid], rtol=1e-12)
    theirs = regrid(data, TARGET, weights=regridder).values
    np.testing.assert_allclose(theirs, out.values, rtol=1e-14)


def test_weights_of_other_grids_are_refused() -> None:
    weights = compute_weights(SOURCE, TARGET)
    with pytest.raises(UsageError, match="expected weights for the source grid"):
        regrid(field(SOURCE.regular(0, 0, 20, 20, 4)), TARGET, weights=weights)
    with pytest.raises(UsageError, match="expected weights for the target grid"):
        regrid(field(SOURCE), SOURCE, weights=weights)


def test_wrong_questions() -> None:
    data = field(SOURCE)
    for wrong in ({"quantity": "sum"}, {"min_coverage": 1.2}, {"method": "patch"}):
        with pytest.raises(UsageError, match="expected"):
            regrid(data, TARGET, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"expected a Grid or Mesh to regrid to.* found dict"):
        regrid(data, {"lat": 1})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does not keep totals"):
        regrid(data, TARGET, method="bilinear", quantity="total")
    with pytest.raises(NarcfError, match="other way round"):
        regrid(data.isel(lat=slice(None, None, -1)), TARGET, source=SOURCE)
    with pytest.raises(NarcfError, match="that the source touches"):
        regrid(field(Grid.regular(0, 0, 20, 20, 4)), Grid.regular(100, 0, 120, 20, 4))
    with pytest.raises(NarcfError, match="that the source touches"):
        regrid(field(Grid.regular(0, 0, 20, 20, 4)).chunk(), Grid.regular(100, 0, 120, 20, 4))
    with pytest.raises(UsageError, match="select the variables"):
        regrid(data.astype("datetime64[ns]"), TARGET)


def test_other_processes_give_the_same_bytes() -> None:
    data = field(CURVED, times=4, gaps=0.2).chunk(time=2, y=20, x=50)
    lazy = regrid(data, TARGET, source=CURVED)
    with dask.config.set(scheduler="threads"):
        threaded = lazy.values.tobytes()
    with dask.config.set(scheduler="processes", num_workers=2):
        assert lazy.values.tobytes() == threaded


def cluster_run(client_of: object) -> None:
    """Run a chunked regrid on a cluster and compare it with threads, byte by byte."""
    data = field(CURVED, times=4, gaps=0.2).chunk(time=2, y=20, x=50)
    lazy = regrid(data, TARGET, source=CURVED)
    threaded = lazy.compute(scheduler="threads").values.tobytes()
    assert lazy.compute(scheduler=client_of).values.tobytes() == threaded


@pytest.mark.slow
def test_a_local_cluster_gives_the_same_bytes() -> None:
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        cluster_run(client)


@pytest.mark.slow
def test_a_scheduler_started_by_hand_gives_the_same_bytes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import subprocess
    import sys

    from dask.distributed import Client

    where = tmp_path / "scheduler.json"
    dask_cli = [sys.executable, "-m", "dask"]
    scheduler = [
        *dask_cli,
        "scheduler",
        "--scheduler-file",
        str(where),
        "--port",
        "0",
        "--no-dashboard",
    ]
    worker = [
        *dask_cli,
        "worker",
        "--scheduler-file",
        str(where),
        "--no-dashboard",
        "--nthreads",
        "1",
    ]
    started = [subprocess.Popen(c, cwd=tmp_path) for c in (scheduler, worker, worker)]
    try:
        with Client(scheduler_file=str(where), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            cluster_run(client)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=30)
