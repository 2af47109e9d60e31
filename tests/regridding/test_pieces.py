"""Pieces of a file: who computes them, and what is left when one of them fails."""

from __future__ import annotations

import time
from threading import Event

import dask
import dask.array as da
import numpy as np
import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.pool import Threads
from narcf_geo.regridding.packing import Packing
from narcf_geo.regridding.pieces import Field, Layer, Plan, run, work

SHAPE = (4, 6)


class Slow:
    """A place that is written into slowly."""

    def __init__(self) -> None:
        self.begun, self.ended = Event(), Event()

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        self.begun.set()
        time.sleep(0.3)
        self.ended.set()


class Failing:
    """A place that fails while another is written into."""

    def __init__(self, other: Slow) -> None:
        self.other = other

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        assert self.other.begun.wait(10)
        raise NarcfError("does not fit")


class Noting:
    """A place that notes the settings of dask."""

    def __init__(self) -> None:
        self.found: list[object] = []

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        self.found.append((dask.config.get("scheduler", None), dask.config.get("num_workers", 0)))


def layer(name: str, steps: int = 1) -> Layer:
    data = da.zeros((steps, *SHAPE), chunks=(1, *SHAPE))
    return Layer(name, data, (1, *SHAPE), Packing.plain(np.dtype("float64")))


def test_nothing_is_written_after_an_error() -> None:
    """Else a thread would write into a file that is closed or removed meanwhile."""
    slow = Slow()
    plan = Plan((Field((layer("a"), layer("b"))),), {"a": Failing(slow), "b": slow}, threads=2)
    with pytest.raises(NarcfError, match="does not fit"):
        work(plan, 0, plan.pieces()[0])
    assert slow.ended.is_set()


@pytest.mark.parametrize("steps", [1, 5])
def test_settings_of_dask_stay_as_they_are(steps: int) -> None:
    """They are those of the process: threads that set and restore them in turn mix them up."""
    noting = Noting()
    plan = Plan((Field((layer("a", steps),)),), {"a": noting})
    run(plan, Threads(2), list(range(steps)), lambda result: None)
    assert noting.found == [(None, 0)] * steps
