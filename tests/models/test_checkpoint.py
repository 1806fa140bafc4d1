"""Model files and resume states: round trips, and what is refused."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from img2img.archives.safetensors import OURS
from img2img.config import Component
from img2img.engine.translator import Translator
from img2img.errors import ConfigError, ModelFileError
from img2img.images import Domain
from img2img.images.domain import MOST_NOISE
from img2img.models.checkpoint import load_model, load_state, save_model, save_state
from img2img.models.spec import ModelSpec, build_generator, prepare_for_inference
from img2img.networks import GENERATORS, Generator

ARGUMENTS = {"ngf": 4, "num_downs": 3}


def tiny(**changes: Any) -> tuple[ModelSpec, Generator]:
    section = Component(name="unet", **ARGUMENTS)
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    spec = ModelSpec.of(
        generator, architecture="unet", arguments=ARGUMENTS, crop_size=(16, 16), steps=3, images=6
    )
    return spec.model_copy(update=changes), generator


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    spec, generator = tiny()
    path = tmp_path / "model.safetensors"
    save_model(path, {"G": spec}, {"G": generator})
    return path


def test_a_model_comes_back_with_spec_and_outputs(tmp_path: Path) -> None:
    spec, generator = tiny()
    generator.to(memory_format=torch.channels_last)
    save_model(tmp_path / "model.safetensors", {"G": spec}, {"G": generator})
    for where in (tmp_path, tmp_path / "model.safetensors"):  # a run folder, or the file
        found = load_model(where)
        assert found.specs == {"G": spec}
        prepare_for_inference(generator, spec)
        x = torch.rand(2, 3, 16, 24) * 2 - 1
        torch.testing.assert_close(found.generator("G")(x), generator(x))


def test_two_generators_in_one_file(tmp_path: Path) -> None:
    (spec, there), (back_spec, back) = tiny(), tiny(direction="BtoA")
    path = tmp_path / "both.safetensors"
    save_model(path, {"G_AB": spec, "G_BA": back_spec}, {"G_AB": there, "G_BA": back})
    found = load_model(path)
    assert [found.specs[name].direction for name in found.specs] == ["AtoB", "BtoA"]
    weight = found.tensors["G_BA"]["model.model.0.weight"]
    torch.testing.assert_close(weight, back.state_dict()["model.model.0.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_are_finite_numbers(value: float) -> None:
    spec, generator = tiny()
    state = generator.state_dict()
    state["model.model.0.weight"] = torch.full_like(state["model.model.0.weight"], value)
    with pytest.raises(ModelFileError, match="weight contains NaN or infinite"):
        build_generator(spec, state)
    for dtype in (torch.complex64, torch.int8, torch.bool):
        others = {key: weight.nan_to_num().to(dtype) for key, weight in state.items()}
        with pytest.raises(ModelFileError, match="floating point numbers are needed"):
            build_generator(spec, others)


@pytest.mark.parametrize("ngf", [10**9, 2**62, 2**64, 10**400])
def test_an_absurd_width_is_one_line(ngf: int) -> None:
    spec, generator = tiny(arguments={**ARGUMENTS, "ngf": ngf})
    with pytest.raises(ModelFileError, match="do not fit") as error:
        build_generator(spec, generator.state_dict())
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


def test_norm_and_dropout_follow_the_spec() -> None:
    x = torch.rand(1, 3, 16, 16)
    spec, generator = tiny(norm_statistics="running")
    again = build_generator(spec, generator.state_dict())
    generator.eval()
    torch.testing.assert_close(again(x), generator(x))
    deep = {"ngf": 4, "num_downs": 6}
    section = Component(name="unet", **deep)
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    x = torch.rand(1, 3, 64, 64)
    for dropout in (True, False):
        spec, _ = tiny(arguments=deep, dropout=dropout, size_multiple=64, min_size=64)
        again = build_generator(spec, generator.state_dict())
        assert torch.equal(again(x), again(x)) is not dropout


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architecture": "unet_9000"}, "unet_9000"),
        ({"arguments": {"ngf": 10**6, "num_downs": 3}}, "the description"),
        (
            {"input": Domain.of_type("uint8", 5)},
            r"weight is 4 x 3 x 4 x 4, but the description \(in_channels 5, out_channels 3\)"
            r" requires 4 x 5 x 4 x 4$",
        ),
        ({"style_dim": 8}, "its sizes"),
        ({"arguments": {"ngf": 4, "num_downs": 10**9}}, "less than or equal to 12"),
        ({"arguments": {"ngf": 4, "num_downs": 4}}, "Missing key"),
        ({"arguments": {"ngf": 4, "num_downs": 3, "exec": "x"}}, "exec"),
    ],
)
def test_weights_that_do_not_fit_the_spec(changes: dict[str, Any], reason: str) -> None:
    spec, generator = tiny(**changes)
    with pytest.raises(ModelFileError, match=reason):
        build_generator(spec, generator.state_dict())


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"in_channels": MOST_NOISE + 1}, "in_channels is not from 1 to"),
        ({"in_channels": "3"}, "in_channels is not from 1 to"),
        ({"in_channels": 1}, "in_channels is 1, but input has 3"),
        ({"input": {"dtype": "uint8", "channels": []}}, "input has 0"),
        ({"labels": [""]}, "labels"),
    ],
)
def test_descriptions_that_are_none(written: dict[str, Any], reason: str) -> None:
    spec, _ = tiny()
    with pytest.raises(ValidationError, match=reason):
        ModelSpec.model_validate(spec.model_dump(mode="json") | written)


def test_descriptions_of_earlier_versions() -> None:
    """The first had counts of channels only, later ones RGB images whose range is one for all."""
    spec, _ = tiny()
    told = spec.model_dump(mode="json")
    assert ModelSpec.model_validate(told) == spec
    later = {"dtype": "uint16", "low": 0, "high": 4095}
    found = ModelSpec.model_validate(told | {"input": later, "output": None, "out_channels": 1})
    assert found.input == Domain.model_validate(later)
    assert (found.input.channels, found.output.channels) == (("R", "G", "B"), ("grey",))
    for key in "input", "output", "labels":
        del told[key]
    assert ModelSpec.model_validate(told) == spec


def test_every_changed_byte_of_the_tensors_is_noticed(model_file: Path) -> None:
    data = bytearray(model_file.read_bytes())
    data[-7] ^= 1
    model_file.write_bytes(data)
    with pytest.raises(ModelFileError, match="checksum"):
        load_model(model_file)


@pytest.mark.parametrize("length", [0, 7, 100, -100])
def test_truncated(model_file: Path, length: int) -> None:
    model_file.write_bytes(model_file.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"model\.safetensors") as error:
        load_model(model_file)
    assert error.value.path == model_file


class Bomb:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    plain, zipped = pickle.dumps(Bomb(trace)), io.BytesIO()
    torch.save({"weights": Bomb(trace)}, zipped)
    for data in (plain, zipped.getvalue()):
        path = tmp_path / "model.safetensors"
        path.write_bytes(data)
        for load in (load_model, load_state):
            with pytest.raises(ModelFileError):
                load(path)
    assert not trace.exists()


def test_other_safetensors_files_are_told_apart(tmp_path: Path, model_file: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(ModelFileError, match="contains no known network"):
        load_model(other)
    save_file({"weight": torch.zeros(2)}, other, metadata={"img2img": "[]"})
    with pytest.raises(ModelFileError, match="not one of img2img"):
        load_model(other)
    later = json.dumps({"format_version": 99, "kind": "model"})
    save_file({"weight": torch.zeros(2)}, other, metadata={"img2img": later})
    with pytest.raises(ModelFileError, match="format 99"):
        load_model(other)
    with pytest.raises(ModelFileError, match="a model file; a state file is needed"):
        load_state(model_file)


def rewritten(
    path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]
) -> None:
    """Write a file anew, with a valid checksum, after a change to its description and tensors."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[OURS])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    header.pop("checksum", None)
    save_file(tensors, path, metadata={OURS: json.dumps(header)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h, t: t.update({"D.weight": torch.zeros(2)}), "a tensor of no network: 'D.weight'"),
        (lambda h, t: h.update(generators={}), "holds no generator"),
        (lambda h, t: h["generators"]["G"].pop("crop_size"), "is not valid: G: crop_size: Field"),
        (lambda h, t: h.pop("generators"), "its description is not valid: KeyError"),
    ],
)
def test_models_that_do_not_hold_what_they_describe(
    model_file: Path, change: Any, reason: str
) -> None:
    rewritten(model_file, change)
    with pytest.raises(ModelFileError, match=reason):
        load_model(model_file)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h, t: h.update(tree={"tensor": "9"}), "its description is not valid: KeyError"),
        (lambda h, t: h.update(tree={"dict": [1]}), "its description is not valid: TypeError"),
        (lambda h, t: h.update(tree={"dict": []}), "damaged: it holds other tensors than it"),
    ],
)
def test_states_that_do_not_hold_what_they_describe(
    tmp_path: Path, change: Any, reason: str
) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, {"weight": torch.zeros(2)})
    rewritten(path, change)
    with pytest.raises(ModelFileError, match=reason):
        load_state(path)


def test_a_missing_model_says_which(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model here"):
        load_model(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(ModelFileError, match="the run has saved no model yet"):
        load_model(tmp_path)
    with pytest.raises(ModelFileError, match=r"nowhere\.safetensors: no such file"):
        load_model(tmp_path / "nowhere.safetensors")


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    torch.autograd.backward(weight.square().sum())
    optimizer.step()
    state = {
        "optimizer": optimizer.state_dict(),
        "step": 12,
        "best": None,
        "rate": 1e-4,
        "list": [1, "two", torch.arange(4)],
        "empty": {},
    }
    save_state(tmp_path / "state.safetensors", state)
    found = load_state(tmp_path / "state.safetensors")
    assert found["step"] == 12
    assert found["best"] is None
    assert found["rate"] == 1e-4
    assert found["empty"] == {}
    assert found["list"][:2] == [1, "two"]
    assert torch.equal(found["list"][2], torch.arange(4))
    again = torch.optim.Adam([weight], lr=0.5)
    again.load_state_dict(found["optimizer"])
    assert again.param_groups[0]["lr"] == 0.1
    assert torch.equal(again.state[weight]["exp_avg"], optimizer.state[weight]["exp_avg"])


def test_a_generator_of_noise_translates_nothing(tmp_path: Path) -> None:
    spec, generator = tiny(input=Domain.noise(["1", "2", "3"]))
    save_model(tmp_path / "model.safetensors", {"G": spec}, {"G": generator})
    with pytest.raises(ModelFileError, match="generates images from noise, so it cannot translate"):
        Translator.load(tmp_path)


def test_options_that_only_loading_takes() -> None:
    spec, generator = tiny()
    with pytest.raises(
        ConfigError, match=r"`direction`: only `Translator\.load` takes this option"
    ):
        Translator(generator, spec, direction="AtoB")
