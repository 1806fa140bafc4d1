"""Checkpoints of the other implementation in use: translated with, trained from, written back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.engine.translator import Translator
from img2img.images import read_picture
from img2img.models.checkpoint import load_model, write_model
from img2img.models.compat.collection import import_files
from tests.conftest import noise
from tests.models.compat.published import Patch, Resnet, Unet, in_tests, instance, trained

Command = Callable[..., Any]

CYCLEGAN = "--set generator.name=resnet --set generator.ngf=6 --set generator.n_blocks=2"


def cyclegan(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate("AB"):
        torch.save(trained(Resnet(), seed).state_dict(), folder / f"latest_net_G_{name}.pth")
        judge = trained(Patch(norm=instance), seed + 2)
        torch.save(judge.state_dict(), folder / f"latest_net_D_{name}.pth")
    return folder


@pytest.mark.parametrize("kind", [Unet, Resnet])
def test_translate_as_the_reference_does(
    tmp_path: Path, img2img: Command, kind: type[torch.nn.Module]
) -> None:
    network = trained(kind())
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    pixels = noise(64, 96)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    model = tmp_path / "latest_net_G.pth"
    line = ["--input", tmp_path / "in.png", "--output", tmp_path / "out.png", "--precision", "fp32"]
    assert img2img("translate", "--model", model, *line).status == 0
    x = torch.from_numpy(pixels).permute(2, 0, 1).float()[None] / 127.5 - 1
    wanted = (in_tests(network)(x)[0].permute(1, 2, 0) + 1) * 127.5
    got = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    assert np.abs(got - wanted.numpy()).max() < 0.51  # rounded to the nearest


def test_a_folder_goes_both_ways(tmp_path: Path) -> None:
    folder = cyclegan(tmp_path / "set")
    x = 2 * torch.rand(3, 32, 32) - 1
    results = []
    for name, direction in (("A", "AtoB"), ("B", "BtoA")):
        translator = Translator.load(folder, direction=direction, precision="fp32")
        network = trained(Resnet(), "AB".index(name))
        wanted = in_tests(network)(x[None])[0]
        results.append(translator.translate(x))
        torch.testing.assert_close(results[-1], wanted, atol=1e-5, rtol=0)
    assert not torch.equal(*results)


def test_info(tmp_path: Path, img2img: Command) -> None:
    outcome = img2img("info", cyclegan(tmp_path / "set"))
    assert outcome.status == 0, outcome.err
    assert "another program" in outcome.out
    assert "G_BA" in outcome.out


@pytest.mark.parametrize("imported", [False, True])
def test_training_starts_from_a_set(
    tmp_path: Path, img2img: Command, tiny_pairs: Path, imported: bool
) -> None:
    """All four networks, those that judge under our names."""
    source = cyclegan(tmp_path / "set")
    wanted = import_files([source]).model.tensors
    if imported:
        write_model(tmp_path / "set.safetensors", import_files([source]).model)
        source = tmp_path / "set.safetensors"
    words = f"--max-steps 1 --precision fp32 {CYCLEGAN} --set discriminator.ndf=4".split()
    words += ["--crop-size", "32", "--workers", "0", "--set", "optimizer.lr=1e-12"]
    run = tmp_path / "run"
    data = ["--data", tiny_pairs, "--output", run]
    outcome = img2img("train", "cyclegan", *data, "--init-from", source, *words)
    assert outcome.status == 0, outcome.err
    told = " ".join((outcome.out + outcome.err).split())
    for name in ("G_AB", "G_BA", "D_A", "D_B"):
        assert f"{name} starts from {name}" in told
    assert "do not match" not in told
    tensors = load_model(run).tensors
    for name in ("G_AB", "G_BA"):
        for key, tensor in tensors[name].items():
            torch.testing.assert_close(tensor, wanted[name][key], atol=1e-6, rtol=0)


def test_another_architecture_says_what_to_set(
    tmp_path: Path, img2img: Command, tiny_pairs: Path
) -> None:
    torch.save(Unet().state_dict(), tmp_path / "latest_net_G.pth")
    data = ["--data", tiny_pairs, "--output", tmp_path / "run", "--crop-size", 32]
    source = ["--init-from", tmp_path / "latest_net_G.pth"]
    small = ["--set", "generator.name=resnet", "--set", "generator.ngf=2", "--max-steps", "1"]
    outcome = img2img("train", "pix2pix", *data, *source, *small)
    assert outcome.status == 2
    line = outcome.err.partition("its layers need ")[2]
    assert "--set generator.name=unet" in line
    settings = line.split()
    outcome = img2img("train", "pix2pix", *data, *source, "--max-steps", 1, *settings)
    assert outcome.status == 0, outcome.err


class TestWhereItIsWritten:
    def test_named_as_the_input(
        self, tmp_path: Path, img2img: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folder = cyclegan(tmp_path / "zebras")
        assert img2img("import", folder).status == 0
        assert load_model(tmp_path / "zebras.safetensors").specs.keys() == {"G_AB", "G_BA"}
        outcome = img2img("import", folder)
        assert outcome.status == 2
        assert "--output" in outcome.err

    def test_never_over_an_input(self, tmp_path: Path, img2img: Command) -> None:
        folder = cyclegan(tmp_path / "set")
        target = folder / "latest_net_D_A.pth"
        before = target.read_bytes()
        for given in (folder, *sorted(folder.iterdir())):
            line = ["import", given, folder / "latest_net_D_A.pth", "--output", target]
            assert img2img(*line).status == 2
        assert target.read_bytes() == before

    def test_not_over_a_pipe(self, tmp_path: Path, img2img: Command) -> None:
        os.mkfifo(tmp_path / "pipe")
        folder = cyclegan(tmp_path / "set")
        outcome = img2img("import", folder, "--output", tmp_path / "pipe")
        assert outcome.status == 2
        assert (tmp_path / "pipe").is_fifo()


class TestWrittenBack:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_in_the_type_it_has(self, tmp_path: Path, img2img: Command, dtype: torch.dtype) -> None:
        state = {key: tensor.to(dtype) for key, tensor in trained(Unet()).state_dict().items()}
        torch.save(state, tmp_path / "latest_net_G.pth")
        line = ["export", tmp_path, "--format", "reference", "--output", tmp_path / "x.pth"]
        assert img2img(*line).status == 0
        back = torch.load(tmp_path / "x.pth", weights_only=True)
        assert back.keys() == state.keys()
        assert all(torch.equal(back[k], v) and back[k].dtype == v.dtype for k, v in state.items())

    def test_a_file_of_another_name_is_no_folder(
        self, tmp_path: Path, img2img: Command, tiny_run: Path
    ) -> None:
        line = ["export", tiny_run, "--format", "reference", "--output", tmp_path / "x.pt"]
        assert img2img(*line).status == 2
        assert not (tmp_path / "x.pt").exists()

    def test_set(self, tmp_path: Path, img2img: Command) -> None:
        folder = cyclegan(tmp_path / "set")
        model = tmp_path / "m.safetensors"
        assert img2img("import", folder, "--output", model).status == 0
        back = tmp_path / "back"
        assert img2img("export", model, "--format", "reference", "--output", back).status == 0
        names = {path.name for path in folder.iterdir()}
        assert {path.name for path in back.glob("*.pth")} == names
        for name in names:
            old, new = (torch.load(place / name, weights_only=True) for place in (folder, back))
            assert old.keys() == new.keys()
            assert all(torch.equal(old[key], new[key]) for key in old)

    def test_of_our_own_training(self, tmp_path: Path, img2img: Command, tiny_run: Path) -> None:
        target = tmp_path / "latest_net_G.pth"
        line = ["export", tiny_run, "--format", "reference", "--output", target]
        assert img2img(*line).status == 0
        ours = load_model(tiny_run).generator("G")
        theirs = load_model(target).generator("G")
        assert all(
            torch.equal(tensor, theirs.state_dict()[key])
            for key, tensor in ours.state_dict().items()
        )

    def test_one_direction(self, tmp_path: Path, img2img: Command) -> None:
        folder = cyclegan(tmp_path / "set")
        line = ["export", folder, "--format", "reference", "--output", tmp_path / "x.pth"]
        outcome = img2img(*line)
        assert outcome.status == 2
        assert "G_AB" in outcome.err
        assert img2img(*line, "--direction", "BtoA").status == 0
        old = torch.load(folder / "latest_net_G_B.pth", weights_only=True)
        new = torch.load(tmp_path / "x.pth", weights_only=True)
        assert all(torch.equal(old[key], new[key]) for key in old)

    def test_what_only_forks_have_is_told(self, tmp_path: Path, img2img: Command) -> None:
        torch.save(Resnet(up="nearest").state_dict(), tmp_path / "latest_net_G.pth")
        model = tmp_path / "m.safetensors"
        img2img("import", tmp_path, "--output", model, "--upsample", "nearest")
        outcome = img2img("export", model, "--format", "reference", "--output", tmp_path / "x.pth")
        assert outcome.status == 0
        assert "upsample nearest" in outcome.err

    def test_no_other_options(self, tmp_path: Path, img2img: Command, tiny_run: Path) -> None:
        outcome = img2img("export", tiny_run, "--format", "reference", "--half")
        assert outcome.status == 2
        assert not list(tiny_run.parent.glob("*-reference"))


class TestAsTheReferenceTests:
    """`translate --reference-exact` beside torch's layers, run as `test.py` runs them."""

    def unet(self, folder: Path) -> Path:
        network = trained(Unet(depth=6))
        torch.save(network.state_dict(), folder / "latest_net_G.pth")
        Image.fromarray(noise(64, 64)).save(folder / "in.png")
        return folder / "latest_net_G.pth"

    def wanted(self, *, evaluated: bool) -> np.ndarray:
        x = torch.from_numpy(noise(64, 64)).permute(2, 0, 1).float()[None] / 127.5 - 1
        y = in_tests(trained(Unet(depth=6)), evaluated=evaluated)(x)[0].permute(1, 2, 0)
        return ((y.numpy() + 1) / 2 * 255).astype(np.uint8)  # rounded down

    @pytest.mark.parametrize("statistics", ["image", "running"])
    @pytest.mark.parametrize("imported", [False, True])
    def test_without_dropout(
        self, tmp_path: Path, img2img: Command, imported: bool, statistics: str
    ) -> None:
        model = self.unet(tmp_path)
        if imported:
            line = ["import", model, "--no-dropout", "--output", tmp_path / "m.safetensors"]
            assert img2img(*line).status == 0
            model = tmp_path / "m.safetensors"
        line = ["translate", "--model", model, "--input", tmp_path / "in.png", "--reference-exact"]
        line += ["--output", tmp_path / "out.png", "--statistics", statistics]
        outcome = img2img(*line)
        assert outcome.status == 0, outcome.err
        got = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
        wanted = self.wanted(evaluated=statistics == "running")
        assert np.abs(got - wanted).max() <= 1
        assert (got != wanted).mean() < 0.01

    def test_with_dropout_where_import_was_told(self, tmp_path: Path, img2img: Command) -> None:
        line = ["import", self.unet(tmp_path), "--dropout", "--output", tmp_path / "m.safetensors"]
        assert img2img(*line).status == 0
        pixels = read_picture(tmp_path / "in.png")
        exact = Translator.load(tmp_path / "m.safetensors", reference_exact=True)
        one, other = (exact.translate(pixels).pixels for _ in range(2))
        assert not np.array_equal(one, other)
        # As by `--eval`, which takes dropout off.
        running = Translator.load(
            tmp_path / "m.safetensors", reference_exact=True, statistics="running"
        )
        one, other = (running.translate(pixels).pixels for _ in range(2))
        assert np.array_equal(one, other)
        assert np.abs(one.astype(int) - self.wanted(evaluated=True)).max() <= 1
