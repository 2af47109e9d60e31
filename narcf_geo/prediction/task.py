"""What is to be computed: of which predictors, with which bundle, in which pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import UsageError
from narcf_geo.core.layout import Layout, Shape
from narcf_geo.core.pool import LIBRARIES, Pool
from narcf_geo.core.provenance import VERSION
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.samples.climate import at_months
from narcf_geo.prediction.arrays import KEPT
from narcf_geo.prediction.block import SLAB_ROWS, Predictor, bundle_digest, predictor
from narcf_geo.prediction.regions import Need, Region, regions
from narcf_geo.prediction.source import Source

CLIMATE = 45
"""Maps that the climate of one predictor takes while it is summed up."""

MEMORY = 1e9
"""What a process may take unless it is told, or needs more for one chunk in each thread."""


@dataclass(frozen=True)
class Task:
    """What all regions share; written to ``job.json``, read once in each process."""

    source: Source
    model: Path
    digest: str
    names: tuple[str, ...]
    halo: int
    layout: Layout

    @classmethod
    def of(cls, source: Source, model: Path) -> Task:
        """Put together what the bundle in the folder `model` needs of `source`."""
        features = Bundle.load(model).features
        names = ["biome", *features.predictors, *(how.of for how in features.derived.values())]
        names += ["class_fraction"] if features.takes_fractions else []
        names += ["cell_area"] if features.coordinates else []
        frame = source.frame()
        return cls(
            source,
            model,
            bundle_digest(model),
            tuple(name for name in dict.fromkeys(names) if name in source.places),
            features.halo,
            Layout.of((frame.sizes["time"], frame.sizes["lat"], frame.sizes["lon"])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "source": self.source.to_json(),
            "model": str(self.model),
            "digest": self.digest,
            "names": self.names,
            "halo": self.halo,
            "layout": (self.layout.shape, self.layout.chunk),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Task:
        """Read what `to_json` returned."""
        return cls(
            Source.from_json(content["source"]),
            Path(content["model"]),
            content["digest"],
            tuple(content["names"]),
            content["halo"],
            Layout(*(tuple(shape) for shape in content["layout"])),
        )

    @property
    def predictor(self) -> Predictor:
        """The bundle, loaded once in each process."""
        return predictor(self.model, self.digest)

    def reach(self, first: Shape, last: Shape) -> tuple[slice, slice, slice]:
        """Return what must be read for the chunks from `first` to `last`."""
        time, lat, lon = self.layout.slices(first, last)
        return slice(max(time.start - self.halo, 0), time.stop), lat, lon

    def key(self) -> str:
        """Return a hash of the store to be written."""
        return _hash([self.common(), self.source.months])

    def common(self) -> str:
        """Return a hash of what changes every chunk: code, bundle, axes and maps.

        Months that are added at the end change no chunk before them.
        """
        frame = self.source.frame()
        everywhere = self.layout.slices((0, 0, 0), self.layout.counts)
        content = {
            "version": VERSION,
            "bundle": self.digest,
            "names": self.names,
            "first month": self.source.months[0],
            "chunk": self.layout.chunk,
            "axes": [hashlib.sha256(frame[d].values.tobytes()).hexdigest() for d in ("lat", "lon")],
            "maps": list(self.source.stamps(KEPT, everywhere)),
        }
        return _hash(content)

    def digests(self) -> dict[Shape, str]:
        """Return, for each chunk, a hash of the files it is computed from."""
        found, climate = {}, {}
        for chunk in self.layout.chunks():
            at = self.reach(chunk, chunk)
            if chunk[1:] not in climate:
                climate[chunk[1:]] = self.climate_digest(at[1:])
            read = list(self.source.stamps(self.names, at))
            found[chunk] = _hash([self.source.months[at[0]], read, *climate[chunk[1:]]])[:16]
        return found

    def climate(self, place: tuple[slice, slice]) -> xr.Dataset | None:
        """Read the climate of the cells of a place, along lat and lon, a year at a time."""
        features = self.predictor.bundle.features
        if (at := self._at_climate) is None:
            return None
        starts = range(at.start, at.stop, self.layout.chunk[0])
        slabs = (slice(start, min(start + self.layout.chunk[0], at.stop)) for start in starts)
        return features.climate_by_slabs(
            self.source.read(features.inputs, (slab, *place)) for slab in slabs
        )

    def climate_digest(self, place: tuple[slice, slice]) -> list[str]:
        """Return a hash of the files that the climate of a place is taken from; none without."""
        if (at := self._at_climate) is None:
            return []
        stamps = list(self.source.stamps(self.predictor.bundle.features.inputs, (at, *place)))
        edges = [(side.start, side.stop) for side in place]
        return [_hash([self.digest, self.source.months[at], edges, stamps])]

    @cached_property
    def _at_climate(self) -> slice | None:
        months = self.predictor.bundle.features.climate
        return at_months(pd.DatetimeIndex(self.source.months), months) if months else None

    def regions(self, todo: set[Shape], memory: float | None, pool: Pool) -> list[Region]:
        """Return regions that hold all chunks `todo`, in order of time.

        Raises
        ------
        UsageError
            When `memory`, bytes for each process, is not enough for one chunk in each thread.
        """
        if memory is None:
            memory = max(MEMORY, self.least_memory(pool.threads))
        self.require_memory(memory, pool.threads)
        share = (memory - LIBRARIES) / pool.threads
        found = regions(self.layout, self._need, share, pool.slots)
        return [region for region in found if todo.intersection(region.chunks())]

    def require_memory(self, memory: float, threads: int) -> None:
        """Raise UsageError when `memory` is not enough for one chunk in each thread, bytes."""
        if memory < (least := self.least_memory(threads)):
            many = "a thread" if threads == 1 else f"{threads} threads"
            raise UsageError(
                f"memory: {memory / 1e9:.2g} GB is not enough for {many} in one process, which "
                f"takes {least / 1e9:.2g} GB; give more, or workers with fewer threads"
            )

    def least_memory(self, threads: int) -> float:
        """Return what a process takes that works on one chunk in each thread, bytes."""
        return LIBRARIES + threads * self._need.bytes(self.layout, (1, 1, 1))

    @cached_property
    def _need(self) -> Need:
        features = self.predictor.bundle.features
        moving = [n for n in self.names if self.source.places[n][0].start is not None]
        return Need(
            self.source.chunk_shapes(moving),
            self.halo,
            len(self.names) - len(moving) + len(IGBP) + CLIMATE * features.climates,
            len(features.predictors),
            len(self.predictor.fields),
            len(features.names),
            SLAB_ROWS,
        )


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
