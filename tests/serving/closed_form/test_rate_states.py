"""Replicas solved together give, bit by bit, what each gives alone."""

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.catalog.store import load_catalog
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.scenario.lengths import Lengths
from planner.scenario.reader import read_scenario
from planner.scenario.slo import Slo, Target
from planner.serving.closed_form.capacity import capacity_from, solve_ahead
from planner.serving.closed_form.rate_states import LADDER, RateStates, solve_together
from planner.serving.limits import replica_limits
from planner.workload.lengths import JointLengths, constant, joint_lengths

MIXED = joint_lengths(Lengths(mean=900, cv=1.0, max=6000), Lengths(mean=250, cv=0.8, max=1500))
SLO = Slo(
    targets=(
        Target(metric="ttft", percentile=99, seconds=1.0),
        Target(metric="tpot", percentile=99, seconds=0.06),
        Target(metric="itl", percentile=95, seconds=0.2),
        Target(metric="e2e", percentile=90, seconds=30.0),
    )
)


@pytest.fixture(scope="module")
def replicas():
    """Step models and limits of a dozen real deployments, their pools cut so that states differ."""
    catalog = load_catalog()
    service = read_scenario("chat_8b_small_gpus", catalog).services[0]
    offers = admitted_offers(read_scenario("chat_8b_small_gpus", catalog).prices, catalog)
    found = enumerate_candidates(service, catalog, offers, load_calibration(catalog)).candidates
    chosen = []
    for i, c in enumerate(found[:12]):
        limits = replica_limits(c.deployment, c.memory)
        pool = limits.kv_pool_bytes if i % 3 else limits.sequence_bytes(8000) * 6
        scheduler = Scheduler.PREFILL_FIRST if i % 4 == 3 else limits.scheduler
        chosen.append((c.steps, replace(limits, kv_pool_bytes=pool, scheduler=scheduler)))
    return chosen


@pytest.mark.parametrize("cv", [1.0, 2.0])
@pytest.mark.parametrize("lengths", [constant(1000, 300), MIXED], ids=["constant", "mixed"])
def test_replicas_solved_together_are_the_same_to_the_last_bit(
    replicas, lengths: JointLengths, cv: float
) -> None:
    alone = [RateStates(steps, limits, lengths, cv) for steps, limits in replicas]
    together = [RateStates(steps, limits, lengths, cv) for steps, limits in replicas]
    solve_ahead([(states, SLO) for states in together])
    for mine, theirs in zip(together, alone, strict=True):
        here, there = mine.ladder(), theirs.ladder()
        for name in ("share", "step_s", "waiting_share", "drain_qps", "stable", "waiting"):
            assert np.array_equal(getattr(here, name), getattr(there, name)), name
        for target in SLO.targets:
            assert np.array_equal(mine.late_share(target), theirs.late_share(target)), target.key
        one, other = capacity_from(mine, SLO), capacity_from(theirs, SLO)
        assert replace(one, latency_s={}) == replace(other, latency_s={})
        assert dict(one.latency_s) == dict(other.latency_s)


def test_what_is_solved_already_is_not_solved_again(
    replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, limits = replicas[0]
    states = RateStates(steps, limits, MIXED)
    solve_together([(states, -1, SLO.targets)])
    assert len(states.ladder().rate_qps) == len(LADDER)
    monkeypatch.setattr("planner.serving.closed_form.rate_states.solved_together", None)
    solve_together([(states, -1, SLO.targets)])
