import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.candidates.derating import sigma_of_cv
from planner.fleet.candidates.robustness import (
    ReplicaUncertainty,
    chance_to_hold,
    replicas_for,
    size_chances,
)

CDF = NormalDist().cdf


def in_proportion(capacity_qps, model_sigma):
    """A replica whose capacity falls in proportion as its steps slow down."""
    return ReplicaUncertainty(lambda factor: capacity_qps / factor, model_sigma)


def test_sigma_of_cv_matches_the_moments_of_a_lognormal():
    sigma = sigma_of_cv(0.4)
    assert math.sqrt(math.expm1(sigma * sigma)) == pytest.approx(0.4)


@settings(max_examples=50)
@given(
    capacity=st.floats(1, 10),
    rate=st.floats(5, 100),
    model=st.floats(0.02, 0.5),
    demand=st.floats(0.02, 0.5),
    replicas=st.integers(1, 40),
)
def test_chance_of_one_deployment_agrees_with_the_closed_form(
    capacity, rate, model, demand, replicas
):
    chance = chance_to_hold([(in_proportion(capacity, model), replicas)], rate, demand)
    exact = CDF(math.log(replicas * capacity / rate) / math.hypot(model, demand))
    assert chance == pytest.approx(exact, abs=0.006)


def test_model_error_does_not_average_out_over_replicas_but_does_over_deployments():
    kind = in_proportion(1.0, 0.3)
    ten = chance_to_hold([(kind, 12)], 10.0)
    thousand = chance_to_hold([(kind, 1200)], 1000.0)
    assert ten == pytest.approx(thousand)
    mixed = chance_to_hold([(kind, 600), (in_proportion(1.0, 0.3), 600)], 1000.0)
    assert mixed > thousand


def test_chance_of_a_mix_agrees_with_plain_simulation():
    fleet = [(in_proportion(2.0, 0.2), 5), (in_proportion(1.0, 0.4), 8)]
    rng = random.Random(1)
    hits = 0
    for _ in range(20_000):
        carried = sum(
            n * k.capacity_qps(math.exp(k.model_sigma * rng.gauss(0, 1))) for k, n in fleet
        )
        hits += carried >= 16.0 * math.exp(0.1 * rng.gauss(0, 1))
    assert chance_to_hold(fleet, 16.0, 0.1) == pytest.approx(hits / 20_000, abs=0.02)


@given(
    rate=st.floats(1, 200),
    sigma=st.floats(0.01, 0.5),
    demand=st.floats(0.0, 0.3),
    probability=st.floats(0.1, 0.99),
)
@settings(max_examples=40)
def test_fewest_replicas_are_enough_and_one_less_is_not(rate, sigma, demand, probability):
    kind = in_proportion(3.0, sigma)
    replicas = replicas_for(kind, rate, probability, demand)
    assert replicas is not None
    assert chance_to_hold([(kind, replicas)], rate, demand) >= probability
    if replicas > 1:
        assert chance_to_hold([(kind, replicas - 1)], rate, demand) < probability


def test_the_table_grows_with_the_replicas_and_ends_at_the_wanted_chance():
    table = size_chances(
        in_proportion(2.5, 0.1), gpus_per_replica=2, rate_qps=23.0, demand_sigma=0.05
    )
    chances = [row.probability for row in table]
    assert chances == sorted(chances)
    assert chances[-1] >= 0.999
    assert all(row.gpus == 2 * row.replicas for row in table)


def test_a_replica_that_collapses_when_slow_is_not_saved_by_numbers():
    """A latency target it cannot meet at any rate once steps take 20 % longer."""
    kind = ReplicaUncertainty(lambda factor: 2.0 if factor < 1.2 else 0.0, 0.2)
    ceiling = CDF(math.log(1.2) / 0.2)
    assert chance_to_hold([(kind, 10_000)], 10.0) == pytest.approx(ceiling, abs=0.005)
    assert replicas_for(kind, 10.0, 0.95, max_replicas=1000) is None
    assert (
        size_chances(
            ReplicaUncertainty(lambda factor: 0.0, 0.2),
            gpus_per_replica=1,
            rate_qps=1,
            max_replicas=9,
        )
        == ()
    )
