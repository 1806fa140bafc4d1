"""How images are measured: keywords that all functions which measure have in common."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from img2img.config import PairingConfig, nearest
from img2img.data.sources import CountProgress
from img2img.errors import ConfigError, nearest_path
from img2img.metrics.measure import MEASURES


class EvaluationOptions(TypedDict, total=False):
    """How to measure."""

    measures: Sequence[str] | None
    """Names of `MEASURES`; None: all default measures that can be taken of these images."""
    required: Sequence[str]
    """Measures that it is an error not to be able to take; by default all of `measures`."""
    features: str
    """The feature network of set measures; see `img2img.features.feature_network`."""
    weights: Path | None
    """A file of a feature network's weights, or a folder of such files."""
    device: str
    seed: int
    """Seed of the random draws for the intervals."""
    pairing: PairingConfig | None
    """Which images are pairs, and how a real image is resized to its result."""
    cache: bool
    """Whether features of the real images are kept for the next time."""
    progress: CountProgress | None
    """Called with (images done, images)."""
    say: Callable[[str], None] | None
    """Called with each notice, a sentence; None: notices become warnings."""


def notifier(options: EvaluationOptions) -> Callable[[str], None]:
    """What to call with a notice."""
    return options.get("say") or (lambda sentence: warnings.warn(sentence, stacklevel=3))


def pairing_of(options: EvaluationOptions) -> PairingConfig:
    """Which images are pairs: by default those of the same name, and of the same shape."""
    return options.get("pairing") or PairingConfig()


def weights_of(options: EvaluationOptions) -> Path | None:
    """The file or folder of weights.

    Raises:
        ConfigError: it does not exist.
    """
    weights = options.get("weights")
    if weights is not None and not weights.exists():
        raise ConfigError(f"weights: {weights}: no such file or folder{nearest_path(weights)}")
    return weights


def chosen(measures: Sequence[str] | None, of: set[str]) -> list[str]:
    """The measures to take, in the order of `MEASURES`.

    Args:
        measures: names; None for the default ones.
        of: the kinds of measures that can be taken here; see `Measure.of`.

    Raises:
        ConfigError: there is no such measure, or it cannot be taken here.
    """
    if measures is None:
        return [name for name, m in MEASURES.items() if m.by_default and m.of in of]
    for name in measures:
        if name not in MEASURES:
            raise ConfigError(
                f"measures: there is no {name!r}{nearest(name, MEASURES)};"
                f" there are: {', '.join(MEASURES)}"
            )
        if MEASURES[name].of not in of:
            raise ConfigError(f"measures: {name} needs a model that translates both ways")
    return [name for name in MEASURES if name in measures]
