from __future__ import annotations

import numpy as np
import pytest

from planner.accuracy.metrics import mean_rank_correlation, percentage_errors, spearman


def test_percentage_errors_of_known_numbers() -> None:
    errors = percentage_errors(np.array([110.0, 80.0, 100.0]), np.array([100.0, 100.0, 100.0]))
    assert errors["mean_absolute_error_pct"] == pytest.approx(10.0)
    assert errors["median_absolute_error_pct"] == pytest.approx(10.0)
    assert errors["bias_pct"] == pytest.approx(100 * (0.88 ** (1 / 3) - 1))


def test_spearman_with_ties_matches_scipy() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, 40).tolist(), rng.integers(0, 6, 40).tolist()
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_a_constant_side_has_no_rank_correlation() -> None:
    assert spearman([1, 2, 3], [5, 5, 5]) is None


def test_rank_correlation_is_averaged_over_workloads() -> None:
    groups = ["a"] * 3 + ["b"] * 3 + ["c"]
    value = mean_rank_correlation(groups, [1, 2, 3, 1, 2, 3, 9], [1, 2, 3, 3, 2, 1, 9])
    assert value == pytest.approx(0.0)
