"""Bursts that are split over replicas, against the formula and against arrivals that are split."""

import math

import numpy as np
import pytest

from planner.scenario.schema import Scenario
from planner.serving.split_arrivals import SplitArrivals

SERVICE = {
    "name": "chat",
    "model": "Qwen/Qwen3-8B",
    "rate": 8,
    "prompt_tokens": 500,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s"},
}
BURSTS = {"arrivals": {"process": "gamma", "cv": 2}}


def service(more):
    return Scenario.model_validate({**SERVICE, **more}).services[0]


def arrivals(more=BURSTS):
    return SplitArrivals.of(service(more))


def test_one_of_many_replicas_sees_almost_poisson_arrivals():
    split = arrivals()
    assert split.prompts_cv(8.0) == split.prompts_cv(20.0) == 2.0
    assert split.prompts_cv(2.0) == pytest.approx(math.sqrt(1 + 3 / 4))
    assert split.prompts_cv(0.5) == pytest.approx(math.sqrt(1 + 3 / 16))
    assert 1 < split.prompts_cv(1e-9) == split.prompts_cv(8 / 256) < 1.01


def test_shares_are_rounded_to_burstier_ones():
    split = arrivals()
    assert split.prompts_cv(1.5) == split.prompts_cv(2.0) > split.prompts_cv(1.4)
    assert split.prompts_cv(2.0 * (1 + 1e-9)) == split.prompts_cv(2.0)
    assert split.calmer_qps(2.0) == split.calmer_qps(1.5) == pytest.approx(8 / 2**2.5)
    assert split.prompts_cv(split.calmer_qps(2.0)) < split.prompts_cv(2.0)
    assert split.calmer_qps(1e-9) is None


@pytest.mark.parametrize(
    "more",
    [{}, {"arrivals": {"process": "constant"}}, {"arrivals": {"process": "weibull", "cv": 0.5}}],
    ids=["poisson", "constant", "even"],
)
def test_arrivals_without_bursts_stay_as_they_are(more):
    split = arrivals(more)
    assert split.prompts_cv(0.1) == split.prompts_cv(100.0) == 1.0
    assert split.calls_cv(0.1) == service(more).arrivals.cv
    assert split.calmer_qps(1.0) is None


def test_the_lowest_hour_counts_and_one_without_requests_does_not():
    hours = BURSTS | {"load": {"hourly": [0, 1] * 11 + [0, 3]}}
    assert arrivals(hours).qps == pytest.approx(8 * 24 / 14)
    assert arrivals(hours).prompts_cv(8 * 24 / 14) == 2.0


def test_calls_are_split_and_their_prompts_are_not():
    calls = {k: v for k, v in SERVICE.items() if k not in ("output_tokens", "slo")}
    more = {"task": "rerank", "prompts_per_call": 4, "slo": {"e2e_p99": "2s"}}
    split = SplitArrivals.of(Scenario.model_validate({**calls, **BURSTS, **more}).services[0])
    assert split.prompts_cv(2.0) == pytest.approx(2 * math.sqrt(1 + 3 / 4))


@pytest.mark.parametrize("replicas", [2, 4, 16])
def test_counts_vary_as_stated_where_arrivals_are_split_at_random(replicas):
    """Of gamma gaps of CV 2: variance over mean of the counts in long windows at one replica."""
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.gamma(1 / 4, 4 / 8, 4_000_000))
    own = times[rng.random(len(times)) < 1 / replicas]
    counts = np.bincount((own / 50).astype(int))[:-1]
    expected = SplitArrivals(2.0, 8.0, 1).prompts_cv(8 / replicas) ** 2
    assert counts.var() / counts.mean() == pytest.approx(expected, rel=0.06)
