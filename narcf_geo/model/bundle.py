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

from narcf_geo.core.archives import require_regular
from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError, reason
from narcf_geo.core.files import atomic_path
from narcf_geo.model import contents
from narcf_geo.model.network.ensemble import Ensemble, Estimate
from narcf_geo.model.samples.features import Features
from narcf_geo.statistics.applicability import APPLICABILITY, Applicability
from narcf_geo.statistics.error_model import FILE as ERRORS
from narcf_geo.statistics.error_model import ErrorModel
from narcf_geo.statistics.flux_error import FluxError

if TYPE_CHECKING:
    import pandas as pd

CROSS_VALIDATION = "cross_validation.nc"
FILES = (ERRORS, APPLICABILITY, CROSS_VALIDATION)
"""What stands beside ``bundle.json`` and the members, where it could be told."""

MAX_BYTES = 2**30
"""Of a file of a bundle."""


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
            When it is absent or of another version, a field is not what it must be, or a file is
            not the one that was written.

        Examples
        --------
        >>> Bundle.load("nowhere/model")
        Traceback (most recent call last):
        narcf_geo.core.errors.NarcfError: nowhere/model/bundle.json: no such file; train a model \
with `narcf-geo train` or ng.train
        """
        directory = Path(directory)
        information = contents.read(directory)
        path = directory / contents.FILE
        digests = {**information["members"], **information.get("files", {})}
        there = [name for name in FILES if (directory / name).exists()]
        for name in dict.fromkeys((*digests, *there)):
            _require_file(directory / name, digests.get(name))
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
                temporary.mkdir()
                for name in (contents.FILE, *self.information["members"], *FILES):
                    if (self.directory / name).exists():
                        shutil.copyfile(self.directory / name, temporary / name)
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
            When a network takes another number of features than the bundle names, or members
            differ in what they give.
        """
        paths = [self.directory / name for name in self.information["members"]]
        halves = bool(self.information["recipe"].get("halves"))
        ensemble = Ensemble.load(paths, self.information["noise"], halves=halves)
        expected = len(self.features.names)
        for path, network in zip(paths, ensemble.networks, strict=True):
            if network.mean.size != expected:
                raise NarcfError(
                    f"{path}: the network takes {network.mean.size} features, bundle.json names "
                    f"{expected}; train again with `narcf-geo train`"
                )
        outputs = {network.n_outputs for network in ensemble.networks}
        if len(outputs) > 1:
            raise NarcfError(
                f"{self.directory}: expected members of as many outputs, found some with 1 and "
                f"some with 2; {contents.AGAIN}"
            )
        return ensemble

    @cached_property
    def applicability(self) -> Applicability | None:
        """Where the model may be trusted; None when it could not be told."""
        path = self.directory / APPLICABILITY
        if not path.exists():
            return None
        found, expected = Applicability.load(path), len(self.features.names)
        if found.mean.size != expected:
            raise NarcfError(
                f"{path}: for {found.mean.size} features, bundle.json names {expected}; "
                f"{contents.AGAIN}"
            )
        return found

    @cached_property
    def errors(self) -> ErrorModel | None:
        """How errors of the flux hang together; None of members that did not learn from halves."""
        return ErrorModel.load(self.directory)

    @property
    def factors(self) -> dict[float, float]:
        """For each level, such as 0.95, half the interval of an observed value in ``std``.

        Infinite where the validation rows were too few for the level.
        """
        known = self.information["calibration"]
        return {float(k): np.inf if v is None else float(v) for k, v in known.items()}

    @cached_property
    def flux_error(self) -> FluxError | None:
        """The size of errors of the flux; None of members that did not learn from halves."""
        known = self.information.get("flux_error")
        return None if known is None else FluxError.from_json(known)

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
    """Copy ``.keras`` files into `directory` and describe what is there (under `atomic_path`)."""
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"member_{number}.keras" for number in range(len(members))]
    for member, name in zip(members, names, strict=True):
        shutil.copyfile(member, directory / name)
    content = {
        "bundle_version": contents.VERSION,
        "features": features.to_json(),
        "members": {name: _sha256(directory / name) for name in names},
        "files": {n: _sha256(directory / n) for n in FILES if (directory / n).exists()},
        **information,
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    contents.check(json.loads(text), directory / contents.FILE)
    (directory / contents.FILE).write_bytes(text.encode())


def _require_file(path: Path, digest: str | None) -> None:
    """Refuse a file of a bundle that is absent, lies elsewhere, is huge or was changed.

    Bundles of earlier versions have no digest of files that are no members.
    """
    if path.is_symlink() and not path.exists():
        raise UnreadableError(f"{path}: no such file, but a link that leads to none")
    if path.resolve().parent != path.parent.resolve():
        raise NarcfError(
            f"{path}: expected a file in this folder, found a link to {path.resolve()}; copy the "
            "file here"
        )
    try:
        require_regular(path, MAX_BYTES)
        found = _sha256(path)
    except FileNotFoundError:
        raise NarcfError(
            f"{path}: no such file, though {contents.FILE} names it; {contents.AGAIN}"
        ) from None
    except (OSError, ValueError) as error:
        raise NarcfError(f"{path}: {reason(error)}; {contents.AGAIN}") from None
    if digest is not None and found != digest:
        raise NarcfError(
            f"{path}: sha256 {found[:12]}..., expected {digest[:12]}...; the file was changed "
            "after training: train again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
