"""Statistics smoothed over frames."""

import copy

import pytest
import torch
from torch import Tensor

from img2img.networks import Generator
from img2img.networks.norms import (
    BatchNorm2d,
    ImageStatistics,
    InstanceNorm2d,
    RunningStatistics,
    use_statistics,
)
from img2img.networks.resnet import ResnetGenerator
from img2img.networks.smoothing import SmoothedStatistics, Smoothing, unsmoothed


def frames(count: int, side: int = 16) -> Tensor:
    """[count, 3, side, side], whose mean and contrast differ."""
    random = torch.Generator().manual_seed(0)
    scale = 0.5 + torch.rand(count, 3, 1, 1, generator=random)
    return scale * torch.randn(count, 3, side, side, generator=random) + scale


@pytest.fixture
def network() -> Generator:
    torch.manual_seed(0)
    resnet = ResnetGenerator(in_channels=3, out_channels=3, ngf=4, n_blocks=2)
    use_statistics(resnet, ImageStatistics())
    return resnet.eval().requires_grad_(False)


def test_averages_by_hand() -> None:
    """Of n = 2: means of 4, 1 and 7 become 4, (0.5 4 + 1) / 1.5 = 2 and (1 + 0.5 + 7) / 1.75."""
    layer, source = InstanceNorm2d(1), SmoothedStatistics(2)
    layer.source = source
    means, variances = [], []
    for mean, spread in ((4, 1), (1, 2), (7, 0)):
        x = torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2) * spread + mean
        y = layer(x)
        means.append(source.mean.item())
        variances.append(source.variance.item())
        assert torch.allclose(y, (x - means[-1]) / (variances[-1] + layer.eps) ** 0.5)
    assert means == pytest.approx([4, 2, 8.5 / 1.75])
    # Of 1, 4 and 0.
    assert variances == pytest.approx([1, (0.5 + 4) / 1.5, (0.25 + 2) / 1.75])


def test_the_first_frame_has_its_own_statistics(network: Generator) -> None:
    x = frames(3)
    own = network(x)
    smoothing = Smoothing(network, 5)
    assert torch.allclose(network(x[:1]), own[:1], atol=1e-5)
    assert (network(x[1:2]) - own[1:2]).abs().max() > 0.01
    smoothing.reset()
    assert torch.allclose(network(x[2:]), own[2:], atol=1e-5)


def test_one_frame_is_no_average(network: Generator) -> None:
    x = frames(3)
    own = network(x)
    Smoothing(network, 1)
    assert torch.allclose(network(x), own, atol=1e-5)


def test_a_still_video_stays_as_it_is(network: Generator) -> None:
    Smoothing(network, 5)
    first, *others = (network(frames(1)) for _ in range(5))
    assert all(torch.equal(other, first) for other in others)


def test_a_batch_is_frames_in_their_order(network: Generator) -> None:
    x, smoothing = frames(4), Smoothing(network, 5)
    together = network(x)
    smoothing.reset()
    assert torch.allclose(torch.cat([network(frame[None]) for frame in x]), together, atol=1e-5)


def test_going_on_from_a_state_is_exact(network: Generator) -> None:
    x, other = frames(5), copy.deepcopy(network)
    smoothing, later = Smoothing(network, 5), Smoothing(other, 5)
    assert smoothing.state() == {}
    for frame in x[:3]:
        network(frame[None])
    later.restore(smoothing.state())
    for frame in x[3:]:
        assert torch.equal(network(frame[None]), other(frame[None]))
    later.restore({})
    assert later.state() == {}


def test_copies_share_what_they_remember(network: Generator) -> None:
    x = frames(2)
    smoothing = Smoothing(network, 5)
    expected = [network(frame[None]) for frame in x][1]
    smoothing.reset()
    network(x[:1])
    assert torch.equal(copy.deepcopy(network)(x[1:]), expected)


def test_images_that_are_no_frames(network: Generator) -> None:
    x = frames(2)
    own = network(x[1:])
    smoothing = Smoothing(network, 5)
    network(x[:1])
    before = smoothing.state()
    with unsmoothed(network):
        assert torch.equal(network(x[1:]), own)
    after = smoothing.state()
    assert all((after[name] == before[name]).all() for name in before)
    assert not torch.equal(network(x[1:]), own)


def test_running_averages_stay() -> None:
    layer = BatchNorm2d(3).eval()
    network = torch.nn.Sequential(layer)
    x = frames(2)
    for source in (None, RunningStatistics()):
        use_statistics(network, source)
        expected = network(x)
        Smoothing(network, 5)
        assert layer.source is source
        assert torch.equal(network(x), expected)
