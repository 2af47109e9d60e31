"""Who does the work, and in which order its results are taken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.pool import Cluster, Threads, at_hand, in_order, open_pool


class Shuffled:
    """A pool whose tasks end in an order of its own."""

    slots, threads, link = 1, 1, ""

    def run(
        self,
        function: Callable,
        tasks: Sequence[tuple],
        done: Callable[[Any], None],
        shared: Any = None,
    ) -> None:
        for task in random.Random(3).sample(tasks, len(tasks)):
            done(function(shared, *task))


def squared(offset: int, number: int) -> int:
    return offset + number**2


def slow_at_first(offset: int, number: int) -> int:
    time.sleep(0.2 if number == 0 else 0.0)
    return offset + number


def test_results_are_taken_in_order_whatever_ends_first() -> None:
    taken: list[int] = []
    in_order(Shuffled(), squared, 20, taken.append, 7)
    assert taken == [7 + n**2 for n in range(20)]
    unordered: list[tuple[int, int]] = []
    Shuffled().run(lambda _, n: n, [(n,) for n in range(20)], unordered.append)
    assert unordered != sorted(unordered)  # control: the pool does shuffle


def test_threads_give_results_in_order() -> None:
    taken: list[int] = []
    in_order(Threads(2), slow_at_first, 9, taken.append, 100)
    assert taken == list(range(100, 109))


def test_an_error_of_a_task_is_raised() -> None:
    def fails(_: None, number: int) -> int:
        raise NarcfError(f"place {number}")

    with pytest.raises(NarcfError, match="place"):
        in_order(Threads(2), fails, 3, lambda _: None, None)


def test_work_goes_to_the_cluster_where_there_is_one() -> None:
    assert isinstance(at_hand(), Threads)
    with open_pool(workers=1):
        pool = at_hand()
        assert isinstance(pool, Cluster)
        taken: list[int] = []
        in_order(pool, pow, 5, taken.append, 2)
        assert taken == [1, 2, 4, 8, 16]
    assert isinstance(at_hand(), Threads)


def test_workers_that_cannot_be_started_are_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", fails)
    with (
        pytest.raises(NarcfError, match=r"2 workers cannot be started \(Nanny failed to start"),
        open_pool(workers=2),
    ):
        pass
