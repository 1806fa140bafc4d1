"""Feature networks: their weights, and what they see."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("torch_fidelity")

from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from img2img.errors import ConfigError, ModelFileError
from img2img.features import (
    MissingFeatures,
    PerceptualDistance,
    Supply,
    Viewer,
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
    seen = network.see([network.prepared(pixels)])
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
    viewer = Viewer(network)
    for seed in range(17):
        viewer.show(noise(40, 50, seed % 16))
    seen = viewer.seen()
    assert seen.features.shape == (17, 1280)
    assert seen.logits.shape == (17, 1000)
    torch.testing.assert_close(seen.features[0], seen.features[16], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("download", [False, True])
def test_without_weights_the_ways_out_are_named(download: bool) -> None:
    with pytest.raises(MissingFeatures, match=r"--weights FILE, from https://.*\.pth \(91 MB\)"):
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
    with pytest.raises(ModelFileError, match="not the weights of any of inception"):
        feature_network("inception", supply(path), CPU)


def test_lpips_is_what_the_library_gives(own_cache: Path) -> None:
    """Of weights of chance, which the library takes from where torch keeps them."""
    torchvision = pytest.importorskip("torchvision")
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    torch.manual_seed(0)
    file = own_cache / "checkpoints" / "alexnet-owt-7be5be79.pth"
    file.parent.mkdir(parents=True)
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), file)
    output, target = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    found = PerceptualDistance("alexnet", supply())(output, target)
    library = LearnedPerceptualImagePatchSimilarity(net_type="alex")
    assert found.mean().item() == pytest.approx(library(output, target).item(), rel=1e-3)
    given = PerceptualDistance("alexnet", supply(file))(output, target)
    torch.testing.assert_close(given, found)
    with pytest.raises(MissingFeatures, match="vgg16"):
        PerceptualDistance("vgg16", supply(file))
