"""The error of an estimate of the flux, told from noisy targets: against the truth itself."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from narcf_geo.statistics.flux_error import FluxError, rows_of_some_places

YEARS, PLACES = 6, 8_000


def world(
    rng: np.random.Generator, learned_share: float, wrong: float, recurring: float = 0.0
) -> dict:
    """Members that are the truth, a constant error of each place, and a share of their noise.

    Noise is 1 to 3 in size, that of the places twice as large in their second half.
    """
    size = np.where(np.arange(PLACES) < PLACES // 2, 1.0, 2.0) * rng.uniform(1, 1.5, PLACES)
    noise = rng.standard_normal((YEARS, PLACES)) * np.sqrt(1 - recurring)
    noise += rng.standard_normal(PLACES) * np.sqrt(recurring)
    truth = rng.normal(0, 5, (YEARS, PLACES))
    own = wrong * size * rng.standard_normal(PLACES)
    halves = [list(c) for c in combinations(range(YEARS), YEARS // 2) if 0 in c]
    chosen = [halves[k] for k in rng.permutation(len(halves))[:3]]
    members, learned = [], []
    for half in chosen:
        rest = [year for year in range(YEARS) if year not in half]
        for years in (half, rest):
            members.append(truth + own + learned_share * (size * noise[years]).mean(axis=0))
            learned.append(np.repeat(np.isin(range(YEARS), years)[:, None], PLACES, axis=1))
    rows = [np.reshape(a, (len(a), -1)) for a in (members, learned)]
    return {
        "members": rows[0].astype(np.float32),
        "learned": rows[1],
        "noise": np.tile(size, YEARS),
        "observed": (truth + size * noise).ravel(),
        "place": np.tile(np.arange(PLACES), YEARS),
        "weight": rng.uniform(0.5, 1.5, PLACES * YEARS),
        "error": (rows[0].mean(axis=0) - truth.ravel()),
    }


def judged(given: dict) -> tuple[FluxError, np.ndarray]:
    """Return what is fitted without the error, and the size that it says."""
    found = FluxError.fit(**{name: v for name, v in given.items() if name != "error"})
    members = given["members"]
    apart = np.sqrt(((members[::2] - members[1::2]) ** 2 / 4).mean(axis=0))
    return found, found.std(apart, given["noise"])


@pytest.mark.parametrize(("share", "wrong"), [(0.5, 0.0), (0.5, 0.3), (0.2, 0.5), (0.9, 0.1)])
def test_the_size_and_the_intervals_are_those_of_the_error(share: float, wrong: float) -> None:
    given = world(np.random.default_rng(3), share, wrong)
    found, std = judged(given)
    error = given["error"]
    assert np.sqrt(np.mean(std**2)) == pytest.approx(error.std(), rel=0.06)
    for level in (0.5, 0.8, 0.95):
        inside = np.abs(error) <= found.factors[level] * std
        assert inside.mean() == pytest.approx(level, abs=0.03)
        # Of places with small and with large noise alike.
        small = given["noise"] < np.median(given["noise"])
        for part in (small, ~small):
            assert inside[part].mean() == pytest.approx(level, abs=0.06)
    # The control: the distance to the target says nothing of that to the flux.
    assert (given["observed"] - given["members"].mean(axis=0)).std() > 2 * error.std()


def test_what_comes_back_is_found_and_learned_noise_is_not() -> None:
    rng = np.random.default_rng(5)
    exact, _ = judged(world(rng, 0.5, 0.0))
    off, _ = judged(world(rng, 0.5, 0.4))
    assert exact.recurring == pytest.approx(0.0, abs=0.01)
    assert off.recurring == pytest.approx(0.16, rel=0.15)
    # An error of the target that recurs counts as the estimate's.
    same, _ = judged(world(rng, 0.0, 0.0, recurring=0.5))
    assert same.recurring == pytest.approx(0.5, rel=0.1)


def test_a_few_rows_far_apart_do_not_widen_all_others() -> None:
    given = world(np.random.default_rng(7), 0.5, 0.0)
    wide = given["members"].copy()
    wide[::2, :200] += 30.0
    _, std = judged(given)
    _, spoiled = judged({**given, "members": wide})
    assert np.median(spoiled[400:]) == pytest.approx(np.median(std[400:]), rel=0.15)


def test_one_pair_and_places_with_one_year() -> None:
    given = world(np.random.default_rng(2), 0.5, 0.0)
    one = {**given, "members": given["members"][:2], "learned": given["learned"][:2]}
    found, std = judged(one)
    assert found.apart == 0.0
    expected = ((one["members"][0] - one["members"][1]) / 2).std()
    assert np.sqrt(np.mean(std**2)) == pytest.approx(expected, rel=0.05)
    lone = {**given, "place": np.arange(given["place"].size)}
    assert judged(lone)[0].recurring is None
    assert judged(given)[0].recurring is not None


def test_it_is_read_as_it_was_written() -> None:
    found, _ = judged(world(np.random.default_rng(4), 0.5, 0.2))
    assert FluxError.from_json(found.to_json()) == found


def test_rows_of_whole_places() -> None:
    place = np.repeat(np.arange(1000), 7)
    rows = rows_of_some_places(place, seed=1, most=700)
    assert 500 < rows.size < 900
    assert (np.bincount(place[rows])[np.unique(place[rows])] == 7).all()
    assert rows_of_some_places(place, seed=1).size == place.size
