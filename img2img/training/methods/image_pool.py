"""A pool of earlier translations, which critics see besides the newest ones."""

import torch
from torch import Tensor


class ImagePool:
    """A history of generated images (Shrivastava et al. 2017, section 2.3).

    Until the pool is full, new images are stored and returned. From then on, each new image is
    either returned itself or, with probability 1/2, stored in exchange for a random image of the
    pool. If the size of the images changes, the pool is emptied first. Random numbers come from
    torch's CPU generator, which the training seeds in every step.

    Args:
        size: how many images it holds, at least one.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []
        """The images, [C, H, W] each, without gradients; a resumed run needs them."""

    def query(self, images: Tensor) -> Tensor:
        """Pass images [N, C, H, W] to the pool one by one, and return as many."""
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
        """Restore this process's share of the images that several processes had.

        If there are as many processes as before, each gets its own images back. Otherwise all
        images, in the order of the processes, are dealt out in turn until the pools are full.

        Args:
            states: what each process had.
            rank: the number of this process, out of `count`.
            device: where to keep the images.
        """
        if len(states) == count:
            mine = states[rank]
        else:
            mine = [image for state in states for image in state][rank::count]
        self.images = [image.to(device) for image in mine[: self.size]]
