"""Tiny generators, set up for inference."""

import pytest
import torch

from img2img.config import Component
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, use_statistics

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
