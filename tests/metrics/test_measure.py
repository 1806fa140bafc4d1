"""Figures and their intervals."""

import json
import math

import numpy as np
import numpy.typing as npt
import pytest

from img2img.metrics.measure import jackknife_error, mean_figure

Mask = npt.NDArray[np.bool_]


def test_the_interval_of_a_mean_is_as_wide_as_statistics_have_it() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400).tolist()
    figure = mean_figure("l1", values, seed=0)
    assert figure.value == pytest.approx(np.mean(values))
    assert figure.low is not None
    assert figure.high is not None
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.1)
    assert figure == mean_figure("l1", values, seed=0)
    assert figure != mean_figure("l1", values, seed=1)


def test_infinity_is_written_as_text() -> None:
    figure = mean_figure("psnr", [30.0, math.inf, math.inf], seed=0)
    tree = json.loads(json.dumps(figure.to_json(), allow_nan=False))
    assert tree["value"] == "inf"
    assert tree["high"] == "inf"
    assert tree["per_image"] == [30.0, "inf", "inf"]
    assert tree["n"] == 3


def test_one_image_has_no_interval() -> None:
    figure = mean_figure("psnr", [30.0], seed=0)
    assert (figure.value, figure.low, figure.high, figure.n) == (30.0, None, None, 1)


def test_the_jackknife_knows_the_error_of_a_difference_of_means() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(0, 1, 200), random.normal(0, 2, 100)

    def difference(x: Mask, y: Mask) -> float:
        return float(a[x].mean() - b[y].mean())

    errors = [jackknife_error(difference, (200, 100), seed) for seed in range(20)]
    assert np.mean(errors) == pytest.approx(2.262 * math.sqrt(1 / 200 + 4 / 100), rel=0.2)


def test_what_is_common_to_pairs_is_no_error() -> None:
    """Both images of a pair are left out together."""
    a = np.random.default_rng(0).normal(0, 1, 100)
    error = jackknife_error(lambda x, y: a[x].mean() - (a[y].mean() + 1), (100, 100), 0)
    assert error == pytest.approx(0, abs=1e-9)


def test_an_interval_of_few_images_says_so() -> None:
    few = mean_figure("l1", [0.1, 0.2, 0.4], 0)
    assert few.note is not None
    assert "too narrow" in few.note
    assert mean_figure("l1", [0.1, 0.2] * 10, 0).note is None
