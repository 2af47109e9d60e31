"""Where a training is: written after each epoch, for one that is killed to go on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narcf_geo.core.files import atomic_path


@dataclass
class Progress:
    """What a training has found out so far; of each member.

    Attributes
    ----------
    train, validation : list of list of float
        Losses of each epoch.
    kept : list of list of numpy.ndarray
        The weights to keep.
    stopped : list of bool
        Whether the member is done.
    """

    train: list[list[float]]
    validation: list[list[float]]
    kept: list[list[np.ndarray]]
    stopped: list[bool]

    @classmethod
    def start(cls, weights: list[list[np.ndarray]]) -> Progress:
        """Return that of members whose `weights` are the first."""
        count = len(weights)
        return cls([[] for _ in range(count)], [[] for _ in range(count)], weights, [False] * count)

    @property
    def epochs(self) -> int:
        """How many are finished."""
        return max(map(len, self.train))


def save(
    path: Path,
    progress: Progress,
    variables: Sequence[np.ndarray],
    rngs: Sequence[np.random.Generator],
) -> None:
    """Write `progress`, the variables of network and optimiser, and the states of what draws."""
    known = {
        "train": progress.train,
        "validation": progress.validation,
        "stopped": progress.stopped,
        "states": [rng.bit_generator.state for rng in rngs],
        "sizes": [len(weights) for weights in progress.kept],
    }
    arrays = [*variables, *(w for weights in progress.kept for w in weights)]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        text = np.frombuffer(json.dumps(known).encode(), np.uint8)
        np.savez(file, text, *arrays)


def load(
    path: Path, variables: Sequence[np.ndarray], rngs: Sequence[np.random.Generator]
) -> tuple[Progress, list[np.ndarray]] | None:
    """Return what `save` wrote and set `rngs`; None where there is nothing, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            text, *arrays = (file[name] for name in file.files)
        known: dict[str, Any] = json.loads(text.tobytes())
        restored, rest = arrays[: len(variables)], iter(arrays[len(variables) :])
        kept = [[next(rest) for _ in range(size)] for size in known["sizes"]]
        progress = Progress(known["train"], known["validation"], kept, known["stopped"])
        states = known["states"]
    except Exception:  # ZIP and NumPy let many kinds through; a training can always begin anew
        return None
    if [a.shape for a in restored] != [v.shape for v in variables] or len(states) != len(rngs):
        return None
    for rng, state in zip(rngs, states, strict=True):
        rng.bit_generator.state = state
    return progress, restored
