"""Methods with more groups of networks than a generator's and a critic's."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import Tensor, nn

from img2img.archives.safetensors import opened_safetensors
from img2img.config import Direction, RunConfig
from img2img.data.samples import Batch
from img2img.data.unpaired import UnpairedData
from img2img.images import Domain
from img2img.models.checkpoint import save_model
from img2img.networks import Generator
from img2img.networks.resnet import ResnetGenerator
from img2img.runtime.devices import PrecisionName
from img2img.training.methods import Fakes, Loss, Method, Term
from img2img.training.mixed_precision import MixedPrecision
from tests.training.recipe import batch as batch_of
from tests.training.recipe import specs

LAYERS = (0, 2)


class Heads(nn.Module):
    """A linear layer for each of some maps; it takes and gives lists, and indices besides."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width, 4, 1) for width in widths)

    def forward(self, maps: list[Tensor], row: Tensor) -> list[Tensor]:
        assert row.dtype == torch.int64
        return [layer(x[:, :, row]).flatten(1) for layer, x in zip(self.layers, maps, strict=True)]


class Contrast(Method):
    """The loss of G and that of F are one, of both networks."""

    data = UnpairedData

    def __init__(self, generator: Generator) -> None:
        heads = Heads([8, 32])
        super().__init__({"G": {"G": generator}, "F": {"F": heads}})

    @classmethod
    def from_config(cls, config: RunConfig, domains: tuple[Domain, Domain]) -> Self:
        raise NotImplementedError

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        return {"B": self.networks["G"](batch.A)}

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        maps = self.generators["G"].features(fakes["B"], LAYERS)
        assert all(each.dtype == torch.float32 for each in maps)
        seen = self.networks["F"](maps, torch.tensor([0, 1]))
        assert all(each.dtype == torch.float32 for each in seen)
        return Loss({"contrast": Term(torch.stack([each.square().mean() for each in seen]).mean())})

    def direction(self, generator: str, data: Direction) -> Direction:
        return data

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        return {}


def contrast() -> Contrast:
    torch.manual_seed(0)
    return Contrast(ResnetGenerator(in_channels=3, out_channels=3, ngf=8, n_blocks=1))


def images(seed: int) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    A, B = torch.rand((2, 1, 3, 16, 16), generator=draw) * 2 - 1
    return batch_of(A, B)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_is_of_one_group(precision: PrecisionName) -> None:
    method = contrast()
    mixed = MixedPrecision(method, precision, torch.device("cpu"))
    batch, working = images(0), mixed.method
    mixed.backward("F", working.loss("F", batch, working.generate(batch, ["F"])).total())
    assert all(weight.grad is not None for weight in method.parameters_of("F"))
    for networks in (method, working):
        assert all(weight.grad is None for weight in networks.parameters_of("G"))


def test_networks_that_make_no_images_are_not_in_the_model_file(tmp_path: Path) -> None:
    method, path = contrast(), tmp_path / "model.safetensors"
    save_model(path, specs(method), method.averaged)
    with opened_safetensors(path) as file:
        assert {key.partition(".")[0] for key in file.keys()} == {"G"}  # noqa: SIM118
    assert any(key.startswith("networks.F.") for key in method.saved())
