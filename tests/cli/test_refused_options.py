"""Options that are wrong, or do not go together: one line that names them, and nothing written."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.video.clips import make_clip

Command = Callable[..., Any]

# What is wrong, and what the line says. `$run`, `$pairs` and `$here` are a run, a folder of pairs,
# and a folder that holds `in/` with six pictures, `clip.mp4`, `moving.gif` and `both/`, a
# picture and a video, and `nothing/`.
REFUSED = {
    "translate -m $run -i $pairs/A -o out --tile 1.5": "--tile: '1.5' is not auto, off or",
    "translate -m $run -i $pairs/A -o out --device cpu --devices cpu,cpu": "--device and --devices",
    "translate -m $run -i $here/clip.mp4 -o x.gif --container mkv": (
        "--container mkv is for videos, but --output is x.gif"
    ),
    "translate -m $run -i $here/in -o x.gif --container mkv": "but --output is x.gif",
    "translate -m $run -i $here/in -o x.mp4 --fps 0": "--fps: '0' is not a frame rate",
    "translate -m $run -i $here/both -o x.mp4": "is a single file, but",
    "translate -m $run -i $here/in -o $here/clip.mp4/x": "clip.mp4",
    "translate -m $run -i $here/in -o $here/text": "is a file, but the results of",
    "translate -m $run -i $here/in/0.png -o x.mp4": "0.png is a single picture; a video needs",
    "translate -m $run -i $here/in -o out --direction BtoA": "translates AtoB, not BtoA",
    "export $run --format reference --direction BtoA": "does not translate BtoA",
    "compare $run $run --data $pairs --output $here": "is a folder; give the name of a file",
    "video assemble $here/in --output x.mp4 --fps 24 --like $here/clip.mp4": "--fps cannot be used",
    "video assemble $here/in --output x.mp4 --start 1": "can only be used with --like",
    "video assemble $here/in --output x.mp4 --fps 2000": "--fps: '2000' is not a frame rate",
    "video assemble $here/nothing --output x.mp4": "no images",
    "train pix2pix --data $pairs --data-a $pairs/A --data-b $pairs/B": "set either --data, or",
    "train pix2pix --data $pairs --set data.A.channels=[R,R]": "or a list of different names",
    "train pix2pix --data $pairs --set data.A.channels=4": "4, but the files have 3 channels",
    "train pix2pix --data $pairs --set data.A.range=[[0,9],[0,9]]": "2 ranges, but 3 channels",
    "train pix2pix --data $pairs --set data.A.range=[300,400]": "outside the range of uint8 files",
    "train pix2pix --data $pairs"
    " --set 'data.augment.color=[{name: ToGray, num_output_channels: 1}]'": "ToGray changes",
    "train pix2pix --config $here": "cannot read",
    "import $here/in -o m.safetensors": "no checkpoints like latest_net_G.pth",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: Path) -> Path:
    folder = tmp_path_factory.mktemp("here")
    shutil.copytree(tiny_pairs / "A", folder / "in")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    make_clip(folder / "clip.mp4", times=range(2), size=(32, 32))
    for name in ("both", "nothing"):
        (folder / name).mkdir()
    for path in (folder / "clip.mp4", folder / "in" / "0.png"):
        shutil.copy(path, folder / "both")
    (folder / "text").write_text("no folder")
    return folder


@pytest.mark.parametrize(("line", "words"), REFUSED.items())
def test_refused(
    line: str,
    words: str,
    img2img: Command,
    tiny: list[str],
    tiny_pairs: Path,
    tiny_run: Path,
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"pairs": tiny_pairs, "run": tiny_run, "here": here}.items():
        line = line.replace(f"${name}", str(value))
    words_given = shlex.split(line)
    if words_given[0] == "train":
        words_given[2:2] = tiny
    outcome = img2img(*words_given)
    assert outcome.status != 0, outcome.out
    said = outcome.err.splitlines()
    assert sum(each.startswith("error: ") for each in said) == 1, outcome.err
    assert words in outcome.err
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".mp4", ".gif", ".mkv"}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU")
def test_all_gpus_of_a_machine_without_any(
    img2img: Command, tiny_pairs: Path, tiny_run: Path, tmp_path: Path
) -> None:
    given = ["--input", tiny_pairs / "A", "--output", tmp_path / "out", "--devices", "all"]
    outcome = img2img("translate", "--model", tiny_run, *given)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "this machine has none" in outcome.err
