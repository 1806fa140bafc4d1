"""At which size pictures are translated."""

from typing import Any

import pytest

from img2img.engine.sizing import Scale, Size, Sizing, scale_summary
from img2img.models.spec import ModelSpec


def spec(scale: float, image_size: Size | None) -> ModelSpec:
    known: dict[str, Any] = {
        "architecture": "any",
        "arguments": {},
        "in_channels": 3,
        "out_channels": 3,
        "direction": "AtoB",
        "size_multiple": 1,
        "min_size": 1,
        "exact_tiling": True,
        "crop_size": (256, 256),
        "scale": scale,
        "method": "none",
        "steps": 0,
        "images": 0,
    }
    return ModelSpec(**known, image_size=image_size)


# What training has made 286 x 286 of: photos of 1024 x 1024, drawings of 256 x 256, icons of 64.
PHOTOS, DRAWINGS, ICONS = (spec(286 / side, (side, side)) for side in (1024, 256, 64))


@pytest.mark.parametrize(
    ("model", "size", "trained", "auto"),
    [
        (PHOTOS, (1024, 1024), (286, 286), "trained"),
        (PHOTOS, (768, 1024), (214, 286), "trained"),
        (PHOTOS, (2048, 4096), (286, 572), "trained"),
        (PHOTOS, (286, 286), (286, 286), "native"),  # the same in fewer pixels
        (PHOTOS, (128, 128), (286, 286), "trained"),
        (DRAWINGS, (256, 256), (286, 286), "native"),
        (DRAWINGS, (380, 380), (425, 425), "native"),
        (DRAWINGS, (512, 512), (286, 286), "trained"),
        (DRAWINGS, (1024, 512), (572, 286), "trained"),
        (DRAWINGS, (256, 2560), (286, 2860), "native"),  # a panorama is no larger, but wider
        (DRAWINGS, (200, 200), (223, 223), "native"),
        (DRAWINGS, (180, 180), (201, 201), "native"),
        (DRAWINGS, (128, 128), (286, 286), "trained"),
        (DRAWINGS, (64, 64), (286, 286), "trained"),
        (DRAWINGS, (1, 1), (286, 286), "trained"),
        (DRAWINGS, (200, 1), (57200, 286), "trained"),
        (DRAWINGS, (1, 1000), (286, 286000), "native"),  # of 82 million pixels
        (ICONS, (64, 64), (286, 286), "trained"),
        (ICONS, (256, 256), (286, 286), "native"),
        (ICONS, (1024, 1024), (286, 286), "trained"),
        (spec(1, None), (4000, 4000), (4000, 4000), "native"),  # trained on crops at full size
        (spec(0.5, None), (4000, 4000), (2000, 2000), "trained"),  # of an older version
        (spec(0.75, None), (400, 400), (300, 300), "native"),
    ],
)
def test_size_in_the_network(model: ModelSpec, size: Size, trained: Size, auto: Scale) -> None:
    assert Sizing("native").network_size(size, model) == size
    assert Sizing("trained").network_size(size, model) == trained
    assert Sizing("auto").applied_scale(size, model) == auto
    assert Sizing("auto").network_size(size, model) == (size if auto == "native" else trained)
    assert Sizing("auto").result_size(size) == size


def test_what_counts_is_the_size_of_the_result() -> None:
    reduced = Sizing("auto", max_side=300)
    assert reduced.applied_scale((1200, 900), DRAWINGS) == "native"
    assert reduced.network_size((1200, 900), DRAWINGS) == (300, 225)


def test_a_line_says_how_many_went_which_way() -> None:
    assert scale_summary({"native": 3, "trained": 2}, "auto", DRAWINGS) == (
        "scale auto: 3 at their own size, 2 resized to about 286 x 286 as in training and back"
        "; `scale=native` keeps the size of all"
    )
    assert scale_summary({"native": 3}, "native", DRAWINGS) == "scale native: 3 at their own size"
    assert scale_summary({"native": 1}, "auto", DRAWINGS) == "scale auto: 1 at its own size"
    assert "to 50 % as in training" in scale_summary({"trained": 1}, "trained", spec(0.5, None))
