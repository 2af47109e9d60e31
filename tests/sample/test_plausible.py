"""The made-up world behaves like the real one where it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

WINNIPEG, EDMONTON, IOWA, PHOENIX, MIAMI = (
    (49.9, -97.1),
    (53.5, -113.5),
    (42.0, -93.0),
    (33.4, -112.0),
    (26.0, -80.5),
)


def narr(sample: Path, name: str) -> xr.DataArray:
    with xr.open_dataset(next((sample / "narr").glob(f"{name}.*"))) as ds:
        return ds[name].load()


def mean_year_at(field: xr.DataArray, place: tuple[float, float]) -> np.ndarray:
    distance = (field.lat - place[0]) ** 2 + (
        (field.lon - place[1]) * np.cos(np.radians(place[0]))
    ) ** 2
    row, column = np.unravel_index(distance.values.argmin(), distance.shape)
    series = field[1:, row, column]
    return series.groupby("time.month").mean().values


def test_temperature(sample: Path) -> None:
    celsius = narr(sample, "air") - 273.15
    manitoba = mean_year_at(celsius, WINNIPEG)
    assert -25 < manitoba[0] < -10
    assert 15 < manitoba[6] < 25
    assert manitoba.argmax() in (6, 7)
    assert np.ptp(mean_year_at(celsius, MIAMI)) < 0.5 * np.ptp(manitoba)
    assert celsius.min() > -65
    assert celsius.max() < 45


def test_rain_and_soil(sample: Path) -> None:
    rain, soil = narr(sample, "apcp"), narr(sample, "soilm")
    assert rain.min() > 0
    assert rain.max() < 40
    assert float(((rain - rain.mean()) ** 3).mean()) > 0, "skewed to heavy rain"
    assert mean_year_at(rain, IOWA).mean() > 3 * mean_year_at(rain, PHOENIX).mean()
    assert mean_year_at(soil, IOWA).mean() > mean_year_at(soil, PHOENIX).mean()
    assert soil.min() >= 149
    assert soil.max() <= 501


def test_humidity_light_and_pressure(sample: Path) -> None:
    humidity, light, pressure = (narr(sample, name) for name in ("rhum", "dswrf", "pres"))
    assert humidity.min() >= 0
    assert humidity.max() <= 100
    assert light.min() >= 0
    assert light.max() < 400
    edmonton = mean_year_at(light, EDMONTON)
    assert edmonton.argmax() in (5, 6)
    assert edmonton[11] < 0.25 * edmonton[5]
    assert pressure.min() > 65e3
    assert pressure.max() < 106e3


def test_variables_go_together(sample: Path) -> None:
    """A dry month is a bright one; wet soil remembers last month's rain."""
    rain, light, soil = (narr(sample, n)[1:, 40:70, 50:80] for n in ("apcp", "dswrf", "soilm"))

    def change(field: xr.DataArray) -> np.ndarray:
        return (field.groupby("time.month") - field.groupby("time.month").mean()).values

    def r(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    assert r(change(rain), change(light)) < -0.3
    assert r(change(rain)[:-1], change(soil)[1:]) > 0.2
    assert r(change(rain)[1:], change(soil)[:-1]) < r(change(rain)[:-1], change(soil)[1:])


def test_years_differ_smoothly_in_space(sample: Path) -> None:
    celsius = narr(sample, "air")[1:]
    anomaly = (celsius.groupby("time.month") - celsius.groupby("time.month").mean()).values
    near = np.corrcoef(anomaly[:, :, :-1].ravel(), anomaly[:, :, 1:].ravel())[0, 1]
    far = np.corrcoef(anomaly[:, :, :-40].ravel(), anomaly[:, :, 40:].ravel())[0, 1]
    assert near > 0.95
    assert abs(far) < 0.2


def test_vegetation_follows_the_seasons(sample: Path) -> None:
    with xr.open_dataset(sample / "vegetation" / "ndvi_nirv_0p5deg_2007-2015.nc") as ds:
        year = ds.groupby("time.month").mean()
        iowa = year.sel(lat=42.25, lon=-93.25)
        assert iowa.ndvi.values.argmax() in (5, 6, 7)
        assert iowa.ndvi[6] > 0.7
        assert iowa.ndvi[0] < 0.3
        assert float(xr.corr(ds.ndvi, ds.nirv)) > 0.9
        assert ds.ndvi.min() >= -0.2
        assert ds.ndvi.max() <= 1


def test_fluorescence_is_noisy_and_dark_in_winter(sample: Path) -> None:
    def month(stamp: str) -> xr.DataArray:
        path = next((sample / "sif").glob(f"*_{stamp}01_31.nc"))
        with xr.open_dataset(path) as ds:
            return ds["SIF_daily_average"].load()

    july, january = month("201207"), month("201201")
    corn_belt = {"latitude": slice(40, 44), "longitude": slice(-96, -88)}
    assert 0.5 < float(july.sel(corn_belt).mean()) < 1.3
    assert abs(float(january.sel(corn_belt).mean())) < 0.1
    assert float(january.min()) < 0, "noise around nothing is negative half of the time"
    arctic = {"latitude": slice(66.5, 70), "longitude": slice(-170, -50)}
    assert january.sel(arctic).isnull().all()
    assert july.sel(arctic).notnull().any()
