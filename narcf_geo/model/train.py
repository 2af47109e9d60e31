"""Training on any cube, without a project."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS
from narcf_geo.core.files import atomic_path
from narcf_geo.core.progress import Progress, silent
from narcf_geo.model.bundle import Bundle, require_bundle_or_nothing
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.fit import fit_bundle, fold_estimates, tabulate
from narcf_geo.model.samples.splits import splits_of
from narcf_geo.model.samples.training_cube import training_cube
from narcf_geo.project.settings import DerivedFeature, ModelSettings
from narcf_geo.project.split_settings import SplitSettings
from narcf_geo.statistics.scores import scores


def train(
    cube: xr.Dataset | str | os.PathLike[str],
    predictors: Sequence[str] | None = None,
    target: str = "flux_target",
    *,
    split: SplitSettings | Mapping[str, Any],
    model: str | Mapping[str, Any] | ModelSettings = "best",
    features: Mapping[str, DerivedFeature | Mapping[str, Any]] | None = None,
    biome_features: str = "fractions",
    missing: str = "drop",
    coordinates: Sequence[str] = (),
    max_rows: int | None = None,
    seed: int = 2007,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Train a flux model on a cube.

    Everything that is fitted (normalisation, weights, the shift that removes a bias) is fitted on
    the training part of the split, and uncertainty is calibrated on its validation part.

    Parameters
    ----------
    cube : xarray.Dataset or path
        Monthly predictors along time, latitude and longitude, or without time, each with a unit;
        the target; and land cover, ``biome`` (IGBP classes) and ``class_fraction`` (their area
        fractions), where `biome_features` needs it. Axes of any name and order, lazy or in memory.
        Without land cover all cells count as land. ``cell_area`` is that of the grid where absent.
    predictors : sequence of str, optional
        Variables to learn from; by default all along latitude and longitude that are neither
        fluxes nor ``biome``, ``class_fraction``, ``land_fraction``, ``cell_area`` or the fractions
        ``<name>_valid_fraction`` that regridding adds.
    target : str
        The CO2 flux to learn, in a unit that converts to umol m-2 s-1; positive to the atmosphere
        unless its standard name says uptake.
    split : mapping or settings
        Who trains, validates and tests, as under ``split:`` in ``narcf.yaml``: for instance
        ``{"kind": "blocks", "degrees": 10, "folds": 5}``.
    model : str, mapping or ModelSettings
        A preset, or a preset and what to change of it, as under ``model:`` in ``narcf.yaml``.
    features : mapping, optional
        Features made of predictors, as under ``features:``: ``{"rain_before": {"of": "precip",
        "lag": 1}}``.
    biome_features : {"fractions", "sqrt_fractions", "majority", "none"}
        What the model sees of land cover.
    missing : {"drop", "mask"}
        Drop rows with a missing predictor, or tell the model what is missing.
    coordinates : sequence of str
        Of ``lat``, ``lon``, ``month`` and ``year``, as features. With them a model may learn a map
        or a calendar instead of how the flux responds.
    max_rows : int, optional
        Learn from a random sample of as many training rows, in which each biome and month has its
        share; by default from all.
    seed : int
        Of everything random; members of an ensemble count on from it.
    directory : path, optional
        Folder to write the bundle into, whole or not at all; a bundle there is replaced. By default
        a temporary folder that is removed when Python ends: `Bundle.save` keeps it.
    progress : callable, optional
        Called with epochs done, epochs in all, and a text.

    Returns
    -------
    Bundle
        For `ng.predict`; its scores are in ``bundle.information["metrics"]``.

    Raises
    ------
    UsageError
        When an argument is not what it may be, or `directory` holds something else than a bundle.
    FieldError
        When the cube is not what it must be: axes, months, units, land cover.
    NarcfError
        When a part of the split has no rows, or training fails.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> time = np.arange("2007-01", "2010-01", dtype="datetime64[M]").astype("datetime64[ns]")
    >>> temp = xr.DataArray(rng.normal(10, 8, (36, 4, 5)), dims=("time", "lat", "lon"),
    ...                     coords={"time": time, "lat": [40.5, 41.5, 42.5, 43.5],
    ...                             "lon": [-99.5, -98.5, -97.5, -96.5, -95.5]},
    ...                     attrs={"units": "degC"})
    >>> nee = (2 - 0.1 * temp).assign_attrs(units="umol m-2 s-1")
    >>> bundle = train(xr.Dataset({"temp": temp, "nee": nee}), ["temp"], "nee",
    ...                split={"kind": "blocks", "degrees": 2, "folds": 3},
    ...                model={"preset": "linear", "epochs": 20, "learning_rate": 0.1},
    ...                biome_features="none")
    >>> bundle.features.names, round(bundle.information["metrics"]["test"]["r"], 2)
    (('temp',), 1.0)
    """
    if directory is not None:
        require_bundle_or_nothing(Path(directory))
    prepared, settings = training_cube(
        cube,
        predictors,
        target,
        split=split,
        model=model,
        features=features,
        biome_features=biome_features,
        missing=missing,
        coordinates=coordinates,
        max_rows=max_rows,
        seed=seed,
    )
    folder = Path(directory) if directory is not None else _temporary_folder() / "model"
    with atomic_path(folder) as temporary:
        fit_bundle(prepared, settings, temporary, progress)
    return Bundle.load(folder)


def cross_validate(
    cube: xr.Dataset | str | os.PathLike[str],
    predictors: Sequence[str] | None = None,
    target: str = "flux_target",
    *,
    split: SplitSettings | Mapping[str, Any],
    model: str | Mapping[str, Any] | ModelSettings = "best",
    features: Mapping[str, DerivedFeature | Mapping[str, Any]] | None = None,
    biome_features: str = "fractions",
    missing: str = "drop",
    coordinates: Sequence[str] = (),
    max_rows: int | None = None,
    seed: int = 2007,
    progress: Progress = silent,
) -> xr.Dataset:
    """Estimate every test row of a split by models that never saw it, and score the estimates.

    Parameters
    ----------
    cube, predictors, target, split, model, features, biome_features, missing, coordinates, \
max_rows, seed
        As for `train`.
    progress : callable, optional
        Called with the number of the fold, the number of folds, and a text.

    Returns
    -------
    xarray.Dataset
        ``flux`` and ``flux_std`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere: the
        estimate and the standard deviation of the target about it, before calibration, of each
        cell and month when it was in the test part; NaN where it never was. ``flux_target``, what
        was to be estimated, and ``cell_area`` (lat, lon), m2, for `ng.compare`, which also gives
        the bias in TgC per year. ``scores`` (score) of all test rows together and ``fold_scores``
        (fold, score) of each fold, weighted by cell area, as from
        `narcf_geo.statistics.scores.scores`: r, rmse and bias (umol m-2 s-1), nse, n and more.

    Raises
    ------
    NarcfError
        As for `train`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> time = np.arange("2007-01", "2010-01", dtype="datetime64[M]").astype("datetime64[ns]")
    >>> temp = xr.DataArray(rng.normal(10, 8, (36, 2, 3)), dims=("time", "lat", "lon"),
    ...                     coords={"time": time, "lat": [40.5, 41.5],
    ...                             "lon": [-99.5, -98.5, -97.5]}, attrs={"units": "degC"})
    >>> nee = (2 - 0.1 * temp).assign_attrs(units="umol m-2 s-1")
    >>> found = cross_validate(xr.Dataset({"temp": temp, "nee": nee}), ["temp"], "nee",
    ...                        split={"kind": "years"}, biome_features="none",
    ...                        model={"preset": "linear", "epochs": 20, "learning_rate": 0.1})
    >>> found["fold"].values.tolist(), found["scores"].sel(score="n").item()
    (['2007', '2008', '2009'], 216.0)
    """
    prepared, settings = training_cube(
        cube,
        predictors,
        target,
        split=split,
        model=model,
        features=features,
        biome_features=biome_features,
        missing=missing,
        coordinates=coordinates,
        max_rows=max_rows,
        seed=seed,
    )
    table = tabulate(prepared, settings)
    folds = splits_of(settings.split, table, settings.seed, settings.max_rows)

    def on_fold(number: int) -> None:
        progress(number, len(folds), f"cross-validation, fold {number} of {len(folds)}")

    with tempfile.TemporaryDirectory() as scratch:
        training = EnsembleTraining(settings.model.recipe(), table, Path(scratch))
        test = fold_estimates(training, folds, settings.seed, on_fold, prepared)["test"]
    by_fold = [
        scores(test.flux[fold.test], table.y[fold.test], table.area[fold.test]) for fold in folds
    ]
    total = scores(test.flux, table.y, table.area)
    observed = prepared["flux_target"]
    result = xr.Dataset(
        {
            "flux": table.on_grid(test.flux, observed).assign_attrs(
                units=FLUX_UNITS, sign=FLUX_SIGN, long_name="CO2 flux estimated out of fold"
            ),
            "flux_std": table.on_grid(test.std, observed).assign_attrs(
                units=FLUX_UNITS, long_name="standard deviation of the target about the estimate"
            ),
            "flux_target": observed,
            "cell_area": prepared["cell_area"],
            "scores": ("score", list(total.values())),
            "fold_scores": (("fold", "score"), [list(found.values()) for found in by_fold]),
        },
        coords={"score": list(total), "fold": [fold.name for fold in folds]},
    )
    for name in ("flux", "flux_std"):
        result[name].attrs.pop("product", None)
    return result


def _temporary_folder() -> Path:
    """Return a folder that is removed when Python ends.

    Not earlier: a lazy prediction reads the bundle when it is computed, perhaps after the `Bundle`
    itself is gone.
    """
    folder = Path(tempfile.mkdtemp(prefix="narcf-geo-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
