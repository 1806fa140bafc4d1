"""Options for measuring: keyword arguments that all evaluation functions share."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from img2img.config import PairingConfig
from img2img.data.sources import CountProgress
from img2img.errors import ConfigError, nearest_path, unknown
from img2img.metrics.measure import MEASURES


class EvaluationOptions(TypedDict, total=False):
    """Options for measuring."""

    measures: Sequence[str] | None
    """Names from `MEASURES`; None: all default measures that these images allow."""
    required: Sequence[str]
    """Measures whose absence is an error; by default all of `measures`."""
    features: str
    """The feature network for measures of sets; see `img2img.features.feature_network`."""
    weights: Path | None
    """A file of a feature network's weights, or a folder of such files."""
    device: str
    seed: int
    """Seed of the random draws for the intervals."""
    pairing: PairingConfig | None
    """How pairs are found, and how a real image is resized to the size of its result."""
    cache: bool
    """Whether to cache the features of the real images."""
    progress: CountProgress | None
    """Called with (images done, all images)."""
    say: Callable[[str], None] | None
    """Called with each notice, a sentence; None: notices become warnings."""


def notifier(options: EvaluationOptions) -> Callable[[str], None]:
    """The function to call with a notice."""
    return options.get("say") or (lambda sentence: warnings.warn(sentence, stacklevel=3))


def pairing_of(options: EvaluationOptions) -> PairingConfig:
    """How pairs are found: by default by the same name and the same shape."""
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
    """The measures to compute, in the order of `MEASURES`.

    Args:
        measures: names; None for the default ones.
        of: the kinds of measures that are possible; see `Measure.of`.

    Raises:
        ConfigError: a measure is unknown or not possible here.
    """
    if measures is None:
        return [name for name, m in MEASURES.items() if m.by_default and m.of in of]
    for name in measures:
        if name not in MEASURES:
            raise ConfigError(f"measures: {unknown('measure', name, [*MEASURES])}")
        if MEASURES[name].of not in of:
            raise ConfigError(f"measures: {name} needs a model that translates both ways")
    return [name for name in MEASURES if name in measures]
