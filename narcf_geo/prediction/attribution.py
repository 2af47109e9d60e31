"""Which predictors the flux of each cell and month comes from."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.core.lock import hold_output
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.network.gradients import integrated_gradients
from narcf_geo.prediction.arrays import BOUNDS, blocks, in_house_terms
from narcf_geo.prediction.block import Predictor

if TYPE_CHECKING:
    import pandas as pd

LAND_COVER = "land_cover"
"""What all land-cover columns add together."""


class Attributor(Predictor):
    """A bundle, and what each of its predictors adds to a flux."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The predictors, and ``land_cover`` where the model takes it."""
        features = self.bundle.features
        cover = features.land_cover
        return (*features.predictors, *([LAND_COVER] if cover.start < cover.stop else []))

    def _rows(self, x: np.ndarray) -> list[np.ndarray]:
        features, ensemble = self.bundle.features, self.bundle.ensemble
        found = integrated_gradients(ensemble.networks, x).T
        place = {name: number for number, name in enumerate(features.names)}
        # That a predictor is there or not is a part of what it adds.
        added = [
            found[place[name]] + (found[place[f"has_{name}"]] if name in features.masked else 0.0)
            for name in features.predictors
        ]
        cover = found[features.land_cover]
        return [*added, *([cover.sum(axis=0)] if len(cover) else [])]

    @property
    def baseline(self) -> float:
        """The flux of the mean of the training rows."""
        x = np.full((1, len(self.bundle.features.names)), np.nan, np.float32)
        return float(self.bundle.ensemble.estimate(x).flux[0])


@lru_cache(maxsize=4)
def attributor(directory: Path, digest: str) -> Attributor:
    """Load a bundle once in each process; see `narcf_geo.prediction.block.predictor`."""
    return Attributor(Bundle.load(directory))


def attribute(cube: xr.Dataset, bundle: Bundle) -> xr.Dataset:
    """Split the flux of every land cell and month into what each predictor adds, lazily if it is.

    Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) from the mean of the training
    rows to each row, averaged over the members. They tell what the model makes of its predictors,
    which is not what causes the flux: of two predictors that go together it may use either.

    Parameters
    ----------
    cube : xarray.Dataset
        As for `narcf_geo.predict`.
    bundle : Bundle
        The trained model.

    Returns
    -------
    xarray.Dataset
        ``contribution`` (feature, time, lat, lon), umol m-2 s-1: for each predictor, with whether
        it is missing where the model is told so, and for ``land_cover``. Over ``feature`` it adds
        up to the flux that is predicted, less ``baseline``, the flux of the mean of the training
        rows, to 1e-4. NaN where nothing is predicted.

    Raises
    ------
    NarcfError
        As `narcf_geo.predict`, and when contributions do not add up.

    See Also
    --------
    narcf_geo.predict : the flux itself.

    Examples
    --------
    >>> import numpy as np
    >>> import narcf_geo as ng
    >>> rng = np.random.default_rng(1)
    >>> time = np.arange("2007-01", "2010-01", dtype="datetime64[M]").astype("datetime64[ns]")
    >>> temp = xr.DataArray(rng.normal(10, 8, (36, 4, 5)), dims=("time", "lat", "lon"),
    ...                     coords={"time": time, "lat": [40.5, 41.5, 42.5, 43.5],
    ...                             "lon": [-99.5, -98.5, -97.5, -96.5, -95.5]},
    ...                     attrs={"units": "degC"})
    >>> cube = xr.Dataset({"temp": temp, "nee": (2 - 0.1 * temp).assign_attrs(units="umol m-2 s-1"),
    ...                    "biome": (("lat", "lon"), np.full((4, 5), 5))})
    >>> bundle = ng.train(cube, ["temp"], "nee", split={"kind": "years"}, biome_features="none",
    ...                   model={"preset": "linear", "epochs": 20, "learning_rate": 0.1})
    >>> found = ng.attribute(cube, bundle)
    >>> whole = found["contribution"].sum("feature") + found["baseline"]
    >>> bool(abs(whole - ng.predict(cube, bundle)["flux"]).max() < 1e-4)
    True
    """
    cube = in_house_terms(cube, bundle)
    known = Attributor(bundle)
    values = blocks(cube, bundle, attributor, len(known.fields))
    axes = {name: cube[name] for name in ("time", "lat", "lon", *BOUNDS) if name in cube.coords}
    result = xr.Dataset(
        {"contribution": values.rename(field="feature")},
        {**axes, "feature": list(known.fields)},
        {k: v for k, v in cube.attrs.items() if k in ("title", "synthetic")},
    )
    result["contribution"].attrs = {
        "units": FLUX_UNITS,
        "long_name": "part of the flux that a predictor adds to that of mean conditions",
        "comment": "integrated gradients from the mean of the training rows; positive: release",
    }
    result["baseline"] = xr.DataArray(
        known.baseline, attrs={"units": FLUX_UNITS, "long_name": "flux of mean conditions"}
    )
    return result


def attribute_file(
    cube: xr.Dataset,
    bundle: Bundle,
    output: str | os.PathLike[str],
    months: str | None = None,
) -> pd.DataFrame:
    """Write what `attribute` returns as a NetCDF file, block by block.

    Parameters
    ----------
    cube, bundle
        As for `attribute`.
    output : path
        The ``.nc`` file, written whole or not at all.
    months : str, optional
        ``2014-07``, ``2014``, or first and last as ``2007:2015``; by default all.

    Returns
    -------
    pandas.DataFrame
        By feature, the greatest first: ``mean_magnitude`` and ``mean`` of what it adds, umol m-2
        s-1, over cells and months alike.

    Raises
    ------
    UsageError
        When the output is no ``.nc`` file, or no month is left.
    """
    import pandas as pd

    path = Path(output)
    if path.suffix != ".nc":
        raise UsageError(f"expected a file ending in .nc to write, found {path.name!r}")
    require_replaceable(path, [bundle.directory], store=False)
    found = attribute(cube, bundle)
    if months is not None:
        first, _, last = months.partition(":")
        try:
            found = found.sel(time=slice(first, last or first))
        except (KeyError, ValueError, TypeError):
            raise UsageError(
                f"expected months as 2014-07, 2014 or 2007:2015, found {months!r}"
            ) from None
        if not found.sizes["time"]:
            raise UsageError(f"expected months of {months}, found none of them in the cube")
    with hold_output(path), atomic_path(path) as temporary:
        encoding = {"contribution": {"zlib": True, "complevel": 4, "dtype": "float32"}}
        found.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
    with xr.open_dataset(path, engine="netcdf4", chunks={"time": 12}) as written:
        added = written["contribution"]
        over = ("time", "lat", "lon")
        size, mean = dask.compute(abs(added).mean(over), added.mean(over))
    table = pd.DataFrame(
        {"mean_magnitude": size.values, "mean": mean.values},
        pd.Index(found["feature"].values, name="feature"),
    )
    return table.sort_values("mean_magnitude", ascending=False)
