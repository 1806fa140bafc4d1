"""Label maps as data: classes declared or found, checked, and what samples are made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.config import SideConfig, load_config
from img2img.data.augment import Transform
from img2img.data.check import check_data
from img2img.data.domains import as_config, resolve_domains
from img2img.data.paired import PairedData
from img2img.data.value_notices import value_facts
from img2img.errors import ConfigError, DataError
from img2img.images import Domain
from img2img.training.build import check_parts
from tests.conftest import Command, noise

PALETTE = np.array([(0, 0, 0), (128, 64, 128), (220, 20, 60)], np.uint8)
MakeSet = Callable[..., Path]


def label_map(seed: int, side: int = 32) -> np.ndarray:
    """Blocks of three classes."""
    blocks = np.random.default_rng(seed).integers(0, 3, (4, 4), dtype=np.uint8)
    blocks.flat[:3] = 0, 1, 2
    return np.kron(blocks, np.ones((side // 4, side // 4), np.uint8))


@pytest.fixture
def make_labels(tmp_path: Path) -> MakeSet:
    """`A/` with label maps and `B/` with noise; how the maps are held is asked for."""

    def make(form: str = "palette", count: int = 4) -> Path:
        for side in "AB":
            (tmp_path / form / side).mkdir(parents=True)
        for number in range(count):
            indexes = label_map(number)
            image = Image.fromarray(PALETTE[indexes] if form == "colour" else indexes)
            if form == "palette":
                image = Image.fromarray(indexes, mode="P")
                image.putpalette(PALETTE.ravel().tolist())
            image.save(tmp_path / form / "A" / f"{number}.png")
            Image.fromarray(noise(32, 32, number)).save(tmp_path / form / "B" / f"{number}.png")
        return tmp_path / form

    return make


def resolved(root: Path, **A: object) -> tuple[Domain, str]:
    config = load_config("pix2pix", assignments=[f"data.root={root}"])
    data = config.data.model_copy(update={"A": SideConfig.model_validate(A)})
    values = check_data(PairedData, data, 0).survey.values
    domains = resolve_domains(data, values)
    assert as_config(domains["A"]).is_labels
    again = data.model_copy(update={"A": as_config(domains["A"])})
    assert resolve_domains(again, values)["A"] == domains["A"]
    return domains["A"], value_facts(domains, values)


@pytest.mark.parametrize("form", ["palette", "grey", "colour"])
def test_classes_are_found(form: str, make_labels: MakeSet) -> None:
    domain, facts = resolved(make_labels(form), kind="labels")
    assert domain.classes == 3
    expected = None if form == "grey" else tuple(map(tuple, PALETTE.tolist()))
    assert domain.palette == expected
    assert domain.indexes == (None if form == "colour" else (0, 1, 2))
    assert facts.startswith("A: label maps of 3 classes (")
    shares = [float(word) for word in facts.replace(")", "").split() if word[0].isdigit()]
    assert sum(shares[1:]) > 90 or form == "colour"


def test_classes_are_declared(make_labels: MakeSet, tmp_path: Path) -> None:
    root = make_labels()
    assert resolved(root, classes=["sky", "road", "car"])[0].channels == ("sky", "road", "car")
    assert resolved(root, classes=3)[0].channels == ("0", "1", "2")
    assert resolved(root, classes=2, ignore=2)[0].channels == ("0", "1")
    colours = {"car": "#dc143c", "sky": [0, 0, 0], "road": [128, 64, 128]}
    by_color, _ = resolved(root, classes=colours)
    assert by_color.channels == ("car", "sky", "road")
    (tmp_path / "c.yaml").write_text("classes: {sky: 0, road: 1, car: 2}\n")
    assert resolved(root, classes=str(tmp_path / "c.yaml"))[0].indexes == (0, 1, 2)
    (tmp_path / "c.csv").write_text("name,r,g,b\nsky,0,0,0\nroad,128,64,128\ncar,220,20,60\n")
    assert resolved(root, classes=str(tmp_path / "c.csv"))[0].palette == tuple(
        map(tuple, PALETTE.tolist())
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": 0}, "0 classes, but 1 to 256"),
        ({"classes": 300}, "classes, but 1 to 256 are supported"),
        ({"classes": ["a", "a"]}, "two classes have the same name"),
        ({"classes": {"a": 1, "b": 1}}, "two classes have the index 1"),
        ({"classes": {"a": [0, 0, 0], "b": "#000000"}}, "two classes have the color"),
        ({"classes": {"a": 1, "b": [0, 0, 0]}}, "some classes have an entry `index`"),
        ({"classes": {"a": "red"}}, "'red' is neither an index nor a colour"),
        ({"classes": "nowhere.csv"}, "cannot read nowhere.csv"),
        ({"classes": "nowhere.txt"}, "is no YAML or CSV file"),
        ({"classes": 3, "kind": "image"}, "`classes` and `ignore` are of label maps"),
        ({"classes": 3, "range": [0, 5]}, "`range` is of images"),
    ],
)
def test_wrong_classes_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SideConfig.model_validate(given)


def test_the_check_names_files_that_are_no_label_maps(
    make_labels: MakeSet, img2img: Command
) -> None:
    root = make_labels("colour")
    wrong = PALETTE[label_map(9)]
    wrong[3, 4] = 1, 2, 3
    Image.fromarray(wrong).save(root / "A" / "1.png")
    table = "data.A.classes={a: '#000000', b: '#804080', c: '#dc143c'}"
    outcome = img2img("data", "check", "--data", root, "--set", table)
    assert outcome.status == 1
    assert "1.png: colour #010203 at x 4, y 3 is not in `classes`" in outcome.out + outcome.err
    Image.fromarray(noise(32, 32)).save(root / "A" / "1.png")
    outcome = img2img("data", "check", "--data", root, "--set", "data.A.kind=labels")
    assert "label maps have at most 256 classes" in outcome.out + outcome.err


def test_mixed_files_and_palettes_are_refused(make_labels: MakeSet) -> None:
    root = make_labels("colour")
    Image.fromarray(label_map(1)).save(root / "A" / "1.png")
    with pytest.raises(DataError, match=r"1.png holds indexes, but .*0.png colours"):
        resolved(root, kind="labels")
    root = make_labels("palette")
    image = Image.fromarray(label_map(1), mode="P")
    image.putpalette(PALETTE[::-1].ravel().tolist())
    image.save(root / "A" / "1.png")
    with pytest.raises(DataError, match="different colours for the same index"):
        resolved(root, kind="labels")


def test_samples_are_one_hot_and_never_mixed(make_labels: MakeSet) -> None:
    config = load_config(
        "pix2pix",
        assignments=[
            f"data.root={make_labels()}",
            "data.A={classes: 2, ignore: 2}",
            "data.augment.geometry=[{name: Rotate, limit: 45, p: 1}]",
        ],
    )
    data = config.data
    domains = resolve_domains(data, check_data(PairedData, data, 0).survey.values)
    found = PairedData.find(data, 0).seen_as(domains)
    samples = found.samples(data, 0, Transform(data, (44, 44), (40, 40), [3]))
    for position in range(4):
        A, _, _, _, valid, *_ = samples[position]
        assert A.shape == (2, 40, 40)
        assert valid is not None
        assert {*A.flatten().tolist()} == {0.0, 1.0}
        assert torch.equal(A.sum(0, keepdim=True), valid)


def test_unequal_label_maps_are_brought_to_size_without_new_classes(
    make_labels: MakeSet,
) -> None:
    root = make_labels()
    for unequal in ("fit", "pad", "stretch"):
        config = load_config(
            "pix2pix",
            assignments=[
                f"data.root={root}",
                "data.A.classes=3",
                "data.direction=BtoA",
                f"data.unequal={unequal}",
            ],
        )
        Image.fromarray(noise(48, 30)).save(root / "B" / "0.png")
        data = config.data
        domains = resolve_domains(data, check_data(PairedData, data, 0).survey.values)
        pair = PairedData.find(data, 0).seen_as(domains)
        first = next(p for p in [*pair.train, *pair.held_out] if p.A.path.name == "0.png")
        A, B = first.rasters()
        assert A.size == B.size == (48, 30)
        assert set(np.unique(A.pixels)) == {0, 1, 2}
        assert (A.valid is not None) == (unequal == "pad")


def test_a_run_on_label_maps_translates_every_form_alike(
    make_labels: MakeSet, train: Command, img2img: Command, tmp_path: Path
) -> None:
    run, form = tmp_path / "run", make_labels("palette")
    outcome = train(run, "--data", form, "--set", "data.A.kind=labels", "--max-steps", 2)
    assert outcome.status == 0, outcome.err
    assert "A: label maps of 3 classes" in outcome.out + outcome.err
    results = []
    for each in (form, make_labels("colour")):
        output = tmp_path / "results" / each.name
        outcome = img2img("translate", "--model", run, "--input", each / "A", "--output", output)
        assert outcome.status == 0, outcome.err
        with Image.open(output / "0.png") as image:
            assert image.mode == "RGB"
            results.append(np.array(image))
    assert np.array_equal(results[0], results[1])
    wrong = label_map(0)
    wrong[0, 5] = 7
    Image.fromarray(wrong).save(tmp_path / "wrong.png")
    outcome = img2img(
        "translate", "--model", run, "--input", tmp_path / "wrong.png", "--output", tmp_path / "o"
    )
    assert (
        "wrong.png: index 7 at x 5, y 0, but the classes are 0, 1, 2" in outcome.out + outcome.err
    )


def test_a_mistake_in_the_configuration_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"data.A.classes: two classes have the index 1"):
        load_config("pix2pix", assignments=["data.A.classes={a: 1, b: 1}"])


def drawn(seed: int, smooth: int) -> np.ndarray:
    """Discs of four colours on a fifth; of the size `smooth` times reduced, with smooth edges."""
    random, side = np.random.default_rng(seed), 64 * smooth
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side, 3), 240, np.uint8)
    for color in ((200, 30, 40), (20, 90, 200), (30, 160, 60), (250, 200, 0)):
        centre, radius = random.integers(0, side, 2), side // 4
        image[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = color
    return np.array(Image.fromarray(image).resize((64, 64), Image.Resampling.BOX))


def grey_ramp(seed: int) -> np.ndarray:
    """Few greys, and none of them in areas."""
    return np.random.default_rng(seed).integers(0, 6, (64, 64), np.uint8) * 40


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda n: drawn(n, 1), True),
        (lambda n: drawn(n, 1)[..., 0], True),
        (lambda n: label_map(n, 64), True),
        (lambda n: drawn(n, 4), False),
        (lambda n: drawn(n, 4)[..., 0], False),
        (lambda n: noise(64, 64, n), False),
        (grey_ramp, False),
        (lambda n: (label_map(n, 64) > 1).astype(np.uint8) * 255, False),  # a mask
        (lambda n: drawn(n, 1) if n else drawn(n, 4), False),
        (lambda n: drawn(n, 1) ^ np.uint8(37 * n), False),
    ],
    ids=[
        "discs",
        "grey",
        "indexes",
        "smooth",
        "smooth grey",
        "noise",
        "dots",
        "mask",
        "mixed",
        "colours of its own",
    ],
)
def test_images_that_look_like_label_maps_are_told(
    draw: Callable[[int], np.ndarray], told: bool, tmp_path: Path, img2img: Command
) -> None:
    for side in "AB":
        (tmp_path / side).mkdir()
    for number in range(3):
        Image.fromarray(draw(number)).save(tmp_path / "A" / f"{number}.png")
        Image.fromarray(noise(64, 64, number)).save(tmp_path / "B" / f"{number}.png")
    outcome = img2img("data", "check", "--data", tmp_path)
    assert ("A looks like label maps" in outcome.out + outcome.err) == told
    assert "B looks like" not in outcome.out + outcome.err
    outcome = img2img("data", "check", "--data", tmp_path, "--set", "data.A.kind=labels")
    assert "looks like" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("pix2pix", ["augment.color=[{name: ColorJitter}]"], "data.augment.color` changes the"),
        ("cyclegan", [], "data.A.kind: cyclegan does not work with label maps"),
    ],
)
def test_what_label_maps_cannot_take_is_refused(
    method: str, given: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_parts(
            load_config(method, assignments=["data.A.kind=labels", *(f"data.{a}" for a in given)])
        )
