"""How images of any channels are shown: `visible`, by hand-computed colours."""

import numpy as np
import pytest
import torch

from img2img.errors import ConfigError
from img2img.images import Domain, Picture, View
from img2img.images.display import (
    channels_shown,
    shown_of,
    tensor_shown,
    viewed,
    visible,
    with_views,
)
from tests.conftest import noise


def flat(*values: float, dtype: str = "float32") -> np.ndarray:
    return np.full((8, 8, len(values)), values, dtype)


def test_8_bit_rgb_is_as_it_is() -> None:
    assert np.array_equal(visible(Picture(noise(8, 8))), noise(8, 8))


def test_which_channels_are_shown() -> None:
    assert channels_shown(("grey",)) == (1,)
    assert channels_shown(("phase", "dapi")) == (1, 2)
    assert channels_shown(("nir", "Blue", "Green", "Red")) == (4, 3, 2)
    assert channels_shown(("B01", "B02", "B03", "B04", "B08")) == (4, 3, 2)
    assert channels_shown([str(n) for n in range(13)]) == (1, 2, 3)


def test_one_two_and_three_channels() -> None:
    grey, two, five = (flat(*range(0, 50 * n, 50), dtype="uint8") for n in (1, 2, 5))
    assert visible(Picture(grey + 7))[0, 0].tolist() == [7, 7, 7]
    assert visible(Picture(two))[0, 0].tolist() == [0, 50, 0]
    assert visible(Picture(five))[0, 0].tolist() == [0, 50, 100]
    assert visible(Picture(five, view=View((5, 4, 1))))[0, 0].tolist() == [200, 150, 0]


def test_black_and_white_are_those_of_the_view() -> None:
    """In the network's numbers: of 0 to 100, -0.5 is 25 and 0.5 is 75."""
    domain = Domain(
        dtype="float32", channels=("t",), low=(0,), high=(100,), view=View((1,), (-0.5,), (0.5,))
    )
    for value, level in ((0, 0), (25, 0), (50, 128), (75, 255), (100, 255)):
        picture = domain.seen(Picture(flat(value)))
        assert visible(picture)[0, 0].tolist() == [level] * 3
        x = torch.full((1, 8, 8), 2 * value / 100 - 1)
        assert tensor_shown(x, domain)[0, 0].tolist() == [level] * 3


def test_floats_of_no_domain_are_shown_between_their_percentiles() -> None:
    ramp = np.linspace(-10, 10, 101 * 101, dtype=np.float32).reshape(101, 101, 1)
    shown = visible(Picture(ramp))[..., 0].reshape(-1)
    assert (shown == 0).mean() == pytest.approx(0.02, abs=0.005)
    assert (shown == 255).mean() == pytest.approx(0.02, abs=0.005)
    assert abs(int(shown[101 * 101 // 2]) - 128) <= 1


def test_there_are_stripes_where_there_is_no_data() -> None:
    valid = np.ones((8, 8), bool)
    valid[:4] = False
    pixels = np.where(valid[..., None], 200, np.nan).astype(np.float32)
    shown = visible(Picture(pixels, valid=valid, values=(0, 200)), (16, 16))
    assert {*shown[:8].reshape(-1).tolist()} == {96, 160}
    assert shown[10, 8].tolist() == [255, 255, 255]


def test_a_colour_map() -> None:
    shown = visible(Picture(flat(0, dtype="uint8"), view=View((1,), colormap="viridis")))
    assert shown[0, 0].tolist() == [68, 1, 84]


def test_what_a_text_asks_for() -> None:
    names = ("blue", "green", "red", "nir")
    assert viewed("4,3,2", names).channels == (4, 3, 2)
    assert viewed("nir, red,green", names).channels == (4, 3, 2)
    assert viewed("nir:turbo", names) == View((4,), colormap="turbo")
    assert viewed("", names).channels == (3, 2, 1)
    for text, reason in (
        ("5", "no channel 5; there are 1 to 4, or blue, green, red, nir"),
        ("1,2,3,4", "one to three channels"),
        ("1:heat", "no colour map 'heat'"),
        ("1,2:hot", "for one channel"),
    ):
        with pytest.raises(ValueError, match=reason):
            viewed(text, names)


def test_which_domain_a_text_is_for() -> None:
    domains = {"A": Domain.of_type("uint8", 5), "B": Domain.of_type("uint8", 2)}
    both = with_views(domains, ["2,1"])
    assert [each.view for each in both.values()] == [View((2, 1))] * 2
    five = with_views(domains, ["4,3,2", "B=2:hot"])
    assert [each.view for each in five.values()] == [View((4, 3, 2)), View((2,), colormap="hot")]
    with pytest.raises(ConfigError, match="`show`: no channel 9"):
        with_views(domains, ["9"])
    with pytest.raises(ConfigError, match="`show`: no domain C"):
        with_views(domains, ["C=1"])


def test_what_pages_say_of_it() -> None:
    view = View((4, 3, 2), (-0.5,) * 5, (0.5,) * 5)
    bands = Domain.of_type("uint16", ("edge", "blue", "green", "red", "nir"))
    bands = bands.model_copy(update={"view": view})
    heat = Domain.of_type("float32", ("t2m",)).model_copy(
        update={"view": View((1,), (), (), "turbo")}
    )
    rgb, labels = Domain.of_type("uint8"), Domain(kind="labels", dtype="uint8", channels=("a", "b"))
    assert shown_of({"input": rgb, "result": rgb}) == ""
    stretched = "red, green, blue, from the 2nd to the 98th percentile"
    assert shown_of({"input": bands, "result": bands}) == stretched
    assert shown_of({"A": bands, "B": heat}) == f"A: {stretched}; B: t2m in turbo"
    assert shown_of({"A": labels, "B": rgb}) == "A: colours of the classes; B: R, G, B"
    five = Domain.of_type("uint8", 5)
    assert shown_of({"A": five, "B": five}) == "1, 2, 3"
