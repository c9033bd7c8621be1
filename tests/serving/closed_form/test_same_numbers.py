"""Shorter ways to the same numbers, to the last bit: what they replace is written out here."""

from dataclasses import fields, replace

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.slowed import SlowedSteps
from planner.scenario.lengths import Lengths
from planner.serving.closed_form import latency_tails, replica_curves, steady_state
from planner.serving.closed_form.prefill_sharing import echo
from planner.serving.curve_rows import rows_of
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import constant, joint_lengths

MIXED = joint_lengths(Lengths(mean=900, cv=1.0, max=6000), Lengths(mean=250, cv=0.8, max=1500))
LIMITS = ReplicaLimits(Scheduler.CHUNKED_PREFILL, 256, 8192, 4e6, 16, 16.0)
RANDOM = np.random.default_rng(0)


class Affine:
    """Steps that cost so much each, a sequence and a prompt token."""

    admission_s = 0.004

    def step_seconds(self, batch):
        return 0.012 + 9e-5 * batch.decode_sequences + 6e-5 * batch.prefill_tokens


@pytest.mark.parametrize("states", [2, 3, 18, 19, 45, 58])
def test_slopes_of_many_rows_are_numpys_of_each(states):
    even = np.arange(float(states))
    uneven = np.concatenate([even[:-1], [even[-1] - 0.3]])
    at = np.stack([even, uneven, np.cumsum(RANDOM.random(states) + 0.1)])
    values = RANDOM.random(at.shape)
    expected = [np.gradient(v, x) for v, x in zip(values, at, strict=True)]
    assert np.array_equal(latency_tails._gradient(values, at), expected)


@pytest.mark.parametrize("count", [1, 2, 17, 18])
def test_the_median_is_numpys(count):
    values = RANDOM.random(count)
    assert replica_curves._median(values) == float(np.median(values))


@pytest.mark.parametrize("steps", [1e-12, 0.7, 3.2, 51.0, 499.0, 20_000.0])
def test_powers_that_one_loses_nothing_by_are_not_worked_out(steps):
    load = np.minimum(RANDOM.random((10, 40, 1)) * 1.1, 0.98)
    load[0] = 0.0
    load[1] = 10.0 ** -RANDOM.integers(1, 300, (40, 1)).astype(float)
    rows = rows_of([replica_curves.replica_curves(Affine(), LIMITS, constant(700, 90))])
    assert np.array_equal(
        echo(rows, load, np.array([steps])), (1 - load ** np.array([steps])) / (1 - load)
    )


@pytest.mark.parametrize("cv", [1.0, 2.0])
def test_states_that_hardly_occur_add_nothing_to_sums(monkeypatch, cv):
    curves = replica_curves.replica_curves(Affine(), LIMITS, constant(700, 90))
    rates = np.geomspace(1e-3, 20.0, 12)
    found = steady_state.steady_state(curves, rates, cv)
    monkeypatch.setattr(steady_state, "LEAST_LOG", -np.inf)
    whole = steady_state.steady_state(curves, rates, cv)
    assert np.array_equal(found.share, whole.share)
    assert np.array_equal(found.waiting, whole.waiting)


@pytest.mark.parametrize("lengths", [constant(700, 90), MIXED], ids=["constant", "mixed"])
@pytest.mark.parametrize("scheduler", list(Scheduler))
def test_curves_of_slower_steps_are_those_of_the_seconds_taken_longer(lengths, scheduler):
    limits = replace(LIMITS, scheduler=scheduler, chunked=scheduler is not Scheduler.NO_EVICT)
    slowed = SlowedSteps(Affine(), 1.3)
    seconds = 1.3 * replica_curves.grid_seconds(Affine(), limits, lengths)
    one = replica_curves.replica_curves(slowed, limits, lengths)
    other = replica_curves.curves_from(seconds, slowed.admission_s, limits, lengths)
    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_a_prefix_that_all_prompts_share_is_taken_off_the_pool_once():
    cached = np.full_like(MIXED.prompt, 64)
    lengths = MIXED.with_cached(np.minimum(cached, MIXED.prompt - 1), 320)
    curves = replica_curves.replica_curves(Affine(), LIMITS, lengths)
    assert curves.kv_pool_bytes == LIMITS.kv_pool_bytes - 320 * 1.0
