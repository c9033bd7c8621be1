"""A closed-loop measurement, simulated the way benchmarks run it.

``concurrency`` requests are sent at the start, and each answer releases the next request. Which steps
a scheduler then composes does not depend on how long they take, so a run is simulated once into a
``ClosedLoopRun`` (the batches of all its steps) and priced with any step model by one vectorised
call and a weighted sum: exact, and cheap enough to sit inside a fit.

    run = play_closed_loop(limits, prompt, output, concurrency=64)     # once per workload
    result = run.evaluate(step_model)                                  # for every set of factors
    rough = run.condensed(rows=128).evaluate(step_model)               # same means, fewer batches
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.performance.steps import StepBatch, StepModel
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.inbox import EVERY_STEP, Inbox, Intake
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.schedulers.registry import composer
from planner.serving.simulation.sequence import ScheduledStep, Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClosedLoopResult:
    """Averages over the requests of a run [s]; ``requests_per_s`` and tokens/s over its makespan."""

    ttft_mean_s: float
    tpot_mean_s: float
    e2e_mean_s: float
    makespan_s: float
    requests_per_s: float
    output_tokens_per_s: float


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """Per-request times [s] of a run, in the order the requests were sent."""

    sent_s: Floats
    first_token_s: Floats
    end_s: Floats
    ttft_s: Floats
    tpot_s: Floats


@dataclass(frozen=True, slots=True)
class ClosedLoopRun:
    """The steps of one run. ``batch`` has one entry per row; a row represents ``steps`` equal steps.
    Under attention DP its prefill is that of ``Step.imbalance`` even shares.

    ttft_weight, tpot_weight, e2e_weight: how often a row's step time enters the mean TTFT, TPOT and
    E2E, so that a mean is ``weight @ step_seconds``; steady_weight: in the mean TTFT of requests that an
    answer released, not sent at the start (empty when all were); first_share: those sent at the start.
    ``rows_*``: after how many rows each request was sent, had its first token and ended (empty once
    condensed).
    """

    batch: StepBatch
    steps: Floats
    ttft_weight: Floats
    tpot_weight: Floats
    e2e_weight: Floats
    requests: int
    output_tokens: int
    preemptions: int
    outputs: Ints
    steady_weight: Floats = field(default_factory=lambda: np.zeros(0))
    first_share: float = 1.0
    rows_sent: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rows_first: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rows_end: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def evaluate(self, steps: StepModel) -> ClosedLoopResult:
        """Means under ``steps``; one vectorised call of ``step_seconds``."""
        return self.combine(np.asarray(steps.step_seconds(self.batch), dtype=float))

    def combine(self, seconds: Floats) -> ClosedLoopResult:
        """Means when the caller has computed the step times [s] of ``batch`` itself."""
        makespan = float(self.steps @ seconds)
        return ClosedLoopResult(
            ttft_mean_s=float(self.ttft_weight @ seconds),
            tpot_mean_s=float(self.tpot_weight @ seconds),
            e2e_mean_s=float(self.e2e_weight @ seconds),
            makespan_s=makespan,
            requests_per_s=self.requests / makespan,
            output_tokens_per_s=self.output_tokens / makespan,
        )

    def request_times(self, steps: StepModel) -> RequestTimes:
        """Times of every request (for medians and percentiles); not after ``condensed``."""
        if not len(self.rows_end):
            raise ValueError("a condensed run keeps means only")
        seconds = np.asarray(steps.step_seconds(self.batch), dtype=float)
        clock = np.concatenate([[0.0], np.cumsum(self.steps * seconds)])
        sent, first, end = clock[self.rows_sent], clock[self.rows_first], clock[self.rows_end]
        gaps = np.where(self.outputs > 1, self.outputs - 1, np.nan)
        return RequestTimes(sent, first, end, first - sent, (end - first) / gaps)

    def condensed(self, rows: int = 128) -> ClosedLoopRun:
        """Merge equal steps into at most about ``rows`` rows; means change by well under 1 %.

        Rows are sorted by what they prefill, then by batch and context, and cut into groups of equal
        weight; each group keeps its weighted mean batch.
        """
        b = self.batch
        decode = np.asarray(b.decode_sequences, dtype=float)
        if len(decode) <= rows:
            return self
        context = np.asarray(b.decode_context_tokens, dtype=float)
        prefill = np.asarray(b.prefill_tokens, dtype=float)
        weight = self.steps / self.steps.sum()
        for part in (self.ttft_weight, self.tpot_weight):
            if part.sum() > 0:
                weight = weight + part / part.sum()
        classes = np.where(prefill > 0, 1 + np.round(2 * np.log2(np.maximum(prefill, 1))), 0)
        equal = np.round(4 * np.log2(np.maximum(decode, 0.5)))
        order = np.lexsort((context, equal, classes))
        position = np.cumsum(weight[order]) / weight.sum() * rows
        cut = np.concatenate([[True], np.diff(position.astype(int)) > 0])
        cut[1:] |= np.diff(classes[order]) != 0
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.cumsum(cut) - 1
        count = int(group.max()) + 1
        total = np.bincount(group, weight, count)

        def mean(values: object) -> Floats:
            array = np.broadcast_to(np.asarray(values, dtype=float), weight.shape)
            return np.asarray(np.bincount(group, weight * array, count) / total)

        def add(values: Floats) -> Floats:
            return np.asarray(np.bincount(group, values, count), dtype=float)

        return ClosedLoopRun(
            batch=StepBatch(
                mean(decode),
                mean(context),
                mean(prefill),
                mean(b.prefill_sequences),
                mean(b.prefill_context_tokens),
                mean(b.sampled_tokens),
            ),
            steps=add(self.steps),
            ttft_weight=add(self.ttft_weight),
            tpot_weight=add(self.tpot_weight),
            e2e_weight=add(self.e2e_weight),
            requests=self.requests,
            output_tokens=self.output_tokens,
            preemptions=self.preemptions,
            outputs=self.outputs,
            steady_weight=add(self.steady_weight)
            if len(self.steady_weight)
            else self.steady_weight,
            first_share=self.first_share,
        )


def benchmark_lengths(
    nominal_prompt: int, nominal_output: int, requests: int, seed: int = 0, spread: float = 0.8
) -> tuple[Ints, Ints]:
    """Lengths as throughput benchmarks draw them: uniform in ``spread`` to 1.0 of nominal [tokens]."""
    rng = np.random.default_rng(seed)
    prompts = rng.integers(int(nominal_prompt * spread), nominal_prompt + 1, requests)
    outputs = rng.integers(int(nominal_output * spread), nominal_output + 1, requests)
    return np.maximum(prompts, 1), np.maximum(outputs, 1)


def play_closed_loop(
    limits: ReplicaLimits,
    prompt_tokens: int,
    output_tokens: int,
    concurrency: int,
    *,
    num_requests: int | None = None,
    seed: int = 0,
    spread: float = 0.8,
    resubmit_steps: int = 1,
) -> ClosedLoopRun:
    """Simulate a benchmark of ``num_requests`` (default ``10 x concurrency``) through one replica.

    ``resubmit_steps``: steps the engine takes before it sees the request that an answer released (the
    answer travels while the next step already runs). A pool too small for one sequence is taken as
    just large enough for it: the measurement exists. Raises InputError on senseless numbers.
    """
    if min(prompt_tokens, output_tokens, concurrency) < 1:
        raise InputError(
            "a closed-loop run needs at least one prompt token, output token and request in flight",
            found=(prompt_tokens, output_tokens, concurrency),
        )
    requests = num_requests or 10 * concurrency
    prompts, outputs = benchmark_lengths(prompt_tokens, output_tokens, requests, seed, spread)
    return play_requests(limits, prompts, outputs, concurrency, resubmit_steps=resubmit_steps)


def play_requests(
    limits: ReplicaLimits,
    prompts: Ints,
    outputs: Ints,
    concurrency: int,
    *,
    resubmit_steps: int = 1,
    intake: Intake = EVERY_STEP,
) -> ClosedLoopRun:
    """Simulate given prompt and output lengths in order, ``concurrency`` in flight.

    intake: how the engine takes in requests while it decodes.
    """
    limits = limits.holding(int((prompts + outputs).max()))
    inbox = Inbox(intake)
    return _ClosedLoop(limits, prompts, outputs, concurrency, resubmit_steps, inbox).run()


class _ClosedLoop:
    """Runs the replica and notes each row with how many requests wait or decode in it."""

    def __init__(
        self,
        limits: ReplicaLimits,
        prompts: Ints,
        outputs: Ints,
        concurrency: int,
        delay: int,
        inbox: Inbox,
    ) -> None:
        self._replica = Replica(limits, composer(limits.scheduler))
        self._prompts, self._outputs = prompts.tolist(), outputs.tolist()
        self._outputs_array = outputs
        self._count = len(self._prompts)
        self._concurrency, self._delay = concurrency, delay
        self._rows: list[tuple[float, ...]] = []
        self._sent = [0] * self._count
        self._first = [0] * self._count
        self._end = [0] * self._count
        self._next = 0
        self._inbox = inbox
        self._before_first = 0
        self._late_before_first = 0
        self._per_token = 0.0
        self._in_flight = 0
        self._done = 0

    def run(self) -> ClosedLoopRun:
        for _ in range(min(self._concurrency, self._count)):
            self._replica.submit(self._send())
        while self._done < self._count:
            step = self._replica.plan()
            if step is None:
                self._submit(self._inbox.everything())
                continue
            step.steps = min(step.steps, self._inbox.patience)
            self._note(step)
            self._replica.commit(step, self)
            self._submit(self._inbox.after(step, self._replica.decoding))
        return self._collect()

    def _send(self) -> Sequence:
        i = self._next
        self._next += 1
        self._sent[i] = len(self._rows)
        self._before_first += 1
        self._late_before_first += i >= self._concurrency
        self._in_flight += 1
        return Sequence(i, self._prompts[i], self._outputs[i])

    def _submit(self, indices: list[int]) -> None:
        for index in indices:
            self._replica.submit(Sequence(index, self._prompts[index], self._outputs[index]))

    def _note(self, step: ScheduledStep) -> None:
        k = step.steps
        limits = self._replica.limits
        growth = limits.tokens_per_step * step.decode * (k - 1) / 2
        busiest = step.imbalance(limits.ranks, gathered=self._inbox.gathers)
        self._rows.append(
            (
                step.decode,
                step.context + growth,
                step.prefill * busiest,
                step.prefill_sequences,
                step.pairs * busiest,
                step.sampled,
                k,
                k * self._before_first,
                k * self._per_token,
                k * self._in_flight,
                k * self._late_before_first,
            )
        )

    def first_token(self, sequence: Sequence) -> None:
        self._first[sequence.index] = len(self._rows)
        self._before_first -= 1
        self._late_before_first -= sequence.index >= self._concurrency
        if sequence.output > 1:
            self._per_token += 1 / (sequence.output - 1)

    def resumed(self, sequence: Sequence) -> None:
        """Nothing to note: the request is still between its first and its last token."""

    def finished(self, sequence: Sequence) -> None:
        self._end[sequence.index] = len(self._rows)
        self._done += 1
        self._in_flight -= 1
        if sequence.output > 1:
            self._per_token -= 1 / (sequence.output - 1)
        if self._next < self._count:
            fresh = self._send()
            self._inbox.post(fresh.index, fresh.prompt, self._delay)

    def _collect(self) -> ClosedLoopRun:
        table = np.array(self._rows, dtype=float)
        late = self._count - min(self._concurrency, self._count)
        several = max(1, int((self._outputs_array > 1).sum()))
        return ClosedLoopRun(
            batch=StepBatch(*(table[:, j] for j in range(6))),
            steps=table[:, 6],
            ttft_weight=table[:, 7] / self._count,
            tpot_weight=table[:, 8] / several,
            e2e_weight=table[:, 9] / self._count,
            requests=self._count,
            output_tokens=int(self._outputs_array.sum()),
            preemptions=self._replica.preemptions,
            outputs=self._outputs_array,
            steady_weight=table[:, 10] / late if late else np.zeros(0),
            first_share=1 - late / self._count,
            rows_sent=np.array(self._sent),
            rows_first=np.array(self._first),
            rows_end=np.array(self._end),
        )
