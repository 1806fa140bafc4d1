"""Files of other programs: several networks, wrappers, names, and what is none of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from img2img.errors import ModelFileError
from img2img.models.checkpoint import load_model, write_model
from img2img.models.compat.collection import ImportOptions, import_files
from tests.models.compat.published import Patch, Pixel, Resnet, Unet, instance, trained

State = dict[str, Tensor]


def prefixed(prefix: str, network: nn.Module) -> State:
    return {f"{prefix}{key}": tensor for key, tensor in network.state_dict().items()}


def saved(path: Path, content: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    torch.save(content, path)
    return path


def weights(state: State) -> Tensor:
    return state["model.4.weight"]


@pytest.fixture
def generator() -> nn.Module:
    return trained(Resnet())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda g: g.state_dict(),
        lambda g: prefixed("module.", g),
        lambda g: prefixed("_orig_mod.", g),
        lambda g: {"state_dict": g.state_dict(), "epoch": 3},
        lambda g: {"model": {"netG": g.state_dict()}, "optimizer": {"state": {0: torch.zeros(2)}}},
        lambda g: {"state_dict": prefixed("module.netG.", g)},
        lambda g: {"state_dict": prefixed("generator.", g) | prefixed("discriminator.", Patch())},
        lambda g: g.model.state_dict(),  # of the chain itself: `1.weight`, ...
        lambda g: {"params": trained(Resnet(), 1).state_dict(), "params_ema": g.state_dict()},
        lambda g: {key: tensor.half() for key, tensor in g.state_dict().items()},
        lambda g: {"n_averaged": torch.tensor(3)} | prefixed("module.", g),
        lambda g: {k.replace("conv_block", "block"): v for k, v in g.state_dict().items()},
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_wrappers(tmp_path: Path, generator: nn.Module, wrap: Any, legacy: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(wrap(generator), path, _use_new_zipfile_serialization=not legacy)
    model = load_model(path)
    found = weights(model.tensors["G"])
    torch.testing.assert_close(found.float(), weights(generator.state_dict()), atol=2e-3, rtol=0)
    model.generator("G")


def test_safetensors_of_others(tmp_path: Path, generator: nn.Module) -> None:
    save_file(generator.state_dict(), tmp_path / "net.safetensors", metadata={"format": "pt"})
    model = load_model(tmp_path / "net.safetensors")
    assert torch.equal(weights(model.tensors["G"]), weights(generator.state_dict()))


class TestCycleGan:
    """`G_A` there is the way from A to B; `D_A` there judges B."""

    def files(self, folder: Path, epoch: str, seed: int = 0) -> dict[str, nn.Module]:
        networks = {
            "G_A": trained(Resnet(), seed),
            "G_B": trained(Resnet(), seed + 1),
            "D_A": trained(Patch(norm=instance), seed + 2),
            "D_B": trained(Patch(norm=instance), seed + 3),
        }
        for name, network in networks.items():
            saved(folder / f"{epoch}_net_{name}.pth", network.state_dict())
        return networks

    def test_set(self, tmp_path: Path) -> None:
        theirs = self.files(tmp_path / "set", "latest")
        paths = sorted((tmp_path / "set").iterdir())
        for given in ([tmp_path / "set"], paths, paths[::-1]):
            model = import_files(given).model
            assert {name: spec.direction for name, spec in model.specs.items()} == {
                "G_AB": "AtoB",
                "G_BA": "BtoA",
            }
            assert model.discriminators.keys() == {"D_A", "D_B"}
            ours = {"G_AB": "G_A", "G_BA": "G_B", "D_B": "D_A", "D_A": "D_B"}
            for name, other in ours.items():
                for key, tensor in theirs[other].state_dict().items():
                    assert torch.equal(model.tensors[name][key], tensor)

    def test_in_our_file(self, tmp_path: Path) -> None:
        self.files(tmp_path / "set", "latest")
        model = import_files([tmp_path / "set"]).model
        write_model(tmp_path / "m.safetensors", model)
        read = load_model(tmp_path / "m.safetensors")
        assert (read.specs, read.discriminators) == (model.specs, model.discriminators)
        for name, state in model.tensors.items():
            assert all(torch.equal(read.tensors[name][key], state[key]) for key in state)

    def test_newest_epoch_of_a_folder(self, tmp_path: Path) -> None:
        self.files(tmp_path / "set", "5", seed=10)
        ten = self.files(tmp_path / "set", "10", seed=20)
        saved(tmp_path / "set" / "15_net_D_A.pth", ten["D_A"].state_dict())  # half a save
        found = load_model(tmp_path / "set").tensors["G_AB"]
        assert torch.equal(weights(found), weights(ten["G_A"].state_dict()))
        latest = self.files(tmp_path / "set", "latest", seed=30)
        found = load_model(tmp_path / "set").tensors["G_AB"]
        assert torch.equal(weights(found), weights(latest["G_A"].state_dict()))

    @pytest.mark.parametrize(
        ("names", "others"),
        [
            (("netG_A2B", "netG_B2A"), ("netD_A", "netD_B", "optimizer_G")),
            (("G_AB", "G_BA"), ("D_A", "D_B", "G_AB_optim")),
            (("genA2B", "genB2A"), ("disA", "disB")),
            (("G_A2B_latest", "G_B2A_latest"), ("G_A2B_5", "G_B2A_5")),
            (("net_G_A_10", "net_G_B_10"), ("net_G_A_9", "net_G_B_9", "net_D_A_11")),
            (("G_AB_epoch_100", "G_BA_epoch_100"), ("G_AB_epoch_20", "G_BA_epoch_20")),
            (("generator_A2B", "generator_B2A"), ("generator_A2B_best", "generator_B2A_best")),
            (("G_XtoY", "G_YtoX"), ("iter_9_G_XtoY", "iter_9_G_YtoX", "D_X", "D_Y")),
        ],
    )
    def test_names_in_a_folder(
        self, tmp_path: Path, names: tuple[str, str], others: tuple[str, ...]
    ) -> None:
        """The newest two, by whatever they are called; what judges may be of any kind."""
        folder = tmp_path / "set"
        for seed, name in enumerate(names):
            saved(folder / f"{name}.pth", trained(Resnet(), seed).state_dict())
        for name in others:
            content = (
                {"strange.weight": torch.zeros(3, 3)} if "G" not in name else Unet().state_dict()
            )
            saved(folder / f"{name}.pth", content)
        model = import_files([folder]).model
        assert model.specs.keys() == {"G_AB", "G_BA"}
        for seed, name in enumerate(("G_AB", "G_BA")):
            assert torch.equal(
                weights(model.tensors[name]), weights(trained(Resnet(), seed).state_dict())
            )
        assert load_model(folder).specs.keys() == {"G_AB", "G_BA"}

    def test_named_by_domains(self, tmp_path: Path) -> None:
        """Who calls the generators A2B and B2A calls what judges A `D_A`."""
        judges = {name: trained(Patch(norm=instance), seed) for seed, name in enumerate("AB")}
        for way in ("A2B", "B2A"):
            saved(tmp_path / "x" / f"netG_{way}.pth", Resnet().state_dict())
        for name, judge in judges.items():
            saved(tmp_path / "x" / f"netD_{name}.pth", judge.state_dict())
        model = import_files(sorted((tmp_path / "x").iterdir())).model
        assert model.specs.keys() == {"G_AB", "G_BA"}
        for name, judge in judges.items():
            wanted = judge.state_dict()["model.0.weight"]
            assert torch.equal(model.tensors[f"D_{name}"]["model.0.weight"], wanted)

    def test_one_way_alone(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "latest_net_G_B.pth", Resnet().state_dict())
        assert import_files([path]).model.specs["G_BA"].direction == "BtoA"
        asked = import_files([path], ImportOptions(direction="AtoB")).model
        assert asked.specs["G"].direction == "AtoB"

    def test_direction_is_for_one(self, tmp_path: Path) -> None:
        self.files(tmp_path / "set", "latest")
        with pytest.raises(ModelFileError, match="single generator"):
            import_files([tmp_path / "set"], ImportOptions(direction="AtoB"))


def test_several_alike_want_a_choice(tmp_path: Path) -> None:
    one, other = trained(Resnet(), 1), trained(Resnet(), 2)
    content = {"first": one.state_dict(), "second": other.state_dict()}
    path = saved(tmp_path / "two.pth", content)
    with pytest.raises(ModelFileError, match=r"first and .*second.*`part`"):
        import_files([path])
    model = import_files([path], ImportOptions(part="second")).model
    assert torch.equal(weights(model.tensors["G"]), weights(other.state_dict()))
    with pytest.raises(
        ModelFileError, match="no network's name begins with third; there are: first, sec"
    ):
        import_files([path], ImportOptions(part="third"))


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    content = {"netG": Unet().state_dict(), "vgg": {"features.0.weight": torch.zeros(4, 3, 3, 3)}}
    imported = import_files([saved(tmp_path / "x.pth", content)])
    assert imported.model.specs.keys() == {"G"}
    assert "vgg" in imported.notes[0]
    flat = prefixed("netG.", Unet()) | {"netF.mlp_0.0.weight": torch.zeros(4, 3)}
    imported = import_files([saved(tmp_path / "y.pth", flat)])
    assert "netF" in imported.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"conv1.weight": torch.zeros(8, 3, 7, 7), "fc.bias": torch.zeros(9)}, ["conv1.weight"]),
        (
            {f"model.diffusion_model.input_blocks.{n}.0.weight": torch.zeros(1) for n in range(9)},
            ["model.diffusion_model.input_blocks.0.0.weight", "(9)", "unet_256"],
        ),
        ({"epoch": 3, "lr": 0.1}, ["no tensors"]),
        (Patch().state_dict(), ["discriminator", "no generator"]),
        (Pixel().state_dict(), ["discriminator", "no generator"]),
        (
            Resnet().state_dict() | {"model.4.weight": torch.zeros(12, 5, 3, 3)},
            ["model.4.weight has shape [12, 5, 3, 3] instead of [12, 6, 3, 3]"],
        ),
        (
            Unet().state_dict() | {"model.model.1.model.9.weight": torch.zeros(2)},
            ["model.model.1.model.9.weight", "not part of it"],
        ),
        (
            {k: v for k, v in Unet().state_dict().items() if "1.model.2" not in k},
            ["model.model.1.model.2.weight", "missing"],
        ),
    ],
)
def test_what_is_not_understood(tmp_path: Path, content: Any, words: list[str]) -> None:
    path = saved(tmp_path / "x.pth", content)
    with pytest.raises(ModelFileError) as caught:
        import_files([path])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_discriminator_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    judge = Patch().state_dict() | {"model.99.weight": torch.zeros(1)}
    path = saved(tmp_path / "x.pth", {"netG": Resnet().state_dict(), "netD": judge})
    imported = import_files([path])
    assert imported.model.specs.keys() == {"G"}
    assert not imported.model.discriminators
    assert "netD: like patch, but model.99.weight" in imported.notes[0]
    broken = Resnet().state_dict() | {"model.4.weight": torch.zeros(1, 1, 3, 3)}
    path = saved(tmp_path / "y.pth", {"good": Resnet().state_dict(), "bad": broken})
    with pytest.raises(ModelFileError, match="bad: like resnet"):
        import_files([path])
    assert import_files([path], ImportOptions(part="good")).model.specs.keys() == {"G"}


@pytest.mark.parametrize("names", [("A_to_B", "B_to_A"), ("X2Y", "Y2X"), ("XtoY", "YtoX")])
def test_other_names_for_two_ways(tmp_path: Path, names: tuple[str, str]) -> None:
    content = {f"G_{name}": trained(Resnet(), n).state_dict() for n, name in enumerate(names)}
    content["D_A"] = trained(Patch(), 5).state_dict()
    model = import_files([saved(tmp_path / "x.pth", content)]).model
    first = content[f"G_{names[0]}"]["model.4.weight"]
    assert torch.equal(model.tensors["G_AB"]["model.4.weight"], first)
    assert model.discriminators.keys() == {"D_A"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Resnet(into=65).state_dict(), "channels"),
        (Resnet().state_dict() | {"model.4.bias": torch.full((12,), torch.nan)}, "finite"),
        ({k: v.to(torch.complex64) for k, v in Resnet().state_dict().items()}, "complex64"),
        ({k: v.to(torch.int8) for k, v in Resnet().state_dict().items()}, "int8"),
    ],
)
def test_numbers_that_no_network_has(tmp_path: Path, content: Any, words: str) -> None:
    path = saved(tmp_path / "x.pth", content)
    with pytest.raises(ModelFileError) as caught:
        import_files([path])
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_a_model_of_ours_is_none_of_others(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", Resnet().state_dict())
    write_model(tmp_path / "m.safetensors", import_files([path]).model)
    with pytest.raises(ModelFileError, match="already a model of img2img"):
        import_files([tmp_path / "m.safetensors"])


def test_the_closest_layout_is_named(tmp_path: Path) -> None:
    """A ResNet whose blocks are called otherwise."""
    state = {
        k.replace("conv_block", "blocks"): v for k, v in Resnet(n_blocks=9).state_dict().items()
    }
    with pytest.raises(
        ModelFileError, match=r"model\.10\.blocks.*not in resnet_9blocks, the closest"
    ):
        import_files([saved(tmp_path / "x.pth", state)])
