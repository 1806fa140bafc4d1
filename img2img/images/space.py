"""Where in space pictures are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Place:
    """Where in space the pictures of a file are.

    Attributes:
        affine: from column, row and slice to millimetres to the patient's right, front and top.
        order: the number of the picture that each slice is.
    """

    affine: npt.NDArray[np.float64]
    order: tuple[int, ...]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from pixel to pixel, across and down, and from slice to slice."""
        across, down, between = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return across, down, between
