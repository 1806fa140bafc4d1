"""The losses of a critic that segments images (Sushko et al. 2021, OASIS, arXiv 2012.04781).

Its logits are [N, classes + 1, h, w]; p is their softmax, and the last class is `fake`.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from img2img.images.places import mean_per_image
from img2img.losses.adversarial import ALL, OBJECTIVES, Objective, Valid
from img2img.losses.labels import inverse_frequencies
from img2img.losses.regularizers import REGULARIZERS, Judge, Regularizer


@OBJECTIVES.register("segmentation")
class Segmentation(Objective):
    """Cross entropy of the classes of a label map and of fakes (Sushko et al. 2021, equations 1-3).

    For a pixel of class c, D: -a_c log p_c(real) - log p_fake(fake).  G: -a_c log p_c(fake). Here
    a_c is n / (k c_n) for n pixels of k classes in the batch, of which c_n belong to the class:
    equation 2 divided by k, so that the mean weight of a pixel is 1. Pixels that belong to no class
    are left out.
    """

    of_labels = True
    labels: Tensor | None = None

    def with_labels(self, labels: Tensor) -> "Segmentation":
        bound = copy.copy(self)
        bound.labels = labels
        return bound

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        of_fakes = mean_per_image(_surprise(fake_logits)[:, -1:], valid.fake)
        return self._of_classes(real_logits, valid.real) + of_fakes

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return self._of_classes(fake_logits, valid.fake)

    def _of_classes(self, logits: Tensor, valid: Tensor | None) -> Tensor:
        losses = _surprise(logits)[:, :-1]
        if self.labels is None:
            return mean_per_image(losses, valid)
        weights = inverse_frequencies(self.labels, valid)[:, None, None]
        labelled = self.labels.sum(1, keepdim=True)
        where = labelled if valid is None else labelled * valid
        return mean_per_image((losses * self.labels * weights).sum(1, keepdim=True), where)


@REGULARIZERS.register("label_mix")
class LabelMix(Regularizer):
    """Consistency under LabelMix: the logits of mixed images are the mixed logits (equation 4).

    A mixed image has the real pixels of some classes of its label map, each chosen with probability
    1/2, and the fake pixels of the others. Mean of (D(mix(real, fake)) - mix(D(real), D(fake)))^2.
    """

    of_labels = True
    labels: Tensor | None = None

    def with_labels(self, labels: Tensor) -> "LabelMix":
        bound = copy.copy(self)
        bound.labels = labels
        return bound

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        labels = torch.ones_like(real[:, :1]) if self.labels is None else self.labels
        chosen = torch.rand(labels.shape[:2], device=labels.device) < 0.5
        mask = (labels * chosen[..., None, None]).sum(1, keepdim=True)
        distances = []
        scales = zip(judge(torch.lerp(fake, real, mask)), judge(real), judge(fake), strict=True)
        for mixed, of_real, of_fake in scales:
            there = F.interpolate(mask, mixed.shape[-2:], mode="nearest")
            distances.append((mixed - torch.lerp(of_fake, of_real, there)).square().mean())
        return torch.stack(distances).mean()


def _surprise(logits: Tensor) -> Tensor:
    """-log p; a single logit is that of being real."""
    if logits.shape[1] == 1:
        logits = torch.cat([logits, torch.zeros_like(logits)], 1)
    return -logits.log_softmax(1)
