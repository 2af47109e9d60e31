"""Threads, processes and a cluster started by hand write the same bytes; what goes wrong there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from narcf_geo.core import pool as scheduler
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.prediction import open_pool, predict_file

DASK = Path(sys.executable).with_name("dask")


def predicted(*arguments: Any, **options: Any) -> Path:
    return predict_file(*arguments, **options).path


def test_processes_write_the_same_bytes(
    stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    threads = predicted(stored, tmp_path / "threads.zarr", bundle_folder)
    seen: list[int] = []
    with open_pool(workers=2) as pool:
        processes = predicted(
            stored,
            tmp_path / "processes.zarr",
            bundle_folder,
            pool=pool,
            progress=lambda done, *_: seen.append(done),
        )
    assert contents(processes) == contents(threads)
    assert seen[-1] == 18


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses that processes listen on."""
    connections = [c for p in processes for c in p.net_connections("inet")]
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def test_workers_and_their_dashboard_listen_on_loopback_alone() -> None:
    before = listening([psutil.Process()])
    with open_pool(workers=1):
        tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
        assert listening(tree) - before == {"127.0.0.1"} - before
        assert listening(tree[1:]) == {"127.0.0.1"}
    with LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50):
        assert "0.0.0.0" in listening([psutil.Process()])  # what dask does when it is not told


def test_a_cluster_of_the_caller(
    stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    threads = predicted(stored, tmp_path / "threads.zarr", bundle_folder)
    with (
        LocalCluster(
            n_workers=2,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as own,
        open_pool(scheduler=own) as pool,
    ):
        found = predicted(stored, tmp_path / "cluster.zarr", bundle_folder, pool=pool)
        assert pool.slots >= 2
    assert contents(found) == contents(threads)


def test_both_or_no_scheduler() -> None:
    with pytest.raises(UsageError, match="not both"), open_pool(2, "tcp://127.0.0.1:1"):
        pass
    with (
        pytest.raises(NarcfError, match="no dask scheduler answers"),
        open_pool(scheduler="tcp://127.0.0.1:1"),
    ):
        pass


def test_a_worker_with_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=None,
        ) as local,
        Client(local) as client,
    ):
        scheduler.check_versions(client)
        own = {**scheduler.versions(), "zarr": "1.0"}
        monkeypatch.setattr(client, "run", lambda *_, **__: {"tcp://there:1": own})
        with pytest.raises(NarcfError, match=r"worker tcp://there:1: zarr 1\.0, expected"):
            scheduler.check_versions(client)
        missing = ModuleNotFoundError("No module named 'narcf_geo'")
        monkeypatch.setattr(client, "run", lambda *_, **__: {"tcp://there:1": missing})
        with pytest.raises(NarcfError, match="install narcf-geo"):
            scheduler.check_versions(client)


@pytest.mark.slow
def test_a_worker_of_an_environment_with_another_zarr(
    cluster: tuple, stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    address, processes = cluster
    other = tmp_path / "environment" / "zarr-2.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: zarr\nVersion: 2.0\n")
    processes.append(
        subprocess.Popen(
            [DASK, "worker", address, "--nthreads", "1", "--no-dashboard"],
            env={**os.environ, "PYTHONPATH": str(other.parent)},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    with open_pool(scheduler=address) as pool:
        client = pool.client  # type: ignore[attr-defined]
        client.wait_for_workers(3, timeout=60)
        with pytest.raises(NarcfError, match=r"zarr 2\.0, expected .*install the same versions"):
            scheduler.check_versions(client)


@pytest.mark.slow
def test_a_cluster_by_hand_writes_the_same_bytes(
    cluster: tuple, stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    threads = predicted(stored, tmp_path / "threads.zarr", bundle_folder)
    with open_pool(scheduler=cluster[0]) as pool:
        found = predicted(stored, tmp_path / "cluster.zarr", bundle_folder, pool=pool)
    assert contents(found) == contents(threads)


@pytest.mark.slow
def test_a_scheduler_that_vanishes(
    cluster: tuple, stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    address, processes = cluster
    out = tmp_path / "out.zarr"

    def vanish(done: int, total: int, text: str) -> None:
        if done:
            processes[0].send_signal(signal.SIGKILL)

    with (
        pytest.raises(NarcfError, match="run again to go on"),
        open_pool(scheduler=address) as pool,
    ):
        predicted(stored, out, bundle_folder, pool=pool, progress=vanish)
    assert not out.exists()
    seen: list[int] = []
    predicted(stored, out, bundle_folder, progress=lambda done, *_: seen.append(done))
    assert seen[0] > 0
    assert contents(out) == contents(predicted(stored, tmp_path / "b.zarr", bundle_folder))


@pytest.mark.slow
def test_a_worker_that_is_killed(
    stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    threads = predicted(stored, tmp_path / "threads.zarr", bundle_folder)
    with open_pool(workers=2) as pool:
        workers = list(pool.client.run(os.getpid).values())  # type: ignore[attr-defined]

        def kill(done: int, total: int, text: str) -> None:
            if done and workers:
                os.kill(workers.pop(), signal.SIGKILL)

        out = predicted(stored, tmp_path / "out.zarr", bundle_folder, pool=pool, progress=kill)
    assert contents(out) == contents(threads)
