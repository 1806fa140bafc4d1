"""Winograd's and Fourier's convolutions: the same results, used where they are faster."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from img2img.config import Component
from img2img.engine import choices, convolutions
from img2img.engine.backends.eager import Eager
from img2img.engine.backends.winograd import Winograd
from img2img.engine.convolutions import gains, nnpack_convolution, nnpack_is_here, use_nnpack
from img2img.engine.footprint import footprint
from img2img.engine.runner import Runner
from img2img.engine.strips import run_in_strips
from img2img.errors import ConfigError
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, use_statistics

CPU = torch.device("cpu")
needs_nnpack = pytest.mark.skipif(not nnpack_is_here(), reason="this torch has no NNPACK")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own; returns the file in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(choices, "_known", {})
    return tmp_path / "cache/img2img/engine/fastest.json"


@pytest.fixture
def always_nnpack(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a layer is."""
    monkeypatch.setattr(convolutions, "_LEAST_PIXELS", 1)
    monkeypatch.setattr(convolutions, "_LEAST_WORK", 1)
    monkeypatch.setattr(convolutions, "faster", lambda *_: "nnpack")


def generator(**arguments: object) -> Generator:
    torch.manual_seed(0)
    section = {"name": "resnet", "ngf": 16, **arguments}
    if section["name"] == "resnet":
        section["n_blocks"] = 2
    made = GENERATORS.build(
        Component.model_validate(section), "generator", in_channels=3, out_channels=3
    )
    use_statistics(made, ImageStatistics())
    made.eval().requires_grad_(False)
    return made


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@needs_nnpack
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("bytes_at_once", [2**25, 2**16])
@pytest.mark.parametrize(
    ("kernel", "padding"), [(3, (0, 0)), (3, (1, 1)), (5, (0, 2)), (7, (0, 0))]
)
def test_it_is_a_convolution(
    kernel: int,
    padding: tuple[int, int],
    bytes_at_once: int,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one piece or in strips, in one thread or several."""
    monkeypatch.setattr(convolutions, "_MOST_TRANSFORMED", bytes_at_once)
    x, weight, bias = noise(2, 4, 37, 29), noise(6, 4, kernel, kernel), noise(6)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = nnpack_convolution(x, weight, bias, padding)
    finally:
        torch.set_num_threads(before)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=padding)
    assert (y - exact).abs().max() < 1e-4


@needs_nnpack
@pytest.mark.usefixtures("always_nnpack")
@pytest.mark.parametrize("upsample", ["deconv", "bilinear"])
@pytest.mark.parametrize("pad", ["reflect", "replicate", "zero"])
def test_a_generator_gives_what_eager_gives(upsample: str, pad: str) -> None:
    """Whole, in a batch and in strips."""
    made = generator(upsample=upsample, pad=pad)
    eager, winograd = Eager(made, CPU, "fp32"), Winograd(made, CPU, "fp32")
    exact = eager.run(noise(3, 3, 48, 64))
    assert (winograd.run(noise(3, 3, 48, 64)) - exact).abs().max() < 1e-4
    first = noise(3, 3, 48, 64)[:1]
    strips: list[Tensor] = []
    run_in_strips(
        winograd.network,
        lambda start, stop: first[:, :, start:stop],
        lambda _, strip: strips.append(strip),
        height=48,
        rows=16,
    )
    assert len(strips) > 1
    assert (torch.cat(strips, 2) - exact[:1]).abs().max() < 1e-4


@needs_nnpack
def test_memory_is_counted_as_in_eager() -> None:
    made = generator()
    winograd = Winograd(made, CPU, "fp32")
    assert footprint(winograd.network, 256, 256) == footprint(made, 256, 256)


@needs_nnpack
def test_a_layer_that_is_computed_wrong_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: Tensor, weight: Tensor, *_: Any) -> Tensor:
        return F.conv2d(x, weight) + 1

    monkeypatch.setattr(convolutions, "nnpack_convolution", wrong)
    monkeypatch.setattr(convolutions, "_LEAST_WORK", 1)
    network = nn.Sequential(nn.Conv2d(4, 4, 3)).requires_grad_(False)
    x = noise(1, 4, 40, 40)
    before = network(x)
    use_nnpack(network)
    assert torch.equal(network(x), before)


def test_each_layer_is_timed_once(monkeypatch: pytest.MonkeyPatch, nothing_known: Path) -> None:
    """And larger maps like smaller ones; the smallest are not timed at all."""
    timed: list[str] = []

    def choose(ways: Any) -> str:
        timed.extend(ways)
        return "direct"

    monkeypatch.setattr(choices, "_fastest", choose)
    monkeypatch.setattr(convolutions, "_ways", lambda *_: {"direct": None})
    monkeypatch.setattr(convolutions, "_LEAST_WORK", 1)
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    use_nnpack(network.requires_grad_(False))
    network(noise(1, 4, 31, 32))
    assert not timed
    for sides in ((64, 64), (60, 70), (300, 300), (400, 500)):
        network(noise(1, 4, *sides))
    known = json.loads(nothing_known.read_text())
    assert [key.rpartition(", ")[2] for key in known] == ["64x64", "256x256"]
    assert len(timed) == 2


class TestChoices:
    """By a clock that each way advances by its own time."""

    @pytest.fixture
    def way(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Callable[[], object]]:
        now = [0.0]
        monkeypatch.setattr("time.perf_counter", lambda: now[0])

        def taking(seconds: float) -> Callable[[], object]:
            return lambda: now.__setitem__(0, now[0] + seconds)

        return taking

    def test_the_fastest_of_several(self, way: Any) -> None:
        assert choices.faster("a", lambda: {"x": way(3), "y": way(1), "z": way(2)}) == "y"
        assert choices.faster("b", lambda: {"x": way(1.03), "y": way(1)}) == "x"
        assert choices.faster("c", lambda: {"x": lambda: pytest.fail("only one way")}) == "x"

    def test_it_is_remembered(self, way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        choices.faster("a", lambda: {"x": way(2), "y": way(1)})
        monkeypatch.setattr(choices, "_known", {})  # as in another process
        assert choices.faster("a", lambda: pytest.fail("known")) == "y"
        assert choices.faster("b", lambda: {"x": way(1), "y": way(2)}) == "x"
        before = torch.get_num_threads()
        torch.set_num_threads(before + 1)
        try:
            assert choices.faster("a", lambda: {"x": way(1), "y": way(2)}) == "x"
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize("damaged", ["", "{", "[1]", '{"a": 1}', "\x00\xff"])
    def test_a_damaged_file_is_replaced(self, damaged: str, way: Any, nothing_known: Path) -> None:
        nothing_known.parent.mkdir(parents=True)
        nothing_known.write_text(damaged, encoding="latin-1")
        choices.faster("a", lambda: {"x": way(2), "y": way(1)})
        assert list(json.loads(nothing_known.read_text()).values()) == ["y"]

    def test_where_nothing_can_be_written(self, way: Any, nothing_known: Path) -> None:
        nothing_known.parent.parent.mkdir(parents=True)
        nothing_known.parent.touch()  # a file in place of the folder
        assert choices.faster("a", lambda: {"x": way(2), "y": way(1)}) == "y"
        assert choices.faster("a", lambda: pytest.fail("known")) == "y"

    def test_the_oldest_are_forgotten(
        self, way: Any, monkeypatch: pytest.MonkeyPatch, nothing_known: Path
    ) -> None:
        monkeypatch.setattr(choices, "MOST", 2)
        for name in ("a", "b", "c"):
            choices.faster(name, lambda: {"x": way(2), "y": way(1)})
        kept = [key.rpartition(": ")[2] for key in json.loads(nothing_known.read_text())]
        assert kept == ["b", "c"]


class TestRunner:
    @needs_nnpack
    @pytest.mark.usefixtures("always_nnpack")
    def test_auto_is_what_gains(self) -> None:
        """In float32; images of more than 8 bits are computed as before."""
        made = generator()
        exact = Eager(made, CPU, "fp32").run(noise(1, 3, 32, 32))
        runner = Runner(made, CPU, precision="fp32", say=print)
        assert runner.backend == "winograd"
        assert not torch.equal(runner.run(noise(1, 3, 32, 32)), exact)
        assert torch.equal(runner.run(noise(1, 3, 32, 32), deep=True), exact)
        assert runner.network(True) is not runner.network(False)
        assert Runner(made, CPU, precision="bf16", say=print).backend == "eager"

    def test_networks_without_such_layers(self) -> None:
        unet = generator(name="unet", ngf=16, num_downs=3)
        for made in (unet, generator(ngf=4)):
            assert not gains(made)
            assert Runner(made, CPU, precision="fp32", say=print).backend == "eager"

    def test_without_nnpack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Winograd, "missing", classmethod(lambda _: "no NNPACK"))
        assert Runner(generator(), CPU, precision="fp32", say=print).backend == "eager"
        with pytest.raises(ConfigError, match="backend winograd: no NNPACK"):
            Runner(generator(), CPU, precision="fp32", backend="winograd", say=print)

    @pytest.mark.parametrize(
        ("device", "precision", "message"),
        [("cpu", "bf16", "computes in fp32, not bf16"), ("meta", "fp32", "runs on the CPU")],
    )
    def test_what_it_does_not_support(self, device: str, precision: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Winograd(generator(), torch.device(device), precision)
