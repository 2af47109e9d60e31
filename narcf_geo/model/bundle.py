"""A trained model on disk: Keras files, and a JSON that says what goes in and its origin."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from narcf_geo.errors import NarcfError
from narcf_geo.model.features import Features
from narcf_geo.model.network import Network

VERSION = 1


@dataclass(frozen=True)
class Bundle:
    """The ``model/`` folder of a project.

    Attributes
    ----------
    directory : Path
        Holds ``bundle.json`` and ``member_<k>.keras``.
    features : Features
        What the networks expect, in order.
    information : dict
        The whole of ``bundle.json``: training ranges, split, seed, versions, hashes.
    """

    directory: Path
    features: Features
    information: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> Bundle:
        """Open a bundle.

        Raises
        ------
        NarcfError
            When it is absent, of another version, or a member is not the file that was written.
        """
        path = directory / "bundle.json"
        if not path.exists():
            raise NarcfError(f"{path}: no such file; train a model with `narcf-geo train`")
        try:
            information = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise NarcfError(
                f"{path}: cannot be read as JSON ({error}); train again with `narcf-geo train`"
            ) from None
        if information.get("bundle_version") != VERSION:
            raise NarcfError(
                f"{path}: bundle version {information.get('bundle_version')}, expected {VERSION}; "
                "train again with `narcf-geo train`"
            )
        for name, digest in information["members"].items():
            if not (directory / name).exists():
                raise NarcfError(
                    f"{directory / name}: no such file, though {path.name} names it; train again "
                    "with `narcf-geo train`"
                )
            found = hashlib.sha256((directory / name).read_bytes()).hexdigest()
            if found != digest:
                raise NarcfError(
                    f"{directory / name}: sha256 {found[:12]}..., expected {digest[:12]}...; the "
                    "file was changed after training: train again"
                )
        features = information["features"]
        schema = Features(
            tuple(features["predictors"]),
            tuple(features["units"]),
            tuple(features["masked"]),
            features["biome"],
        )
        return cls(directory, schema, information)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The members, ready to be applied."""
        return tuple(Network.load(self.directory / name) for name in self.information["members"])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return each member's flux, shape (n_members, n_rows), umol m-2 s-1.

        `x` has shape (n_rows, n_features), in the order of ``features.names``.
        """
        return np.stack([network(x) for network in self.networks])


def write(directory: Path, features: Features, members: list[Any], **information: Any) -> None:
    """Write Keras models and their description into `directory` (use it under `atomic_path`)."""
    directory.mkdir(parents=True, exist_ok=True)
    digests = {}
    for number, model in enumerate(members):
        path = directory / f"member_{number}.keras"
        model.save(path)
        digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    content = {
        "bundle_version": VERSION,
        "features": {**asdict(features), "names": features.names},
        "members": digests,
        **information,
    }
    (directory / "bundle.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
