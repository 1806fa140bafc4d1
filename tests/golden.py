"""Hashes of what the program computes, to be compared between two versions on one machine.

    python tests/golden.py BEFORE.json      (in a checkout of the one)
    python tests/golden.py AFTER.json       (in a checkout of the other)
    diff BEFORE.json AFTER.json

Names of recipes after the file leave the others out.

Trains 20 float32 steps of each recipe on `datasets/`, once more in two halves, and translates
ten files with each model. The bits depend on the processor and on torch: values of two machines are
not compared, so none are kept here.
"""

import json
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

DATASETS = Path(__file__).parents[1] / "datasets"
_SMALL = {
    "generator.ngf": 8,
    "discriminator.ndf": 8,
    "data.workers": 0,
    "metrics.every": 10,
    "samples.every": 10,
    "device": "cpu",
    "precision": "fp32",
}
_ICONS = {"data.root": DATASETS / "icons", "data.load_size": 72, "data.crop_size": 64}
_EARTH = {
    "data.root_a": DATASETS / "earth/train/A/east",
    "data.root_b": DATASETS / "earth/train/B/west",
    "data.load_size": 72,
    "data.crop_size": 64,
}
# Method, settings, and the folder to translate.
RECIPES = {
    "pix2pix": ("pix2pix", _ICONS, "icons/test/A"),
    "cyclegan": ("cyclegan", _EARTH | {"image_pool": 4}, "earth/test/A"),
    "pix2pix-modern": ("pix2pix", _ICONS | {"config": "pix2pix-modern.yaml"}, "icons/test/A"),
    "cyclegan-modern": ("cyclegan", _EARTH | {"config": "cyclegan-modern.yaml"}, "earth/test/A"),
    "augmented": (
        "pix2pix",
        _ICONS
        | {
            "ema.half_life": 10,
            "data.batch_size": 2,
            "data.augment.geometry": "[{name: HorizontalFlip, p: 0.5}, {name: Rotate, limit: 10}]",
            "data.augment.color": "[{name: ColorJitter}]",
            "critic.augment": "[{name: diffaugment}]",
        },
        "icons/test/A",
    ),
}


def main(output: Path, recipes: list[str]) -> None:
    """Write the hashes."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in recipes or RECIPES:
            method, settings, folder = RECIPES[name]
            whole, halves = Path(scratch, name), Path(scratch, f"{name}-halves")
            _train(method, whole, settings, 20)
            _train(method, halves, settings, 20, "--stop-after", "0")
            _train(method, halves, settings, 20, "--resume")
            inputs = _some(DATASETS / folder, Path(scratch, f"{name}-inputs"))
            results = Path(scratch, f"{name}-results")
            model = ["--model", whole, "--input", inputs, "--output", results]
            exact = ["--precision", "fp32", "--backend", "eager"]
            more = [*exact, "--format", "png", "--scale", "native"]
            _run("translate", *model, *more, *_ways(method))
            found[name] = {
                "weights": _weights(whole),
                "resumed": _weights(halves),
                "translations": {p.name: _pixels(p) for p in sorted(results.glob("*.png"))},
            }
            print(name, flush=True)
    output.write_text(json.dumps(found, indent=1))


def _train(method: str, run: Path, settings: dict[str, object], steps: int, *more: str) -> None:
    sets = [
        word
        for key, value in (_SMALL | settings).items()
        if key != "config"
        for word in ("--set", f"{key}={value}")
    ]
    config = ["--config", settings["config"]] if "config" in settings else []
    resumed = "--resume" in more
    _run("train", method, "--output", run, *([] if resumed else [*config, *sets]), *more,
         *([] if resumed else ["--max-steps", steps]))  # fmt: skip


def _ways(method: str) -> list[str]:
    return ["--direction", "AtoB"] if method == "cyclegan" else []


def _run(*arguments: object) -> None:
    command = [sys.executable, "-m", "img2img", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 75):
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _some(folder: Path, inputs: Path) -> Path:
    inputs.mkdir()
    for path in sorted(p for p in folder.rglob("*") if p.is_file())[:10]:
        Image.open(path).convert("RGB").crop((0, 0, 97, 83)).save(inputs / f"{path.stem}.png")
    return inputs


def _weights(run: Path) -> dict[str, str]:
    with safe_open(run / "model.safetensors", "numpy") as file:
        return {key: _hash(file.get_tensor(key)) for key in sorted(file.keys())}


def _pixels(path: Path) -> str:
    with Image.open(path) as image:
        return _hash(np.asarray(image))


def _hash(array: np.ndarray) -> str:
    head = f"{array.dtype} {array.shape} ".encode()
    return sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
