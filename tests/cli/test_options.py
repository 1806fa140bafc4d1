"""Every command and option that `--help` documents, used once; and none that is not."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from PIL import Image

import img2img as package
from img2img import demo
from img2img.cli.app import app
from img2img.cli.catalogue import WHAT
from img2img.runtime.resources import bundled
from tests.models.compat.published import Unet
from tests.video.clips import make_clip

Command = Callable[..., Any]

# Command lines that end with status 0, and between them use every option there is. `$pairs`,
# `$run` and `$here` are a folder of pairs, a run folder and a folder with images in `in/`; `$tiny`
# are the flags for a tiny network. Each starts in the last of these folders.
LINES = [
    "--version",
    "-V",
    "-h",
    "--help",
    "--debug info $run",
    "train -h",
    "train --help",
    "train pix2pix --data $pairs --max-steps 2 $tiny",
    "train pix2pix --data-a $pairs/A --data-b $pairs/B --output here --max-epochs 1 $tiny",
    "train pix2pix --config $here/tiny.yaml --resume --max-steps 1 --stop-after 5",
    "train pix2pix --data $pairs -o short --max-minutes 0.01 --workers 0 $tiny",
    "train pix2pix --config $here/tiny.yaml --skip-bad --device cpu --precision fp32 --seed 7",
    "train pix2pix --data $pairs --max-steps 1 --direction BtoA --batch-size 2 $tiny",
    "train pix2pix --data $pairs --max-steps 1 --init-from $run --on-nonfinite skip $tiny",
    "train cyclegan --data $pairs --max-steps 1 $tiny $unet",
    "train cyclegan --data-a $pairs/A --data-b $pairs/B --max-steps 1 $tiny $unet",
    "train pix2pix --data $pairs --max-steps 1 --crop-size 16 --load-size 20 --set seed=7 $tiny",
    "train pix2pix --data $pairs --max-steps 1 --match case --unequal fit -v $tiny",
    "train pix2pix --data $pairs --max-steps 1 --pairs $here/pairs.csv --verbose $tiny",
    "train pix2pix --data $here/side --max-steps 1 --side-by-side $tiny",
    "translate -h",
    "translate --help",
    "translate --model $run --input $pairs/A --output out --device cpu --direction AtoB",
    "translate -m $run -i $pairs/A -o out --format png --skip-existing --json",
    "translate --model $run --input $pairs/A --output scaled --scale trained",
    "translate --model $run --input $pairs/A --output sized --resize 20x30 --max-side 25",
    "translate --model $run --input $pairs/A --output slow --precision fp32 --backend eager",
    "translate --model $run --input $pairs/A --output twice --devices cpu,cpu --batch 2",
    "translate --model $run --input $pairs/A --output cut --tile off --tile-norm local",
    "translate --model $run --input $pairs/A --output as --statistics running",
    "translate --model $run --input $pairs/A --output there --reference-exact",
    "translate --model $run --input $pairs/A --output bounded --max-memory 2GB",
    "evaluate -h",
    "evaluate --help",
    "evaluate $pairs/A $pairs/B --measures l1,psnr --features inception --weights $here --seed 7",
    "evaluate -m $run --data $pairs --direction AtoB --measures ssim --device cpu --json",
    "evaluate --model $run --data $pairs --measures l1 --scale trained",
    "evaluate $pairs/A $pairs/B --measures l1 --csv t.csv --fail-above l1=1 --fail-below l1=0",
    "evaluate $pairs/A $pairs/B --measures psnr --cache --input $pairs/A",
    "evaluate $pairs/A $pairs/B --measures psnr --no-cache",
    "evaluate $pairs/A $pairs/B --measures l1 --match case --unequal stretch --pages slices",
    "evaluate --model $run --data $pairs --measures l1 --pairs $here/pairs.csv",
    "evaluate --model $run --data $here/side --measures l1 --side-by-side",
    "evaluate --model $run --data-a $pairs/A --data-b $pairs/B --measures l1",
    "bench -h",
    "bench --help",
    "bench $run --input $pairs/A/0.png --batch 2 --direction AtoB --device cpu --backend eager",
    "bench $run -i $pairs/A/0.png --batch 1 --backend eager",
    "bench $run --size 16 --batch 1 --backend eager --wait 90 --json",
    "translate --model $run --input $pairs/A --output out --compare --gallery --quality 80",
    "translate --model $run --input $pairs/A --output shown --gallery --show 1,2,3",
    "translate --model $run --input $here/in --output inside --mask $here/mask.png --feather 2",
    "translate --model $run --input $here/in --output in --overwrite",
    "translate --model $run --input $here/clip.mp4 --output o.mp4 --start 0.04 --end 0:00.2",
    "translate --model $run --input $here/clip.mp4 --output o.mp4 --stabilize light --every 2",
    "translate --model $run --input $here/clip.mp4 --output o --container mkv --crf 30",
    "translate --model $run --input $here/clip.mp4 --output o.mp4 --codec h264 --preset fast",
    "translate --model $run --input $here/clip.mp4 --output o.mp4 --pixel-format yuv444p",
    "translate --model $run --input $here/clip.mp4 --output o --frames",
    "translate --model $run --input $here/in --output seq.mp4 --fps 10",
    "video -h",
    "video --help",
    "video assemble -h",
    "video assemble --help",
    "video assemble $here/in --output o.mp4 --fps 10 --codec h264 --crf 20 --preset fast",
    "video assemble $here/in --output o.mp4 --like $here/clip.mp4 --start 0 --end 9 --every 1",
    "video assemble $here/in --output o.mp4 --pixel-format yuv444p --range dtype",
    "video evaluate -h",
    "video evaluate --help",
    "video evaluate $here/clip.mp4 $here/clip.mp4 --reference $here/clip.mp4 --json",
    "info -h",
    "info --help",
    "info $run",
    "info $run --json",
    "import -h",
    "import --help",
    "import $here/unet.pth --output m.safetensors --direction BtoA --statistics running --dropout",
    "import $here/unet.pth --no-dropout --crop-size 128 --padding replicate --json",
    "import $here/unet.pth -o s.safetensors",
    "import $here/unet.pth --value-range 0,1 --output-function sigmoid --part net",
    "import $here/unet.pth --output n.safetensors --upsample nearest --norm instance",
    "export -h",
    "export --help",
    "export $run --format torch --output $here --images $pairs/A --tolerance 0.1 --json",
    "export $run --format torch -o y.pt2",
    "export $run --format torch --output x.pt2 --direction AtoB --pixels --half",
    "export $run --format onnx --output $here --size 32x32 --batch 1 --opset 18",
    "doctor -h",
    "doctor --help",
    "doctor $here/other",
    "doctor $here/other --json",
    "report -h",
    "report --help",
    "report $run --output report.html --examples 2 --device cpu --scale native --show 1,2,3",
    "compare -h",
    "compare --help",
    "compare $run $here/other --data $pairs --direction AtoB --measures l1 --scale native --json",
    "compare $run $here/other --data $pairs --output c.html --examples 2 --device cpu",
    "compare $run $here/other --data $pairs --measures l1 --features inception --weights $here",
    "compare $run $here/other --data $pairs --measures l1 --match case --unequal fit",
    "compare $run $here/other --data $pairs --measures l1 --pairs $here/pairs.csv",
    "compare $run $here/other --data $here/side --measures l1 --side-by-side",
    "compare $run $here/other --data-a $pairs/A --data-b $pairs/B --measures l1 --show 1,2,3",
    "list -h",
    "list --help",
    "list generators",
    "list generators --json",
    "data -h",
    "data --help",
    "data check -h",
    "data check --help",
    "data check --data $pairs",
    "data check --data-a $pairs/A --data-b $pairs/B --json",
    "data check --config $here/tiny.yaml --set data.holdout=none",
    "data check --unpaired --data $pairs",
    "data check --data $pairs --match number --unequal pad --write-pairs table.csv",
    "data check --data $pairs --pairs $here/pairs.csv --all",
    "data check --data $here/side --side-by-side",
    "data preview -h",
    "data preview --help",
    "data preview --data $pairs --output out.png --rows 2 --variants 3",
    "data preview --data $pairs --match suffix --unequal stretch",
    "data preview --data $pairs --pairs $here/pairs.csv",
    "data preview --data $here/side --side-by-side",
    "data preview --data-a $pairs/A --data-b $pairs/B",
    "data preview --config $here/tiny.yaml --set data.direction=BtoA",
    "data preview --unpaired --data $pairs",
    "demo -h",
    "demo --help",
    "demo --output out",
    "demo -o short",
]
# Tested apart, in a process of their own.
ELSEWHERE = {"img2img --install-completion", "img2img --show-completion"}
HELP = {"-h", "--help"}


@pytest.fixture
def here(tmp_path: Path, tiny_pairs: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, but for a configuration and `in/`; the demo is made tiny."""
    tree = f"""
        data: {{root: {tiny_pairs}, workers: 0}}
        device: cpu
        precision: fp32
        generator: {{ngf: 4, num_downs: 3}}
        discriminator: {{ndf: 4, n_layers: 1}}
    """
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text(f"{tree}\n        schedule: {{steps: 1}}\n")
    replaced = {"configs/demo.yaml": tiny, "datasets/earth": tiny_pairs}
    monkeypatch.setattr(demo, "bundled", lambda name: replaced.get(name) or bundled(name))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_pairs / "A", tmp_path / "in")
    names = sorted(path.name for path in (tiny_pairs / "A").iterdir())
    (tmp_path / "pairs.csv").write_text("".join(f"A/{name},B/{name}\n" for name in names))
    (tmp_path / "side").mkdir()
    for name in names:
        halves = [np.asarray(Image.open(tiny_pairs / domain / name)) for domain in "AB"]
        Image.fromarray(np.concatenate(halves, 1)).save(tmp_path / "side" / name)
    Image.new("L", Image.open(tiny_pairs / "A" / names[0]).size, 255).save(tmp_path / "mask.png")
    make_clip(tmp_path / "clip.mp4", times=range(6), size=(32, 32))
    shutil.copytree(tiny_run, tmp_path / "other")
    torch.save({"netG": Unet().state_dict()}, tmp_path / "unet.pth")
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_works(
    line: str, img2img: Command, tiny: list[str], tiny_pairs: Path, tiny_run: Path, here: Path
) -> None:
    values = {"pairs": tiny_pairs, "run": tiny_run, "here": here, "tiny": shlex.join(tiny)}
    values["unet"] = "--set generator.name=unet"
    for name, value in values.items():
        line = line.replace(f"${name}", str(value))
    outcome = img2img(*shlex.split(line))
    assert outcome.status == 0, outcome.err
    assert all(said.startswith("note: ") for said in outcome.err.splitlines())
    assert outcome.out
    if "--json" in line:
        json.loads(outcome.out)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command of the application with its full name."""
    yield " ".join(("img2img", *path)), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def test_no_option_is_left_out() -> None:
    used: set[str] = set()
    words = [["img2img", *shlex.split(line)] for line in LINES]
    tree = dict(commands(typer.main.get_command(app)))
    for line in words:
        name = ""
        for word in line:
            deeper = f"{name} {word}".strip()
            if deeper in tree:
                name = deeper
            used.add(name)
            if word.startswith("-"):
                used.add(f"{name} {word}")
    documented = set(ELSEWHERE)
    for name, command in tree.items():
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        documented |= {name} | {f"{name} {o}" for o in options | HELP if o.startswith("-")}
    assert documented - used - ELSEWHERE == set()
    assert {option for option in used if " -" in option} - documented == set()


@pytest.mark.parametrize("name", [name for name, _ in commands(typer.main.get_command(app))])
def test_help_says_what_each_option_is_for(name: str, img2img: Command) -> None:
    command = dict(commands(typer.main.get_command(app)))[name]
    text = img2img(*name.split()[1:], "--help").out
    assert "Usage: " + name in text
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
    if name != "img2img" and not hasattr(command, "commands"):
        first = command.help.split(".")[0].split()
        assert " ".join(first[:4]) in text


@pytest.mark.parametrize("what", WHAT)
def test_list(what: str, img2img: Command) -> None:
    entries = json.loads(img2img("list", what, "--json").out)
    assert entries
    assert all(entry["summary"] for entry in entries.values())
    table = img2img("list", what)
    assert table.status == 0
    assert all(name in table.out for name in entries)


def test_list_of_something_else(img2img: Command) -> None:
    outcome = img2img("list", "pictures")
    assert outcome.status == 2
    assert "generators" in outcome.err


def test_version(img2img: Command) -> None:
    assert img2img("--version").out == f"img2img {package.__version__}\n"


def test_without_arguments_the_help_is_shown(img2img: Command) -> None:
    outcome = img2img()
    assert outcome.status in {0, 2}
    assert "Usage: img2img" in outcome.out + outcome.err
    assert "img2img demo" in outcome.out + outcome.err


def test_info_as_json(img2img: Command, tiny_run: Path) -> None:
    found = json.loads(img2img("info", tiny_run, "--json").out)
    assert found["origin"] == f"img2img {package.__version__}"
    spec = found["generators"]["G"]
    assert (spec["architecture"], spec["steps"], spec["direction"]) == ("unet", 3, "AtoB")
    assert found == json.loads(img2img("info", tiny_run / "model.safetensors", "--json").out)


def test_debug_lets_the_error_through(img2img: Command, tmp_path: Path) -> None:
    with pytest.raises(package.Img2ImgError):
        img2img("--debug", "info", tmp_path / "missing")
    assert img2img("info", tmp_path / "missing").status == 2


def start(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", ["--help", "train --help", "data check --help", "--version", "list generators"]
)
def test_help_does_not_wait_for_large_packages(arguments: str) -> None:
    code = f"""
import sys
from img2img.cli.app import main
sys.argv = ["img2img", *{arguments.split()!r}]
try:
    main()
except SystemExit as end:
    assert not end.code
slow = {{"torch", "albumentations", "img2img.config", "numpy", "cv2", "PIL", "matplotlib"}}
sys.exit(", ".join(slow & set(sys.modules)) or 0)
"""
    done = start(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_module_is_the_command() -> None:
    done = start(sys.executable, "-m", "img2img", "--version")
    assert done.stdout == f"img2img {package.__version__}\n"
    wrong = start(sys.executable, "-m", "img2img", "info", "missing")
    assert wrong.returncode == 2
    assert wrong.stderr == "error: missing: no such file or folder\n"


def test_import_is_light_and_public_names_exist() -> None:
    code = "import img2img, sys; assert 'torch' not in sys.modules; print(*img2img.__all__)"
    done = start(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    for name in done.stdout.split():
        assert getattr(package, name) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
def test_completion(tmp_path: Path) -> None:
    line = f"{shlex.quote(sys.executable)} -m img2img --show-completion bash; exit $?"
    shown = start("bash", "-c", line)
    assert shown.returncode == 0, shown.stderr
    assert "complete " in shown.stdout
    install = line.replace("--show-completion", "--install-completion")
    installed = start("bash", "-c", install, HOME=str(tmp_path))
    assert installed.returncode == 0, installed.stderr
    assert ".bash" in "".join(path.name for path in tmp_path.iterdir())
    asked = start(
        sys.executable,
        "-m",
        "img2img",
        _IMG2IMG_COMPLETE="complete_bash",
        COMP_WORDS="img2img tr",
        COMP_CWORD="1",
    )
    assert re.findall(r"\w+", asked.stdout) == ["train", "translate"]
