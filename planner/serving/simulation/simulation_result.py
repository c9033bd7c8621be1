"""What a simulation found: per request, over time, and as percentiles with confidence intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from planner.scenario.slo import Slo, Target
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.simulation.timed_replica import GAP_BINS_PER_DECADE, SHORTEST_GAP_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BATCHES = 20
CONFIDENCE = 0.95
NARROW = 0.05  # of the estimate: an interval that is narrow enough even when it reaches the maximum
RULE_OF_THREE = 3.0
FEWEST_BEYOND = 10  # requests beyond a percentile before it is called known


@dataclass(frozen=True, slots=True, eq=False)
class TimeSeries:
    """The fleet at regular times [s]: sequences running and waiting, share of the KV pools in use."""

    time_s: Floats
    running: Floats
    waiting: Floats
    kv_used_share: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A percentile with its confidence interval [s]; ``enough``: whether the run was long enough."""

    value_s: float
    low_s: float
    high_s: float
    requests: int
    enough: bool


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """How one requirement fared: the share of requests that met it, with its interval's bounds.

    holds: the lower bound meets the required share; missed: the estimate itself falls short. A run
    that shows neither is too short to tell.
    """

    key: LimitedBy
    required: float
    met: float
    met_low: float
    met_high: float

    @property
    def holds(self) -> bool:
        return self.met_low >= self.required

    @property
    def missed(self) -> bool:
        return self.met < self.required


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """One run. Times are since its start [s], nan where something never happened.

    requests_area_s: requests in flight integrated over time [request-seconds], which Little's law
    equates with the sum of all stays. cached_tokens: of each prompt, what the prefix cache held when the
    engine first worked on it. classes: the number of each one's request class, where there are several.
    """

    arrival_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    start_s: Floats
    first_token_s: Floats
    end_s: Floats
    longest_gap_s: Floats
    preemptions: Ints
    replica: Ints
    shed: Bools
    warm_up_s: float
    measured_until_s: float
    end_of_run_s: float
    overloaded: bool
    replicas: int
    steps: int
    prefill_busy_s: float
    decode_busy_s: float
    prefilled_tokens: int
    prompt_tokens_started: int
    requests_area_s: float
    kv_share_mean: float
    batch_mean: float
    gap_counts: dict[int, int] = field(repr=False)
    series: TimeSeries = field(repr=False)
    cached_tokens: Ints | None = None
    classes: Ints | None = None

    @property
    def measured(self) -> Bools:
        """Requests that arrived in the steady window."""
        inside: Bools = (self.arrival_s >= self.warm_up_s) & (
            self.arrival_s < self.measured_until_s
        )
        return inside

    @property
    def shed_share(self) -> float:
        chosen = self.measured
        return float(self.shed[chosen].mean()) if chosen.any() else 0.0

    @property
    def cached_share(self) -> float:
        """Share of the prompt tokens that needed no prefill (recomputation counts against it).

        Of prompts that a replica began with: what is shed or still waits at the end was in no cache.
        """
        return max(0.0, 1 - self.prefilled_tokens / max(self.prompt_tokens_started, 1))

    @property
    def hit_share(self) -> float:
        """Share of the prompt tokens of the steady window that the prefix cache held."""
        if self.cached_tokens is None:
            return self.cached_share
        chosen = self.measured & ~np.isnan(self.start_s)
        prompts = int(self.prompt_tokens[chosen].sum())
        return float(self.cached_tokens[chosen].sum()) / max(prompts, 1)

    def latency_s(self, metric: str) -> Floats:
        """A latency of every request [s]: inf where it never came, nan where it is undefined.

        wait: until the engine first worked on it; ttft, tpot, e2e as in the documentation; itl: the
        longest gap between two tokens.
        """
        missing = np.isnan(self.end_s)
        if metric in ("wait", "ttft"):
            since = self.start_s if metric == "wait" else self.first_token_s
            out = since - self.arrival_s
            missing = np.isnan(since)
        elif metric == "e2e":
            out = self.end_s - self.arrival_s
        elif metric == "tpot":
            gaps = np.maximum(self.output_tokens - 1, 1)
            out = (self.end_s - self.first_token_s) / gaps
        elif metric == "itl":
            out = self.longest_gap_s.copy()
        else:
            raise ValueError(f"no such latency: {metric}")
        out = np.where(missing, np.inf, out)
        if metric in ("tpot", "itl"):
            out = np.where(self.output_tokens > 1, out, np.nan)
        return out

    def of_replicas(self, numbers: Collection[int]) -> SimulationResult:
        """The same run with the requests of these replicas alone; sums over steps stay those of all."""
        return self._only(np.isin(self.replica, sorted(numbers)))

    def of_class(self, number: int) -> SimulationResult:
        """The same run with the requests of one class alone; sums over steps stay those of all."""
        return self if self.classes is None else self._only(self.classes == number)

    def _only(self, chosen: Bools) -> SimulationResult:
        own = {
            f.name: getattr(self, f.name)[chosen]
            for f in fields(self)
            if isinstance(getattr(self, f.name), np.ndarray)
        }
        return replace(self, **own)

    def gap_percentile_s(self, percentile: float) -> float:
        """A percentile of the gaps between tokens, over all tokens [s] (bins of 1.2 %)."""
        return _gap_at(self.gap_counts, percentile / 100)

    def gap_share_within(self, seconds: float) -> float:
        """Share of the token gaps that are at most ``seconds``."""
        total = sum(self.gap_counts.values())
        limit = math.log10(max(seconds, SHORTEST_GAP_S) / SHORTEST_GAP_S) * GAP_BINS_PER_DECADE
        return sum(n for k, n in self.gap_counts.items() if k + 0.5 <= limit) / max(total, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Independent replications of one simulation, and what follows from them together."""

    runs: tuple[SimulationResult, ...]

    def of_replicas(self, numbers: Collection[int]) -> Study:
        """The requests of these replicas alone; gaps between tokens are known of all together only."""
        return Study(tuple(run.of_replicas(numbers) for run in self.runs))

    def of_class(self, number: int) -> Study:
        """The requests of one class alone, as ``of_replicas``."""
        return Study(tuple(run.of_class(number) for run in self.runs))

    @property
    def overloaded(self) -> bool:
        return any(r.overloaded for r in self.runs)

    @property
    def hit_share(self) -> float:
        """Share of the prompt tokens that the prefix cache held, over all runs."""
        return float(np.mean([r.hit_share for r in self.runs]))

    @property
    def shed_share(self) -> float:
        return float(np.mean([r.shed_share for r in self.runs]))

    def batches(self, metric: str) -> list[Floats]:
        """Latencies by batch [s]: each run's steady window cut into equal numbers of requests."""
        each = max(1, BATCHES // len(self.runs))
        out: list[Floats] = []
        for run in self.runs:
            values = run.latency_s(metric)[run.measured]
            values = values[~np.isnan(values)]
            out.extend(part for part in np.array_split(values, each) if len(part))
        return out

    def percentile(self, metric: str, percentile: float) -> Estimate:
        """A percentile over all runs with its interval; of token gaps for itl, of requests otherwise.

        The share of requests at or below the estimate varies from batch to batch; the t-interval of
        that share, read back as percentiles, is the interval of the estimate.
        """
        if metric == "itl":
            return self._gap_percentile(percentile / 100)
        parts = self.batches(metric)
        if not parts:
            return Estimate(math.nan, math.nan, math.nan, 0, False)
        values = np.sort(np.concatenate(parts))
        q = percentile / 100
        value = _quantile(values, q)
        half = half_width([float((p <= value).mean()) for p in parts])
        if half == 0.0:
            half = NormalDist().inv_cdf(0.975) * math.sqrt(q * (1 - q) / len(values))
        low, high = _quantile(values, max(0.0, q - half)), _quantile(values, min(1.0, q + half))
        known = q + half < 1 or high - low <= NARROW * value
        return Estimate(
            value_s=value,
            low_s=low,
            high_s=high,
            requests=len(values),
            enough=known and len(parts) > 1 and len(values) * (1 - q) >= FEWEST_BEYOND,
        )

    def _gap_percentile(self, q: float) -> Estimate:
        """As ``percentile``, with each run as one batch of gaps."""
        counts = sum((Counter(r.gap_counts) for r in self.runs), Counter[int]())
        value = _gap_at(counts, q)
        half = half_width([r.gap_share_within(value) for r in self.runs])
        return Estimate(
            value_s=value,
            low_s=_gap_at(counts, max(0.0, q - half)),
            high_s=_gap_at(counts, min(1.0, q + half)),
            requests=counts.total(),
            enough=len(self.runs) > 1 and counts.total() * (1 - q) >= FEWEST_BEYOND,
        )

    def outcome(self, target: Target) -> TargetOutcome:
        """How one latency target fared; token gaps for itl, requests otherwise.

        A target that is defined for no request, TPOT of one token, is met by all.
        """
        required = target.percentile / 100
        if self._undefined(target.metric):
            return TargetOutcome(target.key, required, 1.0, 1.0, 1.0)
        if target.metric == "itl":
            shares = [r.gap_share_within(target.seconds) for r in self.runs]
            count = sum(sum(r.gap_counts.values()) for r in self.runs)
        else:
            parts = self.batches(target.metric)
            shares = [float((p <= target.seconds).mean()) for p in parts]
            count = sum(len(p) for p in parts)
        return _outcome(target.key, required, shares, count)

    def _undefined(self, metric: str) -> bool:
        lengths = [r.output_tokens[r.measured] for r in self.runs]
        single = all((n <= 1).all() for n in lengths) and any(len(n) for n in lengths)
        return single and metric in ("tpot", "itl")

    def goodput(self, slo: Slo) -> TargetOutcome:
        """The share of requests that met every target at once."""
        shares: list[float] = []
        count = 0
        each = max(1, BATCHES // len(self.runs))
        for run in self.runs:
            met = np.ones(len(run.arrival_s), dtype=bool)
            for target in slo.targets:
                values = run.latency_s(target.metric)
                met &= np.isnan(values) | (values <= target.seconds)
            met &= ~run.shed
            parts = np.array_split(met[run.measured], each)
            shares.extend(float(p.mean()) for p in parts if len(p))
            count += int(run.measured.sum())
        return _outcome(CapacityLimit.GOODPUT, slo.goodput or 0.0, shares, count)

    def outcomes(
        self, slo: Slo, of_class: Mapping[str, Study] | None = None
    ) -> tuple[TargetOutcome, ...]:
        """Every requirement of ``slo``: goodput alone when it is requested, else each target.

        ``of_class``: the requests of each class alone.
        """
        if slo.goodput is not None:
            return (self.goodput(slo),)
        known = of_class or {}
        return tuple(known.get(t.request_class, self).outcome(t) for t in slo.targets)


def _outcome(key: LimitedBy, required: float, shares: Sequence[float], count: int) -> TargetOutcome:
    """The mean share with its t-interval; ``count`` requests prove at most 1 - 3 / count of anything.

    (The rule of three: no failure among n leaves a failure share of up to 3 / n at 95 %.)
    """
    if not shares:
        return TargetOutcome(key, required, 0.0, 0.0, 1.0)
    mean = float(np.mean(shares))
    half = half_width(shares)
    low = max(0.0, min(mean - half, 1 - RULE_OF_THREE / max(count, 1)))
    return TargetOutcome(key, required, mean, low, min(1.0, mean + half))


def half_width(shares: Sequence[float]) -> float:
    """Half-width of the 95 % t-interval of a mean over batches."""
    n = len(shares)
    if n < 2:
        return 0.0
    return _t_quantile(n - 1) * float(np.std(shares, ddof=1)) / math.sqrt(n)


def _t_quantile(degrees: int) -> float:
    """Student's t at 97.5 %, Cornish-Fisher expansion (1.5 % off at 3 degrees, exact at infinity)."""
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / degrees + g2 / degrees**2 + g3 / degrees**3


def _gap_at(counts: Mapping[int, int], q: float) -> float:
    """The middle of the bin of gaps that reaches a share ``q`` of them [s]; nan without gaps."""
    total = sum(counts.values())
    seen = 0
    for key in sorted(counts):
        seen += counts[key]
        if seen >= total * q:
            return float(SHORTEST_GAP_S * 10 ** ((key + 0.5) / GAP_BINS_PER_DECADE))
    return math.nan


def _quantile(ordered: Floats, q: float) -> float:
    """The smallest value with at least a share ``q`` at or below it."""
    at = min(len(ordered) - 1, max(0, math.ceil(q * len(ordered)) - 1))
    return float(ordered[at])
