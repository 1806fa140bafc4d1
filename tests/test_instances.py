"""Instance maps of label maps: their borders are one more channel of the input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from img2img import Translator
from img2img.config import SideConfig, load_config
from img2img.data.augment import Transform
from img2img.data.check import check_data
from img2img.data.domains import as_config, resolve_domains
from img2img.data.paired import PairedData
from img2img.errors import ConfigError
from img2img.images.labels import borders
from tests.conftest import Command, noise

SMALL = {
    "generator": "{name: spade, ngf: 4, hidden: 8}",
    "discriminator": "{name: segmentation, ndf: 4, n_layers: 2}",
    "data.A.kind": "labels",
    "data.batch_size": 2,
    "device": "cpu",
    "precision": "fp32",
    "data.workers": 0,
}


def test_borders_by_hand() -> None:
    instances = np.array([[7, 7, 2], [7, 7, 2], [7, 7, 7], [7, 7, 7]])
    expected = [[0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert borders(instances).tolist() == expected


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two things of one class that touch; `instances/` tells them apart, by numbers of 16 bits."""
    for folder in ("set/A", "set/B", "instances"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(4):
        labels, instances = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint16)
        labels[8:24, 4:28] = 1
        instances[8:24, 4:16], instances[8:24, 16:28] = 26001 + number, 26100
        Image.fromarray(labels).save(tmp_path / f"set/A/{number}.png")
        Image.fromarray(noise(32, 32, number)).save(tmp_path / f"set/B/{number}.png")
        Image.fromarray(instances).save(tmp_path / f"instances/{number}.png")
    return tmp_path


def words(data: Path, **more: object) -> list[object]:
    settings = SMALL | {"data.A.instances": data / "instances"} | more
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def test_samples_have_borders_that_follow_the_geometry(data: Path) -> None:
    config = load_config(
        "pix2pix",
        assignments=[
            f"data.root={data / 'set'}",
            "data.A.kind=labels",
            f"data.A.instances={data / 'instances'}",
            "data.augment.geometry=[{name: HorizontalFlip, p: 1}]",
        ],
    )
    values = check_data(PairedData, config.data, 0).survey.values
    domains = resolve_domains(config.data, values)
    assert domains["A"].channels == ("0", "1", "instance borders")
    assert domains["A"].classes == 2
    assert as_config(domains["A"]).is_labels
    found = PairedData.find(config.data, 0).seen_as(domains)
    samples = found.samples(config.data, 0, Transform(config.data, (32, 32), (32, 32), [3]))
    A = samples[0].A
    assert A.shape == (3, 32, 32)
    assert {*A.flatten().tolist()} == {0.0, 1.0}
    assert torch.equal(A[0] + A[1], torch.ones(32, 32))
    # Within the class there is nothing but the line where the two things touch.
    inner = A[2][9:23, 5:27]
    assert inner.sum(0).tolist() == [0] * 10 + [14, 14] + [0] * 10


def test_a_run_takes_label_maps_and_instance_maps(
    data: Path, img2img: Command, tmp_path: Path
) -> None:
    run = data / "run"
    given = ["--data", data / "set", "--config", "oasis.yaml", "--max-steps", 2, *words(data)]
    outcome = img2img("train", "pix2pix", "--output", run, *given)
    assert outcome.status == 0, outcome.err
    assert "with instances" in outcome.out + outcome.err
    outcome = img2img("train", "pix2pix", "--output", run, *given[:-1], given[-1], "--resume")
    assert outcome.status == 0, outcome.err

    command = ["translate", "--model", run, "--input", data / "set" / "A"]
    outcome = img2img(*command, "--output", data / "none")
    assert outcome.status == 2
    assert "the model takes 2 inputs (labels, instances)" in outcome.err
    outcome = img2img(*command, "--input", data / "instances", "--output", data / "made")
    assert outcome.status == 0, outcome.err
    with Image.open(data / "made" / "0.png") as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")
        made = np.array(image)
    model = Translator.load(run, device="cpu", precision="fp32")
    maps = [Image.open(data / folder / "0.png") for folder in ("set/A", "instances")]
    assert np.abs(np.array(model.translate(maps)).astype(int) - made).max() <= 1
    other = model.translate([np.array(maps[0]), np.zeros((32, 32), np.uint16)])
    assert not np.array_equal(np.array(other), made)
    assert img2img("evaluate", "--model", run, "--measures", "l1", "--json").status == 0
    assert img2img("info", run).status == 0

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(data / "instances" / "1.png")
    outcome = img2img(*command, "--input", data / "instances", "--output", data / "again")
    assert "1.png: 8 x 8 pixels, but its label map has 32 x 32" in outcome.out + outcome.err


def test_the_check_names_instance_maps_that_are_missing_or_do_not_fit(
    data: Path, img2img: Command
) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(data / "instances" / "1.png")
    (data / "instances" / "2.png").unlink()
    settings = ["--set", "data.A.kind=labels", "--set", f"data.A.instances={data / 'instances'}"]
    outcome = img2img("data", "check", "--data", data / "set", *settings)
    told = outcome.out + outcome.err
    assert outcome.status == 1
    assert "1.png: 8 x 8 pixels, but its label map has 32 x 32" in told
    assert "2.png" in told


def test_what_has_no_instances_is_refused() -> None:
    with pytest.raises(ValueError, match="`instances` is of label maps"):
        SideConfig.model_validate({"instances": "there"})
    with pytest.raises(ConfigError, match=r"`data.B.instances`: only the input has instances"):
        load_config("pix2pix", assignments=["data.B={kind: labels, instances: there}"])
