"""The catalogues as their sources say are those that the program builds parts from."""

import inspect
from typing import Any

import numpy as np  # noqa: F401 (of the expressions evaluated)
import pytest

from img2img import catalogue
from img2img.data import augment
from img2img.diffaug import AUGMENTATIONS
from img2img.doctor import CONDITIONS
from img2img.engine.backends import BACKENDS
from img2img.images import CODECS
from img2img.losses import OBJECTIVES, RECONSTRUCTIONS, REGULARIZERS
from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.registry import Registry
from img2img.training import METHODS
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.schedule import SCHEDULES

REGISTRIES: dict[str, Registry[Any]] = {
    "methods": METHODS,
    "generators": GENERATORS,
    "discriminators": DISCRIMINATORS,
    "objectives": OBJECTIVES,
    "regularizers": REGULARIZERS,
    "augmentations": AUGMENTATIONS,
    "losses": RECONSTRUCTIONS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "backends": BACKENDS,
    "codecs": CODECS,
    "conditions": CONDITIONS,
}


@pytest.mark.parametrize("name", catalogue.CATALOGUES)
def test_the_sources_say_what_the_registry_has(name: str) -> None:
    parts = {each.name: (each.summary, each.defaults(), each.origin) for each in REGISTRIES[name]}
    found = {
        each.name: (each.summary, each.arguments, each.origin) for each in catalogue.entries(name)
    }
    assert found == parts


def test_transforms_are_those_of_the_library() -> None:
    def plain(default: Any) -> Any:
        if default is inspect.Parameter.empty:
            return catalogue.REQUIRED
        return default.__name__ if inspect.isfunction(default) else default

    def evaluated(default: Any) -> Any:
        return eval(default) if "np." in str(default) else default

    found = {
        each.name: (each.summary, {key: evaluated(value) for key, value in each.arguments.items()})
        for each in catalogue.transforms()
    }
    assert found == {
        name: (
            (inspect.getdoc(part) or "").partition("\n")[0],
            {key: plain(each.default) for key, each in augment._arguments(part).items()},
        )
        for name, part in augment._catalogue().items()
    }
