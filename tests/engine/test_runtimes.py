"""The runtimes beside PyTorch give what PyTorch gives."""

import importlib.util
import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from img2img.config import Component
from img2img.engine.backends import BACKENDS
from img2img.engine.onnx_export import to_onnx
from img2img.errors import ConfigError
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, RunningStatistics, use_statistics

CPU = torch.device("cpu")
RUNTIMES = {"openvino": "openvino", "onnx": "onnxruntime"}
NETWORKS: list[tuple[dict[str, Any], str]] = [
    ({"name": "resnet", "ngf": 4, "n_blocks": 1}, "image"),
    (
        {
            "name": "resnet",
            "ngf": 4,
            "n_blocks": 1,
            "upsample": "bilinear",
            "pad": "replicate",
            "norm": "batch",
        },
        "running",
    ),
    ({"name": "unet", "ngf": 4, "num_downs": 4}, "image"),
    ({"name": "unet", "ngf": 4, "num_downs": 2, "upsample": "nearest", "norm": "none"}, "image"),
]
RESNET, UNET = NETWORKS[0][0], NETWORKS[2][0]


def generator(
    section: dict[str, Any], *, statistics: str = "image", dropout: bool = False
) -> Generator:
    torch.manual_seed(0)
    made = GENERATORS.build(
        Component.model_validate(section), "generator", in_channels=3, out_channels=3
    )
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias)
            nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data *= 5  # far from a network that gives the same grey for all
    use_statistics(made, ImageStatistics() if statistics == "image" else RunningStatistics())
    made.eval()
    for module in made.modules():
        if isinstance(module, nn.Dropout):
            module.train(dropout)
    return made.requires_grad_(False)


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def backend(name: str, generator: Generator, **changes: Any) -> Any:
    arguments: Any = {"device": CPU, "precision": "fp32"} | changes
    return BACKENDS.build(Component(name=name), "backend", generator=generator, **arguments)


@pytest.mark.parametrize(("section", "statistics"), NETWORKS)
def test_it_gives_what_pytorch_gives(
    runtime: str, section: dict[str, Any], statistics: str
) -> None:
    network = generator(section, statistics=statistics)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    sources = [getattr(module, "source", None) for module in network.modules()]
    tested = backend(runtime, network)
    least = max(network.size_multiple, network.min_size)
    given, got = [], []
    for count, height, width in [(1, least, least), (3, 32, 48), (1, 64, 32), (2, 32, 32)]:
        x = torch.rand(count, 3, height, width) * 2 - 1
        given += [x, x.to(memory_format=torch.channels_last)]
        got += [tested.run(each) for each in given[-2:]]
    # Compared when all have run: none may have been written over.
    for x, y in zip(given, got, strict=True):
        wanted = network(x)
        assert wanted.std() > 0.05
        assert y.dtype == torch.float32
        torch.testing.assert_close(y, wanted, atol=1e-4, rtol=0)
    assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())
    assert sources == [getattr(module, "source", None) for module in network.modules()]


def test_openvino_in_bfloat16_is_near() -> None:
    network = generator(UNET)
    try:
        tested = backend("openvino", network, precision="bf16")
    except ConfigError as error:
        pytest.skip(str(error))
    x = torch.rand(2, 3, 32, 64) * 2 - 1
    difference = (tested.run(x) - network(x)).abs().mean()
    assert 1e-5 < difference < 0.05


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"precision": "fp16"}, "fp16"),
        ({"device": torch.device("cuda")}, "`device=cpu`"),
    ],
)
def test_what_it_cannot_do_is_said(runtime: str, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        backend(runtime, generator(RESNET), **changes)


def test_openvino_reports_to_nobody() -> None:
    # In a process of its own, since it happens at the first import.
    code = """
import sys, torch
from img2img.config import Component
from img2img.engine.backends import BACKENDS
try:
    BACKENDS.build(
        Component(name="openvino"), "backend",
        generator=torch.nn.Identity(), device=torch.device("cpu"), precision="fp16",
    )
except Exception as error:
    print(type(error).__name__, "openvino_telemetry" in sys.modules)
    print(sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    stub = "openvino.tools.ovc.telemetry_stub"
    assert done.stdout.split() == ["ConfigError", "False", stub], done.stderr


def test_dropout_is_refused(runtime: str) -> None:
    network = generator({"name": "unet", "ngf": 4, "num_downs": 6}, dropout=True)
    with pytest.raises(ConfigError, match="dropout"):
        backend(runtime, network)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    part: Any = BACKENDS.find(Component(name=name), "backend").factory
    assert re.search(f"-m pip install .*{name}", part.missing())
    assert RUNTIMES[name] in part.missing()
    with pytest.raises(ConfigError, match="pip install"):
        backend(name, generator(RESNET))


def test_an_exported_model_says_what_it_is() -> None:
    import onnx

    network = generator(UNET)
    exported = to_onnx(network, metadata={"direction": "AtoB"})
    model = onnx.load_from_string(exported)
    onnx.checker.check_model(model, full_check=True)
    assert [(p.key, p.value) for p in model.metadata_props] == [("direction", "AtoB")]
    shapes = {
        value.name: [d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {name: ["batch", 3, "16*rows", "16*columns"] for name in ("input", "output")}
    # The operator for it, which runtimes have in one piece.
    assert sum(node.op_type == "InstanceNormalization" for node in model.graph.node) == 5
    assert b".py" not in exported


def test_a_model_too_large_for_the_format_is_refused() -> None:
    network = generator(RESNET)
    network.register_parameter(
        "large", nn.Parameter(torch.zeros(1).expand(2**29), requires_grad=False)
    )
    with pytest.raises(ConfigError, match="2 GB"):
        to_onnx(network)


SIGNAL_STACK = """
import ctypes, faulthandler
import torch
from tests.engine.test_runtimes import RESNET, backend, generator

class Stack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def stack():
    found = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.at, found.flags

faulthandler.enable()  # which has one
before = stack()
made = backend("openvino", generator(RESNET))
made.run(torch.zeros(1, 3, 16, 16))
assert stack() == before
del made
assert stack() == before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's signal stack")
def test_openvino_leaves_signals_as_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_STACK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
