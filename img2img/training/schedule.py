"""The learning rate during training, as a function of the images seen."""

import math
from abc import ABC, abstractmethod

from img2img.registry import Registry


class Schedule(ABC):
    """A factor on the learning rate.

    Args:
        epochs: configured epochs at the full rate.
        decay_epochs: configured epochs of decay.
        images_per_epoch: size of the training set.
        total_images: the length, if it is not set by these epochs; infinite if it is not known yet.
    """

    def __init__(
        self, *, epochs: int, decay_epochs: int, images_per_epoch: int, total_images: float | None
    ) -> None:
        self.epochs = epochs
        self.decay_epochs = decay_epochs
        self.images_per_epoch = images_per_epoch
        self.total_images = total_images

    @abstractmethod
    def factor(self, images: int) -> float:
        """The factor on the learning rate, between 0 and 1, when `images` have been seen."""


SCHEDULES = Registry[Schedule](
    "schedule", "epochs", "decay_epochs", "images_per_epoch", "total_images"
)


@SCHEDULES.register("linear")
class Linear(Schedule):
    """Constant, then linear to zero, as published; fitted to a given length."""

    def factor(self, images: int) -> float:
        if self.total_images is None:
            # The published rule, stepped once an epoch; it stops just short of zero.
            epoch = images // self.images_per_epoch
            return max(0.0, 1 - max(0, epoch + 1 - self.epochs) / (self.decay_epochs + 1))
        constant = self.epochs / (self.epochs + self.decay_epochs)
        done = min(images / self.total_images, 1)
        return 1 - max(0.0, done - constant) / (1 - constant) if constant < 1 else 1.0


@SCHEDULES.register("cosine")
class Cosine(Schedule):
    """Cosine decay from the full learning rate to zero (Loshchilov & Hutter 2017, equation 5).

    arXiv 1608.03983, without restarts: (1 + cos(pi * t)) / 2, where t is the share of the run that
    is over. The epochs at the full rate and those of decay are both part of it.
    """

    def factor(self, images: int) -> float:
        total = self.total_images
        if total is None:
            total = (self.epochs + self.decay_epochs) * self.images_per_epoch
        return (1 + math.cos(math.pi * min(images / total, 1))) / 2


@SCHEDULES.register("constant")
class Constant(Schedule):
    """Constant learning rate."""

    def factor(self, images: int) -> float:
        return 1.0
