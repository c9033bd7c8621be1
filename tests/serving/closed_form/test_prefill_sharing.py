"""Which prompts share a step: the closed form against known limits and against the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals
from planner.scenario.slo import Slo
from planner.serving.closed_form.arrival_gaps import (
    companions,
    gap_beyond,
    gap_beyond_since,
    gap_within,
)
from planner.serving.closed_form.capacity import capacity_within
from planner.serving.closed_form.prefill_sharing import prefill_sharing, prefills_met
from planner.serving.closed_form.replica_curves import replica_curves
from planner.serving.curve_rows import rows_of
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import constant, joint_lengths

POINTS = np.array([0.01, 0.3, 1.0, 4.0])


class Affine:
    """A step costs 20 ms, 20 us more for every prompt token, and ``each_s`` for a sequence."""

    admission_s = 0.0

    def __init__(self, each_s: float = 0.0) -> None:
        self.each_s = each_s

    def step_seconds(self, b: StepBatch):
        return 0.02 + 2e-5 * b.prefill_tokens + self.each_s * b.decode_sequences


def limits(scheduler, seqs=2048, pool_bytes=1e12):
    return ReplicaLimits(
        scheduler,
        seqs,
        16_384,
        pool_bytes,
        16,
        16.0,
        chunked=scheduler is not Scheduler.NO_EVICT,
    )


def test_poisson_arrivals_have_no_company():
    assert np.all(companions(1.0, POINTS) == 0)
    assert gap_beyond(1.0, POINTS) == pytest.approx(np.exp(-POINTS))
    assert gap_within(1.0, POINTS) == pytest.approx(1 - np.exp(-POINTS))


@pytest.mark.parametrize("cv", [1.5, 2.5])
def test_bursts_have_the_company_that_renewal_theory_says(cv):
    """m(t) - t tends to (CV^2 - 1) / 2; the mean gap is 1 and P(gap > 0) is 1."""
    assert companions(cv, np.array([25 * cv**2])) == pytest.approx((cv**2 - 1) / 2, rel=0.1)
    assert gap_within(cv, np.array([30 * cv**2])) == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(gap_beyond(cv, POINTS)) < 0)
    assert np.all(companions(cv, POINTS) > 0)


@pytest.mark.parametrize("cv", [1.0, 1.46, 3.0])
def test_a_gap_longer_than_any_that_is_tabled_still_ends(cv):
    """Memoryless beyond the table: a thousand times the mean gap, and rates that underflow."""
    elapsed, further = np.array([[0.0], [1e3], [1e6]]), np.array([0.0, 1.0, 4.0])
    chance = gap_beyond_since(cv, elapsed, further)
    assert np.all(chance[:, 0] == 1)
    assert np.all(np.diff(chance, axis=1) < 0)
    assert chance[1:] == pytest.approx(np.exp(-further / cv**2) * np.ones((2, 1)))


@pytest.mark.parametrize("scheduler", list(Scheduler))
@pytest.mark.parametrize("cv", [1.0, 2.0])
def test_as_many_prompts_share_a_step_as_in_the_simulator(scheduler, cv):
    own, lengths, qps = limits(scheduler), constant(500, 50), 25.0
    curves = replica_curves(Affine(), own, lengths)
    process = Arrivals(process="poisson" if cv == 1 else "gamma", cv=cv)
    requests = open_loop(lengths, process, qps, 400.0, 1)
    simulated = simulate([SimulatedGroup(Affine(), own, 1)], requests)
    # a step with k prompts takes 20 ms and 10 ms a prompt, so the time spent in them tells their number
    spent = simulated.prefill_busy_s / len(requests)
    state = int(np.searchsorted(curves.state, simulated.batch_mean))
    sharing = prefill_sharing(rows_of([curves]), np.array([[qps]]), cv)
    beside = 0.0 if scheduler is Scheduler.PREFILL_FIRST else 0.02
    each = float(sharing.prefill_s[0, state])
    together = 0.02 / (spent - 0.01)
    closed = beside / (spent - each) if beside else 0.02 / (each - 0.01)
    assert closed == pytest.approx(together, rel=0.12)


def test_prompts_that_go_first_are_a_busy_period_and_beside_decode_few_steps_see_few():
    lam = np.array([[10.0]])
    steps = np.array([1.0, 200.0])
    found = {}
    for scheduler in (Scheduler.PREFILL_FIRST, Scheduler.CHUNKED_PREFILL):
        curves = replica_curves(Affine(), limits(scheduler), constant(500, 50))
        rows = rows_of([curves])
        sharing = prefill_sharing(rows, lam, 1.0)
        decode = np.broadcast_to(curves.decode_s, sharing.prefill_s.shape)[:, :, None]
        found[scheduler] = prefills_met(rows, sharing, lam, decode, steps, 1.0)[0, 5]
        load = 10 * sharing.prefill_s[0, 5]
        later = sharing.later[0, 5]
        if scheduler is Scheduler.PREFILL_FIRST:
            whole = (later + 10 * 199 * curves.decode_s[5]) / (1 - load)
            assert found[scheduler][1] == pytest.approx(whole)
            assert found[scheduler][0] == pytest.approx(later / (1 - load))
        else:
            assert found[scheduler][0] == pytest.approx(later)


def test_saturation_slots_and_targets_are_reported_apart():
    lengths = joint_lengths(Lengths(mean=500, cv=0.5), Lengths(mean=100, cv=0.5))
    loose = Slo.model_validate({"ttft_p90": 1000.0, "tpot_p90": 10.0})
    tight = Slo.model_validate({"ttft_p90": 1000.0, "tpot_p90": 0.045})
    chunked, steps = Scheduler.CHUNKED_PREFILL, Affine(each_s=5e-4)
    found = capacity_within(steps, limits(chunked), lengths, loose)
    assert found.limited_by == "throughput"
    assert capacity_within(steps, limits(chunked), lengths, tight).limited_by == "tpot_p90"
    few = limits(chunked, seqs=8)
    assert capacity_within(steps, few, lengths, loose).limited_by == "max_num_seqs"
    waits = Slo.model_validate({"ttft_p90": 0.3, "tpot_p90": 10.0})
    assert capacity_within(steps, few, lengths, waits).limited_by == "max_num_seqs"
    small = limits(chunked, pool_bytes=float(8 * lengths.max_total))
    assert capacity_within(steps, small, lengths, waits).limited_by == "kv pool"
