"""A load test held against the limits of a plan, and its runs as measured points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.accuracy.bench.result import BenchResult, Setting
from planner.accuracy.measures import TPOT, TTFT
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.errors import InputError
from planner.scenario.slo import class_target

FEWEST_SENT = 0.9  # of the requested rate; less is no chance over the hundreds of requests of a run
NEAR = 0.05  # relative: a rate that differs by less is the one requested
LENGTHS_NEAR = 0.15  # relative: of prompt and output means
MS = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class RequestedRun:
    """One run that a plan asks for. ``limits_s``: the most of each statistic [s]; see ``Rung``.

    prompt_tokens, output_tokens: means; 0 where any will do.
    """

    share: float
    rate_qps: float
    limits_s: Mapping[str, float]
    request_class: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def name(self) -> str:
        """The rate, and the class where there are several [requests/s]."""
        rate = f"{self.rate_qps:.4g}"
        return f"{self.request_class} at {rate}" if self.request_class else rate


@dataclass(frozen=True, slots=True)
class Judged:
    """One statistic of one run against its limit [s]; ``measured_s`` is None where the file lacks it.

    statistic: ``ttft_p99``, of a request class ``chat/ttft_p99``.
    """

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

    Raises InputError for a run that is not in the acceptance test, and where a run at the full planned rate,
    or another class's at the same time, is missing.
    """
    made = {rung: run for run in runs for rung in [_rung(requested, run)]}
    shares = {max(a.share for a in requested), *(rung.share for rung in made)}
    missing = [a for a in requested if a.share in shares and a not in made]
    if missing:
        full = any(a.share == max(shares) for a in missing)
        raise InputError(
            "the run at the planned rate is missing" if full else "a class's run is missing",
            found=", ".join(f"{rung.name} requests/s" for rung in made),
            allowed=", ".join(f"{a.name} requests/s" for a in missing),
            action="run the last command of the plan's acceptance test"
            if full
            else "run the commands of all classes at once",
        )
    return tuple(
        Judged(
            rung.share,
            class_target(rung.request_class, statistic),
            _measured(run, statistic),
            limit,
        )
        for rung in requested
        if (run := made.get(rung)) is not None
        for statistic, limit in rung.limits_s.items()
    )


def faults(requested: Sequence[RequestedRun], runs: Iterable[BenchResult]) -> tuple[str, ...]:
    """What makes the statistics of runs say less than they seem to: failed requests, a rate not sent.

    Requests that fail are in no percentile, and those that wait at the client count no TTFT.
    """
    found = []
    for run in runs:
        rung = _rung(requested, run)
        of = f" of {rung.request_class}" if rung.request_class else ""
        share = f"{rung.share:.0%} of the planned rate{of}"
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
    """The requested run that a run is; InputError where it is none."""
    own = [a for a in requested if a.request_class == run.request_class]
    nearest = min(own, key=lambda a: abs(run.rate_qps / a.rate_qps - 1), default=None)
    if nearest is None:
        named = sorted({a.request_class for a in requested} - {""})
        raise InputError(
            f"a run of class {run.request_class!r}, which is not in the acceptance test"
            if run.request_class
            else "a run that does not say which class its requests are of",
            found=run.request_class or "no request_class in the file",
            allowed=", ".join(named) or "a run without a class",
            action="use the commands of the plan's acceptance test",
        )
    if abs(run.rate_qps / nearest.rate_qps - 1) > NEAR:
        raise InputError(
            "a run at a rate that is not in the acceptance test",
            found=f"{run.rate_qps:g} requests/s" if run.rate_qps else "no rate is recorded",
            allowed=", ".join(f"{a.rate_qps:.4g}" for a in own),
            action="use the commands of the plan's acceptance test",
        )
    return nearest


def _measured(run: BenchResult, statistic: str) -> float | None:
    if statistic == "tpot_mean":
        return run.tpot_ms / MS
    return run.percentiles_s.get(statistic)


def must_have_lengths(requested: Sequence[RequestedRun], runs: Iterable[BenchResult]) -> None:
    """Raise InputError where a run's requests were not as long as the plan's test asks for [tokens]."""
    for run in runs:
        rung = _rung(requested, run)
        for name, found, asked in (
            ("prompt", run.prompt_tokens, rung.prompt_tokens),
            ("output", run.output_tokens, rung.output_tokens),
        ):
            if asked and abs(found / asked - 1) > LENGTHS_NEAR:
                of = f" of class {rung.request_class!r}" if rung.request_class else ""
                raise InputError(
                    f"the run's {name}s{of} have another length than the plan's test",
                    found=f"{found:.0f} tokens in the mean",
                    allowed=f"{asked} tokens",
                    action="use the commands of the plan's acceptance test",
                )


def together(
    requested: Sequence[RequestedRun], runs: Iterable[BenchResult]
) -> tuple[BenchResult, ...]:
    """The runs of all classes at one share as one run of the mix, as a replica served them."""
    by_share: dict[float, list[BenchResult]] = {}
    for run in runs:
        by_share.setdefault(_rung(requested, run).share, []).append(run)
    return tuple(_mixed(some) if len(some) > 1 else some[0] for some in by_share.values())


def _mixed(runs: Sequence[BenchResult]) -> BenchResult:
    """Means over the requests of all runs; of TPOT over their tokens after the first."""
    rates = [run.rate_qps for run in runs]
    tokens = [r * max(run.output_tokens - 1, 0.0) for r, run in zip(rates, runs, strict=True)]

    def mean(values: Iterable[float], weights: Sequence[float]) -> float:
        pairs = zip(values, weights, strict=True)
        return sum(v * w for v, w in pairs) / max(sum(weights), 1e-12)

    return replace(
        runs[0],
        prompt_tokens=mean((run.prompt_tokens for run in runs), rates),
        output_tokens=mean((run.output_tokens for run in runs), rates),
        rate_qps=sum(rates),
        requests=sum(run.requests for run in runs),
        failed=sum(run.failed for run in runs),
        measures={
            TTFT: mean((run.ttft_ms / MS for run in runs), rates),
            TPOT: mean((run.tpot_ms / MS for run in runs), tokens),
        },
        lengths=None,
        request_class="",
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
