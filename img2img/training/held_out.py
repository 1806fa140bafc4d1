"""What the averaged generators make of held-out images: measures and sample sheets."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from img2img.checkpoint import ModelSpec, prepare_for_inference
from img2img.data.loader import Batch
from img2img.images import Picture, to_pixels
from img2img.metrics.paired import l1
from img2img.networks import Generator
from img2img.networks.norms import use_statistics
from img2img.sheets import sheet
from img2img.training.method import Method

MEASURES = {"l1": l1}


class HeldOut:
    """Runs generators over held-out batches as inference would.

    Args:
        method: says which images a batch leads to.
        generators: the networks to judge, float32; they are left as they were found.
        specs: how each of them is set up for inference.
        batches: gives the batches, on the CPU, the same each time; may give none.
    """

    def __init__(
        self,
        method: Method,
        generators: Mapping[str, Generator],
        specs: Mapping[str, ModelSpec],
        batches: Callable[[], Iterator[Batch]],
    ) -> None:
        self._method = method
        self._generators = generators
        self._specs = specs
        self._batches = batches
        self._device = next(method.parameters()).device

    def measures(self) -> dict[str, float]:
        """The mean of each measure over all images with a known target; empty without such."""
        values: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
        for images in self._images():
            if "target" in images:
                for name, measure in MEASURES.items():
                    values[name].append(measure(images["translated"], images["target"]))
        return {name: torch.cat(each).mean().item() for name, each in values.items() if each}

    def sheet(self, rows: int) -> Picture | None:
        """The first images, a row each, a column for each name; None without held-out images."""
        cells: list[list[Tensor]] = []
        titles: list[str] = []
        for images in self._images():
            titles = list(images)
            cells += [list(row) for row in zip(*images.values(), strict=True)]
            if len(cells) >= rows:
                break
        if not cells:
            return None
        return sheet([[to_pixels(image.cpu()) for image in row] for row in cells[:rows]], titles)

    @torch.no_grad()
    def _images(self) -> Iterator[dict[str, Tensor]]:
        with self._set_for_inference():
            for batch in self._batches():
                yield self._method.images(self._generators, batch.to(self._device))

    @contextmanager
    def _set_for_inference(self) -> Iterator[None]:
        for name, spec in self._specs.items():
            prepare_for_inference(self._generators[name], spec)
        try:
            yield
        finally:
            for generator in self._generators.values():
                use_statistics(generator, None)
                generator.train()
