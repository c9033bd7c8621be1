from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.errors import InputError
from planner.performance.steps import StepBatch
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.closed_loop import (
    benchmark_lengths,
    play_closed_loop,
    play_requests,
)

ALL = list(Scheduler)


class Affine:
    """A step time affine in everything a step holds."""

    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return (
            0.008
            + 1e-4 * b.decode_sequences
            + 1e-7 * b.decode_context_tokens
            + 4e-5 * b.prefill_tokens
            + 1e-9 * b.prefill_context_tokens
        )


class Constant:
    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return 0.01 + 0.0 * b.decode_sequences


def limits(scheduler, pool_tokens=10**7, seqs=256, budget=8192, **more) -> ReplicaLimits:
    return ReplicaLimits(
        scheduler,
        seqs,
        budget,
        kv_pool_bytes=pool_tokens * 2.0,
        kv_block_tokens=16,
        kv_block_bytes=32.0,
        chunked=scheduler is not Scheduler.NO_EVICT,
        **more,
    )


@pytest.mark.parametrize("scheduler", ALL)
def test_one_request_at_a_time_is_prefill_then_steps(scheduler):
    run = play_requests(
        limits(scheduler), np.array([1000] * 3), np.array([11] * 3), 1, resubmit_steps=0
    )
    result = run.evaluate(Constant())
    assert result.ttft_mean_s == pytest.approx(0.01)
    assert result.tpot_mean_s == pytest.approx(0.01)
    assert result.makespan_s == pytest.approx(3 * 11 * 0.01)


@pytest.mark.parametrize("scheduler", ALL)
def test_first_tokens_of_the_opening_burst_come_in_prefill_order(scheduler):
    run = play_requests(limits(scheduler, budget=2048), np.full(8, 2048), np.full(8, 50), 8)
    times = run.request_times(Affine())
    assert np.all(np.diff(times.first_token_s) > 0)


@pytest.mark.parametrize("scheduler", ALL)
def test_means_equal_those_of_the_single_requests(scheduler):
    run = play_closed_loop(limits(scheduler, pool_tokens=20_000), 700, 300, 24)
    result, times = run.evaluate(Affine()), run.request_times(Affine())
    assert result.ttft_mean_s == pytest.approx(times.ttft_s.mean(), rel=1e-9)
    assert result.tpot_mean_s == pytest.approx(times.tpot_s.mean(), rel=1e-9)
    assert result.e2e_mean_s == pytest.approx((times.end_s - times.sent_s).mean(), rel=1e-9)
    assert result.makespan_s == pytest.approx(times.end_s.max(), rel=1e-9)


@pytest.mark.parametrize("scheduler", ALL)
@pytest.mark.parametrize("pool_tokens", [60_000, 10**7])
def test_condensed_run_keeps_the_means(scheduler, pool_tokens):
    run = play_closed_loop(limits(scheduler, pool_tokens=pool_tokens), 1024, 512, 64)
    full, rough = run.evaluate(Affine()), run.condensed(128).evaluate(Affine())
    assert len(run.condensed(128).steps) < 250
    assert rough.ttft_mean_s == pytest.approx(full.ttft_mean_s, rel=0.01)
    assert rough.tpot_mean_s == pytest.approx(full.tpot_mean_s, rel=0.005)
    assert rough.makespan_s == pytest.approx(full.makespan_s, rel=0.002)


def test_no_evict_never_preempts_and_the_others_do_when_the_pool_is_small():
    pre = {s: play_closed_loop(limits(s, pool_tokens=9_000), 300, 600, 32).preemptions for s in ALL}
    assert pre[Scheduler.NO_EVICT] == 0
    assert pre[Scheduler.CHUNKED_PREFILL] > 0


def test_whole_prompts_without_chunking_and_pieces_with_it():
    whole = play_requests(
        limits(Scheduler.NO_EVICT, budget=2048), np.full(4, 3000), np.full(4, 5), 4
    )
    pieces = play_requests(
        limits(Scheduler.CHUNKED_PREFILL, budget=2048), np.full(4, 3000), np.full(4, 5), 4
    )
    assert np.max(whole.batch.prefill_tokens) == 3000
    assert np.max(pieces.batch.prefill_tokens + pieces.batch.decode_sequences) == 2048


def test_prefill_first_never_mixes():
    run = play_closed_loop(limits(Scheduler.PREFILL_FIRST), 500, 200, 32)
    assert not np.any((run.batch.prefill_tokens > 0) & (run.batch.decode_sequences > 0))


@given(
    scheduler=st.sampled_from(ALL),
    concurrency=st.integers(1, 40),
    prompt=st.integers(1, 3000),
    output=st.integers(1, 400),
    pool_tokens=st.integers(200, 30_000),
    seqs=st.integers(1, 32),
    budget=st.integers(64, 4096),
)
def test_every_token_is_prefilled_and_decoded_exactly_once(
    scheduler, concurrency, prompt, output, pool_tokens, seqs, budget
):
    own = limits(scheduler, pool_tokens, seqs, budget)
    run = play_closed_loop(own, prompt, output, concurrency, num_requests=2 * concurrency)
    prompts, outputs = benchmark_lengths(prompt, output, 2 * concurrency)
    decoded = float((run.batch.decode_sequences * run.steps).sum())
    prefilled = float(run.batch.prefill_tokens.sum())
    if run.preemptions == 0:
        assert decoded == (outputs - 1).sum()
        assert prefilled == prompts.sum()
    else:
        assert prefilled > prompts.sum()
    assert np.all(run.batch.decode_sequences <= seqs)
    assert np.all(run.rows_first > run.rows_sent)
    assert np.all(run.rows_end >= run.rows_first)
    assert run.evaluate(Constant()).makespan_s > 0


def test_speculation_shortens_the_run():
    plain = play_closed_loop(limits(Scheduler.CHUNKED_PREFILL), 500, 400, 8)
    fast = play_closed_loop(
        limits(Scheduler.CHUNKED_PREFILL, draft_tokens=3, tokens_per_step=2.5), 500, 400, 8
    )
    ratio = plain.evaluate(Constant()).tpot_mean_s / fast.evaluate(Constant()).tpot_mean_s
    assert ratio == pytest.approx(2.5, rel=0.05)


def test_senseless_numbers_are_refused():
    with pytest.raises(InputError, match="at least one"):
        play_closed_loop(limits(Scheduler.NO_EVICT), 0, 10, 4)
