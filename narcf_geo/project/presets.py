"""Presets: the architectures of the article, how each was trained, and `best`."""

from __future__ import annotations

from dataclasses import dataclass

from narcf_geo.core.registry import Registry


@dataclass(frozen=True)
class Recipe:
    """A network and its training.

    `hidden` are the widths of the hidden layers; `patience` is the number of epochs without a
    better validation loss after which training stops (None: never), and `keep` says whose weights
    are kept: those of the best validation loss, or the last. With `unbiased` the output is shifted
    after training so that its area-weighted mean error over the training rows is zero: a bias too
    small to see in a correlation can be as large as a regional budget.

    `noise` is the standard deviation of the noise added to the normalised features while training:
    it smooths what few samples would make the network learn by heart (Bishop 1995). With
    `shared_scale` the land-cover columns are divided by one standard deviation, that of all of
    them, instead of each by its own, which would make a class that is hardly there as loud as one
    that covers half the land.

    `loss` is of the flux (``mae``, ``mse``, ``huber``), or ``nll``: the network then gives the log
    variance of the target as well, learned by the likelihood of Seitzer et al. (2022), beta 0.5.
    With `standardised` it learns the target less its mean, over its standard deviation in the
    training rows, so that a flux of any size is learned alike; losses are then of that.

    With `halves` the members are pairs, and of each pair one learns from one half of the training
    years (or blocks of land) and the other from the other half. How far the two are apart says how
    much of the flux is the noise of the target that they learned: see
    `narcf_geo.statistics.flux_error`.
    """

    hidden: tuple[int, ...]
    activation: str = "relu"
    batch_normalization: bool = False
    dropout: float = 0.0
    noise: float = 0.0
    shared_scale: bool = False
    loss: str = "mae"
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.0
    patience: int | None = None
    members: int = 1
    unbiased: bool = False
    standardised: bool = False
    halves: bool = False
    keep: str = "best"

    @property
    def n_outputs(self) -> int:
        """1, or 2 with the log variance."""
        return 2 if self.loss == "nll" else 1


_ARTICLE_DEEP = (50, 100, 100, 100, 50, 50)

PRESETS: Registry[Recipe] = Registry(
    "narcf_geo.presets",
    "preset",
    {
        "linear": Recipe(hidden=()),
        "wecann": Recipe(hidden=(15,), activation="sigmoid"),
        "narcf-25": Recipe(hidden=(25,)),
        "narcf-mid": Recipe(hidden=(50, 70, 70, 50)),
        "narcf": Recipe(hidden=_ARTICLE_DEEP),
        "narcf-published": Recipe(hidden=_ARTICLE_DEEP, batch_normalization=True, dropout=0.25),
        "best": Recipe(
            hidden=(100, 100, 100),
            shared_scale=True,
            loss="nll",
            epochs=12,
            learning_rate=2e-3,
            schedule="cosine",
            weight_decay=0.3,
            keep="last",
            members=6,
            unbiased=True,
            standardised=True,
            halves=True,
        ),
    },
    valid=lambda value: isinstance(value, Recipe),
    expected="a narcf_geo.project.presets.Recipe",
)
"""Those of the article (Adam, mean absolute error, batches of 256, 100 epochs), `best`, and those
of other distributions: see docs/extending.md."""
