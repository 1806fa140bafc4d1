"""Plug-ins: packages that bring parts, methods and configurations; and broken ones."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2img import plugins
from img2img.catalogue import REQUIRED
from img2img.models.checkpoint import load_state
from tests.conftest import Command
from tests.runs import assert_same, flat, newest
from tests.test_docs_commands import PLUGINS, commands, prepare, shortened

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "dcgan"
TINY = [
    *("--set", "generator.ngf=2", "--set", "discriminator.ndf=2", "--set", "data.workers=0"),
    *("--device", "cpu", "--precision", "fp32"),
]
GENERATOR = """
from torch import nn
from img2img.networks import GENERATORS, Generator

@GENERATORS.register("{name}")
class Flat(Generator):
    '''1x1 convolutions.'''
    size_multiple = 1
    min_size = 1
    def __init__(self, *, in_channels: int, out_channels: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.Tanh())
    def forward(self, x, style=None):
        return self.layers(x)
"""
CODEC = """
import numpy as np
from img2img.images import CODECS, Codec, FileFacts, Picture

@CODECS.register("raw")
class Raw(Codec):
    '''16 x 16 bytes of grey.'''
    suffixes = written = (".raw8",)
    def probe(self, path):
        return FileFacts((16, 16), 1, "uint8")
    def read(self, path, *, indices=False, single=False):
        return Picture(np.fromfile(path, np.uint8).reshape(16, 16, 1))
    def encode(self, image, quality):
        return [image.pixels.tobytes()]
"""
REGISTERS_TWICE = """
from img2img.registry import Registry

tools = Registry("tool")
for _ in range(2):
    @tools.register("saw")
    class Saw:
        '''Cuts.'''
"""


@dataclass(frozen=True)
class Installed:
    """A folder of installed packages."""

    folder: Path

    def add(self, name: str, source: str, **configs: str) -> None:
        """Install a plug-in, as pip would."""
        module = name.replace("-", "_")
        package, info = self.folder / module, self.folder / f"{module}-0.3.dist-info"
        for made in (package, package / "configs", info):
            made.mkdir(parents=True)
        (package / "__init__.py").write_text(source)
        for stem, text in configs.items():
            (package / "configs" / f"{stem}.yaml").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[img2img.plugins]\nmine = {module}\n")

    def run(
        self, *command: object, status: int = 0, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a module of Python with the packages."""
        path = os.pathsep.join([str(ROOT), str(self.folder)])
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path / "packages")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for side in "AB":
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for name in range(4):
            pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pairs" / side / f"{name}.png")
    return tmp_path / "pairs"


def train(method: str, data: Path, run: Path, *more: object) -> list[object]:
    options = ["--data", data, "--output", run, "--max-steps", 1, *TINY, *more]
    return ["img2img", "train", method, *options]


def test_parts_are_listed_without_being_imported(installed: Installed) -> None:
    installed.add("img2img-flat", "raise SystemExit('imported')" + GENERATOR.format(name="flat"))
    found = json.loads(installed.run("img2img", "list", "generators", "--json").stdout)
    assert found["flat"] == {
        "summary": "1x1 convolutions.",
        "arguments": {"width": 16},
        "from": "img2img-flat 0.3",
    }
    assert found["unet"]["from"].startswith("img2img-gan ")
    table = installed.run("img2img", "list", "generators").stdout
    assert re.search(r"flat +1x1 convolutions\. +width=16 +img2img-flat 0\.3", table)


METHOD = """
raise SystemExit("imported")
from img2img_own.settings import OwnSettings

@METHODS.register("own")
class Own(Method):
    '''Learns in its own way.'''
    settings = OwnSettings
"""
SETTINGS = """
RATE = 0.5

class OwnSettings(Settings):
    name: str
    depth: int = 3
    rate: float = Field(RATE, gt=0)
    size: int = Field(ge=1, default=8)
"""


@pytest.fixture
def in_this_process(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is installed is found here, too; it may be listed, but not imported."""
    monkeypatch.syspath_prepend(str(installed.folder))
    plugins.plugins.cache_clear()
    yield
    plugins.plugins.cache_clear()


@pytest.mark.usefixtures("in_this_process")
def test_settings_of_a_method_are_listed(installed: Installed, img2img: Command) -> None:
    installed.add("img2img-own", METHOD)
    package = installed.folder / "img2img_own"
    (package / "settings.py").write_text(SETTINGS)
    (package / "broken.py").write_text("@METHODS.register(")
    (package / "binary.py").write_bytes(b"\xff@METHODS.register(")
    listed = json.loads(img2img("list", "methods", "--json").out)
    assert listed["own"] == {
        "summary": "Learns in its own way.",
        "arguments": {
            "settings.name": REQUIRED,
            "settings.depth": 3,
            "settings.rate": 0.5,
            "settings.size": 8,
        },
        "from": "img2img-own 0.3",
    }
    table = img2img("list", "methods").out
    assert "settings.depth=3" in table
    assert "img2img-own 0.3" in table


@pytest.mark.usefixtures("in_this_process")
def test_a_plugin_of_one_file(installed: Installed, img2img: Command) -> None:
    installed.add("img2img-flat", "")
    shutil.rmtree(installed.folder / "img2img_flat")
    (installed.folder / "img2img_flat.py").write_text(GENERATOR.format(name="flat"))
    assert "flat" in json.loads(img2img("list", "generators", "--json").out)
    (installed.folder / "img2img_flat.py").unlink()  # removed, but not by pip
    importlib.invalidate_caches()
    assert "flat" not in json.loads(img2img("list", "generators", "--json").out)


@pytest.mark.usefixtures("in_this_process")
def test_two_plugins_with_one_name_are_both_named(installed: Installed, img2img: Command) -> None:
    for name in ("img2img-one", "img2img-two"):
        installed.add(name, GENERATOR.format(name="flat"))
    outcome = img2img("list", "generators")
    both = "img2img-one 0.3 and img2img-two 0.3 both provide 'flat'; uninstall one of them"
    assert (outcome.status, outcome.err) == (2, f"error: {both}\n")


def test_a_kind_of_file(installed: Installed, tmp_path: Path) -> None:
    installed.add("img2img-raw", CODEC)
    listed = json.loads(installed.run("img2img", "list", "codecs", "--json").stdout)
    assert listed["raw"]["from"] == "img2img-raw 0.3"
    (tmp_path / "x.raw8").write_bytes(bytes(range(256)))
    code = (
        "import sys; from img2img.images import *\n"
        "from pathlib import Path\n"
        "(path,) = list_images(Path(sys.argv[1]))\n"
        "write_image(path.with_name('y.raw8'), read_native(path))\n"
    )
    path = os.pathsep.join([str(ROOT), str(installed.folder)])
    variables = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=variables, check=True)
    assert (tmp_path / "y.raw8").read_bytes() == bytes(range(256))


def test_a_model_of_a_plugin_that_is_gone(
    installed: Installed, pairs: Path, tmp_path: Path
) -> None:
    installed.add("img2img-flat", GENERATOR.format(name="flat"))
    run = tmp_path / "run"
    flat = ["--set", "generator={name: flat, width: 2}", "--set", "discriminator.n_layers=1"]
    command = [each for each in train("pix2pix", pairs, run, *flat) if each != "generator.ngf=2"]
    command.remove("--set")
    installed.run(*command)
    assert "flat" in installed.run("img2img", "info", run).stdout
    without = Installed(tmp_path / "nothing").run("img2img", "info", run, status=2)
    assert "unknown generator 'flat'" in without.stderr
    assert len(without.stderr.splitlines()) == 1


def test_a_plugin_that_cannot_be_imported(
    installed: Installed, pairs: Path, tmp_path: Path
) -> None:
    """One line says so; what does not need it goes on, what does says why it is not there."""
    installed.add("img2img-flat", "import no_such_thing\n" + GENERATOR.format(name="flat"))
    reason = "img2img-flat 0.3 cannot be loaded: ModuleNotFoundError: No module named 'no_such_thi"
    small = ["--set", "generator.num_downs=3", "--set", "discriminator.n_layers=1"]
    done = installed.run(*train("pix2pix", pairs, tmp_path / "run", *small))
    assert (done.stdout + done.stderr).count(reason) == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()
    command = train("pix2pix", pairs, tmp_path / "other", "--set", "generator.name=flat")
    error = installed.run(*command, status=2).stderr.splitlines()[-1]  # nothing is imported yet
    assert error == "error: generator.ngf: generator 'flat' has no such argument; it takes: width"
    command[command.index("generator.ngf=2")] = "seed=1"
    error = installed.run(*command, status=2).stderr.splitlines()[-1]
    assert error.startswith("error: generator.name: unknown generator 'flat'")
    assert reason in error
    assert "flat" in installed.run("img2img", "list", "generators").stdout


@pytest.mark.parametrize(
    ("number", "source", "reason"),
    [
        (0, "def", "SyntaxError: invalid syntax"),
        (1, "raise ValueError('one line\\nand another')", "ValueError: one line and another"),
        (2, "from img2img.networks import NOTHING", "ImportError: cannot import name 'NOTHING'"),
        (3, REGISTERS_TWICE, "ValueError: "),
        (4, None, "ModuleNotFoundError: No module named 'broken_4'"),
    ],
)
def test_whatever_is_wrong_with_a_plugin_is_one_line_and_said_once(
    number: int, source: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{number}"
    monkeypatch.syspath_prepend(tmp_path)
    if source is not None:
        (tmp_path / f"{name}.py").write_text(source)
    plugin = plugins.Plugin(name, "img2img-broken 1.0")
    monkeypatch.setattr(plugins, "plugins", lambda: (plugin,))
    monkeypatch.setattr(plugins, "_begun", set())
    monkeypatch.setattr(plugins, "_failures", [])
    with pytest.warns(
        UserWarning, match=r"^the plug-in img2img-broken 1\.0 cannot be loaded: "
    ) as warned:
        assert plugins.load_plugins() == plugins.load_plugins()
    assert len(warned) == 1
    (said,) = plugins.load_plugins()
    assert said.startswith(f"the plug-in img2img-broken 1.0 cannot be loaded: {reason}")
    assert "\n" not in said


def test_two_parts_of_one_name(installed: Installed, pairs: Path, tmp_path: Path) -> None:
    installed.add("img2img-flat", GENERATOR.format(name="unet"))
    for command in (
        ["img2img", "list", "generators"],
        train("pix2pix", pairs, tmp_path / "run"),
    ):
        error = installed.run(*command, status=2).stderr
        assert "img2img-gan 0.1.0 and img2img-flat 0.3 both provide" in error
        assert "'unet'" in error
    # What does not use that name works.
    installed.run("img2img", "list", "discriminators")


def test_two_recipes_of_one_name(installed: Installed, pairs: Path, tmp_path: Path) -> None:
    installed.add("img2img-flat", "", pix2pix="method: pix2pix")
    error = installed.run(*train("pix2pix", pairs, tmp_path / "run"), status=2).stderr
    assert "pix2pix.yaml: img2img-gan 0.1.0 and img2img-flat 0.3 both provide" in error


# -- the example ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dcgan(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The example, built and installed by pip without a network."""
    folder = tmp_path_factory.mktemp("dcgan")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(folder), str(EXAMPLE)], check=True
    )
    return Installed(folder)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / "animals" / kind).mkdir(parents=True)
        for name in range(4):
            pixels = random.integers(0, 256, (20, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "animals" / kind / f"{name}.png")
    return tmp_path / "animals"


SMALL = [
    *("--set", "data.load_size=16", "--set", "data.crop_size=16", "--set", "data.batch_size=2"),
    *("--set", "discriminator.n_layers=2", "--set", "ema.half_life=10"),
]


def test_the_example_is_found(dcgan: Installed) -> None:
    methods = json.loads(dcgan.run("img2img", "list", "methods", "--json").stdout)
    assert methods["dcgan"]["from"] == "img2img-dcgan 0.1"
    assert methods["dcgan"]["arguments"] == {"settings.conditional": False}

    def offered(line: str) -> str:
        return dcgan.run(
            "img2img",
            _IMG2IMG_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(line.count(" ")),
        ).stdout

    assert "dcgan" in offered("img2img train dc")
    assert "dcgan-small.yaml" in offered("img2img train dcgan --config dcgan-")


def test_a_setting_that_it_does_not_have(dcgan: Installed, animals: Path, tmp_path: Path) -> None:
    wrong = ["--set", "settings.condtional=true"]
    error = dcgan.run(*train("dcgan", animals, tmp_path / "run", *wrong), status=2).stderr
    assert "settings.condtional: unknown key (did you mean 'conditional'?)" in error
    wrong = ["--set", "data.load_size=20", "--set", "data.crop_size=20"]
    error = dcgan.run(*train("dcgan", animals, tmp_path / "run", *wrong), status=2).stderr
    assert "generator.size: 20 is not one of 8, 16, 32" in error
    wrong = ["--set", "settings.conditional=maybe"]
    error = dcgan.run(*train("dcgan", animals, tmp_path / "run", *wrong), status=2).stderr
    assert "settings.conditional: Input should be a valid boolean" in error


@pytest.mark.parametrize("conditional", [False, True])
def test_the_example_trains_resumes_and_samples(
    conditional: bool, dcgan: Installed, animals: Path, tmp_path: Path
) -> None:
    more = [*SMALL, "--set", f"settings.conditional={str(conditional).lower()}"]
    more += ["--set", "optimizer.accumulate=2", "--set", "samples.every=2"]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    dcgan.run(*train("dcgan", animals, whole, *more, "--max-steps", 4))
    dcgan.run(
        *train("dcgan", animals, halves, *more, "--max-steps", 4, "--stop-after", 0), status=75
    )
    dcgan.run("img2img", "train", "--resume", halves)
    assert_same(*(flat(load_state(newest(run))) for run in (halves, whole)))

    dcgan.run("img2img_dcgan", "sample", whole, "--count", 5, "--output", tmp_path / "a.png")
    dcgan.run("img2img_dcgan", "sample", whole, "--count", 5, "--output", tmp_path / "b.png")
    a, b = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert a.shape == (2 * 16, 3 * 16, 3)
    assert np.array_equal(a, b)
    assert len({a[:16, x : x + 16].tobytes() for x in (0, 16, 32)}) == 3
    if conditional:
        of_dogs = ["sample", whole, "--count", 1, "--label", "dog", "--output", tmp_path / "c.png"]
        dcgan.run("img2img_dcgan", *of_dogs)
        assert not np.array_equal(np.asarray(Image.open(tmp_path / "c.png")), a[:16, :16])
        of_cows = ["sample", whole, "--label", "cow", "--output", tmp_path / "d.png"]
        assert "'cow'" in dcgan.run("img2img_dcgan", *of_cows, status=2).stderr


def test_its_model_does_not_translate(dcgan: Installed, animals: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    dcgan.run(*train("dcgan", animals, run, *SMALL))
    command = ["translate", "--model", run, "--input", animals, "--output", tmp_path / "results"]
    error = dcgan.run("img2img", *command, status=2).stderr
    assert "noise" in error
    assert len(error.splitlines()) == 1


def test_the_package_of_the_page_works_as_it_stands(
    installed: Installed, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLUGINS.read_text(encoding="utf-8")
    assert '[project.entry-points."img2img.plugins"]\nmy-parts = "my_parts"' in text
    imports = re.findall(r"from my_parts import \w+", text)
    installed.add("my-parts", "\n".join(imports))
    files = r"`my-parts/(my_parts/(?!__init__)[\w/]+\.\w+)`(?:(?!```).)*```\w+\n(.*?)```"
    for name, code in re.findall(files, text, flags=re.DOTALL):
        (installed.folder / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    prepare(tiny_run, commands(PLUGINS))
    for line in commands(PLUGINS):
        installed.run(*shortened(shlex.split(line)))
    assert list(Path("runs/unconditional/samples").iterdir())
    assert (tmp_path / "translated").is_dir()
