"""Where in the patient the pixels of a DICOM are."""

import copy
from typing import Any

import numpy as np

from img2img.images.space import Place

# Of rows and of columns, in millimetres.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_SEQUENCES = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence")
_MEASURES = (
    *_SPACINGS,
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SpacingBetweenSlices",
    "SliceThickness",
)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def decimal(value: float) -> str:
    """A number in at most 16 characters."""
    return f"{value:.10g}"[:16]


def place_of(dataset: Any, count: int) -> Place | None:
    """Where so many frames are, ordered along the normal of their plane; None: it is not said.

    Frames at the same positions, of other times or echoes, stay in their order.
    """
    groups = [_measures(dataset, frame) for frame in range(count)]
    spacing = next((groups[0][key] for key in _SPACINGS if groups[0].get(key)), None)
    axes, start = groups[0].get("ImageOrientationPatient"), groups[0].get("ImagePositionPatient")
    if spacing is None or axes is None or start is None:
        return None
    down, across = map(float, spacing)
    right, below = np.array(axes[:3], float), np.array(axes[3:], float)
    normal = np.cross(right, below)
    positions = np.array([group.get("ImagePositionPatient", start) for group in groups], float)
    offsets = dataset.get("GridFrameOffsetVector")
    if offsets is not None and len(offsets) == count:
        relative = np.array(offsets, float) - float(offsets[0])
        positions = positions[0] + relative[:, None] * normal
    heights = positions @ normal
    order, step = [*range(count)], _thickness(groups[0]) * normal
    if count > 1 and len(np.unique(heights.round(3))) == count:
        order = np.argsort(heights).tolist()
        step = (positions[order[-1]] - positions[order[0]]) / (count - 1)
    affine = np.eye(4)
    affine[:3] = np.stack([right * across, below * down, step, positions[order[0]]], axis=1)
    if not np.isfinite(affine).all() or np.linalg.det(affine) == 0:
        return None
    return Place(_LPS_TO_RAS @ affine, tuple(order))


def _thickness(group: dict[str, Any]) -> float:
    return float(group.get("SpacingBetweenSlices") or group.get("SliceThickness") or 1)


def _measures(dataset: Any, frame: int) -> dict[str, Any]:
    """What is said of a frame: of it alone, of all, or of the whole file."""
    found: dict[str, Any] = {}
    for group in _groups(dataset, frame):
        for keyword in _MEASURES:
            if keyword not in found and group.get(keyword) not in (None, ""):
                found[keyword] = group[keyword].value
    return found


def _groups(dataset: Any, frame: int) -> list[Any]:
    """The parts of a data set that say where a frame is, the closest first."""
    found: list[Any] = []
    alone = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*alone[frame : frame + 1], *shared[:1]):
        for sequence in (
            "PixelMeasuresSequence",
            "PlanePositionSequence",
            "PlaneOrientationSequence",
        ):
            found += group.get(sequence) or []
    return [*found, dataset, *(dataset.get("DetectorInformationSequence") or [])[:1]]


def scaled(dataset: Any, down: float, across: float) -> Any:
    """A copy for pixels of another size, so many times as high and as wide."""
    made = copy.deepcopy(dataset)
    said: dict[int, tuple[Any, dict[str, Any]]] = {}
    for frame in range(max(1, len(made.get("PerFrameFunctionalGroupsSequence") or []))):
        for group in _groups(made, frame):
            said.setdefault(id(group), (group, _measures(dataset, frame)))
    for group, about in said.values():
        axes, spacing = about.get("ImageOrientationPatient"), about.get("PixelSpacing")
        position = group.get("ImagePositionPatient")
        if axes and spacing and position:  # that of the middle of the first pixel
            below = float(spacing[0]) * (down - 1) / 2
            right = float(spacing[1]) * (across - 1) / 2
            group.ImagePositionPatient = [
                decimal(float(p) + right * float(axes[n]) + below * float(axes[n + 3]))
                for n, p in enumerate(position)
            ]
        for keyword in _SPACINGS:
            if spacing := group.get(keyword):
                scales = zip(spacing, (down, across), strict=True)
                setattr(group, keyword, [decimal(float(s) * k) for s, k in scales])
    return made
