"""Sheets of small pictures in rows and columns, for people to look at."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from img2img.images import Picture

GAP = 4
TITLE_HEIGHT = 22


def sheet(rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[str]) -> Picture:
    """Lay images out in a grid on white.

    Args:
        rows: for each row its images, RGB as `visible` gives them; a cell is as large as the
            largest of them.
        titles: one a column, written above it.
    """
    height = max(image.shape[0] for row in rows for image in row)
    width = max(image.shape[1] for row in rows for image in row)
    columns = max(len(titles), *(len(row) for row in rows))
    canvas = Image.new(
        "RGB",
        (columns * (width + GAP) + GAP, len(rows) * (height + GAP) + GAP + TITLE_HEIGHT),
        "white",
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (width + GAP), GAP), title, fill="black", font=font)
    for line, row in enumerate(rows):
        for column, image in enumerate(row):
            left = GAP + column * (width + GAP)
            top = TITLE_HEIGHT + GAP + line * (height + GAP)
            canvas.paste(Image.fromarray(image), (left, top))
    return Picture(np.asarray(canvas))
