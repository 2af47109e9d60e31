"""The ``.keras`` file of a member: the same bytes each time, and read without running any of it.

The configuration in the file is data to be checked, never classes to be made: only the layers that
training writes are known, and no Lambda or custom object is.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from narcf_geo.core.archives import open_zip
from narcf_geo.core.errors import NarcfError, reason

if TYPE_CHECKING:
    import keras

MAX_PARAMETERS = 50_000_000
"""Weights of a network: more are neither trained nor read."""

MAX_BYTES = 4 * MAX_PARAMETERS + 2**24
"""Of a file, unpacked."""

MAX_LAYERS = 1000

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

Activation = Literal["linear", "relu", "sigmoid", "tanh"]
Values = list[np.ndarray]


class Layer(BaseModel):
    """What is read of the configuration of a layer; Keras says more, which changes nothing."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def shapes(self, width: int) -> list[tuple[int, ...]]:
        """Return the shapes of its weights when it takes `width` values."""
        return []

    def output(self, width: int) -> int:
        """Return how many values it gives."""
        return width


class Ignored(Layer):
    """A layer that does nothing in prediction."""


class Normalization(Layer):
    """Subtracts a mean and divides by a standard deviation, both in the configuration."""

    axis: list[Literal[-1, 1]] = Field(min_length=1, max_length=1)
    invert: Literal[False] = False
    mean: Any
    variance: Any


class BatchNormalization(Layer):
    """Scale, shift, mean and variance of each value."""

    axis: Literal[-1, 1]
    epsilon: float = Field(gt=0, le=1)
    center: Literal[True]
    scale: Literal[True]

    def shapes(self, width: int) -> list[tuple[int, ...]]:
        return [(width,)] * 4


class Dense(Layer):
    """A matrix product, a bias and an activation."""

    units: int = Field(ge=1, le=MAX_PARAMETERS)
    activation: Activation
    use_bias: Literal[True]

    def shapes(self, width: int) -> list[tuple[int, ...]]:
        return [(width, self.units), (self.units,)]

    def output(self, width: int) -> int:
        return self.units


LAYERS: dict[str, type[Layer]] = {
    "InputLayer": Ignored,
    "Dropout": Ignored,
    "GaussianNoise": Ignored,
    "Normalization": Normalization,
    "BatchNormalization": BatchNormalization,
    "Dense": Dense,
}


def save(model: keras.Model, path: Path) -> None:
    """Write a model as Keras does, with the same bytes for the same weights.

    Keras writes the time, and the addresses of objects in memory; both are left out.
    """
    model.save(path)
    with ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in (METADATA, CONFIG, WEIGHTS)}
    metadata = {**json.loads(parts[METADATA]), "date_saved": "1980-01-01@00:00:00"}
    parts[METADATA] = json.dumps(metadata).encode()
    parts[CONFIG] = json.dumps(_without_addresses(json.loads(parts[CONFIG]))).encode()
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(ZipInfo(name), content)


def _without_addresses(content: Any) -> Any:
    if isinstance(content, list):
        return [_without_addresses(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {k: _without_addresses(v) for k, v in content.items() if k != "shared_object_id"}


def read(path: Path) -> list[tuple[Layer, Values]]:
    """Return the layers of a file that count in prediction, each with its weights, float64.

    Of a Normalization these are the mean and the variance.

    Raises
    ------
    NarcfError
        When the file is no Keras archive or is too large; a layer is of a kind that training does
        not write; weights are absent, of another shape than the layers say, or not finite.
    """
    import h5py

    try:
        with open_zip(path, (CONFIG, METADATA, WEIGHTS), MAX_BYTES) as archive:
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise ValueError("expected entries that are not compressed, as Keras writes them")
            layers = _layers(json.loads(archive.read(CONFIG)))
            with h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as weights:
                return list(_with_weights(layers, weights))
    except FileNotFoundError:
        raise NarcfError(f"{path}: no such file; train again with `narcf-geo train`") from None
    except Exception as error:  # HDF5 and ZIP let many kinds through
        raise NarcfError(
            f"{path}: expected a model saved by narcf-geo, found something else "
            f"({_words(error)}); train again with `narcf-geo train`"
        ) from None


def _words(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return reason(f"no {error}" if isinstance(error, KeyError) else error)
    first = error.errors()[0]
    return reason(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def _layers(content: Any) -> list[Layer]:
    """Return the layers of a configuration: a chain of known ones."""
    if not isinstance(content, dict) or content.get("class_name") != "Sequential":
        raise ValueError(f"{CONFIG}: expected the class Sequential")
    entries = content["config"]["layers"]
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_LAYERS:
        raise ValueError(f"{CONFIG}: expected a list of 1 to {MAX_LAYERS:,} layers")
    found = []
    for number, entry in enumerate(entries):
        where = f"{CONFIG}: layer {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise ValueError(f"{where}: expected a class_name and a config")
        kind = entry.get("class_name")
        custom = entry.get("registered_name") is not None or entry.get("module") != "keras.layers"
        if not isinstance(kind, str) or kind not in LAYERS or custom:
            raise ValueError(
                f"{where} ({entry['config'].get('name')!r}, {kind}) cannot be read; expected "
                f"{', '.join(LAYERS)} of Keras itself"
            )
        try:
            found.append(LAYERS[kind].model_validate(entry["config"]))
        except ValidationError as error:
            raise ValueError(f"{where} ({kind}): {_words(error)}") from None
    return found


def _with_weights(layers: list[Layer], file: Any) -> Iterator[tuple[Layer, Values]]:
    """Yield the layers that count, with their weights."""
    if not isinstance(layers[0], Ignored | Normalization):
        raise ValueError(f"{CONFIG}: expected an InputLayer or a Normalization layer first")
    counts: Counter[str] = Counter()
    width = parameters = 0
    for layer in layers:
        if isinstance(layer, Ignored):
            continue
        stem = re.sub(r"(?<!^)(?=[A-Z])", "_", type(layer).__name__).lower()
        name = stem if not counts[stem] else f"{stem}_{counts[stem]}"
        counts[stem] += 1
        if isinstance(layer, Normalization):
            values = _moments(layer, file, name)
            width = width or values[0].size
            shapes: list[tuple[int, ...]] = [(width,)] * 2
            for value in values:
                if value.shape != (width,):
                    raise ValueError(f"{name}: expected shape ({width},), found {value.shape}")
        elif not width:
            raise ValueError(f"{CONFIG}: expected a Normalization layer first, found {name}")
        else:
            shapes = layer.shapes(width)
            parameters += sum(int(np.prod(shape)) for shape in shapes)
            if parameters > MAX_PARAMETERS:
                raise ValueError(f"more than {MAX_PARAMETERS:,} weights")
            values = [_weights(file, name, k, shape) for k, shape in enumerate(shapes)]
        for value in values:
            if not np.isfinite(value).all():
                raise ValueError(f"{name}: expected finite weights, found NaN or infinity")
        if isinstance(layer, Normalization | BatchNormalization) and (values[-1] < 0).any():
            raise ValueError(f"{name}: expected variances of at least 0, found {values[-1].min()}")
        width = layer.output(width)
        yield layer, values
    if not isinstance(layer, Dense) or width > 2:
        raise ValueError(f"{CONFIG}: expected a Dense layer of 1 or 2 outputs last")


def _moments(layer: Normalization, file: Any, name: str) -> Values:
    """Return mean and variance, which stand in the configuration or among the weights."""
    if layer.mean is None:
        size = _dataset(file, name, 0).size
        return [_weights(file, name, k, (size,)) for k in (0, 1)]
    return [np.ravel(np.asarray(v, np.float64)) for v in (layer.mean, layer.variance)]


def _weights(file: Any, name: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    found = _dataset(file, name, number)
    if found.shape != shape:
        raise ValueError(f"{WEIGHTS}: {found.name}: expected shape {shape}, found {found.shape}")
    return np.asarray(found[...], np.float64)


def _dataset(file: Any, name: str, number: int) -> Any:
    """Return an array of numbers that lies in the file itself."""
    import h5py

    place = file
    path = ("layers", name, "vars", str(number))
    for part in path:
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{WEIGHTS}: no {'/'.join(path)}")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.dtype.kind != "f":
        raise ValueError(
            f"{WEIGHTS}: {'/'.join(path)}: expected an array of floating-point numbers"
        )
    if place.external or place.is_virtual or place.size is None or place.size > MAX_PARAMETERS:
        raise ValueError(
            f"{WEIGHTS}: {'/'.join(path)}: expected values in the file itself, at most "
            f"{MAX_PARAMETERS:,}"
        )
    return place
