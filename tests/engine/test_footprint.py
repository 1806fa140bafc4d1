"""Memory that a translation takes, and how it is divided for that."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.engine.footprint import footprint, rows_that_fit, strips_footprint
from img2img.errors import ImageError
from img2img.networks import GENERATORS, Generator, Stage
from img2img.networks.smoothing import Smoothing
from img2img.networks.unet import UNetGenerator
from img2img.runtime.devices import free_memory

CPU = torch.device("cpu")


class Wide(Generator):
    """Three maps of known sizes."""

    size_multiple = min_size = 1

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 10, 1), nn.Conv2d(10, 3, 1)

    def stages(self) -> list[Stage]:
        return [Stage(self.first), Stage(self.second)]

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y


def resnet(ngf: int = 16, n_blocks: int = 2) -> Generator:
    section = Component(name="resnet", ngf=ngf, n_blocks=n_blocks)
    return GENERATORS.build(section, "generator", in_channels=3, out_channels=3).eval()


def test_counted_by_hand() -> None:
    """The caller's input, the map between, and the output, all there at the end."""
    assert footprint(Wide(), 20, 30) == (3 + 10 + 3) * 20 * 30 * 4
    assert footprint(Wide().bfloat16(), 20, 30, batch=5) == 5 * (3 + 10 + 3) * 20 * 30 * 2


REAL = """
import re, torch
from pathlib import Path
from img2img.config import Component
from img2img.networks import GENERATORS
from img2img.networks.norms import ImageStatistics, use_statistics

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

section = Component(name="resnet", ngf=64, n_blocks=1)
network = GENERATORS.build(section, "generator", in_channels=3, out_channels=3).eval()
network.to(memory_format=torch.channels_last)
use_statistics(network, ImageStatistics())
with torch.inference_mode():
    network(torch.zeros(1, 3, 256, 512))
    before = peak()
    network(torch.zeros(1, 3, 1024, 512))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the process's peak")
def test_is_what_a_process_grows_by() -> None:
    line = [sys.executable, "-c", REAL]
    grown = int(subprocess.run(line, capture_output=True, check=True).stdout)
    small, large = (footprint(resnet(ngf=64, n_blocks=1), height, 512) for height in (256, 1024))
    assert 0.75 < grown / (large - small) < 1.25


def test_strips_need_less() -> None:
    network = resnet()
    whole = footprint(network, 1024, 1024)
    few, many = (strips_footprint(network, 1024, 1024, rows) for rows in (32, 128))
    assert few < many < whole
    # The stored maps remain, of which a block needs two: 64 channels at a quarter of the size.
    assert 2 * 64 * 256 * 256 * 4 < few < 0.5 * whole


def test_whole_in_strips_or_not_at_all() -> None:
    network = resnet()
    whole = footprint(network, 512, 512)
    assert rows_that_fit(network, (512, 512), 2 * whole, whole=whole) is None
    rows = rows_that_fit(network, (512, 512), whole, whole=whole)
    assert rows is not None
    assert strips_footprint(network, 512, 512, rows) < 0.9 * whole
    with pytest.raises(ImageError, match=r"512 x 256 pixels: .* GB"):
        rows_that_fit(network, (256, 512), whole // 20, whole=whole // 2)


def test_the_generator_stays_where_it_is() -> None:
    network = resnet()
    footprint(network, 64, 64)
    strips_footprint(network, 64, 64, 8)
    assert network(torch.zeros(1, 3, 8, 8)).device == CPU


def test_free_memory_of_this_machine() -> None:
    assert 2**20 < free_memory(CPU) < 2**50


def test_frames_that_are_remembered_are_none_of_it() -> None:
    """As of a video of large frames: the footprint is asked for between two of them."""
    network = UNetGenerator(in_channels=3, out_channels=3, ngf=4, num_downs=3, norm="instance")
    network.eval()
    smoothing = Smoothing(network, 4)
    frame = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        network(frame)
        before = smoothing.state()
        footprint(network, 64, 64)
        network(frame)
    assert before
    assert all(np.isfinite(value).all() for value in smoothing.state().values())
