"""Tiny generators, set up for inference."""

from typing import Any

import pytest
import torch

from img2img import Translator
from img2img.config import Component
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, use_statistics
from tests.specs import spec_of

TINY = [
    {"name": "resnet", "ngf": 4, "n_blocks": 2},
    {"name": "unet", "ngf": 4, "num_downs": 5, "norm": "batch"},
]


@pytest.fixture(params=TINY, ids=lambda section: section["name"])
def tiny_generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    section = Component.model_validate(request.param)
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    use_statistics(generator, ImageStatistics())
    return generator.eval().requires_grad_(False)


def translator(generator: Generator, **options: Any) -> Translator:
    """Of a generator that is in no file; on the CPU in float32 unless told otherwise."""
    spec = spec_of(generator)
    return Translator(generator, spec, **{"device": "cpu", "precision": "fp32", **options})
