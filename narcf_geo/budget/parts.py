"""Parts of a region, such as biomes, and the share of each cell that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP

if TYPE_CHECKING:
    import geopandas as gpd
    from scipy import sparse

REST, WHOLE = "rest", "all"

_ROUNDING = 1e-9
"""What is left of a sum of shares by rounding is no land without a class."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a region.

    Attributes
    ----------
    names : dict of str to str
        Key of each part to what it is called.
    share : scipy.sparse.csc_array
        Share of each cell in each part (part, cell), 0 to 1; cells (lat, lon) in C order.
    """

    names: dict[str, str]
    share: sparse.csc_array

    @classmethod
    def of(cls, parts: Mapping[str, np.ndarray]) -> Parts:
        """Take masks or shares (lat, lon) by the names of the parts."""
        from scipy import sparse

        rows = [
            sparse.csr_array(np.asarray(s, dtype=np.float64).ravel()[None]) for s in parts.values()
        ]
        return cls({name: name for name in parts}, sparse.vstack(rows, format="csc"))

    @classmethod
    def joined(cls, several: Iterable[Parts]) -> Parts:
        """Return the parts of several divisions together; the keys are numbers."""
        from scipy import sparse

        several = list(several)
        names = [name for parts in several for name in parts.names.values()]
        share = sparse.vstack([parts.share for parts in several], format="csc")
        return cls({str(n): name for n, name in enumerate(names)}, share)

    def dense(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return the share of each cell (lat, lon) in one part."""
        row: np.ndarray = self.share[[list(self.names).index(key)]].toarray().reshape(shape)
        return row


def biome_parts(biome: xr.DataArray) -> Parts:
    """Return the cells of each majority class (lat, lon), of no class, and of all."""
    return _closed({str(n): cls.name for n, cls in enumerate(IGBP)}, class_shares(biome))


def class_shares(biome: xr.DataArray) -> sparse.csc_array:
    """Return which cells (lat, lon) are of each IGBP class, 0 or 1 (class, cell)."""
    from scipy import sparse

    label = biome.values.ravel()
    cell = np.flatnonzero((label >= 0) & (label < len(IGBP)))
    one = np.ones(cell.size)
    return sparse.csc_array((one, (label[cell], cell)), shape=(len(IGBP), label.size))


def fraction_parts(class_fraction: xr.DataArray) -> Parts:
    """Return the share of each cell's land (lat, lon) in each class, in none, and in all."""
    from scipy import sparse

    land = class_fraction.sel(igbp_class=slice(1, 16)).transpose("igbp_class", "lat", "lon")
    # Row by row of chunks: in full the fractions are ten times as large as what is kept of them.
    rows = land.chunksizes.get("lat", (land.sizes["lat"],))
    ends = np.cumsum([0, *rows])
    shares = []
    for start, stop in pairwise(ends):
        some = land.isel(lat=slice(start, stop)).fillna(0.0).values.astype(np.float64)
        whole = some.sum(axis=0)
        part = np.divide(some, whole, out=np.zeros_like(some), where=whole > 0)
        shares.append(sparse.csr_array(part.reshape(len(some), -1)))
    names = {str(n): IGBP[n].name for n in land["igbp_class"].values.tolist()}
    return _closed(names, sparse.hstack(shares, format="csr"))


def region_parts(grid_shares: sparse.csr_array, regions: gpd.GeoSeries) -> Parts:
    """Return the share of each cell in each polygon, in none, and in all."""
    return _closed({str(name): str(name) for name in regions.index}, grid_shares, "outside")


def _closed(
    names: dict[str, str], share: sparse.csr_array | sparse.csc_array, rest_name: str = "no class"
) -> Parts:
    """Return shares with the rest that makes each cell whole."""
    from scipy import sparse

    rest = 1.0 - share.sum(axis=0)
    rest = np.where(rest < _ROUNDING, 0.0, rest)
    rows = [share, sparse.csr_array(rest[None]), sparse.csr_array(np.ones((1, rest.size)))]
    names = {**names, REST: rest_name, WHOLE: "whole region"}
    return Parts(names, sparse.vstack(rows, format="csc"))
