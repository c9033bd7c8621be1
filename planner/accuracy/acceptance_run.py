"""A load test held against the limits of a plan, and its runs as measured points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.accuracy.bench.result import BenchResult, Setting
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.errors import InputError

FEWEST_SENT = 0.9  # of the requested rate; less is no chance over the hundreds of requests of a run
NEAR = 0.05  # relative: a rate that differs by less is the one requested
LENGTHS_NEAR = 0.15  # relative: of prompt and output means
MS = 1e3


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """One run that a plan asks for. ``limits_s``: the most of each statistic [s]; see ``Rung``."""

    share: float
    rate_qps: float
    limits_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """One statistic of one run against its limit [s]; ``measured_s`` is None where the file lacks it."""

    share: float
    statistic: str
    measured_s: float | None
    limit_s: float

    @property
    def passes(self) -> bool:
        """Whether it was measured, and is within the limit."""
        return self.measured_s is not None and self.measured_s <= self.limit_s


def judged(requested: Sequence[RequestedRun], runs: Iterable[BenchResult]) -> tuple[Judged, ...]:
    """Every limit of every run that was made, in the order of the ladder.

    Raises InputError for a run at a rate that is not in the acceptance test, and where the run at the full
    planned rate is missing.
    """
    by_share: dict[float, BenchResult] = {}
    for run in runs:
        by_share[_rung(requested, run).share] = run
    full = max(requested, key=lambda a: a.share)
    if full.share not in by_share:
        raise InputError(
            "the run at the planned rate is missing",
            found=", ".join(f"{run.rate_qps:g} requests/s" for run in by_share.values()),
            allowed=f"{full.rate_qps:.4g} requests/s",
            action="run the last command of the plan's acceptance test",
        )
    return tuple(
        Judged(rung.share, statistic, _measured(by_share[rung.share], statistic), limit)
        for rung in requested
        if rung.share in by_share
        for statistic, limit in rung.limits_s.items()
    )


def faults(requested: Sequence[RequestedRun], runs: Iterable[BenchResult]) -> tuple[str, ...]:
    """What makes the statistics of runs say less than they seem to: failed requests, a rate not sent.

    Requests that fail are in no percentile, and those that wait at the client count no TTFT.
    """
    found = []
    for run in runs:
        share = f"{_rung(requested, run).share:.0%} of the planned rate"
        if run.failed:
            found.append(f"{share}: {run.failed} of {run.requests + run.failed} requests failed")
        sent = run.sent_qps
        if sent is not None and sent < FEWEST_SENT * run.rate_qps:
            found.append(
                f"{share}: requests were sent at {sent:.3g}/s, not {run.rate_qps:.4g}/s: the limit of "
                "requests in flight held them back, and that wait is in no latency"
            )
    return tuple(found)


def must_be_model(runs: Iterable[BenchResult], model: str) -> None:
    """Raise InputError where a run names another model than the plan's test [last part of the name]."""
    for run in runs:
        if run.model and _last(run.model) != _last(model):
            raise InputError(
                "the run measured another model than the plan's test",
                found=run.model,
                allowed=model,
                action="use the commands of the plan's acceptance test",
            )


def _last(model: str) -> str:
    return model.rstrip("/").rsplit("/", 1)[-1].lower()


def _rung(requested: Sequence[RequestedRun], run: BenchResult) -> RequestedRun:
    nearest = min(requested, key=lambda a: abs(run.rate_qps / a.rate_qps - 1))
    if abs(run.rate_qps / nearest.rate_qps - 1) > NEAR:
        raise InputError(
            "a run at a rate that is not in the acceptance test",
            found=f"{run.rate_qps:g} requests/s" if run.rate_qps else "no rate is recorded",
            allowed=", ".join(f"{a.rate_qps:.4g}" for a in requested),
            action="use the commands of the plan's acceptance test",
        )
    return nearest


def _measured(run: BenchResult, statistic: str) -> float | None:
    if statistic == "tpot_mean":
        return run.tpot_ms / MS
    return run.percentiles_s.get(statistic)


def must_have_lengths(runs: Iterable[BenchResult], prompt: int, output: int) -> None:
    """Raise InputError where a run's requests were not as long as the plan's test asks for [tokens]."""
    for run in runs:
        for name, found, requested in (
            ("prompt", run.prompt_tokens, prompt),
            ("output", run.output_tokens, output),
        ):
            if abs(found / requested - 1) > LENGTHS_NEAR:
                raise InputError(
                    f"the run's {name}s have another length than the plan's test",
                    found=f"{found:.0f} tokens in the mean",
                    allowed=f"{requested} tokens",
                    action="use the commands of the plan's acceptance test",
                )


def points_of(runs: Iterable[BenchResult], setting: Setting, source: str) -> list[MeasuredPoint]:
    """Runs at a rate as the closed loops with as many requests in flight (Little's law).

    ``rate x (TTFT + TPOT x (output - 1))`` requests are in flight in the mean.
    """
    return [_closed(run).point(setting, source) for run in runs]


def _closed(run: BenchResult) -> BenchResult:
    if not run.rate_qps:
        return run
    stay_s = (run.ttft_ms + run.tpot_ms * (run.output_tokens - 1)) / MS
    return replace(
        run, concurrency=max(1.0, run.rate_qps * stay_s), load=LoadKind.CLOSED, rate_qps=0.0
    )
