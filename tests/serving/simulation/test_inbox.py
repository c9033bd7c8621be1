"""Requests that an engine does not see at once: polled inboxes and prompts held back for others."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.closed_loop import play_requests
from planner.serving.simulation.inbox import ENDLESS, Inbox, Intake
from planner.serving.simulation.sequence import ScheduledStep


class OneSecondSteps:
    """Every step takes a second."""

    def step_seconds(self, batch: StepBatch) -> np.ndarray:
        return np.ones_like(np.asarray(batch.decode_sequences, dtype=float))


def decode_step(steps: int = 1) -> ScheduledStep:
    return ScheduledStep(4, 4000, steps)


def prompt_step() -> ScheduledStep:
    step = ScheduledStep(4, 4000, 1)
    step.prefill = 100
    return step


def steps_until_seen(intake: Intake, passed: int = 0) -> int:
    """Decode steps from a request's arrival until the scheduler sees it."""
    inbox = Inbox(intake)
    for _ in range(passed):
        inbox.after(decode_step(), 4)
    inbox.post(7, 1000, 0)
    for count in range(1, 200):
        if inbox.after(decode_step(), 4):
            return count
    raise AssertionError("never seen")


def test_an_engine_looks_after_every_step_by_default() -> None:
    assert steps_until_seen(Intake()) == 1


@pytest.mark.parametrize(("passed", "waits"), [(0, 10), (4, 6), (9, 1)])
def test_a_polled_inbox_is_looked_into_every_so_many_decode_steps(passed: int, waits: int) -> None:
    assert steps_until_seen(Intake(poll_steps=10), passed) == waits


def test_a_polled_inbox_is_looked_into_after_a_step_with_prompts() -> None:
    inbox = Inbox(Intake(poll_steps=10))
    inbox.post(7, 1000, 0)
    assert inbox.after(prompt_step(), 4) == [7]


def test_several_decode_steps_at_once_end_where_the_inbox_is_looked_into() -> None:
    inbox = Inbox(Intake(poll_steps=10))
    assert inbox.patience == ENDLESS
    inbox.after(decode_step(3), 4)
    inbox.post(7, 1000, 0)
    assert inbox.patience == 7
    assert inbox.after(decode_step(7), 4) == [7]


def test_prompts_wait_for_others_at_most_so_many_steps() -> None:
    assert steps_until_seen(Intake(gather_steps=20, gather_tokens=8192)) == 21


def test_enough_tokens_or_prompts_end_the_wait() -> None:
    assert steps_until_seen(Intake(gather_steps=20, gather_tokens=1004)) == 1
    assert steps_until_seen(Intake(gather_steps=20, gather_prompts=1)) == 1


def test_an_engine_that_decodes_nothing_holds_no_prompt_back() -> None:
    inbox = Inbox(Intake(gather_steps=20))
    inbox.post(7, 1000, 0)
    assert inbox.after(decode_step(), 0) == [7]


def test_an_idle_engine_takes_everything() -> None:
    inbox = Inbox(Intake(poll_steps=30, gather_steps=20))
    inbox.post(7, 1000, 5)
    assert inbox.everything() == [7]
    assert inbox.everything() == []


def test_ttft_in_the_steady_state_grows_by_what_requests_wait() -> None:
    """Prompts of a batch whose members end apart wait on average for half an interval."""
    limits = ReplicaLimits(Scheduler.NO_EVICT, 64, 8192, chunked=False)
    rng = np.random.default_rng(1)
    prompts = rng.integers(800, 1000, 160)
    outputs = rng.integers(400, 1000, 160)

    def ttft_s(intake: Intake) -> float:
        run = play_requests(limits, prompts, outputs, 16, intake=intake)
        return float(run.steady_weight @ OneSecondSteps().step_seconds(run.batch))

    at_once = ttft_s(Intake())
    assert at_once < 3
    assert ttft_s(Intake(poll_steps=30)) - at_once == pytest.approx(15, abs=3)
    assert ttft_s(Intake(gather_steps=20)) - at_once == pytest.approx(16, abs=4)


def test_played_tokens_do_not_depend_on_the_intake() -> None:
    limits = ReplicaLimits(Scheduler.PREFILL_FIRST, 64, 8192)
    prompts, outputs = np.full(40, 900), np.arange(100, 140)
    plain = play_requests(limits, prompts, outputs, 8)
    polled = play_requests(limits, prompts, outputs, 8, intake=Intake(poll_steps=10))
    assert plain.output_tokens == polled.output_tokens
    assert plain.steps.sum() < polled.steps.sum()
