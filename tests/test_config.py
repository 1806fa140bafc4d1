"""The run configuration: where values come from, and what is said of wrong ones."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from img2img.config import RunConfig, check, dump, load_config, presets
from img2img.data.sizes import resolve_sizes
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.losses import OBJECTIVES, RECONSTRUCTIONS
from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.training.build import check_parts
from img2img.training.methods.pix2pix import Pix2Pix
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.schedule import SCHEDULES

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


def config(*assignments: str, **sources: Any) -> RunConfig:
    return load_config("pix2pix", assignments=assignments, **sources)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_yaml(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_yaml


class TestPublishedDefaults:
    """The numbers of RECIPES.md."""

    def test_optimizer_and_schedule(self) -> None:
        found = config()
        assert (found.optimizer.name, found.optimizer.lr, found.optimizer.lr_d) == (
            "adam",
            2e-4,
            None,
        )
        betas = OPTIMIZERS.arguments(found.optimizer, "optimizer")["betas"]
        assert betas == (0.5, 0.999)
        schedule = found.schedule
        assert (schedule.name, schedule.epochs, schedule.decay_epochs) == ("linear", 100, 100)
        assert (schedule.steps, schedule.total_epochs, schedule.minutes) == (None, None, None)
        assert found.ema.half_life is None

    def test_networks_and_losses(self) -> None:
        found = config()
        generator = GENERATORS.arguments(found.generator, "generator")
        published = {"ngf": 64, "norm": "batch", "dropout": True, "upsample": "deconv"}
        assert found.generator.name == "unet"
        assert generator.items() >= published.items()
        critic = DISCRIMINATORS.arguments(found.discriminator, "discriminator")
        assert found.discriminator.name == "patch"
        assert critic.items() >= {"ndf": 64, "n_layers": 3, "norm": "batch"}.items()
        assert found.objective.name == "vanilla"
        (loss,) = found.losses["reconstruction"]
        assert (loss.name, loss.arguments) == ("l1", {"weight": 100})

    def test_data(self) -> None:
        data = config().data
        assert (data.batch_size, data.direction, data.resize) == (1, "AtoB", "stretch")
        (flip,) = data.augment.geometry
        assert (flip.name, flip.arguments) == ("HorizontalFlip", {"p": 0.5})
        assert data.augment.color == []
        assert resolve_sizes(data, (256, 256)) == ((286, 286), (256, 256))
        assert resolve_sizes(data, (600, 1100)) == ((286, 286), (256, 256))

    def test_generator_is_unet_256_at_the_published_crop(self) -> None:
        with torch.device("meta"):
            rgb = Domain(dtype="uint8")
            method = Pix2Pix.from_config(config(), (rgb, rgb))
        assert sum(p.numel() for p in method.generators["G"].parameters()) == 54_413_955


class TestPrecedence:
    def test_later_sources_win(self, write: Any) -> None:
        file = write("generator: {ngf: 8}\nseed: 1\ndata: {batch_size: 2, workers: 3}")
        found = load_config(
            "pix2pix",
            file,
            {"seed": 2, "data.batch_size": 4},
            ["data.batch_size=8"],
        )
        assert found.generator.arguments["ngf"] == 8
        assert found.generator.arguments["norm"] == "batch"
        assert (found.data.workers, found.seed, found.data.batch_size) == (3, 2, 8)

    def test_later_assignments_win(self) -> None:
        assert config("seed=1", "seed=2").seed == 2

    def test_saved_takes_the_recipes_place(self, tmp_path: Path, write: Any) -> None:
        saved = tmp_path / "config.yaml"
        saved.write_text(dump(config("generator.ngf=16", "seed=5", "data.batch_size=2")))
        found = load_config("pix2pix", write("seed: 6"), saved=saved)
        assert found.generator.arguments["ngf"] == 16
        assert (found.seed, found.data.batch_size) == (6, 2)
        assert load_config("pix2pix", saved=tmp_path / "nothing.yaml") == config()

    def test_a_new_name_drops_the_old_arguments(self, write: Any) -> None:
        assert config("generator.name=resnet_9blocks").generator.arguments == {}
        found = config("generator.name=resnet", "generator.ngf=16")
        assert found.generator.arguments == {"ngf": 16}
        found = config(file=write("generator: {name: resnet, n_blocks: 2}"))
        assert found.generator.arguments == {"n_blocks": 2}
        found = config("generator.n_blocks=3", file=write("generator: {name: resnet, ngf: 8}"))
        assert found.generator.arguments == {"n_blocks": 3, "ngf": 8}

    def test_a_new_name_in_a_list_drops_the_old_arguments(self) -> None:
        (kept,) = config("losses.reconstruction.0.name=l1").losses["reconstruction"]
        assert (kept.name, kept.arguments) == ("l1", {"weight": 100})
        (changed,) = config("losses.reconstruction.0.name=ssim").losses["reconstruction"]
        assert (changed.name, changed.arguments) == ("ssim", {})

    def test_a_new_name_keeps_what_is_not_the_parts(self) -> None:
        """Whichever source gives it: a length by a flag, a schedule by `--set`."""
        found = load_config("pix2pix", None, {"schedule.minutes": 3}, ["schedule.name=constant"])
        assert (found.schedule.name, found.schedule.minutes) == ("constant", 3)
        found = config("optimizer.lr=1", "optimizer.name=other")
        assert (found.optimizer.lr, found.optimizer.arguments) == (1, {})

    def test_the_same_name_keeps_them(self) -> None:
        assert config("generator.name=unet").generator.arguments == config().generator.arguments

    def test_a_list_is_replaced_whole(self) -> None:
        found = config("losses.reconstruction=[{name: l1, weight: 3}, {name: l1}]")
        assert [loss.arguments for loss in found.losses["reconstruction"]] == [{"weight": 3}, {}]
        assert config("losses.reconstruction=[]").losses["reconstruction"] == []

    def test_entries_by_number(self) -> None:
        (loss,) = config("losses.reconstruction.0.weight=10").losses["reconstruction"]
        assert (loss.name, loss.arguments) == ("l1", {"weight": 10})
        both = config(
            "losses.reconstruction=[{name: l1, weight: 3}, {name: l1, weight: 4}]",
            "losses.reconstruction.1.weight=5",
        )
        assert [loss.arguments["weight"] for loss in both.losses["reconstruction"]] == [3, 5]

    def test_entries_by_number_in_a_file(self, write: Any) -> None:
        """YAML makes the number an int, `--set` a text."""
        (loss,) = config(file=write("losses: {reconstruction: {0: {weight: 10}}}")).losses[
            "reconstruction"
        ]
        assert (loss.name, loss.arguments) == ("l1", {"weight": 10})

    def test_an_entry_that_is_not_there(self) -> None:
        with pytest.raises(
            ConfigError,
            match=r"^losses\.reconstruction\.1: the list has only 1 entry, numbered from 0",
        ):
            config("losses.reconstruction.1.weight=10")


class TestNumbers:
    @pytest.mark.parametrize("text", ["1e-4", "'1e-4'", "0.0001", "1.0e-4"])
    def test_any_spelling(self, text: str, write: Any) -> None:
        assert config(f"optimizer.lr={text}").optimizer.lr == 1e-4
        assert config(file=write(f"optimizer: {{lr: {text}}}")).optimizer.lr == 1e-4
        found = config(f"losses.reconstruction.0.weight={text}")
        method_loss = found.losses["reconstruction"][0]
        assert RECONSTRUCTIONS.build(method_loss, "loss").weight == 1e-4

    def test_pyyaml_reads_it_as_text(self) -> None:
        assert yaml.safe_load("1e-4") == "1e-4"

    @pytest.mark.parametrize(
        ("text", "size"), [("64", (64, 64)), ("'64'", (64, 64)), ("[32, 64]", (32, 64))]
    )
    def test_sizes(self, text: str, size: tuple[int, int]) -> None:
        assert config(f"data.crop_size={text}").data.crop_size == size
        assert config("data.crop_size=auto").data.crop_size == "auto"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimiser.lr=1", "optimiser: unknown key (did you mean 'optimizer'?)"),
        ("data.batchsize=1", "data.batchsize: unknown key (did you mean 'batch_size'?)"),
        ("data.augment.colour=[]", "data.augment.colour: unknown key (did you mean 'color'?)"),
        ("xyzzy=1", "xyzzy: unknown key"),
        ("data.batch_size=two", "data.batch_size: Input should be a valid integer"),
        ("data.batch_size=-2", "data.batch_size: Input should be greater than 0 (given: -2)"),
        ("data.batch_size=0", "data.batch_size: Input should be greater than 0 (given: 0)"),
        ("data.crop_size=-5", "data.crop_size: a size is from 1 to 16384 pixels (given: -5)"),
        ("data.crop_size=[64, 0]", "data.crop_size: a size is from 1 to 16384 pixels"),
        ("data.crop_size=100000", "data.crop_size: a size is from 1 to 16384 pixels"),
        ("data.crop_size=big", "data.crop_size: Input should be a valid integer"),
        ("data.crop_size=[1, 2, 3]", "data.crop_size: "),
        ("data.resize=squash", "data.resize: Input should be 'stretch', 'fit' or 'none'"),
        ("data.direction=AB", "data.direction: Input should be 'AtoB' or 'BtoA'"),
        ("data.holdout=1.5", "data.holdout: "),
        ("optimizer.lr=fast", "optimizer.lr: Input should be a valid number"),
        ("optimizer.lr=-1", "optimizer.lr: Input should be greater than 0 (given: -1)"),
        ("optimizer.lr=.nan", "optimizer.lr: Input should be a finite number"),
        ("precision=fp8", "precision: Input should be 'auto', 'fp32', 'bf16' or 'fp16'"),
        ("seed=-1", "seed: Input should be greater than or equal to 0 (given: -1)"),
        ("generator=unet", "generator: write it as {name: unet}"),
        ("data=5", "data: Input should be a valid dictionary"),
        ("data.root_a=x", "data: two folders are needed: `data.root_b` is missing"),
        ("schedule.epochs=-1", "schedule.epochs: Input should be greater than or equal to 0"),
        ("ema.half_life=0", "ema.half_life: Input should be greater than 0"),
        ("losses.reconstruction.0=5", "losses.reconstruction.0: "),
        ("losses.reconstruction=[{weight: 10}]", "losses.reconstruction.0.name: missing"),
        ("data.augment.geometry=[{p: 1}]", "data.augment.geometry.0.name: missing"),
        (
            "generator.nfg=4",
            "generator.nfg: generator 'unet' has no such argument (did you mean 'ngf'?); it takes:",
        ),
        ("optimizer.beta=1", "optimizer.beta: optimizer 'adam' has no such argument (did you mean"),
        (
            "losses.reconstruction.0.wieght=1",
            "losses.reconstruction.0.wieght: reconstruction loss 'l1' has no such argument",
        ),
        (
            "critic.augment=[{name: diffaugment, strength: 1}]",
            "critic.augment.0.strength: augmentation 'diffaugment' has no such argument",
        ),
        ("seed", "seed: write it as key=value"),
        ("=5", "=5: write it as key=value"),
        ("seed=[1", "seed: not YAML"),
    ],
)
def test_what_is_wrong_is_said(assignment: str, message: str) -> None:
    """With the key first, what was expected, and what is near."""
    with pytest.raises(ConfigError) as caught:
        config(assignment)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config("seed=-1", "data.batch_size=0", "nonsense=1")
    lines = str(caught.value).splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        "data.batch_size",
        "nonsense",
        "seed",
    ]


@pytest.mark.parametrize(
    "pair",
    [
        ("steps", "minutes"),
        ("steps", "total_epochs"),
        ("total_epochs", "minutes"),
    ],
)
def test_one_length_only(pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=f"^schedule: {pair[0]} and {pair[1]} "):
        config(*(f"schedule.{name}=5" for name in pair))
    found = config(f"schedule.{pair[0]}=5", f"schedule.{pair[1]}=null")
    assert getattr(found.schedule, pair[0]) == 5


def test_a_schedule_has_a_length() -> None:
    with pytest.raises(ConfigError, match=r"^schedule: epochs and decay_epochs are both 0"):
        config("schedule.epochs=0", "schedule.decay_epochs=0")


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("- 1\n- 2", "expected keys and values, found list"),
            ("a: [1", "not YAML"),
            ("method: cyclegan", "is a configuration for 'cyclegan', not for 'pix2pix'"),
        ],
    )
    def test_what_cannot_be_read(self, text: str, message: str, write: Any) -> None:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            config(file=path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot read .*nothing\.yaml"):
            config(file=tmp_path / "nothing.yaml")

    def test_keys_that_are_no_text(self, write: Any) -> None:
        with pytest.raises(ConfigError):
            config(file=write("1: 2"))

    def test_unknown_method(self) -> None:
        with pytest.raises(ConfigError, match=r"^method: unknown method 'pix3pix'"):
            load_config("pix3pix")


class TestRoundTrip:
    @pytest.mark.parametrize(
        "assignments",
        [
            (),
            (
                "data.root=some/where",
                "data.crop_size=[64, 128]",
                "data.holdout=0.1",
                "generator.name=resnet",
                "generator.n_blocks=2",
                "optimizer.lr=1e-5",
                "schedule.minutes=2.5",
                "ema.half_life=100",
                "data.augment.color=[{name: RandomBrightnessContrast, p: 0.25}]",
            ),
        ],
    )
    def test_dump_and_load(self, assignments: tuple[str, ...], tmp_path: Path) -> None:
        found = config(*assignments)
        path = tmp_path / "config.yaml"
        path.write_text(dump(found), encoding="utf-8")
        assert load_config("pix2pix", saved=path) == found
        assert check(yaml.safe_load(dump(found))) == found

    def test_values_cannot_be_changed_behind_the_check(self) -> None:
        found = config()
        with pytest.raises(ValueError, match="frozen"):
            found.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_file_names_what_there_is(path: Path) -> None:
    method = yaml.safe_load(path.read_text(encoding="utf-8"))["method"]
    found = load_config(method, path)
    channels: Any = {"in_channels": 3, "out_channels": 3}
    with torch.device("meta"):
        GENERATORS.build(found.generator, "generator", **channels)
        DISCRIMINATORS.build(found.discriminator, "discriminator", in_channels=6)
    OBJECTIVES.build(found.objective, "objective")
    for loss in found.losses.get("reconstruction", []):
        RECONSTRUCTIONS.build(loss, "losses.reconstruction")
    OPTIMIZERS.arguments(found.optimizer, "optimizer")
    SCHEDULES.arguments(found.schedule, "schedule")
    assert check(yaml.safe_load(dump(found))) == found


def test_there_are_shipped_files() -> None:
    assert {"pix2pix", "demo"} <= {path.stem for path in CONFIGS}


class TestPresets:
    """An objective's name that stands for more than an objective."""

    def test_the_name_alone(self) -> None:
        found = config("objective.name=wgan-gp")
        assert (found.objective.name, found.objective.arguments) == ("wgan", {"clip": None})
        (penalty,) = found.regularizers
        assert (penalty.name, penalty.arguments) == ("gp", {"weight": 10})
        assert found.n_critic == 5
        assert config("objective={name: r3gan}").objective.name == "rpgan"
        assert [each.name for each in config("objective.name=r3gan").regularizers] == ["r1", "r2"]

    def test_is_shown_in_the_saved_configuration(self) -> None:
        saved = yaml.safe_load(dump(config("objective.name=wgan-gp")))
        assert saved["objective"] == {"name": "wgan", "clip": None}
        assert saved["regularizers"] == [{"name": "gp", "weight": 10}]
        assert saved["n_critic"] == 5

    def test_its_settings_can_be_set_otherwise(self, write: Any) -> None:
        """Beside the name, and by later sources."""
        found = config("objective.name=wgan-gp", "n_critic=2", "discriminator.norm=none")
        assert (found.n_critic, found.discriminator.arguments["norm"]) == (2, "none")
        found = config(
            "n_critic=2", "regularizers.0.weight=3", file=write("objective: {name: wgan-gp}")
        )
        assert (found.n_critic, found.regularizers[0].arguments) == (2, {"weight": 3})
        assert config("objective={name: wgan-gp, clip: 0.5}").objective.arguments == {"clip": 0.5}

    def test_over_a_whole_configuration(self, write: Any) -> None:
        """A run's own file says everything, and the name that comes after it still counts."""
        found = config(
            "objective.name=wgan-gp", file=write(dump(config("objective.smoothing=0.1")))
        )
        assert (found.objective.name, found.objective.arguments) == ("wgan", {"clip": None})
        assert ([each.name for each in found.regularizers], found.n_critic) == (["gp"], 5)
        assert found.discriminator.arguments["norm"] == "instance"

    @pytest.mark.parametrize("preset", presets())
    def test_a_chosen_normalisation_stays(self, preset: str, write: Any, tmp_path: Path) -> None:
        """But for BatchNorm, which is only kept where it is set as late as the name."""
        name = f"objective.name={preset}"
        for norm in ("none", "instance_affine"):
            chosen = write(f"discriminator: {{norm: {norm}}}")
            first = config(name, file=chosen)
            assert first.discriminator.arguments["norm"] == norm
            (tmp_path / "saved.yaml").write_text(dump(first))
            again = config(name, saved=tmp_path / "saved.yaml")
            assert again.discriminator.arguments["norm"] == norm
        batch = write("discriminator: {norm: batch}")
        assert config(name, file=batch).discriminator.arguments["norm"] != "batch"
        late = config(name, "discriminator.norm=batch")
        assert late.discriminator.arguments["norm"] == "batch"

    @pytest.mark.parametrize("name", ["multiscale", "pixel"])
    def test_suits_a_discriminator_that_is_named_later(self, name: str, write: Any) -> None:
        file = write("objective: {name: r3gan}\ndiscriminator: {name: patch, ndf: 8}")
        found = config(f"discriminator.name={name}", file=file).discriminator
        assert found.name == name
        assert (found.arguments["norm"], found.arguments["init"]) == ("none", "kaiming")

    @pytest.mark.parametrize("name", DISCRIMINATORS.names())
    @pytest.mark.parametrize("preset", presets())
    def test_suits_every_discriminator(self, preset: str, name: str, write: Any) -> None:
        """No BatchNorm, nothing that it does not take, and the same again where it is resumed."""
        given = [f"objective.name={preset}", f"discriminator.name={name}"]
        found = config(*given)
        section = found.discriminator
        assert DISCRIMINATORS.arguments(section, "discriminator").get("norm") != "batch"
        assert config(*given, saved=write(dump(found))) == found

    @pytest.mark.parametrize("section", ["patch", "null", "3", "[]"])
    def test_beside_a_mistake(self, section: str) -> None:
        with pytest.raises(ConfigError, match=r"^discriminator: "):
            config("objective.name=r3gan", f"discriminator={section}")

    def test_the_last_name_counts(self, write: Any) -> None:
        found = config("objective.name=lsgan", file=write("objective: {name: wgan-gp}"))
        assert (found.objective.name, found.regularizers, found.n_critic) == ("lsgan", [], 1)

    @pytest.mark.parametrize("name", presets())
    @pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
    def test_every_one_fits_every_method(self, method: str, name: str) -> None:
        check_parts(load_config(method, assignments=[f"objective.name={name}"]))


def test_a_key_below_one_that_may_be_null() -> None:
    with pytest.raises(ConfigError, match=r"^critic\.top_k\.share: .*\(given: 0\)"):
        config("critic.top_k.share=0")
    with pytest.raises(ConfigError, match=r"^critic\.top_k\.shar: .*did you mean 'share'"):
        config("critic.top_k.shar=0.2")


def test_a_preset_that_was_not_laid_out() -> None:
    tree = config().model_dump() | {"objective": {"name": "r3gan"}}
    with pytest.raises(
        ConfigError, match=r"objective\.name: 'r3gan' is a preset for several settings"
    ):
        check_parts(check(tree))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "losses.recon=[]",
            "losses.recon: pix2pix has no losses of this name (did you mean 'reconstruction'?);"
            " it takes losses.reconstruction",
        ),
        ("losses.cycle=[{name: l1}]", "losses.cycle: pix2pix has no losses of this name"),
        (
            "losses.reconstruction=[{name: l3}]",
            "losses.reconstruction.0.name: unknown reconstruction",
        ),
        ("settings.depth=3", "settings.depth: unknown key; this method has no settings"),
    ],
)
def test_keys_that_the_method_does_not_take(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_parts(config(assignment))
    assert str(caught.value).startswith(message)


def test_lists_of_other_methods_in_configurations_of_version_0_1() -> None:
    """They were written into all of them, empty."""
    check_parts(config("losses.cycle=[]", "losses.identity=[]"))


def test_a_name_near_a_preset() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'wgan-gp'.* r3gan, wgan-gp"):
        check_parts(config("objective.name=wgangp"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_data_that_a_shipped_configuration_names_ship_too(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whatever folder it is used."""
    monkeypatch.chdir(tmp_path)
    method = yaml.safe_load(path.read_text())["method"]
    data = load_config(method, Path(path.name)).data
    for folder in (data.root, data.root_a, data.root_b, data.holdout):
        assert not isinstance(folder, Path) or folder.is_dir()


@pytest.mark.parametrize(
    ("assignments", "key"),
    [
        (["data.rot=x"], "data.rot"),
        (["optimizer.lr=-1"], "optimizer.lr"),
        (["data.rot=x", "optimizer.lr=-1"], None),
        (["generator.ngff=8"], "generator.ngff"),
        (["generator.ngf=0"], "generator.ngf"),
        (["objective={name: hing}"], "objective.name"),
        (["losses.reconstruction=[{name: l2}]"], "losses.reconstruction.0.name"),
        (["settings.speed=3"], "settings.speed"),
    ],
)
def test_an_error_has_its_key(assignments: list[str], key: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        check_parts(load_config("pix2pix", assignments=assignments))
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key}: " if key else "data.rot: ")
