"""`export --format reference` and back: the same model, whatever it was built of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from img2img.config import Component
from img2img.errors import ModelFileError
from img2img.models.checkpoint import load_model, save_model
from img2img.models.spec import ModelSpec
from img2img.networks import GENERATORS
from img2img.networks.spectral import plain_state
from tests.conftest import noise
from tests.models.compat.published import trained

Command = Callable[..., Any]

UNET = {"name": "unet", "ngf": 4, "num_downs": 6}
RESNET = {"name": "resnet", "ngf": 4, "n_blocks": 2}
# One setting after the other that such a generator can have, and the flags of `import` aside.
CHANGES: list[dict[str, Any]] = [
    {},
    {"norm": "batch"},
    {"norm": "instance"},
    {"norm": "instance_affine"},
    {"norm": "none"},
    {"dropout": True},
    {"dropout": False},
    {"upsample": "nearest"},
    {"upsample": "bilinear"},
    {"upsample": "bilinear", "pad_up": "reflect"},
    {"upsample": "nearest", "pad_up": "replicate"},
    {"upsample": "bilinear", "pad_up": "zero"},
    {"pad": "reflect"},
    {"pad": "replicate"},
    {"pad": "zero"},
    {"downsample": "blur"},
    {"downsample": "blur", "upsample": "bilinear"},
    {"value_range": "0,1", "output": "sigmoid"},
    {"output": "sigmoid"},
    {"attention": True},
    {"init": "kaiming"},
]
CASES = [(base, change) for base in (UNET, RESNET) for change in CHANGES]
CASES += [(RESNET, {"n_downs": n}) for n in (1, 3)] + [(UNET, {"num_downs": n}) for n in (2, 8)]
CASES += [(RESNET, {"spectral": True}), (UNET, {"spectral": True})]


def model(folder: Path, arguments: dict[str, Any], **described: Any) -> Path:
    section = Component.model_validate(arguments)
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    trained(generator)
    plain = {**arguments, "spectral": False}
    spec = ModelSpec.of(
        generator,
        architecture=plain.pop("name"),
        arguments=GENERATORS.arguments(
            Component.model_validate({**plain, "name": arguments["name"]}),
            "generator",
        ),
        **{"direction": "BtoA", "crop_size": (64, 96), "scale": 0.5, "method": "pix2pix"}
        | {"steps": 7, "images": 9}
        | described,
    )
    path = folder / "m.safetensors"
    save_model(path, {"G": spec}, {"G": generator})
    assert plain_state(generator).keys() == load_model(path).tensors["G"].keys()
    return path


def results(path: Path) -> torch.Tensor:
    x = 2 * torch.from_numpy(noise(256, 256)).movedim(-1, 0)[None].float() / 255 - 1
    with torch.inference_mode():
        return torch.as_tensor(load_model(path).generator("G")(x))


@pytest.mark.parametrize(("base", "change"), CASES, ids=str)
def test_every_option(
    tmp_path: Path, img2img: Command, base: dict[str, Any], change: dict[str, Any]
) -> None:
    """Equal with what stands beside the weights; without it equal, or warned of by name."""
    ours = model(tmp_path, base | change)
    line = ["export", ours, "--format", "reference", "--output", tmp_path / "there"]
    outcome = img2img(*line)
    assert outcome.status == 0, outcome.err
    told = " ".join(outcome.err.split())
    theirs = tmp_path / "there" / "latest_net_G.pth"
    for back in (theirs.parent, theirs):
        again, known = load_model(back), load_model(ours)
        assert again.specs == known.specs
        for key, tensor in known.tensors["G"].items():
            assert torch.equal(again.tensors["G"][key], tensor), key
    wanted = results(ours)
    assert torch.equal(results(theirs), wanted)
    theirs.with_suffix(".json").unlink()
    untold = told.partition("weights alone do not say ")[2]
    if untold.startswith("the architecture"):
        with pytest.raises(ModelFileError):
            load_model(theirs)
    elif not any(f"{name} " in untold for name in change):
        assert torch.equal(results(theirs), wanted)


def test_what_the_description_says_beside_the_architecture(
    tmp_path: Path, img2img: Command
) -> None:
    """Dropout, statistics, direction, scale and crop; and all of it is in the warning."""
    described = {"norm_statistics": "running", "dropout": True}
    ours = model(tmp_path, UNET | {"upsample": "bilinear"}, **described)
    there, back = tmp_path / "there", tmp_path / "back.safetensors"
    outcome = img2img("export", ours, "--format", "reference", "--output", there)
    told = " ".join(outcome.err.split())
    for words in ("upsample bilinear", "norm_statistics running", "dropout True", "scale 0.5"):
        assert words in told
    assert "crop_size 64 x 96" in told
    assert "latest_net_G.json" in told
    assert img2img("import", there, "--output", back).status == 0
    assert load_model(back).specs == load_model(ours).specs


def test_options_beside_a_description_are_refused(tmp_path: Path, img2img: Command) -> None:
    there = tmp_path / "there"
    img2img("export", model(tmp_path, RESNET), "--format", "reference", "--output", there)
    outcome = img2img(
        "import", there, "--upsample", "nearest", "--output", tmp_path / "x.safetensors"
    )
    assert outcome.status == 2
    assert "upsample" in outcome.err
    assert "latest_net_G.json" in outcome.err


def test_a_description_of_other_weights(tmp_path: Path, img2img: Command) -> None:
    there = tmp_path / "there"
    img2img("export", model(tmp_path, RESNET), "--format", "reference", "--output", there)
    beside = there / "latest_net_G.json"
    content = json.loads(beside.read_text())
    content["network"]["arguments"]["n_blocks"] = 3
    beside.write_text(json.dumps(content))
    outcome = img2img("info", there)
    assert outcome.status == 2
    assert "according to latest_net_G.json next to it" in outcome.err
    content["network"]["direction"] = "sideways"
    beside.write_text(json.dumps(content))
    assert "direction" in img2img("info", there).err
    for other in ("[1]", "{}", '{"opt": 1}', "no json", "[" * 100_000):
        beside.write_text(other)
        assert img2img("info", there).status == 0


def test_going_on_in_training(tmp_path: Path, img2img: Command, tiny_pairs: Path) -> None:
    """`--init-from` reads the description, too: its hint names what the network was built of."""
    there = tmp_path / "there"
    ours = model(tmp_path, RESNET | {"upsample": "bilinear"}, direction="AtoB")
    img2img("export", ours, "--format", "reference", "--output", there)
    words = ["--max-steps", 1, "--precision", "fp32", "--crop-size", 32, "--workers", 0]
    words += ["--set", "generator.ngf=2"]
    line = ["--data", tiny_pairs, "--output", tmp_path / "run", "--init-from", there]
    outcome = img2img("train", "pix2pix", *line, *words)
    assert "generator.upsample=bilinear" in outcome.err + outcome.out
