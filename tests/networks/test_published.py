"""Networks beside those of the published implementation, at their published sizes.

What they compute, and with which settings, is compared where checkpoints are imported.
"""

from typing import Any

import pytest
import torch
from torch import nn

from tests.models.compat.published import Norm, Patch, Pixel, Resnet, Unet, batch, instance
from tests.networks.building import discriminator, generator, shapes

GENERATORS: list[tuple[str, type[nn.Module], dict[str, Any]]] = [
    ("resnet", Resnet, {"n_blocks": 9}),
    ("resnet_9blocks", Resnet, {"n_blocks": 9}),
    ("resnet_6blocks", Resnet, {"n_blocks": 6}),
    ("unet", Unet, {"depth": 8}),
    ("unet_256", Unet, {"depth": 8}),
    ("unet_128", Unet, {"depth": 7}),
]
NORMS: dict[str, Norm] = {"batch": batch, "instance": instance}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("name", "kind", "arguments"), GENERATORS)
def test_generators(name: str, kind: type[nn.Module], arguments: dict[str, Any], norm: str) -> None:
    with torch.device("meta"):
        published = kind(ngf=64, norm=NORMS[norm], **arguments)
        assert shapes(generator(name, norm=norm)) == shapes(published)
        if norm == ("batch" if kind is Unet else "instance"):  # their defaults
            assert shapes(generator(name)) == shapes(published)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("name", "kind"), [("patch", Patch), ("pixel", Pixel)])
def test_discriminators(name: str, kind: type[nn.Module], norm: str) -> None:
    with torch.device("meta"):
        published = kind(into=6, ndf=64, norm=NORMS[norm])
        assert shapes(discriminator(name, 6, norm=norm)) == shapes(published)
        if norm == "batch":
            assert shapes(discriminator(name, 6)) == shapes(published)
