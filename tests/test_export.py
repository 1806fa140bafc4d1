"""Exported models: the same as the model, in every format, with nothing of ours installed."""

import copy
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img import Translator, as_picture, export_model, load_model
from img2img.config import Component
from img2img.engine import exported
from img2img.engine.exportable import Exportable
from img2img.errors import ConfigError, DataError, ExportFailed, ImageError, ModelFileError
from img2img.export import FORMATS, Exported, base
from img2img.export.torch import TorchFormat
from img2img.models.checkpoint import save_model
from img2img.models.spec import ModelSpec
from tests.conftest import noise
from tests.engine.test_runtimes import generator

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
RESNET: dict[str, Any] = {"name": "resnet", "ngf": 4, "n_blocks": 1}
UNET: dict[str, Any] = {"name": "unet", "ngf": 4, "num_downs": 4, "norm": "batch"}
NETWORKS = {"resnet": (RESNET, "image"), "unet": (UNET, "image"), "running": (UNET, "running")}
# What most tests look at: a network, and whether pixels go in and come out.
KINDS = [("resnet", False), ("unet", True)]

MakeModel = Callable[..., Path]
Made = Callable[..., tuple[Path, Exported]]


@pytest.fixture(params=SUFFIXES)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["onnx", "openvino"])
def run_by_us(request: pytest.FixtureRequest) -> str:
    """A format that `translate` runs."""
    return str(request.param)


def write_model(
    path: Path,
    section: dict[str, Any],
    *,
    directions: tuple[str, ...] = ("AtoB",),
    statistics: str = "image",
    dropout: bool = False,
    domain: dict[str, Any] | None = None,
) -> Path:
    """A model file with one generator for each direction named."""
    network = generator(section, statistics=statistics)
    specs = {
        f"G_{direction}": ModelSpec.model_validate(
            {
                "architecture": section["name"],
                "arguments": {key: value for key, value in section.items() if key != "name"},
                "in_channels": 3,
                "out_channels": 3,
                "input": domain,
                "output": domain,
                "direction": direction,
                "size_multiple": network.size_multiple,
                "min_size": network.min_size,
                "exact_tiling": network.local,
                "norm_statistics": statistics,
                "dropout": dropout,
                "crop_size": (64, 64),
                "scale": 1,
                "method": "none",
                "steps": 0,
                "images": 0,
            }
        )
        for direction in directions
    }
    save_model(path, specs, {name: copy.deepcopy(network) for name in specs})
    return path


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    return partial(write_model, tmp_path / "models" / "net.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: Path) -> Made:
    """A model file and what was exported of it, once for all tests. Not to be changed."""

    @cache
    def export(
        format_name: str, network: str = "resnet", *, pixels: bool = False, half: bool = False
    ) -> tuple[Path, Exported]:
        folder = tmp_path_factory.mktemp("exported")
        section, statistics = NETWORKS[network]
        model = write_model(folder / "net.safetensors", section, statistics=statistics)
        target = folder / "out" / f"net{SUFFIXES[format_name]}"
        images = tiny_pairs / "A" / "0.png"
        return model, export_model(
            model, target, format_name, pixels=pixels, half=half, images=images
        )

    return export


@pytest.fixture
def onnx_model(made: Made) -> Any:
    import onnx

    return onnx.load(made("onnx")[1].files[0])


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@pytest.mark.parametrize(("network", "pixels"), [*KINDS, ("running", False)])
def test_it_gives_what_the_model_gives(
    format_name: str, network: str, pixels: bool, made: Made
) -> None:
    model, done = made(format_name, network, pixels=pixels)
    target = done.files[0]
    assert sorted(target.parent.iterdir()) == sorted(done.files)
    assert done.bytes == sum(file.stat().st_size for file in done.files)
    assert done.images == 5
    assert 0 <= done.mean <= min(done.largest, 0.05)
    assert done.largest <= 1
    run = FORMATS.build(Component(name=format_name), "format").open(target)
    exact = load_model(model).generator("G_AtoB")
    for count, height, width in [(1, 16, 16), (3, 32, 16), (2, 16, 48)]:
        x = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8)
        values = (x.movedim(-1, 1) / 127.5 - 1).contiguous()
        with torch.inference_mode():
            wanted, got = exact(values), run(x if pixels else values)
        assert wanted.std() > 0.05
        if pixels:
            assert got.dtype == torch.uint8
            apart = (got.float() - ((wanted + 1) * 127.5).round().movedim(1, -1)).abs()
            assert apart.max() <= 1
            assert apart.mean() < 0.05
        else:
            torch.testing.assert_close(got, wanted, atol=2e-3, rtol=0)


def test_a_range_of_values_goes_along(
    run_by_us: str, make_model: MakeModel, tiny_pairs: Path, tmp_path: Path
) -> None:
    model = make_model(RESNET, domain={"dtype": "uint16", "low": 0, "high": 4095})
    images = tiny_pairs / "A" / "0.png"
    target = tmp_path / f"net{SUFFIXES[run_by_us]}"
    export_model(model, target, run_by_us, images=images)
    picture = np.random.default_rng(0).integers(0, 4096, (32, 32, 3), np.uint16)
    wanted, got = (
        Translator.load(path, device="cpu", precision="fp32").translate(picture)
        for path in (model, target)
    )
    assert got.dtype == np.uint16
    assert got.max() <= 4095
    assert np.abs(got.astype(int) - wanted).max() <= 2
    with pytest.raises(ConfigError, match=r"`pixels`: .* translates RGB, uint16 0\.\.4095"):
        export_model(model, target, run_by_us, images=images, pixels=True)


def test_half_is_smaller_and_near(format_name: str, made: Made) -> None:
    whole, half = (made(format_name, half=half)[1] for half in (False, True))
    assert half.bytes < whole.bytes
    assert whole.mean < half.mean <= half.tolerance == 0.5


def test_pixels_of_a_network_from_zero_to_one() -> None:
    network = generator(RESNET)
    x = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8)
    with torch.inference_mode():
        got = Exportable(network, pixels=(0, 1))(x)
        wanted = network(x.movedim(-1, 1) / 255) * 255
    assert wanted.min() < 0  # and so there is something to clamp
    apart = got.float() - wanted.round().clamp(0, 255).movedim(1, -1)
    assert apart.abs().max() <= 1
    assert apart.abs().mean() < 0.05


def test_default_names(make_model: MakeModel, tiny_run: Path, tmp_path: Path) -> None:
    model = make_model(RESNET, directions=("AtoB", "BtoA"))
    done = export_model(model, format="torch", direction="BtoA")
    assert done.files == [model.with_name("net-BtoA.pt2")]
    assert (done.direction, done.generator) == ("BtoA", "G_BtoA")
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    assert export_model(run, format="torch").files == [run / "model.pt2"]
    assert export_model(run, tmp_path, "torch").files == [tmp_path / "model.pt2"]


ALONE = """
import json, sys
import numpy as np

path, x = sys.argv[1], np.load("x.npy")[None]
if path.endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    y = session.run(None, {"input": x})[0]
    text = session.get_modelmeta().custom_metadata_map["img2img"]
elif path.endswith(".xml"):
    import openvino
    model = openvino.Core().read_model(path)
    text = model.get_rt_info(["img2img"]).astype(str)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    y = openvino.Core().compile_model(model, "CPU", settings)(x)[0]
else:
    import torch
    files = {"img2img.json": ""}
    program = torch.export.load(path, extra_files=files)
    text = files["img2img.json"]
    y = program.module()(torch.from_numpy(x)).numpy()
assert json.loads(text)["spec"]["size_multiple"] == 16
assert not any(name.startswith("img2img") for name in sys.modules)
np.save("y.npy", y[0])
"""


def test_nothing_of_ours_is_needed_to_run_it(format_name: str, made: Made, tmp_path: Path) -> None:
    model, done = made(format_name, "unet", pixels=True)
    image = noise(32, 16)
    np.save(tmp_path / "x.npy", image)
    # Isolated, so that PYTHONPATH does not have the package in it.
    words = [sys.executable, "-I", "-c", ALONE, str(done.files[0])]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    wanted = Translator.load(model, device="cpu", precision="fp32").translate(image)
    apart = np.abs(np.load(tmp_path / "y.npy").astype(int) - wanted)
    assert apart.max() <= 1
    assert apart.mean() < 0.05


def test_no_file_tells_of_this_machine(format_name: str, made: Made) -> None:
    _, done = made(format_name)
    for file in done.files:
        contents = [file.read_bytes()]
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents = [archive.read(name) for name in archive.namelist()]
        for content in contents:
            assert str(file.parents[1]).encode() not in content
            assert str(Path(exported.__file__).parents[2]).encode() not in content


class TestTranslate:
    """Exported models in the place of model files."""

    @pytest.mark.parametrize(("network", "pixels"), KINDS)
    def test_pictures_of_any_size(
        self, run_by_us: str, network: str, pixels: bool, made: Made
    ) -> None:
        model, done = made(run_by_us, network, pixels=pixels)
        tested = Translator.load(done.files[0])
        exact = Translator.load(model, device="cpu", precision="fp32")
        sizes = [(5, 40), (33, 17), (33, 17), (33, 17), (64, 64)]
        images = [noise(*size) for size in sizes]
        for got, wanted in zip(
            tested.translate_batch(images), exact.translate_batch(images), strict=True
        ):
            assert got.shape == wanted.shape
            assert np.abs(got.astype(int) - wanted).max() <= 1
        assert tested.translate(noise(1, 1)).shape == (1, 1, 3)
        assert tested.device == "cpu"

    @pytest.mark.parametrize(("network", "pixels"), KINDS)
    def test_sixteen_bits(self, run_by_us: str, network: str, pixels: bool, made: Made) -> None:
        model, done = made(run_by_us, network, pixels=pixels)
        said: list[str] = []
        tested = Translator.load(done.files[0], say=said.append)
        tested.translate(noise(20, 30))
        assert said == []
        image = noise(20, 30).astype(np.uint16) * 200 + 77
        wanted = Translator.load(model, device="cpu", precision="fp32").translate(image)
        for _ in range(2):
            got = tested.translate(image)
        assert got.dtype == np.uint16
        assert np.abs(got.astype(int) - wanted).mean() < (400 if pixels else 20)
        assert len(said) == pixels
        assert all("8 bits" in sentence for sentence in said)

    def test_large_pictures_are_cut(
        self, run_by_us: str, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = made(run_by_us)[1].files[0]
        said: list[str] = []
        tested = Translator.load(target, tile=32, say=said.append)
        image = noise(70, 50)
        assert tested.translate(image).shape == image.shape
        assert "tiles" in said[0]
        monkeypatch.setattr("img2img.engine.splitting.SMALLEST_CHECKED", 1)
        assert Translator.load(target).translate(image).shape == image.shape

    def test_identity_is_the_files(self, run_by_us: str, made: Made) -> None:
        paths = [made(run_by_us, half=half)[1].files[0] for half in (False, True, False)]
        whole, half, again = (Translator.load(path).identity for path in paths)
        assert whole == again != half

    def test_a_runtime_that_fails_fails_the_picture(self, run_by_us: str, made: Made) -> None:
        description, file = exported.open_exported(made(run_by_us)[1].files[0])
        real = file.compile()

        def fail_at_32(x: Any) -> Any:
            if x.shape[2] == 32:
                raise RuntimeError("this kernel is not here")
            return real(x)

        model = exported.ExportedModel(description, fail_at_32, file.checksum)
        tested = Translator(model, description.spec, device="cpu", precision="fp32")
        images = [noise(16, 16), noise(32, 32), noise(32, 32), noise(16, 16)]
        results = dict(tested.translate_each((n, as_picture(i)) for n, i in enumerate(images)))
        kinds = [isinstance(results[number], ImageError) for number in range(4)]
        assert kinds == [False, True, True, False]
        assert "kernel" in str(results[1])

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"precision": "bf16"}, "bf16"),
            ({"backend": "compile"}, "compile"),
            ({"device": "cuda"}, "cuda"),
            ({"device": ["cpu", "cuda:1"]}, "cuda:1"),
            ({"direction": "BtoA"}, "AtoB"),
            ({"statistics": "running"}, "statistics"),
            ({"reference_exact": True}, "reference_exact"),
            ({"tile": 0}, "tile"),
        ],
    )
    def test_choices_that_there_are_not(
        self, options: dict[str, Any], word: str, made: Made
    ) -> None:
        with pytest.raises(ConfigError, match=word):
            Translator.load(made("onnx")[1].files[0], **options)


class TestRefused:
    """Nothing is left where something is wrong."""

    def test_dropout(self, format_name: str, make_model: MakeModel, tmp_path: Path) -> None:
        section = {"name": "unet", "ngf": 4, "num_downs": 6}
        with pytest.raises(ConfigError, match="dropout"):
            export_model(make_model(section, dropout=True), tmp_path / "out", format_name)
        assert not (tmp_path / "out").exists()

    def test_a_difference(
        self, make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = make_model(RESNET)
        target = tmp_path / "out" / "net.pt2"
        target.parent.mkdir()
        target.write_text("of an earlier day")
        real = TorchFormat.open
        for wrong in (
            lambda x: torch.full_like(x, torch.nan),
            lambda x: x,
            lambda x: x[:, :, 1:],
            lambda x: x.no_such_thing,
        ):
            monkeypatch.setattr(TorchFormat, "open", lambda self, path, wrong=wrong: wrong)
            with pytest.raises(ExportFailed):
                export_model(model, target, "torch")
            assert only_file(target.parent).read_text() == "of an earlier day"

        # A few pixels at a border are enough.
        def at_border(self: Any, path: Path) -> Any:
            run = real(self, path)

            def shifted(x: torch.Tensor) -> torch.Tensor:
                y = run(x).clone()
                y[:, :, 0] += 0.4
                return y

            return shifted

        monkeypatch.setattr(TorchFormat, "open", at_border)
        with pytest.raises(ExportFailed, match="grey levels"):
            export_model(model, target, "torch")
        assert export_model(model, target, "torch", tolerance=50).mean > 0.05
        assert target.stat().st_size > 1000

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"format": "onyx"}, "onnx"),
            ({"output": "net.bin"}, r"\.pt2"),
            ({"tolerance": -1.0}, "tolerance"),
            ({"tolerance": float("nan")}, "tolerance"),
            ({"direction": "BtoA"}, "AtoB"),
        ],
    )
    def test_options(self, options: dict[str, Any], word: str, make_model: MakeModel) -> None:
        model = make_model(RESNET)
        with pytest.raises(ConfigError, match=word):
            export_model(model, **{"format": "torch", **options})
        assert only_file(model.parent) == model

    def test_images(self, make_model: MakeModel, tmp_path: Path) -> None:
        model = make_model(RESNET)
        (tmp_path / "empty").mkdir()
        (tmp_path / "broken.png").write_text("no picture")
        for name, kind in (("none", DataError), ("empty", DataError), ("broken.png", ImageError)):
            with pytest.raises(kind, match=name):
                export_model(model, format="torch", images=tmp_path / name)
        Image.fromarray(noise(30, 1000)).save(tmp_path / "wide.png")
        assert export_model(model, format="torch", images=tmp_path / "wide.png").images == 5

    def test_a_runtime_that_is_not_here(
        self, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = make_model(RESNET)
        monkeypatch.setattr(base.Format, "missing", classmethod(lambda cls: None))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        for name in ("onnx", "openvino"):
            with pytest.raises(ConfigError, match=f"-m pip install .*{name}"):
                export_model(model, format=name)
            path = model.with_suffix(SUFFIXES[name])
            path.write_text("anything")
            with pytest.raises(ConfigError, match=f"-m pip install .*{name}"):
                Translator.load(path)


class TestHostile:
    """Files of strangers: a line, and no code of theirs runs."""

    def refused(self, path: Path, word: str | None = None) -> None:
        with pytest.raises(ModelFileError, match=word) as error:
            Translator.load(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    def test_an_onnx_model_that_is_not_ours(self, onnx_model: Any, tmp_path: Path) -> None:
        import onnx

        path = tmp_path / "classifier.onnx"
        del onnx_model.metadata_props[:]
        onnx.save(onnx_model, path)
        self.refused(path, "not exported by img2img")

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            (lambda d: "{", "is not valid"),
            (lambda d: "[" * 100_000, "is not valid"),
            (lambda d: json.dumps({**d, "format_version": 9}), "format_version"),
            (lambda d: json.dumps({**d, "pixels": True}), "input"),
            (
                lambda d: json.dumps({**d, "spec": {**d["spec"], "size_multiple": 1}}),
                "size_multiple",
            ),
            (
                lambda d: json.dumps({**d, "spec": {**d["spec"], "architecture": "x"}}),
                "unknown generator",
            ),
            (lambda d: json.dumps({**d, "spec": {**d["spec"], "arguments": {"x": 1}}}), "x"),
        ],
    )
    def test_a_description_that_lies(
        self, onnx_model: Any, tmp_path: Path, change: Any, word: str
    ) -> None:
        import onnx

        path = tmp_path / "odd.onnx"
        (entry,) = onnx_model.metadata_props
        entry.value = change(json.loads(entry.value))
        onnx.save(onnx_model, path)
        self.refused(path, word)

    @pytest.mark.parametrize("inside", ["initializer", "attribute"])
    def test_weights_in_another_file(self, onnx_model: Any, tmp_path: Path, inside: str) -> None:
        import onnx

        (tmp_path / "folder").mkdir()
        secret = tmp_path / "secret.bin"
        secret.write_bytes(bytes(10**5))
        if inside == "initializer":
            tensor = onnx_model.graph.initializer[0]
        else:
            node = onnx_model.graph.node.add(op_type="Constant", output=["unused"])
            attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
            tensor = attribute.t
            tensor.CopyFrom(onnx_model.graph.initializer[0])
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../secret.bin")
        path = tmp_path / "folder" / "net.onnx"
        path.write_bytes(onnx_model.SerializeToString())
        self.refused(path, "other files")

    def test_operators_of_another_network(self, onnx_model: Any, tmp_path: Path) -> None:

        path = tmp_path / "odd.onnx"
        onnx_model.graph.node[0].op_type = "NoSuchOperator"
        path.write_bytes(onnx_model.SerializeToString())
        self.refused(path, "cannot be run")

    def test_what_is_cut_off_or_no_model(self, run_by_us: str, made: Made, tmp_path: Path) -> None:
        target, *others = (Path(shutil.copy(file, tmp_path)) for file in made(run_by_us)[1].files)
        for file in (target, *others):
            whole = file.read_bytes()
            for part in (whole[: len(whole) // 2], whole[:9], b"", b"\x80\x04\x95no model" * 50):
                file.write_bytes(part)
                self.refused(target)
            file.write_bytes(whole)
        Translator.load(target)
        for file in others:
            file.unlink()
            self.refused(target, file.name)

    def test_xml_that_is_not_ours(self, tmp_path: Path) -> None:
        path = tmp_path / "page.xml"
        path.with_suffix(".bin").write_bytes(b"")
        for text in ("<html></html>", '<?xml version="1.0"?><net name="a" version="11"></net>'):
            path.write_text(text)
            self.refused(path)

    def test_a_program_is_not_even_opened(self, made: Made, tmp_path: Path) -> None:
        self.refused(made("torch")[1].files[0], "run code")
        self.refused(tmp_path / "none.onnx", "no such file")


class TestFixed:
    """Sizes, batches and versions of operators that are settled by exporting."""

    @pytest.mark.parametrize(
        ("network", "options"),
        [
            ("resnet", {"size": (64, 96), "batch": 2}),
            ("unet", {"size": (32, 64), "batch": 1, "pixels": True}),
            ("unet", {"batch": 3}),
        ],
    )
    def test_the_same_for_what_is_free(
        self, tmp_path: Path, format_name: str, network: str, options: dict[str, Any]
    ) -> None:
        section, statistics = NETWORKS[network]
        model = write_model(tmp_path / "m.safetensors", section, statistics=statistics)
        found = export_model(model, format=format_name, **options)
        assert found.mean <= found.tolerance
        if format_name == "torch":
            return
        exact = Translator.load(model, device="cpu", precision="fp32")
        again = Translator.load(found.files[0])
        height, width = options.get("size", (32, 64))
        pictures = [as_picture(noise(height, width, seed)) for seed in range(5)]
        wanted = [exact.translate(each).pixels.astype(int) for each in pictures]
        for batch in (1, 4):
            again = Translator.load(found.files[0], batch=batch)
            got = dict(again.translate_each(enumerate(pictures)))
            for number, picture in enumerate(wanted):
                assert np.abs(got[number].pixels.astype(int) - picture).max() <= 1  # type: ignore[union-attr]
        if "size" in options:
            with pytest.raises(ImageError, match=f"{width} x {height} pixels, not"):
                again.translate(as_picture(noise(2 * height, width)))

    @pytest.mark.parametrize(
        ("opset", "upsample"), [(11, "deconv"), (13, "bilinear"), (17, "deconv"), (21, "bilinear")]
    )
    def test_opsets(self, tmp_path: Path, opset: int, upsample: str) -> None:
        import onnx

        section, _ = NETWORKS["resnet"]
        model = write_model(tmp_path / "m.safetensors", {**section, "upsample": upsample})
        found = export_model(model, opset=opset, size=(64, 64))
        assert found.mean <= found.tolerance
        (imported,) = onnx.load(found.files[0]).opset_import
        assert imported.version == opset

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"size": (60, 64)}, "`size`: 64x60"),
            ({"size": (8, 16)}, "`size`: 16x8"),
            ({"batch": 0}, "`batch`: 0"),
            ({"opset": 10}, "`opset`: 10 is not between 11 and"),
            ({"opset": 99}, "`opset`: 99"),
            ({"opset": 17, "format": "torch"}, "`opset`"),
        ],
    )
    def test_what_cannot_be(self, tmp_path: Path, options: dict[str, Any], words: str) -> None:
        model = write_model(tmp_path / "m.safetensors", UNET)
        with pytest.raises(ConfigError, match=words):
            export_model(model, **options)
        assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
