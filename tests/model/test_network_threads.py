"""Whoever enters first, BLAS has one thread within, and what it had before after."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from narcf_geo.model.network.threads import _controller, one_blas_thread


def counts(_: Any = None) -> list[int]:
    return [
        lib.get_num_threads() for lib in _controller().lib_controllers if lib.user_api == "blas"
    ]


def within(_: Any = None) -> list[int]:
    with one_blas_thread():
        np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)
        return counts()


@pytest.fixture
def two_threads() -> Any:
    """BLAS with two threads, so that a limit shows."""
    with _controller().limit(limits=2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_threads")
def test_every_thread_is_within_the_limit() -> None:
    before = counts()
    if set(before) != {2}:
        pytest.skip("this BLAS has one thread in any case")
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(3) as others:
        assert set(first.submit(within).result()) == {1}
        assert counts() == before
        found = list(others.map(within, range(200)))
        assert all(set(one) == {1} for one in found)
        assert set(within()) == {1}
    assert counts() == before
