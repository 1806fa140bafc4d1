"""A pool of earlier translations, from which critics are shown some beside the newest."""

import torch
from torch import Tensor


class ImagePool:
    """A history of generated images (Shrivastava et al. 2017, section 2.3).

    Until the pool is full, images go in and come out as they are. From then on, each image comes
    out itself or, with probability 1/2, is left in the pool in exchange for a random one of it.
    When images come in another size than those of the pool, it is emptied first.
    Draws come from torch's generator for the CPU, which the training seeds anew for each step.

    Args:
        size: how many images it holds, at least one.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []
        """[C, H, W] each, without gradients; what a resumed run needs."""

    def query(self, images: Tensor) -> Tensor:
        """Put [N, C, H, W] in, one after the other, and take as many out."""
        if self.images and self.images[0].shape != images.shape[1:]:
            self.images = []
        return torch.stack([self._exchanged(image) for image in images.detach()])

    def _exchanged(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if torch.rand(()) < 0.5:
            return image
        index = int(torch.randint(self.size, ()))
        earlier, self.images[index] = self.images[index], image.clone()
        return earlier

    def restore(
        self, states: list[list[Tensor]], rank: int, count: int, device: torch.device
    ) -> None:
        """Take this process's share of the images that several processes had.

        As many processes as before get back their own. Otherwise all images, in the order of the
        processes, are dealt out in turn, as far as the pools hold them.

        Args:
            states: what each process had.
            rank: which process this is, of `count`.
            device: where to keep the images.
        """
        if len(states) == count:
            mine = states[rank]
        else:
            mine = [image for state in states for image in state][rank::count]
        self.images = [image.to(device) for image in mine[: self.size]]
