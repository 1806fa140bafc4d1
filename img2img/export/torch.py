"""PyTorch's own export format."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental import _config as tracing

from img2img.engine.exportable import Exportable
from img2img.engine.exported import METADATA_KEY, Description
from img2img.export.base import FORMATS, Format
from img2img.networks import Generator


@FORMATS.register("torch")
class TorchFormat(Format):
    """A `.pt2` file: a torch.export program, for PyTorch without img2img."""

    suffix = ".pt2"

    def write(self, path: Path, generator: Generator, description: Description) -> None:
        dtype = torch.float16 if description.half else torch.float32
        pixels = description.spec.value_range if description.pixels else None
        network = Exportable(generator, dtype, pixels)
        example, axes = network.example(description.fixed)
        with _no_size_is_special():
            program = torch.export.export(network, (example,), dynamic_shapes=(axes,))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # which contains paths of this machine
        program.example_inputs = None  # as large as a picture
        text = description.model_dump_json()
        # Not straight to disk: if it is full, torch kills the process.
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={f"{METADATA_KEY}.json": text})
        path.write_bytes(buffer.getvalue())

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        return torch.export.load(path).module()


def _no_size_is_special() -> AbstractContextManager[object]:
    """Keep tracing from assuming that there is more than one image, or more than one pixel."""
    settings: Any = tracing
    oblivious = {"backed_size_oblivious": True}
    return settings.patch(oblivious) if hasattr(settings, *oblivious) else nullcontext()
