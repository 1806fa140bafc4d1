"""The fastest backend that is verified against float32."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.engine import runner as module
from img2img.engine.backends import BACKENDS
from img2img.engine.backends.compiled import Compiled
from img2img.engine.backends.eager import Eager
from img2img.engine.runner import Deviation, Runner
from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName

CPU = torch.device("cpu")


class Curve(Generator):
    """A colour curve with one weight, which lower precision may get as wrong as a test likes."""

    size_multiple = min_size = 1
    local = True

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()), requires_grad=False)
        self.wrong = wrong

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return x * self.weight + (0 if self.weight.dtype == torch.float32 else self.wrong)


@pytest.fixture
def bf16_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, _: torch.device) -> str:
        return "bf16" if name == "auto" else name

    monkeypatch.setattr(module, "resolve_precision", resolve)


def x(images: int = 2, side: int = 8) -> Tensor:
    """Values that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-8, 9, (images, 3, side, side), generator=generator) / 8


def test_difference_by_hand() -> None:
    """100 values, of which two differ: by 1 and by 2 of 127.5 levels."""
    a = torch.zeros(100)
    b = a.clone()
    b[3], b[4] = 1, 2
    difference = Deviation.between(a, b)
    assert difference.mean == pytest.approx(3 * 127.5 / 100)
    assert difference.tail == pytest.approx(127.5)
    assert not difference.small
    assert not Deviation.between(a, a + float("nan")).small
    assert Deviation.between(a, a).small
    assert Deviation.between(a, a + 1.4 / 127.5).small
    assert not Deviation.between(a, a + 1.6 / 127.5).small


@pytest.mark.usefixtures("bf16_by_default")
def test_what_is_right_is_used() -> None:
    said: list[str] = []
    runner = Runner(Curve(wrong=1 / 256), CPU, backend="eager", say=said.append)
    assert not torch.equal(runner.run(x()), x())
    assert (runner.backend, runner.precision, said) == ("eager", "bf16", [])


@pytest.mark.usefixtures("bf16_by_default")
def test_what_is_wrong_is_given_up_and_said() -> None:
    said: list[str] = []
    runner = Runner(Curve(wrong=0.25), CPU, backend="eager", say=said.append)
    assert torch.equal(runner.run(x()), x())
    assert runner.precision == "fp32"
    assert len(said) == 1
    assert "31.9 grey levels" in said[0] or "31.88 grey levels" in said[0]
    assert torch.equal(runner.run(x()), x())
    assert len(said) == 1


@pytest.mark.usefixtures("bf16_by_default")
def test_what_was_asked_for_is_not_given_up() -> None:
    said: list[str] = []
    for backend in ("eager", "auto"):
        runner = Runner(Curve(wrong=0.25), CPU, backend=backend, precision="bf16", say=said.append)
        assert torch.equal(runner.run(x()), x() + 0.25)
        assert not said


@pytest.mark.usefixtures("bf16_by_default")
@pytest.mark.parametrize(("precision", "exact"), [("auto", True), ("bf16", False), ("fp32", True)])
def test_deep_images_are_run_in_float32(precision: PrecisionName, exact: bool) -> None:
    generator = Curve(wrong=1 / 256)
    runner = Runner(generator, CPU, precision=precision, backend="eager", say=print)
    assert torch.equal(runner.run(x(), deep=True), x()) == exact


@pytest.mark.usefixtures("bf16_by_default")
def test_auto_is_what_the_backend_has(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlyFloat32(Eager):
        def __init__(self, generator: Generator, device: torch.device, precision: Any) -> None:
            if precision != "fp32":
                raise ConfigError(f"computes in fp32, not {precision}")
            super().__init__(generator, device, precision)

    monkeypatch.setattr(module, "backend_class", lambda _: OnlyFloat32)
    runner = Runner(Curve(), CPU, backend="onnx", say=print)
    assert runner.precision == "fp32"
    assert torch.equal(runner.run(x()), x())
    with pytest.raises(ConfigError, match="not bf16"):
        Runner(Curve(), CPU, backend="onnx", precision="bf16", say=print)


@pytest.mark.usefixtures("bf16_by_default")
def test_images_are_compared_reduced() -> None:
    """At a smaller size, which the generator takes."""
    sizes: list[tuple[int, ...]] = []

    class Watched(Curve):
        def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
            if self.weight.dtype == torch.float32:
                sizes.append(tuple(x.shape))
            return super().forward(x)

    generator = Watched()
    generator.size_multiple = 96
    runner = Runner(generator, CPU, backend="eager", say=print)
    runner.run(x(3, 480))
    runner.run(x(3, 96))
    runner.run(x(3, 96))
    assert sizes == [(3, 3, 96, 96), (1, 3, 96, 96)]


def test_the_generator_is_left_as_it_is(tiny_generator: Generator) -> None:
    before = copy.deepcopy(tiny_generator.state_dict())
    for precision in ("fp32", "bf16"):
        Runner(tiny_generator, CPU, precision=precision, backend="eager", say=print).run(x(2, 32))
    after = tiny_generator.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_no_such_backend() -> None:
    with pytest.raises(ConfigError, match=r"eagre.*did you mean.*eager"):
        Runner(Curve(), CPU, backend="eagre", say=print)


def test_a_backend_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Eager, "missing", classmethod(lambda _: "a spring"))
    with pytest.raises(ConfigError, match="backend eager: a spring"):
        Runner(Curve(), CPU, backend="eager", say=print)


@pytest.mark.parametrize("missing", ["a C++ compiler", None])
def test_what_cannot_be_compiled_is_eager_with_a_word(
    monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    """No compiler, or one that does not work."""

    def fail(*_: object) -> None:
        raise RuntimeError("no such header\nand more")

    monkeypatch.setattr(Compiled, "missing", classmethod(lambda _: missing))
    monkeypatch.setattr(Compiled, "run", fail)
    said: list[str] = []
    runner = Runner(Curve(), CPU, backend="compile", precision="fp32", say=said.append)
    assert torch.equal(runner.run(x()), x())
    assert runner.backend == "eager"
    assert len(said) == 1
    assert (missing or "compile failed (no such header); continuing without it") in said[0]


def test_memory_that_runs_out_leaves_compiled_sizes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A size that did not fit is not what smaller batches are filled up to."""
    compiled = Compiled(Curve(), CPU, "fp32")
    sizes: list[int] = []

    def run(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("CUDA out of memory")
        return batch

    monkeypatch.setattr(compiled, "_compiled", run)
    with pytest.raises(RuntimeError):
        compiled.run(x(4))
    assert torch.equal(compiled.run(x(2)), x(2))
    assert torch.equal(compiled.run(x(1)), x(1))
    assert torch.equal(compiled.run(x(3)), x(3))
    assert sizes == [4, 2, 2, 2, 2]


class TestLongJobs:
    """Only they are worth preparing a backend for."""

    @pytest.fixture(autouse=True)
    def _no_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PREPARING_PAYS", {"compile": 1e-9})

    def run(self, *, ahead: int, generator: Generator | None = None) -> tuple[Runner, list[str]]:
        said: list[str] = []
        runner = Runner(generator or Curve(), CPU, precision="fp32", say=said.append)
        runner.expect(ahead)
        for _ in range(6):
            assert torch.allclose(runner.run(x()), x(), atol=1e-6)
        return runner, said

    def test_a_short_one_is_not_compiled(self) -> None:
        runner, said = self.run(ahead=0)
        assert runner.backend == "eager"
        assert not said

    def test_without_a_compiler_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Compiled, "missing", classmethod(lambda _: "a C++ compiler"))
        runner, said = self.run(ahead=1000)
        assert runner.backend == "eager"
        assert len(said) == 1
        assert "a C++ compiler" in said[0]

    def test_what_does_not_compile_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("no such header\nand more")

        monkeypatch.setattr(Compiled, "missing", classmethod(lambda _: None))
        monkeypatch.setattr(Compiled, "run", fail)
        runner, said = self.run(ahead=1000)
        assert runner.backend == "eager"
        assert said[-1] == "compile failed (no such header); continuing without it"

    def test_what_is_compiled_wrong_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Compiled, "missing", classmethod(lambda _: None))
        monkeypatch.setattr(Compiled, "run", lambda _, batch: batch + 1)
        runner, said = self.run(ahead=1000)
        assert runner.backend == "eager"
        assert "different results" in said[-1]

    def test_what_is_right_and_faster_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Slow(Curve):
            def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
                torch.randn(1_000_000)
                return super().forward(x)

        monkeypatch.setattr(Compiled, "missing", classmethod(lambda _: None))
        monkeypatch.setattr(Compiled, "run", lambda _, batch: batch)
        runner, said = self.run(ahead=1000, generator=Slow())
        assert runner.backend == "compile"
        assert "times as fast" in said[-1]


@pytest.mark.parametrize(
    "backend",
    # Compiling takes half a minute: a slow test has it.
    [name for name in BACKENDS.names() if name != "compile"],
)
def test_every_backend_gives_what_eager_float32_gives(
    backend: str, tiny_generator: Generator
) -> None:
    runner = Runner(tiny_generator, CPU, precision="fp32", backend=backend, say=print)
    for images, side in ((1, 32), (3, 32), (2, 64)):
        given = x(images, side)
        assert (runner.run(given) - tiny_generator(given)).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.skipif(Compiled.missing() is not None, reason="needs a C++ compiler")
def test_compiled_gives_what_eager_gives(tiny_generator: Generator) -> None:
    """Whole batches, short ones, other sizes, and more sizes than are compiled."""
    compiled = Compiled(tiny_generator, CPU, "fp32")
    for images, side in ((2, 32), (1, 32), (3, 32), (1, 64), (1, 96), (1, 128), (2, 160)):
        given = x(images, side)
        y = compiled.run(given)
        assert y.shape == given.shape
        assert (y - tiny_generator(given)).abs().max() < 1e-4
