"""Measures of sets on features with known answers, and against the libraries."""

import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import (
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from img2img.features import Features
from img2img.metrics.sets import (
    SETS,
    coverage,
    density,
    diversity,
    fid,
    inception_score,
    kid,
    precision,
    recall,
)


def gaussian(count: int, shift: float = 0.0, seed: int = 0, dimensions: int = 8) -> Features:
    """Features of variance 1 about `shift` in each dimension, and as logits the same."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(count, dimensions, generator=random) + shift
    return Features(features, features)


def test_equal_sets() -> None:
    one = gaussian(100)
    assert fid(one, one) == pytest.approx(0, abs=1e-6)
    assert kid(one, one) < 0.1  # unbiased: a little below 0
    assert precision(one, one) == recall(one, one) == coverage(one, one) == 1
    assert density(one, one) == pytest.approx(1)


@pytest.mark.parametrize("count", [12, 100])
@pytest.mark.parametrize("seed", range(4))
def test_distances_and_scores_keep_their_bounds(count: int, seed: int) -> None:
    """However terms that cancel out are rounded."""
    one = gaussian(count, 3.0, seed, dimensions=64)
    assert 0 <= fid(one, one) < 1e-6
    alike = Features(one.features, torch.zeros(count, 7))
    assert 1 <= inception_score(alike, alike) < 1 + 1e-6


def test_far_sets() -> None:
    one, other = gaussian(100), gaussian(100, 50.0, seed=1)
    assert precision(one, other) == recall(one, other) == 0
    assert density(one, other) == coverage(one, other) == 0


def test_shifted_gaussians() -> None:
    """The Frechet distance of Gaussians of one covariance is the squared shift."""
    distance = fid(gaussian(20000), gaussian(20000, 0.5, seed=1))
    assert distance == pytest.approx(8 * 0.5**2, rel=0.05)


def test_inception_score_of_known_classes() -> None:
    """As many as there are classes, if each image is surely of one, and all are as frequent."""
    logits = 1000 * torch.eye(5).repeat(4, 1)
    assert inception_score(Features(logits, logits), Features(logits, logits)) == pytest.approx(5)


def test_results_of_one_kind_are_precise_but_do_not_recall_the_other() -> None:
    kind, other = gaussian(50), gaussian(50, 50.0, seed=1)
    real = Features(*(torch.cat(both) for both in zip(kind, other, strict=True)))
    assert precision(kind, real) == 1
    assert recall(kind, real) == coverage(kind, real) == 0.5


@pytest.mark.parametrize("count", [30, 300])
def test_fid_is_the_librarys(count: int) -> None:
    """Also where there are fewer images than features, and both are turned to fewer dimensions."""
    result, real = gaussian(count, dimensions=100), gaussian(count, 0.3, 1, dimensions=100)
    statistics = [fid_features_to_statistics(each.features.double()) for each in (result, real)]
    wanted = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert fid(result, real) == pytest.approx(wanted, rel=1e-3)


def test_kid_by_its_definition() -> None:
    x, y = gaussian(12).features.double().numpy(), gaussian(12, 1.0, 1).features.double().numpy()

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 8 + 1) ** 3)

    same = [kernel(s[i], s[j]) for s in (x, y) for i in range(12) for j in range(12) if i != j]
    cross = [kernel(a, b) for a in x for b in y]
    wanted = 2 * np.mean(same) - 2 * np.mean(cross)
    assert kid(gaussian(12), gaussian(12, 1.0, 1)) == pytest.approx(wanted, rel=1e-3)


def test_density_and_coverage_by_their_definition() -> None:
    result, real = gaussian(40, 0.4, 1), gaussian(30)
    x, y = result.features.double().numpy(), real.features.double().numpy()
    to_real = np.linalg.norm(y[:, None] - y[None], axis=2)
    radius = np.sort(to_real, axis=1)[:, 5]
    near = np.linalg.norm(y[:, None] - x[None], axis=2) < radius[:, None]
    assert density(result, real) == pytest.approx(near.sum() / 5 / 40)
    assert coverage(result, real) == pytest.approx(near.any(1).mean())


def test_diversity_by_hand() -> None:
    """Three real images at distances 3, 4 and 5, and results at 1, 1 and 2."""
    real = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    result = torch.tensor([[7.0, 0.0], [8.0, 0.0], [9.0, 0.0]])
    assert diversity(Features(result, result), Features(real, real)) == pytest.approx(1 / 3)
    assert diversity(Features(real, real), Features(real, real)) == 1


def test_a_collapsed_generator_has_no_diversity() -> None:
    real, one = gaussian(40), gaussian(1, 0.5, seed=1)
    collapsed = Features(*(each.expand(30, -1) for each in one))
    assert diversity(collapsed, real) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [12, 40])
def test_there_is_no_diversity_by_real_images_that_are_all_alike(count: int) -> None:
    alike = Features(*(each.expand(count, -1) for each in gaussian(1)))
    assert math.isnan(diversity(gaussian(30), alike))
    assert math.isnan(diversity(alike, alike))
    assert math.isnan(diversity(alike, Features(*(0 * each for each in alike))))


def test_diversity_does_not_depend_on_how_many_images_there_are() -> None:
    """Also of more than are compared at once."""
    assert diversity(gaussian(1100, seed=1), gaussian(50)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", SETS)
def test_sets_of_different_numbers(name: str) -> None:
    assert np.isfinite(SETS[name](gaussian(15), gaussian(25, 0.1, 1), 0))
