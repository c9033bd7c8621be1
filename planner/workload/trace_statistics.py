"""What a trace is like: its rates, burstiness, lengths, and how much of its prompts repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.workload.recorded_reuse import answered_chains, chains
from planner.workload.trace import Trace

WINDOWS_S = (1.0, 10.0, 60.0)
QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class LengthStatistics:
    """Mean, coefficient of variation and quantiles of a length [tokens]."""

    mean: float
    cv: float
    quantiles: dict[float, float]


@dataclass(frozen=True, slots=True)
class TraceStatistics:
    """A trace in a few numbers.

    mean_qps: gaps between arrivals over the time they take; peak_qps: the busiest window's rate by
    window length [s], none longer than the trace;
    interarrival_cv: None without arrival times; burst_cv: CV of the counts in windows, over that of a
    Poisson process (1 when Poisson); correlation: between prompt and output; prefix_share: share of
    the prompt tokens in blocks seen before, with a cache that forgets nothing (None without block
    or conversation ids); conversations: how many there are, None where the file does not say;
    distinct_times: arrivals at different instants, few when the publisher rounded them.
    publisher and time_unit: what the file was read as; failed: requests without an answer, left out.
    """

    name: str
    requests: int
    span_s: float
    mean_qps: float | None
    peak_qps: dict[float, float]
    burst_cv: dict[float, float]
    interarrival_cv: float | None
    distinct_times: int
    prompt: LengthStatistics
    output: LengthStatistics
    correlation: float
    prefix_share: float | None
    publisher: str = ""
    time_unit: str = ""
    failed: int = 0
    conversations: int | None = None


def describe(trace: Trace) -> TraceStatistics:
    """Work out the statistics of a trace."""
    arrivals = trace.arrival_s
    timed = arrivals is not None and trace.span_s > 0
    peak: dict[float, float] = {}
    burst: dict[float, float] = {}
    cv = None
    if arrivals is not None and timed:
        gaps = np.diff(arrivals)
        cv = float(gaps.std() / gaps.mean())
        for window in (w for w in WINDOWS_S if w <= max(trace.span_s, WINDOWS_S[0])):
            counts = np.bincount((arrivals // window).astype(np.int64))
            counts = counts[:-1] if len(counts) > 1 else counts  # the last window is cut short
            peak[window] = float(counts.max() / window)
            if len(counts) > 1:
                burst[window] = float(np.sqrt(counts.var() / counts.mean()))
    return TraceStatistics(
        name=trace.name,
        requests=len(trace),
        span_s=trace.span_s,
        mean_qps=(len(trace) - 1) / trace.span_s if timed else None,
        peak_qps=peak,
        burst_cv=burst,
        interarrival_cv=cv,
        distinct_times=0 if arrivals is None else len(np.unique(arrivals)),
        prompt=_lengths(trace.prompt_tokens),
        output=_lengths(trace.output_tokens),
        correlation=_correlation(trace),
        prefix_share=_prefix_share(trace),
        publisher=trace.publisher,
        time_unit=trace.time_unit,
        failed=trace.failed,
        conversations=None if trace.conversation is None else int(trace.conversation.max()) + 1,
    )


def _lengths(tokens: NDArray[np.int64]) -> LengthStatistics:
    mean = float(tokens.mean())
    return LengthStatistics(
        mean, float(tokens.std() / mean), {q: float(np.quantile(tokens, q)) for q in QUANTILES}
    )


def _correlation(trace: Trace) -> float:
    p, o = trace.prompt_tokens.astype(float), trace.output_tokens.astype(float)
    if p.std() == 0 or o.std() == 0:
        return 0.0
    return float(np.corrcoef(p, o)[0, 1])


def _prefix_share(trace: Trace) -> float | None:
    """Leading blocks of each prompt that earlier requests left, in tokens over all prompt tokens.

    Answers are among them where the file has conversations: later turns repeat them.
    """
    if trace.prefix is None and trace.conversation is None:
        return None
    prefixes, block_tokens = chains(trace)
    seen: set[int] = set()
    repeated = 0
    rows = zip(prefixes, answered_chains(trace), trace.prompt_tokens.tolist(), strict=True)
    for blocks, left, prompt in rows:
        hits = 0
        for block in blocks:
            if block not in seen:
                break
            hits += 1
        repeated += min(hits * block_tokens, prompt)
        seen.update(left)
    return repeated / float(trace.prompt_tokens.sum())
