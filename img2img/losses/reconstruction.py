"""How far a translated image is from the one it should be."""

from abc import ABC, abstractmethod

from torch import Tensor

from img2img.registry import NonNegative, Registry


class Reconstruction(ABC):
    """A distance between images, with the weight that it has in the generator's loss."""

    def __init__(self, *, weight: NonNegative = 1.0) -> None:
        self.weight = weight

    @abstractmethod
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance of float [N, C, H, W] in [-1, 1], as float [N], not yet weighted."""


RECONSTRUCTIONS = Registry[Reconstruction]("reconstruction loss")


@RECONSTRUCTIONS.register("l1")
class L1(Reconstruction):
    """Mean absolute difference (Isola et al. 2017, equation 3)."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().flatten(1).mean(1)
