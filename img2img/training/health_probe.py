"""The health probe: diagnostics of a few translations, repeated during training."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.doctor.diagnostics import diagnostics_of
from img2img.metrics.paired import l1
from img2img.models.spec import ModelSpec
from img2img.training.data import TrainingData
from img2img.training.held_out import set_for_inference
from img2img.training.methods.base import Method

# Images of each kind, held out and trained on.
IMAGES = 8
# An image that is probed costs about a sixth of one trained on: training on so many for each keeps
# the probes under 1 % of the time. Diagnostics are computed on the CPU, wherever steps are made.
TRAINED_FOR_EACH = {"cpu": 25}
TRAINED_ELSEWHERE = 100
# Steps between two probes, at least.
MIN_STEPS = 50


def steps_between(images_a_step: int, device: str) -> int:
    """Steps between two probes on a type of device if `doctor.every` is `auto`."""
    trained = 2 * IMAGES * TRAINED_FOR_EACH.get(device, TRAINED_ELSEWHERE)
    return max(MIN_STEPS, trained // images_a_step)


class HealthProbe:
    """Translates the same few images each time, as inference does, and returns their diagnostics.

    These are the first held-out images and some training images, without augmentation. They are
    kept in memory after the first probe.

    Args:
        method: translates the images of a batch.
        specs: by generator, its settings for inference.
        every: steps between two probes.
    """

    def __init__(
        self, method: Method, specs: Mapping[str, ModelSpec], data: TrainingData, every: int
    ) -> None:
        self.every = every
        self._method = method
        self._specs = specs
        self._data = data
        self._device = next(method.parameters()).device

    @cached_property
    def _held_out(self) -> list[Batch]:
        return list(islice(self._data.held_out_batches(), IMAGES))

    @cached_property
    def _trained(self) -> list[Batch]:
        return list(self._data.trained_batches(IMAGES))

    def diagnostics(self, generators: Mapping[str, nn.Module]) -> dict[str, float]:
        """Diagnostics by name (see `diagnostics_of`), of the held-out images if there are several.

        With a two-way method the names end in `_AtoB` and `_BtoA`. `held_out_l1` and `train_l1` are
        mean L1 distances, with pixels in [0, 1], between held-out or training translations and
        their targets; with cycles, between images and themselves after translation there and back.

        Raises:
            ImageError: a file does not decode.
        """
        trained = self._images(generators, self._trained)
        held_out = self._images(generators, self._held_out) if self._held_out else None
        batches, images = self._trained, trained
        aligned = self._data.found.aligned
        # A single image does not show whether all come out alike.
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
        """The images that the method returns for all batches, by name, on the CPU."""
        with set_for_inference(generators, self._specs):
            each = [self._method.images(generators, batch.to(self._device)) for batch in batches]
        return {name: torch.cat([images[name].cpu() for images in each]) for name in each[0]}
