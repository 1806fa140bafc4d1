"""Diagnostics: numbers from a few translations that show the health of a generator.

Images are float [N, C, H, W] in [-1, 1]. A diagnostic is left out if the images do not define it,
such as the diversity of a single image or the correlation with an input of one colour.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from img2img.metrics.checkerboard import checkerboard_energy

# Pictures are compared at this size, where the exact place of an edge does not matter.
SIDE = 16
# Values this close to an end count as saturated: 2.5 grey levels of 255.
END = 0.98
# Half the range of pixels, in grey levels.
LEVELS = 127.5
# Pictures with smaller distances count as alike: a grey level.
ALIKE = 1 / LEVELS


def diagnostics_of(
    inputs: Tensor, outputs: Tensor, targets: Tensor, aligned: bool
) -> dict[str, float]:
    """The diagnostics of some translations.

    Args:
        inputs: the inputs. If their shape differs from that of the outputs, as for noise, the two
            are not compared.
        outputs: the translations.
        targets: real images of the output's domain.
        aligned: whether each target is the desired translation of its input.

    Returns:
        diversity: mean distance between two outputs, divided by that between two inputs or two
            targets, whichever is smaller; 0 if all outputs are alike.
        change: mean distance between input and output, divided by that between input and target; 0
            if the input is copied.
        correlation: mean correlation between the brightness of output and input, from -1 to 1.
            `correlation_target` is that between target and input; without `aligned` there is
            instead `correlation_expected`, between the mean target and the mean input.
        saturation: share of the outputs' values at an end of the range; `saturation_target` is that
            of the targets.
        grid: strength of the grid that upsampling leaves, in grey levels of 255; `grid_target` is
            that of the targets at the same frequencies.
    """
    comparable = inputs.shape == outputs.shape
    variety = min(_variety(each) for each in ((inputs, targets) if comparable else (targets,)))
    found: dict[str, float | None] = {
        "diversity": _ratio(_variety(outputs), variety),
        **(_against_inputs(inputs, outputs, targets, aligned) if comparable else {}),
        "saturation": _at_ends(outputs),
        "saturation_target": _at_ends(targets),
        "grid": _grid(outputs),
        "grid_target": _grid(targets),
    }
    return {name: value for name, value in found.items() if value is not None}


def _against_inputs(
    inputs: Tensor, outputs: Tensor, targets: Tensor, aligned: bool
) -> dict[str, float | None]:
    return {
        "change": _ratio(_distance(inputs, outputs), _distance(inputs, targets)),
        "correlation": _correlation(inputs, outputs),
        "correlation_target": _correlation(inputs, targets) if aligned else None,
        "correlation_expected": None if aligned else _correlation(_mean(inputs), _mean(targets)),
    }


def _variety(images: Tensor) -> float:
    """Mean absolute difference between two of the images, reduced in size; 0 for a single one."""
    small = F.interpolate(images.float(), size=(SIDE, SIDE), mode="area").flatten(1)
    count = len(small)
    # Scaled to a mean over pixels; each pair is counted twice.
    total = torch.cdist(small, small, p=1).sum().item() / small.shape[1]
    return total / max(1, count * (count - 1))


def _distance(images: Tensor, others: Tensor) -> float:
    return (images.float() - others.float()).abs().mean().item()


def _ratio(value: float, norm: float) -> float | None:
    return value / norm if norm > ALIKE else None


def _correlation(images: Tensor, others: Tensor) -> float | None:
    """Mean correlation over the pairs in which neither image has uniform brightness."""
    first, second = (each.float().mean(1).flatten(1) for each in (images, others))
    first, second = first - first.mean(1, keepdim=True), second - second.mean(1, keepdim=True)
    spreads = first.square().mean(1).sqrt(), second.square().mean(1).sqrt()
    told = (spreads[0] > ALIKE) & (spreads[1] > ALIKE)
    if not told.any():
        return None
    correlation = (first * second).mean(1)[told] / (spreads[0] * spreads[1])[told]
    return float(correlation.mean())


def _mean(images: Tensor) -> Tensor:
    return images.float().mean(0, keepdim=True)


def _at_ends(images: Tensor) -> float:
    return (images.float().abs() > END).float().mean().item()


def _grid(images: Tensor) -> float | None:
    if min(images.shape[-2:]) < 8:
        return None
    energies = [checkerboard_energy(image.permute(1, 2, 0).cpu().numpy()) for image in images]
    return math.sqrt(sum(energies) / len(energies)) * LEVELS
