"""The same seed gives the same bytes, another seed another world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.sample import generate, products
from narcf_geo.sample.weather import insolation, random_field


def test_the_same_bytes_again_and_others_from_another_seed(sample: Path, tmp_path: Path) -> None:
    again = generate(tmp_path / "again")
    for path in again:
        twin = sample / path.relative_to(tmp_path / "again")
        assert path.read_bytes() == twin.read_bytes(), path.name
    assert not [p for p in (tmp_path / "again").rglob("*") if p.name.startswith(".")]


@pytest.mark.slow
def test_another_seed_is_another_world(sample: Path, tmp_path: Path) -> None:
    generate(tmp_path, seed=1)
    for name in ("narr/air.2m.mon.mean.nc", "truth/truth_flux_1deg_2007-2015.nc"):
        with xr.open_dataset(sample / name) as one, xr.open_dataset(tmp_path / name) as other:
            variable = "air" if "air" in one else "flux"
            difference = one[variable] - other[variable]
            assert float(difference.std()) > 0.05
            assert abs(float(difference.mean())) < 0.5


def test_random_fields_have_the_variance_and_the_lengths_they_claim() -> None:
    field = random_field(np.random.default_rng(3), 400, (50, 60), sigma=3.0, persistence=0.6)
    assert float(field.var()) == pytest.approx(1, abs=0.06)
    along = float((field[:, :, :-6] * field[:, :, 6:]).mean())
    assert along == pytest.approx(np.exp(-1), abs=0.05)
    in_time = float((field[:-1] * field[1:]).mean())
    assert in_time == pytest.approx(0.6, abs=0.05)


def test_insolation_is_dark_at_the_pole_in_winter() -> None:
    light = insolation(np.array([-80.0, 0.0, 80.0]))
    assert light[11, 2] == 0
    assert light[5, 0] == 0
    assert light[5, 2] > light[5, 1] > 300
    assert light[2, 1] == pytest.approx(436, abs=5)  # 1361 / pi at equinox


def test_fluxcom_like_product_keeps_the_season_and_halves_the_rest() -> None:
    rng = np.random.default_rng(5)
    season = np.tile(np.arange(12.0), 3)[:, None] * np.array([1.0, -2.0])
    gpp = np.full((36, 2), 4.0)
    change = rng.standard_normal((36, 2))
    change -= products.mean_year(change)
    result = products.fluxcom_like(season + change, gpp)
    np.testing.assert_allclose(result, season + 0.5 * change - 0.2)
