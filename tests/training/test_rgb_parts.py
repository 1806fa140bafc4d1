"""Parts that need RGB images are refused by name before training where these are not."""

from typing import Any

import pytest
import torch

from img2img.config import RunConfig
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.training.build import build_method
from img2img.training.methods.base import Method
from tests.training.recipe import RGB, published

GREY = Domain.of_type("uint8", 1)
METHODS = ("pix2pix", "cyclegan")
PERCEPTUAL = {"name": "perceptual"}


def config(method: str, **changes: Any) -> RunConfig:
    generator = {"name": "unet", "ngf": 2, "num_downs": 3}
    parts = {"generator": generator, "discriminator": {"name": "pixel", "ndf": 2}}
    return published(method, **(parts | changes))


def built(method: str, domains: dict[str, Domain], **changes: Any) -> Method:
    return build_method(config(method, **changes), (16, 16), domains)


def test_the_other_direction() -> None:
    settings = config("pix2pix", data={"direction": "BtoA"})
    method = build_method(settings, (16, 16), {"A": GREY, "B": Domain.of_type("uint8", 5)})
    assert method.generators["G"](torch.zeros(1, 5, 16, 16)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discriminator": {"name": "projected"}}, "discriminator: discriminator 'projected'"),
        (
            {"critic": {"augment": [{"name": "instance_noise"}, {"name": "diffaugment"}]}},
            "critic.augment.1: augmentation 'diffaugment'",
        ),
        ({"critic": {"augment": [{"name": "ada"}]}}, "critic.augment.0: augmentation 'ada'"),
    ],
)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("grey", ["A", "B"])
def test_parts_that_need_rgb_images(
    changes: dict[str, Any], message: str, name: str, grey: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message} needs RGB images, but these are not: "):
        built(name, {"A": RGB, "B": RGB} | {grey: GREY}, **changes)


def test_a_loss_of_rgb_images_is_of_those_that_it_compares() -> None:
    only = {"losses": {"reconstruction": [PERCEPTUAL]}}
    assert built("pix2pix", {"A": GREY, "B": RGB}, **only)
    with pytest.raises(ConfigError, match=r"^losses\.reconstruction\.0: .*'perceptual' needs RGB"):
        built("pix2pix", {"A": RGB, "B": GREY}, **only)
    both = {"losses": {"cycle": [PERCEPTUAL], "identity": []}}
    with pytest.raises(ConfigError, match=r"^losses\.cycle\.0: .*'perceptual' needs RGB"):
        built("cyclegan", {"A": GREY, "B": RGB}, **both)
