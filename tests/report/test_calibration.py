"""The expected calibration error and its bins: by hand, and as scikit-learn's `calibration_curve` has them."""

import numpy as np
import pytest

from kerasrun.report import figures
from kerasrun.report.calibration import calibration


def test_the_error_by_hand():
    # 0.95 and 0.97 are in the bin from 14/15: sure by 0.96, right in half of all; 0.5 is in a bin alone, and right.
    found = calibration(np.array([True, False, True]), np.array([0.95, 0.97, 0.5]))
    assert found.confidence.tolist() == pytest.approx([0.5, 0.96], abs=1e-12)
    assert found.accuracy.tolist() == [1, 0.5]
    assert found.examples.tolist() == [1, 2]
    assert found.error == pytest.approx(1 / 3 * 0.5 + 2 / 3 * 0.46, abs=1e-12)


def test_the_error_is_the_sum_of_its_formula():
    """Guo and others, equation 3: bin m holds what is above (m − 1)/15 and at most m/15."""
    draw = np.random.default_rng(5)
    confidence = draw.random(500)
    right = draw.random(500) < confidence**2
    expected = 0.0
    for m in range(1, 16):
        inside = [n for n in range(500) if (m - 1) / 15 < confidence[n] <= m / 15]
        if inside:
            accuracy = sum(right[n] for n in inside) / len(inside)
            expected += len(inside) / 500 * abs(accuracy - sum(confidence[n] for n in inside) / len(inside))
    assert calibration(right, confidence).error == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("draw", [np.random.default_rng(1).random, lambda n: np.linspace(0, 1, 16)[np.arange(n) % 16]])
def test_the_curve_is_that_of_scikit_learn(draw):
    from sklearn.calibration import calibration_curve

    confidence = draw(400)
    right = np.random.default_rng(2).random(400) < 0.6
    share, mean = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
    found = calibration(right, confidence)
    assert found.accuracy == pytest.approx(share, abs=1e-9)
    assert found.confidence == pytest.approx(mean, abs=1e-9)


def test_the_picture_shows_the_points_and_how_many_examples_they_are():
    found = calibration(np.array([True, False, True, True]), np.array([0.95, 0.97, 0.5, 0.5]))
    above, below = figures.calibration({"": found})["calibration"].axes
    _, curve = above.get_lines()
    assert curve.get_xydata() == pytest.approx(np.array([[0.5, 1], [0.96, 0.5]]))
    assert below.get_lines()[0].get_ydata().tolist() == [0.5, 0.5]
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["ECE 0.480"]
