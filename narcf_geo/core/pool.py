"""Who does the work: threads of this process, processes of this machine, or a dask cluster.

dask schedules; nothing here does.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from narcf_geo.core.errors import NarcfError, UsageError, reason

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy import Cluster as DaskCluster

PACKAGES = ("narcf-geo", "dask", "distributed", "numpy", "xarray", "zarr")
"""What client and workers must have in the same version."""

_DASK = {
    # Maps of areas and biomes of a fine grid are in the graph, 23 MB at 0.05 degree.
    "distributed.admin.large-graph-warning-threshold": "1GB",
}

_WORKER_ENVIRONMENT = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 128 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
}
"""dask has glibc give every freed array back to the system and page the next one in anew; these,
the second the largest that glibc takes, keep it for the next array."""

LOOPBACK = "127.0.0.1"
"""Where workers of this machine and their dashboard listen: other machines do not reach them."""

LIBRARIES = 400e6
"""Memory of a process before it works, bytes."""

WORKERS_WITHIN = 60
"""Seconds to wait for the first worker of a cluster."""


class Pool(Protocol):
    """Where tasks are run."""

    @property
    def slots(self) -> int:
        """Tasks at a time."""

    @property
    def threads(self) -> int:
        """Of them, in one process."""

    @property
    def link(self) -> str:
        """Address of the dashboard; empty where there is none."""

    def run(
        self,
        function: Callable,
        tasks: Sequence[tuple],
        done: Callable[[Any], None],
        shared: Any = None,
    ) -> None:
        """Call ``function(*task)`` for every task, and `done` with each result as it comes.

        What is `shared` by the tasks, if anything, is the first argument of all of them; it goes to
        each process once.
        """


@dataclass(frozen=True)
class Threads:
    """Threads of this process."""

    slots: int
    link: str = ""

    @property
    def threads(self) -> int:
        """All in one process."""
        return self.slots

    def run(
        self,
        function: Callable,
        tasks: Sequence[tuple],
        done: Callable[[Any], None],
        shared: Any = None,
    ) -> None:
        """Run the tasks with dask's threaded scheduler."""
        from dask.threaded import get

        if shared is not None:
            tasks = [(shared, *task) for task in tasks]
        # With its arguments bound, dask does not search them for keys.
        bound = (partial(function, *task) for task in tasks)
        graph = {f"{function.__name__}-{n}": (call,) for n, call in enumerate(bound)}
        # Called after each task of this graph alone: what else the process computes is not ours.
        callbacks = (None, None, None, lambda key, result, *_: done(result), None)
        with ThreadPoolExecutor(self.slots) as executor:
            get(graph, list(graph), pool=executor, callbacks=[callbacks])


@dataclass(frozen=True)
class Cluster:
    """A dask.distributed cluster, here or elsewhere."""

    client: Client
    slots: int
    threads: int
    link: str

    def run(
        self,
        function: Callable,
        tasks: Sequence[tuple],
        done: Callable[[Any], None],
        shared: Any = None,
    ) -> None:
        """Run the tasks on the workers; one whose worker dies goes to another."""
        from distributed import as_completed

        futures: list[Any] = []
        with _losses_told(self.client):
            try:
                columns: list[Any] = list(zip(*tasks, strict=True))
                if shared is not None:
                    # Each time a key of its own: one that is just being let go would be lost.
                    given = self.client.scatter(shared, broadcast=True, hash=False)
                    columns.insert(0, [given] * len(tasks))
                futures += self.client.map(function, *columns, pure=False)
                for future in as_completed(futures):
                    done(future.result())
                    future.release()
            except BaseException:
                self.client.cancel(futures)
                raise


def threads() -> Threads:
    """Return as many threads as this process has cores."""
    from dask.system import CPU_COUNT

    return Threads(CPU_COUNT)


def at_hand() -> Pool:
    """Return the cluster that dask computes on in this process; threads where there is none."""
    if "distributed" in sys.modules:
        from distributed import default_client

        with suppress(ValueError):  # there is none
            client = default_client()
            if not client.asynchronous and client.nthreads():
                return _cluster(client)
    return threads()


def in_order(
    pool: Pool,
    function: Callable[[Any, int], Any],
    number: int,
    take: Callable[[Any], None],
    shared: Any,
) -> None:
    """Call ``function(shared, n)`` for n below `number`, and `take` with the results in order."""
    waiting: dict[int, Any] = {}
    following = 0

    def done(result: tuple[int, Any]) -> None:
        nonlocal following
        waiting[result[0]] = result[1]
        while following in waiting:
            take(waiting.pop(following))
            following += 1

    pool.run(_numbered, [(n,) for n in range(number)], done, (function, shared))


def _numbered(asked: tuple[Callable[[Any, int], Any], Any], number: int) -> tuple[int, Any]:
    function, shared = asked
    return number, function(shared, number)


@contextmanager
def open_pool(
    workers: int | None = None, scheduler: str | DaskCluster | None = None
) -> Iterator[Pool]:
    """Open where tasks are run: by default as many threads as this process has cores.

    Parameters
    ----------
    workers : int, optional
        Processes of this machine, with one thread each. They listen on its loopback address alone;
        other users of the machine reach that, so use threads where they are not trusted.
    scheduler : str or distributed.deploy.Cluster, optional
        Address of a dask scheduler, such as ``tcp://host:8786``, or a cluster, such as a
        ``dask_jobqueue.SLURMCluster``.

    Raises
    ------
    UsageError
        When both are given.
    NarcfError
        When the scheduler cannot be reached, has no worker, or a worker has other versions.
    """
    if workers and scheduler:
        raise UsageError("give --workers or --scheduler, not both")
    if not workers and not scheduler:
        yield threads()
        return
    import dask

    with dask.config.set(_DASK), _local(workers) if workers else _remote(scheduler) as client:
        check_versions(client)
        with _losses_told(client):
            yield _cluster(client)


@contextmanager
def _losses_told(client: Client) -> Iterator[None]:
    """Say in words that workers died again and again, or that the scheduler is gone."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    address = client.scheduler.address if client.scheduler else "the scheduler"
    try:
        yield
    except KilledWorker as error:
        raise NarcfError(
            f"workers died again and again over the same piece of work ({error}); if they ran out "
            "of memory, give less with --memory. Run again to go on"
        ) from None
    except (CancelledError, CommClosedError) as error:
        raise NarcfError(
            f"{address}: the scheduler or its last worker is gone ({type(error).__name__}); what "
            "was finished stays: run again to go on"
        ) from None


def _cluster(client: Client) -> Cluster:
    counts = client.nthreads().values()
    return Cluster(client, sum(counts), max(counts), _dashboard(client))


def _dashboard(client: Client) -> str:
    """Return the address of the dashboard; a scheduler of ours has one where bokeh is."""
    if client.cluster and importlib.util.find_spec("bokeh") is None:
        return ""
    return client.dashboard_link if "dashboard" in client.scheduler_info()["services"] else ""


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    import logging

    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(_WORKER_ENVIRONMENT), ExitStack() as stack:
        try:
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    host=LOOPBACK,
                    interface=None,
                    dashboard_address=f"{LOOPBACK}:0",
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.wait_for_workers(workers, timeout=WORKERS_WITHIN)
        except (RuntimeError, OSError) as error:  # a timeout is one, too
            raise NarcfError(
                f"{workers} workers cannot be started ({reason(error)}); run again, with fewer or "
                "without --workers"
            ) from None
        yield client


@contextmanager
def _remote(scheduler: str | DaskCluster | None) -> Iterator[Client]:
    from distributed import Client

    address = scheduler if isinstance(scheduler, str) else getattr(scheduler, "name", "")

    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise NarcfError(
            f"{address}: no dask scheduler answers there ({error}); start one with `dask "
            "scheduler` and give the address it prints"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_WITHIN)
        except TimeoutError:
            raise NarcfError(
                f"{address}: the scheduler has no worker after {WORKERS_WITHIN} s; start one with "
                f"`dask worker {address}`"
            ) from None
        yield client


def versions() -> dict[str, str]:
    """Return the versions of this process that must agree with those of the others."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: version(name) for name in PACKAGES}}


def check_versions(client: Client) -> None:
    """Raise NarcfError unless every worker has what this process has."""
    own = versions()
    for worker, found in client.run(versions, on_error="return").items():
        if isinstance(found, BaseException):
            raise NarcfError(
                f"worker {worker}: narcf-geo cannot be used there ({found}); install narcf-geo "
                f"{own['narcf-geo']} in the environment of the workers"
            )
        other = [
            f"{name} {found.get(name)}, expected {expected}"
            for name, expected in own.items()
            if found.get(name) != expected
        ]
        if other:
            raise NarcfError(
                f"worker {worker}: {'; '.join(other)}; install the same versions on client and "
                "workers"
            )


def memory_bytes(memory: str | float | None) -> float | None:
    """Return a size such as "2GB" as a number of bytes.

    Raises
    ------
    UsageError
        When it is no size.

    Examples
    --------
    >>> memory_bytes("2GB")
    2000000000.0
    """
    from dask.utils import parse_bytes

    try:
        return None if memory is None else float(parse_bytes(memory))
    except ValueError:
        raise UsageError(f"memory: expected a size such as 2GB, found {memory!r}") from None
