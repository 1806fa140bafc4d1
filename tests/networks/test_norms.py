"""The one seam through which normalisation gets its statistics."""

import pytest
import torch
from torch import Tensor, nn

from img2img.networks.norms import (
    BatchNorm2d,
    GivenStatistics,
    ImageStatistics,
    InstanceNorm2d,
    NormLayer,
    RunningStatistics,
    synchronize_batch_norm,
    use_statistics,
)
from img2img.networks.unet import UNetGenerator


@pytest.fixture
def unet() -> UNetGenerator:
    """A BatchNorm U-Net with running averages that are not those of any one image."""
    torch.manual_seed(0)
    network = UNetGenerator(in_channels=3, out_channels=3, ngf=4, num_downs=3, dropout=False)
    # Weights large enough that the statistics matter to the output.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
        for _ in range(3):
            network(3 * torch.randn(4, 3, 16, 16) + 1)
    return network


@pytest.fixture
def images() -> Tensor:
    scale = torch.tensor([0.2, 1.0, 2.0]).reshape(3, 1, 1, 1)
    return scale * torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_image_statistics_are_those_of_training_at_batch_one(
    unet: UNetGenerator, images: Tensor
) -> None:
    trained = torch.cat([unet.train()(image[None]) for image in images])
    use_statistics(unet.eval(), ImageStatistics())
    alone = torch.cat([unet(image[None]) for image in images])
    assert (alone - trained).abs().max() < 1e-5
    assert (unet(images) - alone).abs().max() < 1e-5


@torch.no_grad()
def test_image_statistics_do_not_depend_on_the_mode(unet: UNetGenerator, images: Tensor) -> None:
    use_statistics(unet, ImageStatistics())
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    assert torch.equal(unet.train()(images), unet.eval()(images))
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())


@torch.no_grad()
def test_running_statistics_are_those_of_eval_mode(unet: UNetGenerator, images: Tensor) -> None:
    expected = unet.eval()(images)
    use_statistics(unet.train(), RunningStatistics())
    assert (unet(images) - expected).abs().max() < 1e-6
    use_statistics(unet, ImageStatistics())
    assert (unet(images) - expected).abs().max() > 1e-2


@torch.no_grad()
def test_none_is_as_it_was_trained(unet: UNetGenerator, images: Tensor) -> None:
    state = {key: value.clone() for key, value in unet.state_dict().items()}
    expected = unet.train()(images)
    after = {key: value.clone() for key, value in unet.state_dict().items()}
    unet.load_state_dict(state)
    use_statistics(unet, ImageStatistics())
    use_statistics(unet, None)
    assert torch.equal(unet(images), expected)
    assert all(torch.equal(value, after[key]) for key, value in unet.state_dict().items())


def test_image_statistics_by_hand() -> None:
    layer = nn.BatchNorm2d(1)
    seam = UNetGenerator(in_channels=3, out_channels=3, ngf=2, num_downs=2).model
    norm = next(module for module in seam.modules() if isinstance(module, NormLayer))
    assert norm.eps == layer.eps == 1e-5
    with torch.no_grad():
        norm.weight.fill_(3)
        norm.bias.fill_(0.5)
    x = torch.zeros(1, norm.num_features, 1, 2)
    x[..., 1] = 4
    # Mean 2, biased variance 4: -1 and 1 before scale and shift.
    expected = torch.tensor([-2.5, 3.5]).expand_as(x)
    assert torch.allclose(ImageStatistics().normalize(x, norm), expected, atol=1e-4)


def test_gradients_go_through_image_statistics(unet: UNetGenerator, images: Tensor) -> None:
    """As they go through BatchNorm in training at batch size 1."""
    gradients = []
    for source in (None, ImageStatistics()):
        use_statistics(unet.train(), source)
        unet.zero_grad()
        unet(images[:1]).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in unet.parameters()]))  # type: ignore[union-attr]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", [BatchNorm2d, InstanceNorm2d])
def test_the_layout_is_kept_and_changes_nothing(
    kind: type[BatchNorm2d | InstanceNorm2d], count: int
) -> None:
    layer = kind(4, affine=True)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    images, slopes = torch.randn(2, count, 4, 6, 5, dtype=torch.float32)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        x = images.clone(memory_format=layout).requires_grad_()
        y = layer(x)
        assert y.is_contiguous(memory_format=layout)
        # The gradient arrives as part of a larger map, as from a skip connection.
        joined = torch.cat([x.detach(), y], 1)
        slope = torch.cat([slopes, slopes], 1).contiguous(memory_format=layout)
        torch.autograd.backward(joined, slope)
        weights = [weight.grad.clone() for weight in layer.parameters() if weight.grad is not None]
        layer.zero_grad()
        results.append([y.detach(), x.grad, *weights])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_statistics_that_are_given(dtype: torch.dtype) -> None:
    layer = BatchNorm2d(3)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    layer.to(dtype).requires_grad_(False)
    x = (3 * torch.randn(1, 3, 9, 7) + 2).to(dtype)
    variance, mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    wide = torch.promote_types(dtype, torch.float32)
    layer.source = GivenStatistics(mean.to(wide), variance.to(wide))
    got = layer(x)
    assert got.dtype == dtype
    layer.source = ImageStatistics()
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    assert (got - layer(x)).abs().max() < tolerance


def test_batch_norm_for_several_processes_has_the_same_weights() -> None:
    """And where statistics come from elsewhere, as for held-out images, it computes the same."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNorm2d(4), nn.Sequential(BatchNorm2d(4)))
    for layer in network.modules():
        if isinstance(layer, BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 8)
    use_statistics(network, ImageStatistics())
    wanted, weights = network(x), network.state_dict()
    synchronize_batch_norm(network)
    assert isinstance(network[1], nn.SyncBatchNorm)
    assert network.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    use_statistics(network, ImageStatistics())
    assert torch.equal(network(x), wanted)
