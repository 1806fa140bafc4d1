"""The copy that inference computes with, and batches that change nothing."""

import copy

import pytest
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.engine.backends.eager import Eager
from img2img.engine.folding import inference_copy
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, NormLayer, RunningStatistics, use_statistics

CPU = torch.device("cpu")


def made(name: str, norm: str, statistics: str, **arguments: object) -> Generator:
    """A tiny generator with running averages that are not those of any image."""
    torch.manual_seed(1)
    section = Component.model_validate({"name": name, "ngf": 4, "norm": norm, **arguments})
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
        for name, weight in module.named_parameters(recurse=False):
            if name == "bias":  # one that shows if it is left out by mistake
                nn.init.uniform_(weight, -0.5, 0.5)
    use_statistics(generator, RunningStatistics() if statistics == "running" else ImageStatistics())
    return generator.eval().requires_grad_(False)


def noise(images: int) -> Tensor:
    return torch.rand(images, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


CASES = [
    (name, norm, statistics, upsample)
    for name in ("resnet_6blocks", "unet_128")
    for norm, statistics in (
        ("batch", "image"),
        ("batch", "running"),
        ("instance", "image"),
        ("instance", "running"),
        ("none", "image"),
    )
    for upsample in ("deconv", "bilinear")
]


def built(name: str, norm: str, statistics: str, upsample: str) -> Generator:
    depth = {"num_downs": 5} if name.startswith("unet") else {}
    return made(name, norm, statistics, upsample=upsample, **depth)


@pytest.mark.parametrize(("name", "norm", "statistics", "upsample"), CASES)
def test_it_computes_the_same(name: str, norm: str, statistics: str, upsample: str) -> None:
    generator = built(name, norm, statistics, upsample)
    before = copy.deepcopy(generator.state_dict())
    folded = inference_copy(generator, CPU, torch.float64)
    # Averages are folded into float32 weights.
    bound = 1e-4 if (norm, statistics) == ("batch", "running") else 1e-9
    assert (folded(noise(1).double()) - generator.double()(noise(1).double())).abs().max() < bound
    for key, value in generator.float().state_dict().items():
        assert torch.equal(value, before[key])


def test_running_averages_leave_no_norm_behind() -> None:
    for name in ("resnet_6blocks", "unet_128"):
        folded = inference_copy(built(name, "batch", "running", "bilinear"), CPU, torch.float32)
        assert not any(isinstance(layer, NormLayer) for layer in folded.modules())


def test_statistics_of_the_image_leave_only_biases_with_an_effect() -> None:
    folded = inference_copy(
        built("resnet_6blocks", "instance", "image", "deconv"), CPU, torch.float32
    )
    biases = [name for name, _ in folded.named_parameters() if name.endswith("bias")]
    assert len(biases) == 1  # the last convolution's


@pytest.mark.parametrize(("name", "norm", "statistics", "upsample"), CASES)
def test_batches_change_nothing(name: str, norm: str, statistics: str, upsample: str) -> None:
    backend = Eager(built(name, norm, statistics, upsample), CPU, "fp32")
    together = backend.run(noise(8))
    alone = torch.cat([backend.run(image) for image in noise(8).chunk(8)])
    assert (together - alone).abs().max() < 1e-5


def test_an_image_to_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same results, in order, and as many threads for others as before."""
    backend = Eager(built("resnet_6blocks", "instance", "image", "deconv"), CPU, "fp32")
    alone = torch.cat([backend.run(image) for image in noise(5).chunk(5)])
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert (backend.run(noise(5)) - alone).abs().max() < 1e-5
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
