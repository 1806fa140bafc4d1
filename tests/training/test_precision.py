"""What changes with the precision, and what does not."""

import copy

import pytest
import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.diffaug.ada import AdaptiveAugmentation
from img2img.errors import ConfigError
from img2img.losses.adversarial import Vanilla
from img2img.losses.reconstruction import L1
from img2img.networks import Discriminator, Generator
from img2img.networks.patchgan import PatchDiscriminator
from img2img.networks.resnet import ResnetGenerator
from img2img.networks.unet import UNetGenerator
from img2img.runtime.devices import PrecisionName, resolve_precision
from img2img.training.methods.critic import Critic
from img2img.training.methods.pix2pix import Pix2Pix
from img2img.training.mixed_precision import MixedPrecision
from tests.training.recipe import updates

CPU = torch.device("cpu")

# How alike gradients in bfloat16 and float32 are: 0.9900 for a ResNet on a processor that has no
# bfloat16 units, more on those that have. In the wrong layout they would be near 0.
NEAR = 0.985


class TestResolve:
    @pytest.mark.parametrize(
        ("name", "device"),
        [
            ("fp32", "cpu"),
            ("bf16", "cpu"),
            ("fp32", "cuda"),
            ("bf16", "cuda"),
            ("fp16", "cuda"),
            ("fp32", "mps"),
        ],
    )
    def test_as_asked(self, name: str, device: str) -> None:
        assert resolve_precision(name, torch.device(device)) == name  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("name", "device"), [("fp16", "cpu"), ("fp16", "mps"), ("bf16", "mps")]
    )
    def test_refused(self, name: str, device: str) -> None:
        with pytest.raises(ConfigError, match=f"^precision: {name} does not work on {device}"):
            resolve_precision(name, torch.device(device))  # type: ignore[arg-type]

    @pytest.mark.parametrize(("has_bf16", "chosen"), [(True, "bf16"), (False, "fp16")])
    def test_auto_on_cuda(
        self, monkeypatch: pytest.MonkeyPatch, has_bf16: bool, chosen: str
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
        assert resolve_precision("auto", torch.device("cuda", 0)) == chosen

    @pytest.mark.parametrize(
        ("capabilities", "chosen"),
        [({"amx_bf16": True}, "bf16"), ({"amx_bf16": False}, "fp32"), ({}, "fp32")],
    )
    def test_auto_on_cpu(
        self, monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], chosen: str
    ) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
        assert resolve_precision("auto", CPU) == chosen

    def test_auto_on_cpu_with_a_torch_that_cannot_tell(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        assert resolve_precision("auto", CPU) == "fp32"

    def test_auto_on_mps(self) -> None:
        assert resolve_precision("auto", torch.device("mps")) == "fp32"


def unet() -> Generator:
    return UNetGenerator(in_channels=3, out_channels=3, ngf=8, num_downs=4, dropout=False)


def resnet() -> Generator:
    return ResnetGenerator(in_channels=3, out_channels=3, ngf=8, n_blocks=2, norm="batch")


def resize_convolution() -> Generator:
    return UNetGenerator(
        in_channels=3, out_channels=3, ngf=8, num_downs=4, dropout=False, upsample="bilinear"
    )


@pytest.fixture(params=[unet, resnet, resize_convolution], ids=lambda make: make.__name__)
def method(request: pytest.FixtureRequest) -> Pix2Pix:
    torch.manual_seed(0)
    critic = Critic(PatchDiscriminator(in_channels=6, ndf=8), Vanilla())
    return Pix2Pix(request.param(), critic, {"l1": L1(weight=100)})


@pytest.fixture
def batch() -> Batch:
    A, B = torch.rand((2, 2, 3, 32, 32), generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(A, B, ["0", "1"], ["0", "1"])


def bf16(method: Pix2Pix) -> MixedPrecision:
    return MixedPrecision(method, "bf16", CPU)


def convolutions(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def gradients(method: Pix2Pix, mixed: MixedPrecision, batch: Batch) -> dict[str, Tensor]:
    """Of both groups, as they arrive in the float32 networks; nothing is updated."""
    for group, loss in updates(mixed.method, batch):
        mixed.backward(group, loss.total())
    found = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    assert set(found) == {name for name, _ in method.named_parameters()}
    return found


def test_fp32_works_on_the_networks_themselves(method: Pix2Pix) -> None:
    assert MixedPrecision(method, "fp32", CPU).method is method


def test_only_convolutions_are_copied(method: Pix2Pix) -> None:
    working = bf16(method).method
    masters, copies = convolutions(method), convolutions(working)
    assert len(masters) == len(copies)
    for master, copied in zip(masters, copies, strict=True):
        assert copied is not master
        assert master.weight.dtype == torch.float32
        assert copied.weight.dtype == torch.bfloat16
        assert torch.equal(copied.weight, master.weight.bfloat16())
    norms = [m for m in method.modules() if isinstance(m, nn.BatchNorm2d)]
    shared = {id(module) for module in working.modules()}
    assert norms
    assert all(id(norm) in shared for norm in norms)


def test_what_augmentations_learn_is_in_the_state(method: Pix2Pix) -> None:
    """The working copy observes; the float32 networks are saved."""
    ada = AdaptiveAugmentation(images=4, interval=1)
    method.critics["D"].augmentations.add_module("ada", ada)
    working = bf16(method).method.critics["D"].augmentations[0]
    assert isinstance(working, AdaptiveAugmentation)
    working.observe([torch.ones(1, 1, 2, 2)], [torch.zeros(1, 1, 2, 2)], 1)
    working.after_update()
    assert method.state_dict()["networks.D.augmentations.ada.p"] == 0.25


def test_state_is_that_of_float32(method: Pix2Pix) -> None:
    before = {key: value.clone() for key, value in method.state_dict().items()}
    bf16(method)
    after = method.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in after.items())
    assert not any(value.dtype == torch.bfloat16 for value in after.values())


def test_losses_are_near_and_float32(method: Pix2Pix, batch: Batch) -> None:
    plain = dict(updates(copy.deepcopy(method), batch))
    for group, rough in updates(bf16(method).method, batch):
        exact = plain[group]
        assert rough.total().dtype == torch.float32
        assert rough.total().item() == pytest.approx(exact.total().item(), rel=0.02)
        for tag, term in rough.terms.items():
            assert term.value.dtype == torch.float32
            assert term.value.item() == pytest.approx(exact.terms[tag].value.item(), rel=0.05)


def test_gradients_reach_the_masters(method: Pix2Pix, batch: Batch) -> None:
    twin = copy.deepcopy(method)
    exact = gradients(twin, MixedPrecision(twin, "fp32", CPU), batch)
    mixed = bf16(method)
    rough = gradients(method, mixed, batch)
    assert all(gradient.dtype == torch.float32 for gradient in rough.values())
    assert all(c.weight.grad is None for c in convolutions(mixed.method))
    for network in ("networks.G", "networks.D"):
        a, b = (
            torch.cat([g.flatten() for name, g in found.items() if name.startswith(network)])
            for found in (exact, rough)
        )
        assert torch.cosine_similarity(a, b, dim=0) > NEAR
        assert b.norm() == pytest.approx(a.norm().item(), rel=0.05)


def test_fused_updates_are_those_of_float32(method: Pix2Pix, batch: Batch) -> None:
    """Fused optimizers read weights and gradients in order of memory: the layouts must agree."""
    moves = []
    precisions: tuple[PrecisionName, ...] = ("fp32", "bf16")
    for precision in precisions:
        twin = copy.deepcopy(method)
        mixed = MixedPrecision(twin, precision, CPU)
        for group, loss in updates(mixed.method, batch):
            mixed.backward(group, loss.total())
            for weight in twin.parameters_of(group):
                assert weight.grad is not None
                assert weight.grad.stride() == weight.stride()
            mixed.step(torch.optim.SGD(twin.parameters_of(group), 1e-3, fused=True))
            mixed.follow_update(group)
        pairs = zip(twin.parameters(), method.parameters(), strict=True)
        moves.append(torch.cat([(after - before).flatten() for after, before in pairs]))
    assert torch.cosine_similarity(moves[0], moves[1], dim=0) > NEAR


def test_working_copies_follow_each_update(method: Pix2Pix, batch: Batch) -> None:
    mixed = bf16(method)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    for group, loss in updates(mixed.method, batch):
        mixed.backward(group, loss.total())
        mixed.step(torch.optim.Adam(method.parameters_of(group), 0.01))
        mixed.follow_update(group)
        assert all(p.grad is None for p in method.parameters_of(group))
        changed, working = method.networks[group], mixed.method.networks[group]
        for master, copied in zip(convolutions(changed), convolutions(working), strict=True):
            assert torch.equal(copied.weight, master.weight.bfloat16())
    mixed.end_step()
    after = method.state_dict()
    # All weights have moved, and BatchNorm has counted: G once, D three times.
    for key, value in after.items():
        if key.endswith("num_batches_tracked"):
            assert value == (1 if key.startswith("networks.G") else 3)
        elif ".clock." not in key:
            assert value.dtype == torch.float32
            assert not torch.equal(value, before[key]), key


def test_small_updates_are_not_lost(method: Pix2Pix) -> None:
    """Weights change by less than bfloat16 can tell from them; the float32 ones add it up."""
    mixed = bf16(method)
    optimizer = torch.optim.SGD(method.parameters_of("G"), 1.0)
    weight = convolutions(method.generators["G"])[0].weight
    start = weight.detach().clone()
    for _ in range(8):
        weight.grad = torch.full_like(weight, -1e-6)
        mixed.step(optimizer)
    assert torch.allclose(weight, start + 8e-6, rtol=1e-4, atol=1e-8)


def test_networks_take_and_give_float32(method: Pix2Pix, batch: Batch) -> None:
    working = bf16(method).method
    seen: list[torch.dtype] = []
    for conv in convolutions(working):
        conv.register_forward_hook(lambda _, inputs, out: seen.extend([inputs[0].dtype, out.dtype]))
    output = working.generators["G"](batch.A)
    assert output.dtype == torch.float32
    assert set(seen) == {torch.bfloat16}
    assert all(
        isinstance(network, Generator | Discriminator | Critic)
        for network in working.networks.values()
    )


def test_loading_refreshes_the_copies(method: Pix2Pix) -> None:
    mixed = bf16(method)
    saved = mixed.state_dict()
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(1)
    mixed.load_state_dict(saved)
    for master, copied in zip(convolutions(method), convolutions(mixed.method), strict=True):
        assert torch.equal(copied.weight, master.weight.bfloat16())
