"""`img2img-dcgan sample`: images from a trained model."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from img2img.errors import ConfigError, Img2ImgError, nearest
from img2img.images import Picture, Pixels, to_pixels, write_picture
from img2img.models.checkpoint import load_model
from img2img_dcgan.data import NOISE

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

# Images that are generated at once.
_AT_ONCE = 64


@app.callback()
def root() -> None:
    """Images from models that `img2img train dcgan` has trained."""


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Run folder or model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Image file of the grid.")],
    count: Annotated[int, typer.Option(min=1, help="Images in the grid.")] = 64,
    label: Annotated[
        str | None, typer.Option(help="Class of all images; without it they take turns.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
) -> None:
    """Write a grid of generated images."""
    try:
        write_picture(output, Picture(grid(generate(model, count, label, seed))))
    except Img2ImgError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{count} images in {output}")


@torch.no_grad()
def generate(model: Path, count: int, label: str | None = None, seed: int = 0) -> list[Pixels]:
    """Images (size, size, 3) uint8 from a trained model.

    Args:
        model: run folder or model file.
        label: the class of all images; None: each class in turn.
        seed: of the noise; the same seed gives the same images.

    Raises:
        ModelFileError: it is not a model that can be opened.
        ConfigError: it is not one of DCGAN, or has no such class.
    """
    file = load_model(model)
    spec = file.specs.get("G")
    if spec is None or spec.input.kind != "noise":
        raise ConfigError(f"{model}: not a model of `img2img train dcgan`")
    classes = spec.input.channels[NOISE:]
    if label is not None and label not in classes:
        known = ", ".join(classes) or "it was trained without classes"
        raise ConfigError(f"label: {label!r} is no class{nearest(label, classes)}; {known}")
    generator = file.generator("G")
    noise = torch.randn(count, NOISE, 1, 1, generator=torch.Generator().manual_seed(seed))
    labels = torch.zeros(count, len(classes), 1, 1)
    for image in range(count if classes else 0):
        labels[image, image % len(classes) if label is None else classes.index(label)] = 1
    inputs = torch.cat([noise, labels], 1)
    batches = (generator(inputs[i : i + _AT_ONCE]) for i in range(0, count, _AT_ONCE))
    return [to_pixels(image) for batch in batches for image in batch]


def grid(images: list[Pixels]) -> Pixels:
    """Images of one size as one, in rows of equal length; places that are left over are black."""
    columns = math.ceil(math.sqrt(len(images)))
    missing = -len(images) % columns
    images = [*images, *[np.zeros_like(images[0])] * missing]
    rows = [np.concatenate(images[i : i + columns], 1) for i in range(0, len(images), columns)]
    return np.concatenate(rows)
