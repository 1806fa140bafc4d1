"""The loss of label maps as output."""

from typing import Literal

import torch
from torch import Tensor

from img2img.images.places import mean_per_image
from img2img.losses.reconstruction import RECONSTRUCTIONS, Reconstruction
from img2img.registry import NonNegative
from img2img.runtime.devices import at_least_float32


@RECONSTRUCTIONS.register("cross_entropy")
class CrossEntropy(Reconstruction):
    """Cross entropy of the classes of label maps, -log softmax(logits) of the true class.

    Pixels that belong to no class are left out.

    Args:
        classes: `equal`: all pixels have the weight 1; `inverse_frequency`: those of a class have
            n / (k c), for n pixels of k classes in the batch, of which c belong to the class.
    """

    of_labels = True

    def __init__(
        self,
        *,
        weight: NonNegative = 1.0,
        classes: Literal["equal", "inverse_frequency"] = "equal",
    ) -> None:
        super().__init__(weight=weight)
        self.classes = classes

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `Reconstruction`: `output` holds logits, and `target` is one-hot."""
        with torch.autocast(output.device.type, enabled=False):
            losses = -target * at_least_float32(output).log_softmax(1)
            if self.classes == "inverse_frequency":
                losses = losses * inverse_frequencies(target, valid)[:, None, None]
            labelled = target.sum(1, keepdim=True)
            where = labelled if valid is None else labelled * valid
            return mean_per_image(losses.sum(1, keepdim=True), where)


def inverse_frequencies(target: Tensor, valid: Tensor | None = None) -> Tensor:
    """For each class of one-hot maps, n / (k c) as `CrossEntropy` says; 0 of absent ones."""
    pixels = (target if valid is None else target * valid).sum((0, 2, 3))
    present = pixels > 0
    weights = pixels.sum() / (present.sum() * pixels.clamp(min=1))
    return torch.where(present, weights, 0.0)
