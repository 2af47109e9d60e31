"""What a prediction costs: core-seconds from the size of a network and of a store."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Work:
    """The size of a prediction.

    Attributes
    ----------
    rows : int
        Land cells times months.
    flop : int
        Of the products of all members, a row.
    members : int
        Networks.
    comparisons : int
        Prototypes times features, of the area of applicability.
    values : int
        Values decoded and encoded, those at sea included.
    fields : int
        Fields predicted.
    """

    rows: int
    flop: int
    members: int
    comparisons: int
    values: int
    fields: int

    @classmethod
    def of(cls, model: Path, cube: Path, rows: int) -> Work:
        """Read the sizes of a bundle and a cube."""
        import xarray as xr

        from narcf_geo.model.bundle import Bundle
        from narcf_geo.prediction.block import Predictor

        bundle = Bundle.load(model)
        networks = bundle.ensemble.networks
        area = bundle.applicability
        fields = len(Predictor(bundle).fields)
        with xr.open_zarr(cube, consolidated=False, chunks=None) as ds:
            cells = ds.sizes["time"] * ds["biome"].size
        return cls(
            rows,
            sum(2 * layer.kernel.size for network in networks for layer in network.layers),
            len(networks),
            area.prototypes.size if area else 0,
            cells * (len(bundle.features.predictors) + fields),
            fields,
        )


@dataclass(frozen=True)
class Cost:
    """Seconds of a core for each unit of work."""

    flop: float
    member: float
    row: float
    comparison: float
    value: float

    def seconds(self, work: Work) -> float:
        """Return the core-seconds of a prediction."""
        a_row = (
            work.flop * self.flop
            + work.members * self.member
            + work.comparisons * self.comparison
            + self.row
        )
        return work.rows * a_row + work.values * self.value

    def __str__(self) -> str:
        return (
            f"{1e-9 / self.flop:.0f} GFLOP/s in the networks; {1e9 * self.member:.0f} ns a member "
            f"and row for mean and spread; {1e9 * self.row:.0f} ns a row to gather and scatter; "
            f"{1e12 * self.comparison:.0f} ps a prototype, feature and row; "
            f"{1e9 * self.value:.1f} ns a value decoded or encoded"
        )


@dataclass(frozen=True)
class Parts:
    """CPU seconds of what a prediction consists of."""

    network: float
    statistics: float
    applicability: float
    gather: float
    store: float

    @classmethod
    def median(cls, times: Sequence[dict[str, Any]]) -> Parts:
        """Take them apart; `times` are those of `stores.py plain`."""

        def median(name: str) -> float:
            return statistics.median(t["parts"].get(name, 0.0) for t in times)

        network, estimate, area, block = (
            median(name) for name in ("network", "estimate", "applicability", "block")
        )
        whole = statistics.median(t["cpu"] for t in times)
        return cls(network, estimate - network, area, block - estimate - area, whole - block)

    def described(self) -> dict[str, float]:
        """Name the parts for a table."""
        return {
            "network (the bare kernel)": self.network,
            "mean, spread, noise": self.statistics,
            "gather and scatter": self.gather,
            "read, decode, encode, write": self.store,
        }

    def cost(self, work: Work) -> Cost:
        """Return the cost of a unit, from parts that `work` took."""
        return Cost(
            self.network / work.rows / work.flop,
            self.statistics / work.rows / work.members,
            self.gather / work.rows,
            self.applicability / work.rows / max(work.comparisons, 1),
            self.store / work.values,
        )
