"""What the tags of a log mean, a sentence each."""

from img2img.metrics.measure import MEASURES
from img2img.runs.log import VAL

_MEANINGS = {
    "val/l1": "Mean difference between held-out translations and their targets, 0 to 1. Lower is"
    " better.",
    "val/cycle": "Mean difference between held-out images and their translation there and"
    " back, 0 to 1. Lower is better.",
    "D/adv": "The discriminator's loss. Near 0 it tells translations from real images with ease.",
    "D/real": "The discriminator's mean score for real images.",
    "D/fake": "The discriminator's mean score for translations. The closer to the score for real"
    " images, the better they pass.",
    "D/accuracy": "How often the discriminator is right: 0.5 is a coin toss, at 1 it always wins.",
    "D/gradient": "Norm of the discriminator's gradient. High peaks mean unstable training.",
    "G/gradient": "Norm of the generator's gradient. High peaks mean unstable training.",
    "G/adv": "The generator's adversarial loss: how far translations are from passing as real.",
    "diagnostics/diversity": "How much translations differ from each other, compared with inputs"
    " and targets. Near 0 they all look alike: mode collapse.",
    "diagnostics/change": "How far translations are from their inputs, compared with targets. 0 is"
    " a copy of the input.",
    "diagnostics/correlation": "Correlation of brightness between translation and input. -1 is"
    " a negative.",
    "diagnostics/saturation": "Share of values that are black or at full intensity.",
    "diagnostics/grid": "Strength of the grid that upsampling leaves, in grey levels of 255.",
    "diagnostics/train_l1": "Error on training images and on held-out ones. Where they part, the"
    " training images are being memorised.",
}


def meaning(name: str) -> str:
    """What a loss, score, measure or diagnostic means, for people who have not met it before.

    Args:
        name: its tag, such as `G/l1`, without the ending of a domain or direction.
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
    whose = {"G": "The generator's", "D": "The discriminator's"}.get(network)
    return f"{whose} {part} loss. Lower is better." if whose else ""
