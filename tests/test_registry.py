"""The catalogues: every part that is in one, and what one says to a wrong name or argument."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from torch import Tensor

from img2img.config import Component, load_config
from img2img.engine.strips import run_in_strips
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.losses import OBJECTIVES, RECONSTRUCTIONS, REGULARIZERS
from img2img.models.checkpoint import load_model, save_model
from img2img.models.spec import prepare_for_inference
from img2img.networks import DISCRIMINATORS, GENERATORS, Generator
from img2img.registry import Part, Registry
from img2img.training import METHODS
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.schedule import SCHEDULES
from tests.specs import spec_of

CATALOGUES: list[Registry[Any]] = [
    GENERATORS,
    DISCRIMINATORS,
    OBJECTIVES,
    REGULARIZERS,
    RECONSTRUCTIONS,
    OPTIMIZERS,
    SCHEDULES,
    METHODS,
]
# What the program passes itself.
SUPPLIED: dict[str, dict[str, Any]] = {
    GENERATORS.kind: {"in_channels": 3, "out_channels": 3},
    DISCRIMINATORS.kind: {"in_channels": 6},
    OPTIMIZERS.kind: {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 2e-4},
    SCHEDULES.kind: {
        "epochs": 100,
        "decay_epochs": 100,
        "images_per_epoch": 10,
        "total_images": None,
    },
}

every_part = pytest.mark.parametrize(
    ("catalogue", "part"),
    [pytest.param(c, part, id=f"{c.kind}-{part.name}") for c in CATALOGUES for part in c],
)


# Channels of the input and of the output.
every_count = pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (5, 2)])


def build_small(part: Part[Generator], before: int, after: int) -> Generator:
    return GENERATORS.build(small(part), "generator", in_channels=before, out_channels=after)


def small(part: Part[Any], **arguments: Any) -> Component:
    """The part with its defaults, but as narrow as its settings allow."""
    narrow = {key: 2 for key in ("ngf", "ndf") if key in part.defaults()}
    return Component(name=part.name, **(narrow | arguments))


@every_part
def test_has_a_summary(catalogue: Registry[Any], part: Part[Any]) -> None:
    own = part.factory.__doc__
    assert own, "the class has no docstring of its own"
    assert part.summary.partition(" (")[0].strip()
    assert len(part.summary.splitlines()) == 1


@every_part
def test_every_setting_has_a_checked_type(catalogue: Registry[Any], part: Part[Any]) -> None:
    for key, default in part.defaults().items():
        assert key in part.hints
        section = Component(name=part.name, **{key: default})
        assert catalogue.arguments(section, "here")[key] == default


@every_part
def test_builds_from_its_defaults(catalogue: Registry[Any], part: Part[Any]) -> None:
    if catalogue is METHODS:
        assert load_config(part.name).method == part.name
        return
    supplied = SUPPLIED.get(catalogue.kind, {})
    device = "meta" if catalogue in (GENERATORS, DISCRIMINATORS) else "cpu"
    with torch.device(device):
        built = catalogue.build(Component(name=part.name), "here", **supplied)
    assert isinstance(built, part.factory)  # type: ignore[arg-type]


@every_part
def test_refuses_an_unknown_setting(catalogue: Registry[Any], part: Part[Any]) -> None:
    with pytest.raises(ConfigError, match=r"^here\.no_such_thing: "):
        catalogue.arguments(Component(name=part.name, no_such_thing=1), "here")
    assert catalogue.supplied == tuple(SUPPLIED.get(catalogue.kind, {}))


@every_count
@pytest.mark.parametrize("part", list(GENERATORS), ids=lambda part: part.name)
def test_generator_keeps_its_promises(part: Part[Generator], before: int, after: int) -> None:
    generator = build_small(part, before, after)
    multiple, least = generator.size_multiple, generator.min_size
    assert isinstance(generator.local, bool)
    assert generator.style_dim == 0
    assert least % multiple == 0
    for height, width in [(least, least), (least + multiple, 2 * least)]:
        output = generator(torch.rand(1, before, height, width) * 2 - 1)
        assert output.shape == (1, after, height, width)
        assert output.dtype == torch.float32
        assert output.abs().max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("part", list(GENERATORS), ids=lambda part: part.name)
def test_a_generators_stages_are_its_forward(part: Part[Generator]) -> None:
    generator = build_small(part, 5, 2)
    if not generator.local:
        return
    generator.double().eval()
    x = torch.rand(1, 5, 3 * generator.min_size, generator.min_size).double() * 2 - 1
    strips: list[Tensor] = []
    run_in_strips(
        generator,
        lambda start, stop: x[:, :, start:stop],
        lambda _, strip: strips.append(strip),
        height=x.shape[2],
        rows=generator.size_multiple,
    )
    assert (torch.cat(strips, 2) - generator(x)).abs().max() < 1e-10


@pytest.mark.parametrize("part", list(GENERATORS), ids=lambda part: part.name)
def test_features_are_the_activations_of_a_forward_pass(part: Part[Generator]) -> None:
    torch.manual_seed(0)
    generator = build_small(part, 3, 3).eval()
    x = torch.rand(2, 3, 2 * generator.min_size, generator.min_size) * 2 - 1
    seen: dict[str, Tensor] = {}
    for name, module in generator.named_modules():
        if not any(module.children()) and name:
            module.register_forward_hook(
                lambda _, __, output, name=name: seen.update({name: output.clone()})
            )
    output = generator(x)
    names = [*seen][:: max(1, len(seen) // 5)]
    for found, name in zip(generator.features(x, names), names, strict=True):
        assert torch.equal(found, seen[name]), name
    # In any order, and for gradients of what comes before.
    last, first = generator.features(x, [names[-1], names[0]])
    assert torch.equal(last, seen[names[-1]])
    assert torch.equal(first, seen[names[0]])
    last.sum().backward()  # type: ignore[no-untyped-call]
    assert any(weight.grad is not None for weight in generator.parameters())
    if count := len(generator.stages()):
        *_, whole = generator.features(x, [0, count - 1])
        assert torch.equal(whole, output)
    with pytest.raises(ValueError, match="nothing"):
        generator.features(x, ["nothing"])
    with pytest.raises(ValueError, match=r"99"):
        generator.features(x, [99])


@torch.no_grad()
@every_count
@pytest.mark.parametrize("part", list(GENERATORS), ids=lambda part: part.name)
def test_generator_round_trips_through_a_model_file(
    part: Part[Generator], before: int, after: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    section = small(part)
    statistics: Any = "running" if after == 1 else "image"
    generator = build_small(part, before, after)
    x = torch.rand(2, before, 2 * generator.min_size, generator.min_size) * 2 - 1
    # So that the averages are not those of a network that has seen nothing.
    generator(x)
    spec = spec_of(
        generator,
        (before, after),
        architecture=part.name,
        arguments=section.arguments,
        output=Domain.of_type("uint16", after),
        direction="BtoA",
        norm_statistics=statistics,
        crop_size=(16, 32),
        scale=0.5,
        method="pix2pix",
        steps=3,
        images=12,
    )
    prepare_for_inference(generator, spec)
    expected = generator(x)
    save_model(tmp_path / "model.safetensors", {"G": spec}, {"G": generator})
    read = load_model(tmp_path)
    assert read.specs == {"G": spec}
    loaded = read.generator("G")
    assert torch.equal(loaded(x), expected)
    # No dropout and no mixing of the images in a batch.
    assert torch.equal(loaded(x), loaded(x))
    assert torch.allclose(torch.cat([loaded(image[None]) for image in x]), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4, 6, 7])
@pytest.mark.parametrize("part", list(DISCRIMINATORS), ids=lambda part: part.name)
def test_discriminator_keeps_its_promises(part: Part[Any], channels: int) -> None:
    if part.needs_rgb and channels % 3:
        return
    network = DISCRIMINATORS.build(small(part), "here", in_channels=channels)
    output = network(torch.rand(2, channels, 64, 96) * 2 - 1)
    assert output.logits
    assert output.features
    for logits in output.logits:
        assert logits.shape[:2] == (2, 1)
        assert logits.dtype == torch.float32


@pytest.mark.parametrize("part", list(OPTIMIZERS), ids=lambda part: part.name)
def test_optimizer_goes_down(part: Part[torch.optim.Optimizer]) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = OPTIMIZERS.build(Component(name=part.name), "optimizer", params=[weight], lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        weight.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert 0 < weight.item() < 1


def test_adam_is_the_published_one() -> None:
    assert OPTIMIZERS.arguments(Component(name="adam"), "optimizer") == {
        "betas": (0.5, 0.999),
        "eps": 1e-8,
    }
    for wrong in ([0.5, 1.0], [-0.1, 0.9], [0.5], 0.5):
        with pytest.raises(ConfigError, match=r"^optimizer\.betas: "):
            OPTIMIZERS.arguments(Component(name="adam", betas=wrong), "optimizer")


# -- the catalogue itself, with parts of its own ---------------------------------------------------


class Tool:
    """A thing to enter."""


TOOLS: Registry[Tool] = Registry("tool", "material")


@TOOLS.register("big_saw", teeth=100)
@TOOLS.register("saw")
class Saw(Tool):
    """Cuts wood.

    And more that the summary leaves out.
    """

    def __init__(
        self,
        *,
        material: str,
        teeth: Annotated[int, Field(gt=0)] = 20,
        angle: float = 0.5,
    ) -> None:
        self.material, self.teeth, self.angle = material, teeth, angle


def saw(name: str = "saw", **arguments: Any) -> Saw:
    built = TOOLS.build(Component(name=name, **arguments), "workshop.tool", material="steel")
    assert isinstance(built, Saw)
    return built


def test_presets_are_defaults() -> None:
    assert (saw().teeth, saw("big_saw").teeth, saw("big_saw", teeth=7).teeth) == (20, 100, 7)
    summaries = {part.name: part.summary for part in TOOLS}
    assert summaries == {"saw": "Cuts wood.", "big_saw": "Cuts wood. (teeth=100)"}


def test_values_are_turned_into_their_type() -> None:
    assert saw(angle="1e-4").angle == 1e-4
    assert saw(teeth="8").teeth == 8


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sew", {}, r"workshop.tool.name: unknown tool 'sew' \(did you mean 'saw'\?\)"),
        ("xyz", {}, "workshop.tool.name: unknown tool 'xyz'; choose from: saw, big_saw"),
        (
            "saw",
            {"tooth": 1},
            r"workshop.tool.tooth: tool 'saw' has no such argument \(did you mean",
        ),
        ("saw", {"q": 1}, "workshop.tool.q: .* no such argument; it takes: teeth, angle"),
        ("saw", {"teeth": 0}, r"workshop.tool.teeth: .*greater than 0 \(given: 0\)"),
        ("saw", {"teeth": "many"}, r"workshop.tool.teeth: .*integer.*\(given: 'many'\)"),
        ("saw", {"material": "tin"}, "workshop.tool.material: .* no such argument"),
    ],
)
def test_what_is_wrong_is_said(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        saw(name, **arguments)


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="'saw' is registered twice"):
        TOOLS.register("saw")(Tool)
