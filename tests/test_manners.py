"""Importing or calling the library changes nothing that is the whole process's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Run in a process of its own. What is known of it before is compared with what is known after.
LOOK = r"""
import ctypes, hashlib, logging, os, signal, sys, threading, warnings
import cv2, numpy, torch
# What other packages change when they are imported is theirs.
import matplotlib, scipy.special, sympy, torch.utils.tensorboard, onnxscript
from PIL import Image, ImageFile

def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask

def libtiff():
    core = ctypes.CDLL(Image.core.__file__)
    for setter in (core.TIFFSetErrorHandler, core.TIFFSetWarningHandler):
        setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        handler = setter(None)
        setter(handler)
        yield handler

def look():
    states = [torch.get_rng_state().numpy().tobytes(), repr(numpy.random.get_state()).encode()]
    return {
        "umask": umask(),
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "threads of OpenCV": cv2.getNumThreads(),
        "TF32": (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
        "precision of products": torch.get_float32_matmul_precision(),
        "cuDNN": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "random numbers": [hashlib.sha256(state).hexdigest() for state in states],
        "hooks": (threading.excepthook, sys.excepthook, warnings.showwarning),
        "pixels of Pillow": Image.MAX_IMAGE_PIXELS,
        "truncated files": ImageFile.LOAD_TRUNCATED_IMAGES,
        "HEIC in Pillow": "HEIF" in Image.OPEN,
        "libtiff": [*libtiff()],
        "filters of warnings": [*warnings.filters],
        "levels": {n: logging.getLogger(n).level for n in ("", "PIL", "torch", "torch.onnx")},
        "handlers": {n: [*logging.getLogger(n).handlers] for n in ("", "PIL", "torch")},
        "OpenCV's log": getattr(cv2.utils, "logging", cv2).getLogLevel(),
        "hidden modules": [name for name, module in sys.modules.items() if module is None],
        "signals": {each: signal.getsignal(each) for each in signal.valid_signals()},
        "digits": sys.get_int_max_str_digits(),
        "recursion": sys.getrecursionlimit(),
        "environment": dict(os.environ),
        "path": [*sys.path],
        "folder": os.getcwd(),
        "streams": (sys.stdout, sys.stderr),
    }

def compare(before):
    after = look()
    for name in before:
        assert after[name] == before[name], f"{name}: {before[name]} became {after[name]}"
"""

PICTURES = """
Image.init()  # with all the formats of Pillow's own
before = look()
import img2img
from img2img import *
compare(before)
picture = img2img.read_picture("A/0.png")
for suffix in ("png", "tif", "gif", "webp"):
    img2img.write_picture(f"written.{suffix}", picture)
    img2img.read_image(f"written.{suffix}")
try:
    img2img.read_image("broken.tif")
except img2img.Img2ImgError:
    pass
compare(before)
"""

TRAINING = """
before = look()
import img2img
config = img2img.load_config("pix2pix", None, {
    "data.root": ".", "data.workers": 1, "schedule.steps": 1, "device": "cpu",
    "generator.ngf": 4, "generator.num_downs": 3, "discriminator.ndf": 4,
    "discriminator.n_layers": 1,
}, [])
img2img.train(config, Path("run"))
compare(before)
translator = img2img.Translator.load("run", device="cpu")
# A network that is built draws its first weights, as any of torch's does.
before["random numbers"] = look()["random numbers"]
translator.translate(img2img.read_picture("A/0.png"))
img2img.translate_folder(translator, "A", "out")
compare(before)
"""

EXPORTING = """
before = look()
import img2img
img2img.export_model("run", "net.onnx", "onnx")
img2img.export_model("run", "net.xml", "openvino")
img2img.Translator.load("net.xml", device="cpu").translate(img2img.read_picture("A/0.png"))
del before["random numbers"]
compare(before)
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_pairs: Path, tiny_run: Path) -> Path:
    for name in "AB":
        (tmp_path / name).symlink_to(tiny_pairs / name)
    (tmp_path / "broken.tif").write_bytes(b"II*\0\x08\0\0\0\1\0\xff\xff\3\0\1\0\0\0\0\0\0\0")
    return tmp_path


@pytest.mark.parametrize("work", [PICTURES, TRAINING], ids=["pictures", "training"])
def test_nothing_of_the_process_is_changed(folder: Path, work: str) -> None:
    run(folder, work)


def test_nothing_of_the_process_is_changed_by_exporting(folder: Path, tiny_run: Path) -> None:
    (folder / "run").symlink_to(tiny_run)
    run(folder, EXPORTING)


def run(folder: Path, work: str) -> None:
    code = f"{LOOK}\nfrom pathlib import Path\n{work}"
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
