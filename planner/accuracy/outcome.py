"""What a simulated run would have measured: any mean, percentile or total, as a client sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.measures import Measure
from planner.errors import InputError
from planner.performance.steps import StepModel
from planner.serving.simulation.closed_loop import ClosedLoopRun, Ints
from planner.serving.simulation.simulation_result import SimulationResult
from planner.serving.simulation.timed_replica import GAP_BINS_PER_DECADE, SHORTEST_GAP_S

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Latencies of every request, gaps between tokens with how often each occurred [s], and totals.

    tpot_s is nan for answers of one token. gpus: of the whole run; decode_gpus: those that write answers.
    streamed_steps: decode steps whose tokens a client receives in one piece; streams_by_tokens: whether the
    server counts tokens instead (SGLang), which differs where a step yields several. in_pieces: whether the
    gaps are of pieces already.
    """

    ttft_s: Floats
    tpot_s: Floats
    e2e_s: Floats
    gaps_s: Floats
    gap_counts: Floats
    makespan_s: float
    prompt_tokens: int
    output_tokens: int
    gpus: int
    decode_gpus: int
    streamed_steps: float = 1.0
    tokens_per_step: float = 1.0
    streams_by_tokens: bool = False
    in_pieces: bool = False

    def value(self, measure: Measure) -> float:
        """The measure of this run, in seconds or tokens/s; nan where it is undefined."""
        if not measure.is_latency:
            return self._total(measure.metric)
        if measure.metric == "itl":
            return self._gap(measure.percentile)
        values = {"ttft": self.ttft_s, "tpot": self.tpot_s, "e2e": self.e2e_s}[measure.metric]
        values = values[~np.isnan(values)]
        if not len(values):
            return float("nan")
        if measure.percentile is None:
            return float(values.mean())
        return float(np.percentile(values, measure.percentile))

    def streamed_tokens(self, percentile: float | None) -> float:
        """Tokens between two pieces that a server sends every ``streamed_steps`` steps or tokens.

        One that sends when the count of tokens divides by its interval passes over multiples when a step
        yields several: it hits one in ``1 / tokens_per_step``, so that the pieces are geometric.
        """
        if not self.streams_by_tokens or self.tokens_per_step <= 1:
            return self.streamed_steps * self.tokens_per_step
        hit = 1 / self.tokens_per_step
        if percentile is None:
            return self.streamed_steps / hit
        missed = max(1e-9, 1 - percentile / 100)
        return self.streamed_steps * max(1, math.ceil(math.log(missed) / math.log(1 - hit)))

    def with_ttft(self, times: float, *, closed: bool) -> Outcome:
        """Every TTFT ``times`` as long, and each request with it.

        closed: an answer releases the next request, so that the run takes as many times as long as its
        requests do (Little's law).
        """
        if times == 1:
            return self
        e2e = self.e2e_s + (times - 1) * self.ttft_s
        longer = float(np.nanmean(e2e) / np.nanmean(self.e2e_s)) if closed else 1.0
        return replace(
            self, ttft_s=times * self.ttft_s, e2e_s=e2e, makespan_s=longer * self.makespan_s
        )

    def _total(self, metric: str) -> float:
        tokens = self.output_tokens
        return {
            "makespan_s": self.makespan_s,
            "output_tokens_per_s": tokens / self.makespan_s,
            "tokens_per_s_per_gpu": (tokens + self.prompt_tokens) / self.makespan_s / self.gpus,
            "output_tokens_per_s_per_gpu": tokens / self.makespan_s / self.decode_gpus,
        }[metric]

    def _gap(self, percentile: float | None) -> float:
        """Gaps between the pieces a client receives; several steps in one piece average out."""
        drafts = self.streams_by_tokens and self.tokens_per_step > 1
        if self.streamed_steps > 1 and (drafts or not self.in_pieces):
            per_token = self.value(Measure("tpot", percentile))
            return per_token * self.streamed_tokens(percentile)
        total = float(self.gap_counts.sum())
        if not total:
            return float("nan")
        if percentile is None:
            return float(self.gaps_s @ self.gap_counts) / total
        order = np.argsort(self.gaps_s, kind="stable")
        reached = np.cumsum(self.gap_counts[order])
        at = int(np.searchsorted(reached, total * percentile / 100))
        return float(self.gaps_s[order][min(at, len(order) - 1)])


def delayed(outcome: Outcome, requests: int, seconds: float) -> Outcome:
    """The outcome when its first ``requests`` waited ``seconds`` longer, and the run with them."""
    if not seconds:
        return outcome
    more = np.where(np.arange(len(outcome.ttft_s)) < requests, seconds, 0.0)
    return replace(
        outcome,
        ttft_s=outcome.ttft_s + more,
        e2e_s=outcome.e2e_s + more,
        makespan_s=outcome.makespan_s + seconds,
    )


def delivered_s(delivery_steps: float, tpot_s: float, output_tokens: float) -> float:
    """Time between a first token's computation and its delivery [s].

    ``delivery_steps`` tokens later, at the latest with the last of a mean of ``output_tokens``; 0 where
    every answer is one token (``tpot_s`` is nan).
    """
    later = min(delivery_steps, output_tokens - 1)
    return 0.0 if math.isnan(tpot_s) else later * tpot_s


def _mean_s(tpot_s: Floats) -> float:
    """The mean over requests that have a time per output token [s]; nan where none has."""
    known = tpot_s[np.isfinite(tpot_s)]
    return float(known.mean()) if len(known) else math.nan


def closed_outcome(
    run: ClosedLoopRun,
    steps: StepModel,
    delivery_steps: float,
    prompt_tokens: int,
    gpus: int,
    streamed_steps: float = 1.0,
) -> Outcome:
    """The outcome of a closed loop on one replica; ``run`` must not be condensed.

    A token is a gap after the step before it in which the replica decoded; steps of prompts alone
    lengthen the gap they fall into. Under speculation the tokens of a step arrive together, and those of
    ``streamed_steps`` steps where a server sends no more often.
    """
    seconds = np.asarray(steps.step_seconds(run.batch), dtype=float)
    times = run.request_times(steps)
    mean_tokens = run.output_tokens / run.requests
    late = steps.admission_s + delivered_s(delivery_steps, _mean_s(times.tpot_s), mean_tokens)
    decode = np.asarray(run.batch.decode_sequences, dtype=float)
    clock = np.cumsum(run.steps * seconds)
    decoded = np.flatnonzero(decode > 0)
    gaps, sequences, counts = _step_gaps(clock, run.steps * seconds, decoded, decode, run.steps)
    gaps, weights = pieces(gaps, sequences, counts, round(streamed_steps))
    return Outcome(
        ttft_s=times.ttft_s + late,
        tpot_s=times.tpot_s,
        e2e_s=times.end_s - times.sent_s + late,
        gaps_s=gaps,
        gap_counts=weights,
        makespan_s=float(clock[-1]) + late,
        prompt_tokens=prompt_tokens,
        output_tokens=run.output_tokens,
        gpus=gpus,
        decode_gpus=gpus,
        in_pieces=True,
    )


def _step_gaps(
    clock_s: Floats, lasted_s: Floats, decoded: Ints, decode: Floats, steps: Floats
) -> tuple[Floats, Floats, Floats]:
    """Gaps that end with each decode step [s], with how many sequences see one and how often in a row.

    A row stands for ``steps`` equal steps; only the first of them waited for the prompts before it.
    """
    ends, took, often = clock_s[decoded], lasted_s[decoded], steps[decoded]
    since = np.concatenate([[0.0], ends[:-1]])
    stalled = ends - took - since
    each = took / often
    gaps = np.column_stack([each + stalled, each]).ravel()
    counts = np.column_stack([np.ones(len(often)), often - 1]).ravel()
    sequences = np.repeat(decode[decoded], 2)
    seen = counts > 0
    return gaps[seen], sequences[seen], counts[seen]


def pieces(gaps_s: Floats, sequences: Floats, counts: Floats, every: int) -> tuple[Floats, Floats]:
    """Gaps between pieces of ``every`` decode steps [s], and how many sequences see each.

    gaps_s: of a step, ``counts`` of them in a row, each with so many ``sequences``.
    """
    if every <= 1:
        return gaps_s, sequences * counts
    times = counts.astype(np.int64)
    clock = np.concatenate([[0.0], np.cumsum(np.repeat(gaps_s, times))])
    ends = np.arange(every, len(clock))
    if not len(ends):
        return clock[-1:], np.ones(1)
    return clock[ends] - clock[ends - every], np.repeat(sequences, times)[ends - 1]


def simulated_outcome(
    result: SimulationResult, delivery_steps: float, gpus: int, decode_gpus: int
) -> Outcome:
    """The outcome of a simulated run; ``delivery_steps``: of the replicas that write the answers.

    Raises InputError where no request ended.
    """
    tpot = result.latency_s("tpot")
    late = delivered_s(delivery_steps, _mean_s(tpot), float(result.output_tokens.mean()))
    keys = np.array(sorted(result.gap_counts), dtype=float)
    counts = np.array([result.gap_counts[int(key)] for key in keys], dtype=float)
    ends = result.end_s[~np.isnan(result.end_s)]
    if not len(ends):
        raise InputError(
            "no request of the run fits a replica's KV cache",
            found=f"{int(result.prompt_tokens.max())} prompt tokens",
            action="check the GPU, the weights and the parallel degrees of the row",
        )
    return Outcome(
        ttft_s=result.latency_s("ttft") + late,
        tpot_s=tpot,
        e2e_s=result.latency_s("e2e") + late,
        gaps_s=SHORTEST_GAP_S * 10 ** ((keys + 0.5) / GAP_BINS_PER_DECADE),
        gap_counts=counts,
        makespan_s=float(ends.max()) + late,
        prompt_tokens=int(result.prompt_tokens.sum()),
        output_tokens=int(result.output_tokens.sum()),
        gpus=gpus,
        decode_gpus=decode_gpus,
    )
