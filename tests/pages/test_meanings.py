"""What the charts say of a tag, whether or not it is a known one."""

import pytest

from img2img.pages.meanings import meaning


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("val/psnr", ["Held-out translations: ", "Higher is better."]),
        ("val/lpips", ["Held-out translations: ", "AlexNet", "Lower is better."]),
        ("val/own_measure", ["Held-out translations: own measure.", "Lower is better."]),
        ("G/edge_sharpness", ["The generator's edge sharpness loss. Lower is better."]),
        ("D/edges", ["The discriminator's edges loss. Lower is better."]),
        ("memory", []),
    ],
)
def test_every_tag_has_a_meaning_or_none(tag: str, words: list[str]) -> None:
    text = meaning(tag)
    assert bool(text) == bool(words)
    assert all(word in text for word in words), text
