"""The meaning of each tag of the log, in a sentence or two."""

from img2img.metrics.measure import MEASURES
from img2img.runs.log import VAL

_MEANINGS = {
    "val/l1": "Mean absolute difference between held-out translations and their targets, 0 to 1."
    " Lower is better.",
    "val/cycle": "Mean absolute difference between held-out images and the same images after"
    " translation there and back, 0 to 1. Lower is better.",
    "D/adv": "The discriminator's loss. Near 0, it easily tells translations from real images.",
    "D/real": "The discriminator's mean score for real images.",
    "D/fake": "The discriminator's mean score for translations. The closer it is to the score for"
    " real images, the more real they look to it.",
    "D/accuracy": "How often the discriminator is right: 0.5 is chance, 1 is always.",
    "D/gradient": "Norm of the discriminator's gradient. High peaks mean unstable training.",
    "G/gradient": "Norm of the generator's gradient. High peaks mean unstable training.",
    "G/adv": "The generator's adversarial loss. It is low when the discriminator"
    " takes translations for real images.",
    "diagnostics/diversity": "How much translations differ from each other, compared with inputs"
    " and targets. Near 0, all look alike: mode collapse.",
    "diagnostics/change": "How much translations differ from their inputs, compared with targets."
    " 0 is a copy of the input.",
    "diagnostics/correlation": "Correlation of brightness between translation and input. -1 is"
    " an inverted image.",
    "diagnostics/saturation": "Share of values at either end of the range, black or white.",
    "diagnostics/grid": "Strength of the grid that upsampling leaves, in grey levels (0 to 255).",
    "diagnostics/train_l1": "Error on training images and on held-out images. If the curves"
    " diverge, the model is memorising its training images.",
}


def meaning(name: str) -> str:
    """What a loss, score, measure or diagnostic means, for people who do not know it.

    Args:
        name: its tag, such as `G/l1`, without its domain or direction.
    """
    known = _MEANINGS.get(name)
    if known is not None:
        return known
    network, _, part = name.partition("/")
    part = part.replace("_", " ")
    if name.startswith(VAL):
        measure = MEASURES.get(name.removeprefix(VAL))
        better = "Higher" if measure and measure.higher_is_better else "Lower"
        what = measure.meaning if measure else part
        return f"Held-out translations: {what}. {better} is better."
    owner = {"G": "The generator's", "D": "The discriminator's"}.get(network)
    return f"{owner} {part} loss. Lower is better." if owner else ""
