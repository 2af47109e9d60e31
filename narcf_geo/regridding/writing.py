"""Write a regridded dataset: straight into a file, or by way of a store that grows by pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.journal import Journal
from narcf_geo.core.lock import hold_output
from narcf_geo.core.pool import Pool, Threads, memory_bytes, threads
from narcf_geo.core.progress import Progress
from narcf_geo.core.provenance import VERSION
from narcf_geo.fields.formats import Opening, open_zarr
from narcf_geo.regridding.output import Output, Result
from narcf_geo.regridding.packing import Packing
from narcf_geo.regridding.pieces import Field, Layer, Place, Plan, run, stored_chunks
from narcf_geo.regridding.raster import bands
from narcf_geo.regridding.sinks import (
    Compression,
    create_store,
    open_geotiff,
    open_netcdf,
    store_places,
)

_TILE = 256
"""Cells along the edge of a tile of a GeoTIFF."""


Sums = dict[str, dict[str, float]]
"""For each field what was summed up over its pieces."""


def write(
    out: xr.Dataset,
    results: Sequence[Result],
    output: Output,
    key: Mapping[str, Any],
    pool: Pool | None,
    memory: str | float | None,
    progress: Progress,
) -> Sums:
    """Compute and write a dataset; return the sums of each field.

    Parameters
    ----------
    out : xarray.Dataset
        What is written, its fields lazy.
    results : sequence of Result
        The fields.
    output : Output
    key : mapping
        What tells this job from another one for the same output, as plain values.
    pool, memory, progress
        As for `narcf_geo.regrid_file`.
    """
    writer = _Writer(out, results, output, pool or threads(), memory_bytes(memory), progress)
    ranges = [r.name for r in results if writer.packing(r) is None]
    with hold_output(output.path):
        if output.kind != "zarr" and isinstance(writer.pool, Threads) and not ranges:
            return writer.straight(writer.out, {}, with_sums=True)
        return writer.by_store(key, ranges)


class _Writer:
    def __init__(
        self,
        out: xr.Dataset,
        results: Sequence[Result],
        output: Output,
        pool: Pool,
        memory: float | None,
        progress: Progress,
    ) -> None:
        self.results, self.output, self.pool = list(results), output, pool
        self.memory, self.progress = memory, progress
        if output.valid_fraction == "none":
            out = out.drop_vars([r.fraction for r in results])
        if output.valid_fraction != "band":
            for result in results:
                out[result.name].attrs.pop("ancillary_variables", None)
        self.out = out
        unknown = sorted(set(output.chunks) - set(map(str, out.dims)))
        if unknown:
            raise UsageError(
                f"chunks: expected dimensions among {', '.join(map(str, out.dims))}, found "
                f"{', '.join(unknown)}"
            )
        if output.kind == "geotiff":
            self._raster(out)  # what no GeoTIFF holds is refused before anything is computed
            for result in results:
                if result.fraction in out and out[result.fraction].ndim < out[result.name].ndim:
                    raise UsageError(
                        f"valid_fraction: expected none for {result.name!r} in a GeoTIFF, whose "
                        f"bands are classes, found {output.valid_fraction}"
                    )
                packing = self.packing(result)
                if output.valid_fraction == "band" and packing and packing.dtype.kind != "f":
                    raise UsageError(
                        f"valid_fraction: expected file or none for {result.name!r} in a GeoTIFF, "
                        f"whose bands are all {packing.dtype}, found band; or give --dtype float32"
                    )

    def packing(self, result: Result, ends: Mapping[str, float] | None = None) -> Packing | None:
        """Return how the values of a field are stored; None when that depends on their range."""
        values, dtype = self.out[result.name], self.output.dtype
        if result.classes and dtype in (None, result.classes["dtype"]):
            return Packing(np.dtype(result.classes["dtype"]), fill=result.classes["_FillValue"])
        if dtype is None:
            return Packing.plain(values.dtype)
        if dtype.kind == "f" or result.classes:
            return Packing.plain(dtype)
        if known := Packing.of_source(result.packing, dtype):
            return known
        return None if ends is None else Packing.of_range(ends["low"], ends["high"], dtype)

    def _fraction_packing(self, result: Result) -> Packing:
        dtype = self.out[result.fraction].dtype
        if self.output.dtype is not None:
            dtype = self.output.dtype if self.output.dtype.kind == "f" else np.dtype("float32")
        return Packing.plain(dtype)

    def _chunks(
        self, variable: xr.Variable, plane: int, itemsize: int, kind: str
    ) -> tuple[int, ...]:
        asked = self.output.chunks
        read = tuple(max(c) for c in variable.chunks[:-plane])  # type: ignore[index]
        usual = stored_chunks(variable.shape, read, plane, itemsize)
        if kind == "geotiff":
            edge = tuple(_TILE if min(variable.shape[-2:]) >= _TILE else n for n in usual[-2:])
            usual = (*(1 for _ in read), *edge)
        sizes = zip(variable.dims, variable.shape, usual, strict=True)
        return tuple(min(n, asked.get(str(d), u)) for d, n, u in sizes)

    def _layers(
        self, out: xr.Dataset, result: Result, packing: Packing, kind: str
    ) -> tuple[Layer, ...]:
        pairs = [(result.name, packing)]
        if result.fraction in out.variables:
            pairs.append((result.fraction, self._fraction_packing(result)))
        layers = []
        for name, how in pairs:
            variable = out[name].variable
            chunks = self._chunks(variable, result.plane, how.dtype.itemsize, kind)
            layers.append(Layer(name, variable.data, chunks, how, result.plane))
        return tuple(layers)

    def straight(self, out: xr.Dataset, ends: Sums, *, with_sums: bool) -> Sums:
        """Write `out` into files that appear when they are whole."""
        kind = self.output.kind
        fields: list[Field] = []
        for result in self.results:
            packing = self.packing(result, ends.get(result.name)) or Packing.plain(
                out[result.name].dtype
            )
            sums = result.sums if with_sums else {}
            fields += _fields(self._layers(out, result, packing, kind), sums, False, result.block)
        with self._open(out, fields) as (places, stored):
            found: dict[int, dict[str, float]] = {}
            plan = Plan(tuple(stored), places)
            pieces = plan.pieces()
            done = self._counting(plan, found, "writing" if ends else "regridding")
            pool = self.pool if isinstance(self.pool, Threads) else threads()
            run(plan, pool, list(range(len(pieces))), done, self.memory)
            self.progress(len(pieces), len(pieces), f"closing {self.output.path.name}")
        return self._totals(plan, found)

    @contextmanager
    def _open(
        self, out: xr.Dataset, fields: Sequence[Field]
    ) -> Iterator[tuple[dict[str, Place], Sequence[Field]]]:
        """Open the files; yield where the layers go, and the fields as they are stored there."""
        output = self.output
        with ExitStack() as stack:
            path = stack.enter_context(atomic_path(output.path))
            beside = [stack.enter_context(atomic_path(p)) for p in output.beside]
            fractions = {result.fraction for result in self.results}
            layers = [layer for field in fields for layer in field.layers]
            first = [layer for layer in layers if layer.name not in fractions]
            second = [layer for layer in layers if layer.name in fractions]
            if output.kind == "geotiff":
                fields = [self._oriented(out, fields[0])]
                first, second = [fields[0].layers[0]], list(fields[0].layers[1:])
                raster, tags = self._raster(out), self._tags(out)
                inside = [*first, *([] if beside else second)]
                places = stack.enter_context(
                    open_geotiff(raster, inside, path, output.compression, tags)
                )
                if beside:
                    tags = {**tags, "units": "1"}
                    places |= stack.enter_context(
                        open_geotiff(raster, second, beside[0], output.compression, tags)
                    )
            else:
                whole = out.drop_vars([layer.name for layer in second]) if beside else out
                inside = [*first, *([] if beside else second)]
                opened = self._other_format(whole, inside, path)
                places = stack.enter_context(opened)
                if beside:
                    alone = out.drop_vars([layer.name for layer in first])
                    places |= stack.enter_context(self._other_format(alone, second, beside[0]))
            yield places, fields

    @contextmanager
    def _other_format(
        self, out: xr.Dataset, layers: Sequence[Layer], path: Path
    ) -> Iterator[dict[str, Place]]:
        if self.output.kind == "netcdf":
            with open_netcdf(out, layers, path, self.output.compression) as places:
                yield places
            return
        create_store(out, layers, path, self.output.compression)
        yield store_places(layers, path)

    def _raster(self, out: xr.Dataset) -> xr.DataArray:
        return bands(out, [r.name for r in self.results])

    def _oriented(self, out: xr.Dataset, field: Field) -> Field:
        """Return a field with its layers as a GeoTIFF has them: north up."""
        layers = tuple(
            Layer(layer.name, bands(out, [layer.name]).data, layer.chunks, layer.packing)
            for layer in field.layers
        )
        return Field(layers, field.sums, field.ends, field.block)

    def _tags(self, out: xr.Dataset) -> dict[str, str]:
        field = out[self.results[0].name]
        keys = ("units", "long_name", "standard_name", "cell_methods")
        tags = {key: str(field.attrs[key]) for key in keys if key in field.attrs}
        return {**tags, "history": str(out.attrs["history"]), "variable": self.results[0].name}

    def by_store(self, key: Mapping[str, Any], ranges: Sequence[str]) -> Sums:
        """Write a store piece by piece; a run that was stopped goes on with it."""
        output = self.output
        folder = output.path.with_name(f".{output.path.name}")
        final = output.kind == "zarr" and not ranges
        fields: list[Field] = []
        for result in self.results:
            packing = self.packing(result) if final else None
            packing = packing or Packing.plain(self.out[result.name].dtype)
            stored = self._layers(self.out, result, packing, "zarr")
            fields += _fields(stored, result.sums, result.name in ranges, result.block)
        layers = [layer for field in fields for layer in field.layers]
        job = {"version": VERSION, **key, "layers": [_plain(layer) for layer in layers]}
        job |= {"compression": [output.compression.codec, output.compression.level]}
        text = json.dumps(job, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        journal = Journal(folder, output.path, digest)
        codec = output.compression if final else Compression.of("lz4", "zarr")
        journal.begin(text, lambda path: create_store(self.out, layers, path, codec))
        plan = Plan(tuple(fields), store_places(layers, journal.store))
        found = journal.marks()
        todo = [k for k in range(len(plan.pieces())) if k not in found]
        run(
            plan,
            self.pool,
            todo,
            self._counting(plan, found, "regridding", journal),
            self.memory,
        )
        sums = self._totals(plan, found)
        if final:
            journal.finish()
        else:
            with open_zarr(journal.store, Opening(decode_times=False)) as ds:
                names = [layer.name for layer in layers]
                whole = self.out.assign({n: self.out[n].copy(data=ds[n].data) for n in names})
                whole.attrs["history"] = ds.attrs["history"]
                self.straight(whole, sums, with_sums=False)
            journal.clear()
        remove(folder)
        return sums

    def _counting(
        self,
        plan: Plan,
        found: dict[int, dict[str, float]],
        stage: str,
        journal: Journal | None = None,
    ) -> Callable[[tuple[int, dict[str, float]]], None]:
        """Return what is called with each finished piece."""
        pieces = plan.pieces()
        total = len(pieces)
        self.progress(len(found), total, stage)

        def done(result: tuple[int, dict[str, float]]) -> None:
            number, sums = result
            if journal is not None:
                journal.mark(number, sums)
            found[number] = sums
            name = plan.fields[pieces[number][0]].layers[0].name
            link = f" {self.pool.link}".rstrip()
            self.progress(len(found), total, f"{stage} {name}{link}")

        return done

    def _totals(self, plan: Plan, found: Mapping[int, Mapping[str, float]]) -> Sums:
        """Return the sums of all pieces, in the order of the pieces."""
        totals: Sums = {field.layers[0].name: {} for field in plan.fields}
        for number, (which, _) in enumerate(plan.pieces()):
            total = totals[plan.fields[which].layers[0].name]
            for name, value in found[number].items():
                how = {"low": np.fmin, "high": np.fmax}.get(name, np.add)
                total[name] = float(how(total[name], value)) if name in total else value
        return totals


def _fields(
    layers: tuple[Layer, ...], sums: Mapping[str, Any], ends: bool, block: int
) -> list[Field]:
    """Return layers that are computed together; the fraction of many classes is by itself."""
    first, *others = layers
    lead = first.data.shape[: -first.plane]
    alike = [layer for layer in others if layer.data.shape[: -layer.plane] == lead]
    alone = [Field((layer,), block=block) for layer in others if layer not in alike]
    return [Field((first, *alike), sums, ends, block), *alone]


def _plain(layer: Layer) -> list[Any]:
    packing = layer.packing
    how = [str(packing.dtype), packing.scale, packing.offset, repr(packing.fill)]
    return [layer.name, list(layer.data.shape), list(layer.chunks), how]
