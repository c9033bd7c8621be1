"""Quantiles as Prometheus has them, and length points that keep the measured mean."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.importing.histogram import histogram
from planner.scenario.lengths import Lengths
from planner.workload.lengths import joint_lengths


def test_a_quantile_is_linear_in_its_bucket():
    held = histogram({1.0: 50.0, 2.0: 90.0, math.inf: 100.0}, 120.0)
    assert held.quantile(0.5) == 1.0
    assert held.quantile(0.7) == pytest.approx(1.5)
    assert held.quantile(0.95) is None
    assert held.beyond == pytest.approx(0.1)


def test_nothing_observed_is_no_histogram():
    assert histogram({1.0: 0.0, math.inf: 0.0}, 0.0) is None
    assert histogram({1.0: 5.0}, 5.0) is None
    assert histogram({}, 0.0) is None


@given(
    st.lists(st.floats(1, 1000), min_size=2, max_size=12),
    st.floats(0.3, 0.7),
)
def test_points_keep_the_mean_as_far_as_the_buckets_allow(counts, place):
    """A mean at the same place of every bucket is kept to the rounding of the points."""
    bounds = [100.0 * (n + 1) for n in range(len(counts))]
    cumulative, below = {}, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        below += count
        cumulative[bound] = below
    cumulative[math.inf] = below
    total = sum(c * (b - 100 + 100 * place) for c, b in zip(counts, bounds, strict=True))
    held = histogram(cumulative, total)
    points = held.length_points()
    assert list(points) == sorted(points)
    assert list(points.values()) == sorted(points.values())
    lengths = joint_lengths(Lengths(quantiles=points), Lengths(mean=10))
    assert lengths.mean_prompt == pytest.approx(held.mean, rel=0.02, abs=2)
