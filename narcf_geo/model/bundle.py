"""A trained model on disk: Keras files, and a JSON that says what goes in and its origin."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.model.network.ensemble import Ensemble, Estimate
from narcf_geo.model.samples.features import Features
from narcf_geo.statistics.applicability import APPLICABILITY, Applicability
from narcf_geo.statistics.error_model import ErrorModel

if TYPE_CHECKING:
    import pandas as pd

VERSION = 2


@dataclass(frozen=True)
class Bundle:
    """A trained model: the ``model/`` folder of a project, or what `ng.train` returns.

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
    def load(cls, directory: str | os.PathLike[str]) -> Bundle:
        """Open a bundle.

        Parameters
        ----------
        directory : path
            The folder with ``bundle.json``, such as ``"demo/model"``.

        Raises
        ------
        NarcfError
            When it is absent, of another version, or a member is not the file that was written.

        Examples
        --------
        >>> Bundle.load("nowhere/model")
        Traceback (most recent call last):
        narcf_geo.core.errors.NarcfError: nowhere/model/bundle.json: no such file; train a model \
with `narcf-geo train` or ng.train
        """
        directory = Path(directory)
        path = directory / "bundle.json"
        if not path.exists():
            raise NarcfError(
                f"{path}: no such file; train a model with `narcf-geo train` or ng.train"
            )
        try:
            information = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise NarcfError(
                f"{path}: cannot be read as JSON ({error}); train again with `narcf-geo train`"
            ) from None
        found = information.get("bundle_version")
        if found == 1:
            # The first version knew one output, no noise and no calibration.
            information = {"noise": 0.0, "calibration": {}, "recipe": {}, **information}
        elif found != VERSION:
            raise NarcfError(
                f"{path}: bundle version {found}, expected {VERSION} or 1; it was written by "
                "another version of narcf-geo: use that one, or train again with `narcf-geo train`"
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
        features = Features.from_json(information["features"])
        names = tuple(information["features"]["names"])
        if names != features.names:
            raise NarcfError(
                f"{path}: the features are in another order than the network was trained with: "
                f"expected {', '.join(features.names)}, found {', '.join(names)}"
            )
        return cls(directory, features, information)

    def save(self, directory: str | os.PathLike[str]) -> Bundle:
        """Copy the bundle into a folder, whole or not at all.

        Parameters
        ----------
        directory : path
            An absent or empty folder, or one that holds a bundle, which is replaced.

        Returns
        -------
        Bundle
            The copy.

        Raises
        ------
        UsageError
            When there is something else than a bundle.
        """
        target = Path(directory)
        if target.resolve() != self.directory.resolve():
            require_bundle_or_nothing(target)
            with atomic_path(target) as temporary:
                shutil.copytree(self.directory, temporary)
        return Bundle.load(target)

    def __repr__(self) -> str:
        from narcf_geo.model.card import summary

        return f"<narcf_geo.Bundle {self.directory}>\n" + "\n".join(summary(self))

    def _repr_markdown_(self) -> str:
        from narcf_geo.model.card import model_card

        return model_card(self)

    def _repr_html_(self) -> str:
        # Of the two, a notebook shows the HTML.
        from markdown_it import MarkdownIt

        return str(MarkdownIt("js-default").render(self._repr_markdown_()))

    @cached_property
    def ensemble(self) -> Ensemble:
        """The members, ready to be applied.

        Raises
        ------
        NarcfError
            When a network takes another number of features than the bundle names.
        """
        paths = [self.directory / name for name in self.information["members"]]
        ensemble = Ensemble.load(paths, self.information["noise"])
        expected = len(self.features.names)
        for path, network in zip(paths, ensemble.networks, strict=True):
            if network.mean.size != expected:
                raise NarcfError(
                    f"{path}: the network takes {network.mean.size} features, bundle.json names "
                    f"{expected}; train again with `narcf-geo train`"
                )
        return ensemble

    @cached_property
    def applicability(self) -> Applicability | None:
        """Where the model may be trusted; None when it could not be told."""
        path = self.directory / APPLICABILITY
        return Applicability.load(path) if path.exists() else None

    @cached_property
    def errors(self) -> ErrorModel | None:
        """How held-out errors hang together; None in a bundle of the first version."""
        return ErrorModel.load(self.directory)

    @property
    def factors(self) -> dict[float, float]:
        """For each level, such as 0.95, half the width of the interval in units of ``std``.

        Infinite where the validation rows were too few for the level.
        """
        known = self.information["calibration"]
        return {float(k): np.inf if v is None else float(v) for k, v in known.items()}

    def estimate(self, x: np.ndarray | pd.DataFrame) -> Estimate:
        """Return the flux, spread and noise of rows, umol m-2 s-1.

        Parameters
        ----------
        x : numpy.ndarray or pandas.DataFrame
            Shape (n_rows, n_features), in the order of ``features.names``; the columns of a
            DataFrame must bear these names in this order.

        Raises
        ------
        NarcfError
            When a column is absent, or in another place.
        """
        names = self.features.names
        found = tuple(getattr(x, "columns", names))
        if found != names:
            absent = [name for name in names if name not in found]
            what = f"without {', '.join(absent)}" if absent else "in another order or with more"
            raise NarcfError(
                f"expected the features {', '.join(names)}; found them {what}: {', '.join(found)}"
            )
        values = np.asarray(x, np.float32)
        if values.shape[1] != len(names):
            raise NarcfError(
                f"expected {len(names)} features ({', '.join(names)}), found {values.shape[1]}"
            )
        return self.ensemble.estimate(values)


def require_bundle_or_nothing(directory: Path) -> None:
    """Refuse a folder to write a bundle into that holds something else.

    Raises
    ------
    UsageError
        When it is a file, or a folder with something in it and no ``bundle.json``.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError(f"{directory}: expected a folder for the bundle, found a file")
    if any(directory.iterdir()) and not (directory / "bundle.json").exists():
        raise UsageError(
            f"{directory}: expected an empty folder or a bundle to replace, found other files; "
            "name another folder"
        )


def write(directory: Path, features: Features, members: Sequence[Path], **information: Any) -> None:
    """Copy ``.keras`` files into `directory` and describe them (use it under `atomic_path`)."""
    directory.mkdir(parents=True, exist_ok=True)
    digests = {}
    for number, member in enumerate(members):
        path = directory / f"member_{number}.keras"
        shutil.copyfile(member, path)
        digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    content = {
        "bundle_version": VERSION,
        "features": features.to_json(),
        "members": digests,
        **information,
    }
    (directory / "bundle.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
