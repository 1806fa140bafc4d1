"""A look at what the generators make of a few pictures, for signs that something is wrong."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain, islice

import torch
from torch import Tensor, nn

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.dataset import DataSet
from img2img.data.samples import Batch
from img2img.doctor.diagnostics import diagnostics_of
from img2img.metrics.paired import l1
from img2img.models.spec import ModelSpec
from img2img.training.held_out import set_for_inference
from img2img.training.methods.base import Method

# Pictures of each kind, held out and trained on.
PICTURES = 8
# A picture that is looked at costs about a sixth of one trained on: so many of those for each keep
# the looks under 1 % of the time. Signs are counted on the CPU also where steps are made elsewhere.
TRAINED_FOR_EACH = {"cpu": 25}
TRAINED_ELSEWHERE = 100
# Steps between two looks, at least.
LEAST_STEPS = 50


def steps_between(images_a_step: int, device: str) -> int:
    """How often to look where `doctor.every` is `auto`, on a type of device."""
    trained = 2 * PICTURES * TRAINED_FOR_EACH.get(device, TRAINED_ELSEWHERE)
    return max(LEAST_STEPS, trained // images_a_step)


class HealthProbe:
    """The same pictures, translated again and again as inference would.

    The first held-out and some training pictures, without augmentation, stay in memory from the
    first look on.

    Args:
        method: says which images a batch leads to.
        specs: how each generator is set up for inference.
        every: steps between two looks.
    """

    def __init__(
        self,
        method: Method,
        specs: Mapping[str, ModelSpec],
        found: DataSet,
        data: DataConfig,
        transform: Transform,
        every: int,
    ) -> None:
        self.every = every
        self._method = method
        self._specs = specs
        self._aligned = found.aligned
        self._device = next(method.parameters()).device
        self._found = found
        self._data = data
        self._transform = transform

    @cached_property
    def _held_out(self) -> list[Batch]:
        return list(islice(self._found.held_out_batches(self._data, self._transform), PICTURES))

    @cached_property
    def _trained(self) -> list[Batch]:
        count = len(self._found)
        alone = (self._found.only(index) for index in range(0, count, -(-count // PICTURES)))
        each = (one.held_out_batches(self._data, self._transform) for one in alone)
        return list(chain.from_iterable(each))

    def diagnostics(self, generators: Mapping[str, nn.Module]) -> dict[str, float]:
        """The signs by name (see `diagnostics_of`), of held-out pictures if there are several.

        Of a method that translates both ways they end in `_AtoB` and `_BtoA`. `held_out` and
        `trained` are mean L1 distances, pixels in [0, 1], of pictures of that kind from their
        targets, or of a method with cycles, from themselves there and back.

        Raises:
            ImageError: a file does not decode.
        """
        trained = self._images(generators, self._trained)
        held_out = self._images(generators, self._held_out) if self._held_out else None
        batches, images = self._trained, trained
        aligned = self._aligned
        # Of one there is no telling whether all come out alike.
        if held_out is not None and len(self._held_out) > 1:
            batches, images = self._held_out, held_out
        elif self._method.cycles:
            aligned = False
        sources = {
            "AtoB": torch.cat([batch.A for batch in batches]),
            "BtoA": torch.cat([batch.B for batch in batches]),
        }
        several = len(self._method.translations) > 1
        found: dict[str, float] = {}
        for direction, (output, target) in self._method.translations.items():
            each = diagnostics_of(sources[direction], images[output], images[target], aligned)
            found |= {f"{n}_{direction}" if several else n: v for n, v in each.items()}
        found["train_l1"] = self._distance(trained)
        if held_out is not None:
            found["held_out_l1"] = self._distance(held_out)
        return found

    def _distance(self, images: Mapping[str, Tensor]) -> float:
        ways = (self._method.cycles or self._method.translations).values()
        distances = [l1(images[output], images[target]) for output, target in ways]
        return torch.cat(distances).mean().item()

    @torch.no_grad()
    def _images(
        self, generators: Mapping[str, nn.Module], batches: Sequence[Batch]
    ) -> dict[str, Tensor]:
        """The images that the method names, of all batches, on the CPU."""
        with set_for_inference(generators, self._specs):
            each = [self._method.images(generators, batch.to(self._device)) for batch in batches]
        return {name: torch.cat([images[name].cpu() for images in each]) for name in each[0]}
