"""Pictures in strips: what comes out is what the whole picture gives."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.engine.strips import run_in_strips, translate_in_strips
from img2img.images import to_pixels, to_tensor
from img2img.networks import GENERATORS, Generator, Stage
from img2img.networks.norms import (
    BatchNorm2d,
    ImageStatistics,
    InstanceNorm2d,
    RunningStatistics,
    StatisticsSource,
    use_statistics,
)

HEIGHT, WIDTH = 44, 36


def resnet(dtype: torch.dtype = torch.float64, **arguments: Any) -> Generator:
    torch.manual_seed(0)
    section = Component(name="resnet", init="kaiming", **{"ngf": 4, "n_blocks": 2, **arguments})
    network = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    # So that the averages are not those of a network that has seen nothing.
    network(torch.rand(2, 3, 32, 32))
    return network.to(dtype).eval().requires_grad_(False)


def noise(dtype: torch.dtype, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    torch.manual_seed(1)
    return (torch.rand(1, 3, height, width) * 2 - 1).to(dtype)


def in_strips(network: Generator, x: Tensor, rows: int) -> Tensor:
    got: list[Tensor] = []
    starts: list[int] = []

    def write(start: int, strip: Tensor) -> None:
        starts.append(start)
        got.append(strip)

    run_in_strips(
        network, lambda start, stop: x[:, :, start:stop], write, height=x.shape[2], rows=rows
    )
    assert [strip.shape[2] for strip in got[:-1]] == [b - a for a, b in pairwise(starts)]
    return torch.cat(got, dim=2)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("pad", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize("upsample", ["deconv", "nearest", "bilinear"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_strips_equal_the_whole(
    norm: str, pad: str, upsample: str, layout: torch.memory_format
) -> None:
    network = resnet(norm=norm, pad=pad, upsample=upsample).to(memory_format=layout)
    x = noise(torch.float64)
    for source in (ImageStatistics(), RunningStatistics()):
        use_statistics(network, source)
        whole = network(x)
        for rows in (1, 5, 16, 100):
            assert (in_strips(network, x, rows) - whole).abs().max() < 1e-10


@pytest.mark.parametrize(
    "arguments",
    [
        {"downsample": "blur", "upsample": "bilinear", "pad_up": "zero"},
        {"downsample": "blur", "n_downs": 3},
        {"n_downs": 1, "value_range": "0,1", "output": "sigmoid"},
        {"norm": "instance_affine", "value_range": "0,1"},
    ],
)
def test_other_forms_in_strips(arguments: dict[str, Any]) -> None:
    network = resnet(**arguments)
    use_statistics(network, ImageStatistics())
    x = noise(torch.float64, 64, 40)
    for rows in (1, 5, 16, 100):
        assert (in_strips(network, x, rows) - network(x)).abs().max() < 1e-10


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (64, 8), (12, 20)])
def test_small_and_long_pictures(size: tuple[int, int]) -> None:
    network = resnet(dropout=True)
    x = noise(torch.float64, *size)
    for rows in (1, 4, 7):
        assert (in_strips(network, x, rows) - network(x)).abs().max() < 1e-10


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_in_float32(layout: torch.memory_format) -> None:
    network = resnet(torch.float32, n_blocks=3).to(memory_format=layout)
    use_statistics(network, ImageStatistics())
    x = noise(torch.float32)
    assert (in_strips(network, x, 8) - network(x)).abs().max() < 1e-4


def test_in_bfloat16_within_its_rounding() -> None:
    """With a last convolution in float32, and BatchNorm's own scale and shift in bfloat16."""
    network = resnet(torch.float32, norm="batch")
    use_statistics(network, ImageStatistics())
    x = noise(torch.float32)
    true = network(x)
    low = network.bfloat16().to(memory_format=torch.channels_last)
    whole_error = (low(x.bfloat16()) - true).abs().mean()
    [m for m in low.modules() if isinstance(m, nn.Conv2d)][-1].float()
    got = in_strips(low, x, 8)
    assert got.dtype == torch.float32
    assert 0 < (got - true).abs().mean() < 1.2 * whole_error


class Odd(Generator):
    """Shortcuts over one, two and three stages, at full size and where they are all stored."""

    size_multiple = min_size = 1

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(3, 3, kernel, padding=kernel // 2) for kernel in (5, 3, 7, 1, 3)
        )
        self.norms = nn.ModuleList(
            [BatchNorm2d(3), InstanceNorm2d(3), InstanceNorm2d(3), nn.Identity(), BatchNorm2d(3)]
        )

    def stages(self) -> list[Stage]:
        halos, shortcuts = (2, 1, 3, 0, 1), (0, 1, 2, 1, 3)
        return [
            Stage(
                convolution,
                halo,
                norm=norm if isinstance(norm, BatchNorm2d | InstanceNorm2d) else None,
                then=nn.ReLU(inplace=True),
                shortcut=shortcut,
            )
            for convolution, norm, halo, shortcut in zip(
                self.convolutions, self.norms, halos, shortcuts, strict=True
            )
        ]

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        outputs: list[Tensor] = []
        for number, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = torch.relu(norm(convolution(x)))
            if number:
                x = x + outputs[number - (0, 1, 2, 1, 3)[number]]
            outputs.append(x)
        return x


def test_shortcuts_of_any_length() -> None:
    torch.manual_seed(0)
    network = Odd().double().eval()
    x = noise(torch.float64, 21, 9)
    for source in (None, ImageStatistics()):
        use_statistics(network, source)
        with torch.no_grad():
            whole = network(x)
        for rows in (1, 2, 8):
            assert (in_strips(network, x, rows) - whole).abs().max() < 1e-10


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_in_and_out(dtype: Any) -> None:
    network = resnet()
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top + 1, (HEIGHT, WIDTH, 3), dtype=dtype)
    before = pixels.copy()
    told: list[tuple[int, int]] = []
    network.float()
    got = translate_in_strips(
        network, pixels, rows=8, progress=lambda done, strips: told.append((done, strips))
    )
    whole = to_pixels(network(to_tensor(pixels).unsqueeze(0))[0], dtype)
    assert got.dtype == dtype
    assert np.abs(got.astype(int) - whole.astype(int)).max() <= (1 if dtype == np.uint8 else 3)
    assert np.array_equal(pixels, before)
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)]


def test_the_generator_is_left_as_it_was() -> None:
    network = resnet()
    source: StatisticsSource = ImageStatistics()
    use_statistics(network, source)
    x = noise(torch.float64)
    before = network(x)

    def sources() -> set[object]:
        return {m.source for m in network.modules() if isinstance(m, InstanceNorm2d)}

    in_strips(network, x, 8)
    assert sources() == {source}

    def refuse(start: int, strip: Tensor) -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        run_in_strips(network, lambda a, b: x[:, :, a:b], refuse, height=HEIGHT, rows=8)
    assert sources() == {source}
    assert torch.equal(network(x), before)


@pytest.mark.slow
def test_published_width_on_a_larger_picture() -> None:
    network = resnet(torch.float32, ngf=64, n_blocks=9)
    use_statistics(network, ImageStatistics())
    x = noise(torch.float32, 512, 256)
    assert (in_strips(network, x, 64) - network(x)).abs().max() < 1e-4
