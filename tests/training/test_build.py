"""What is said before training: of the data's sizes, and of what has changed since."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from img2img.config import DataConfig, RunConfig, Section, check, load_config
from img2img.data.check import Survey
from img2img.data.sizes import training_scale
from img2img.errors import ConfigError
from img2img.training.build import check_parts, resolve
from img2img.training.changes import changes_on_resume
from img2img.training.data import size_notices
from img2img.training.methods import METHODS
from img2img.training.methods.pix2pix import Pix2Pix


@pytest.mark.parametrize(
    ("data", "sizes", "load", "scale"),
    [
        ({}, {(256, 256): 3}, (286, 286), 286 / 256),
        ({}, {(572, 143): 1}, (286, 286), 1.0),
        ({}, {(572, 572): 1, (143, 143): 3}, (286, 286), (0.5 + 3 * 2) / 4),
        ({"resize": "fit"}, {(572, 1000): 1}, (286, 286), 0.5),
        ({"resize": "none"}, {(572, 1000): 1}, (286, 286), 1.0),
    ],
)
def test_scale(
    data: dict[str, str],
    sizes: dict[tuple[int, int], int],
    load: tuple[int, int],
    scale: float,
) -> None:
    found = training_scale(DataConfig.model_validate(data), Counter(sizes), load)
    assert found == pytest.approx(scale)


def notices(sizes: dict[tuple[int, int], int], crop: int, scale: float = 1.0) -> list[str]:
    survey = Survey({"A": Counter(sizes), "B": Counter(sizes)}, Counter(), [])
    return list(size_notices(DataConfig(), survey, (crop, crop), {"A": scale, "B": scale}))


def test_nothing_to_say_of_usual_data() -> None:
    assert notices({(256, 256): 5, (300, 280): 2}, 256, 1.1) == []
    assert notices({(128, 128): 5}, 128) == []


def test_one_small_image_among_large_ones() -> None:
    (notice,) = notices({(600, 800): 300, (40, 50): 1}, 32)
    assert notice.startswith("crops are 32 x 32 because the smallest image has 50 x 40 pixels")


def test_another_scale_than_the_files() -> None:
    (notice,) = notices({(4000, 4000): 5}, 256, 0.07)
    assert "7 % of their size" in notice


def resolved(**discriminator: object) -> RunConfig:
    tree = load_config("pix2pix").model_dump()
    tree |= {"device": "cpu", "discriminator": {"name": "patch", **discriminator}}
    return resolve(check(tree), (286, 286), (256, 256))


def test_settings_that_a_network_got_since_a_run_was_started() -> None:
    """It has had their defaults, and can go on with these only."""
    saved = resolved().model_dump(mode="json")
    del saved["generator"]["attention"]
    assert changes_on_resume(saved, resolved()) == []
    assert changes_on_resume(saved, resolved(norm="batch")) == []
    with pytest.raises(ConfigError, match="spectral: the run was started with False, not Tr"):
        changes_on_resume(saved, resolved(spectral=True))
    saved["generator"]["attention"] = True
    with pytest.raises(ConfigError, match="attention: the run was started with True, not Fa"):
        changes_on_resume(saved, resolved())


def test_settings_that_the_program_got_since_a_run_was_started() -> None:
    """It has had their defaults; what is other than these is said."""
    saved = resolved().model_dump(mode="json")
    for section, keys in {
        "": ("n_critic", "regularizers", "critic", "doctor"),
        "schedule": ("warmup",),
        "optimizer": ("lr_d",),
        "data": ("grow",),
    }.items():
        for key in keys:
            del (saved[section] if section else saved)[key]
    assert changes_on_resume(saved, resolved()) == []
    changed = resolved().model_copy(update={"n_critic": 2})
    (notice,) = changes_on_resume(saved, changed)
    assert str(notice) == "n_critic was 1 when the run was started, and is 2 now"


def test_files_of_weights_are_found_from_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = load_config("cyclegan").model_dump()
    tree |= {
        "device": "cpu",
        "discriminator": {"name": "projected", "weights": "eye.pth"},
        "losses": {
            "cycle": [{"name": "l1"}, {"name": "perceptual", "weights": "../w", "weight": 2}]
        },
    }
    monkeypatch.chdir(tmp_path)
    found = resolve(check(tree), (286, 286), (256, 256))
    assert found.discriminator.arguments == {"weights": str(tmp_path / "eye.pth")}
    plain, seen = found.losses["cycle"]
    assert plain.arguments == {}
    assert seen.arguments == {"weights": str(tmp_path.parent / "w"), "weight": 2}
    monkeypatch.chdir("/")
    assert resolve(found, (286, 286), (256, 256)) == found


class Blend(Section):
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    layers: tuple[str, ...] = ()


class Blended(Pix2Pix):
    """Pix2Pix with settings of its own."""

    settings = Blend


@pytest.fixture
def blended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_own", dict(METHODS._parts))
    METHODS.register("blended")(Blended)


def with_settings(method: str, settings: dict[str, object]) -> RunConfig:
    tree = load_config("pix2pix").model_dump()
    return check(tree | {"device": "cpu", "method": method, "settings": settings})


@pytest.mark.usefixtures("blended")
@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("pix2pix", {"share": 0.5}, r"settings\.share: "),
        ("blended", {"shade": 0.5}, r"settings\.shade: .*'?share"),
        ("blended", {"share": 2}, r"settings\.share: .*less than or equal to 1"),
        ("blended", {"layers": 3}, r"settings\.layers: "),
    ],
)
def test_a_methods_own_settings_are_checked(
    method: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_parts(with_settings(method, settings))


@pytest.mark.usefixtures("blended")
def test_a_methods_own_settings_are_saved_whole_and_compared_on_resume() -> None:
    config = resolve(with_settings("blended", {"share": "0.25"}), (286, 286), (256, 256))
    assert config.settings == {"share": 0.25, "layers": []}
    saved = config.model_dump(mode="json")
    assert changes_on_resume(saved, config) == []
    # A setting that is newer than the run has had its default.
    del saved["settings"]["layers"]
    saved["settings"]["share"] = 0.75
    (change,) = changes_on_resume(saved, config)
    assert (change.key, change.before, change.after) == ("settings.share", 0.75, 0.25)
