"""What metrics say of each model: requests over time, lengths, cache hits and latencies of today."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.importing.histogram import Histogram, histogram
from planner.importing.load import added_up
from planner.importing.series import Key, Series
from planner.importing.tables import MetricRow, metric_rows

GPU_EXPORTER = "dcgm"
START = "start_time"


@dataclass(frozen=True)
class Seen:
    """The metrics of one model.

    ``requests`` in ``span_s``; ``windows``: (start [s since 1970], requests/s) where the dump has a time
    series. ``prompt_mean`` and ``output_mean`` [tokens] where only totals are known. ``hit_share``: of
    prompt tokens found in the prefix cache.
    """

    model: str
    exporter: str
    requests: float | None = None
    span_s: float | None = None
    windows: tuple[tuple[float, float], ...] = ()
    lengths: Mapping[str, Histogram] = field(default_factory=dict)
    prompt_mean: float | None = None
    output_mean: float | None = None
    hit_share: float | None = None
    latencies: Mapping[str, Histogram] = field(default_factory=dict)

    @property
    def rate_qps(self) -> float | None:
        """Mean requests/s; None where the time they took is not known."""
        if self.requests is None or not self.span_s:
            return None
        return self.requests / self.span_s


@dataclass(frozen=True, slots=True)
class SeenGpus:
    """GPUs of one name on one host, from DCGM: how many, and their mean utilization."""

    name: str
    host: str
    gpus: int
    utilization: float | None


def seen(
    series: Sequence[Series], earlier: Sequence[Series], root: Path, over_s: float | None
) -> tuple[Seen, ...]:
    """What ``series`` say of every model they name.

    ``earlier``: counters to subtract. ``over_s``: the time that counters of a single dump cover; left
    out, it is the points' own, or from the process's start where a dump carries times.
    """
    rows = metric_rows(root)
    by_name = {name: row for row in rows for name in row.series}
    before = {one.key: one.last for one in earlier}
    found: dict[tuple[str, str], dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        row = by_name[one.name]
        if row.exporter != GPU_EXPORTER and row.quantity != START:
            found[one.labels.get(row.label, ""), row.exporter][row.metric].append(one)
    started = _started(series, by_name)
    return tuple(
        _Model(rows, exporter, metrics, before, over_s, started).seen(model)
        for (model, exporter), metrics in sorted(found.items())
    )


def seen_gpus(series: Iterable[Series], root: Path) -> tuple[SeenGpus, ...]:
    """The GPUs that DCGM names, by host."""
    rows = {r.metric: r for r in metric_rows(root) if r.exporter == GPU_EXPORTER}
    devices: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        row = rows.get(one.name)
        if row is None or "GPU_I_PROFILE" in one.labels:
            continue
        name = one.labels.get(row.label, "")
        host = one.labels.get("Hostname", one.labels.get("instance", ""))
        device = one.labels.get("UUID", one.labels.get("gpu", ""))
        used = devices[name, host][device]
        if row.quantity == "gpu_utilization":
            used += [value for _, value in one.points]
    return tuple(
        SeenGpus(
            name, host, len(by_device), _mean([v for used in by_device.values() for v in used])
        )
        for (name, host), by_device in sorted(devices.items())
    )


def _mean(percent: list[float]) -> float | None:
    return statistics.fmean(percent) / 100 if percent else None


def _started(series: Iterable[Series], by_name: Mapping[str, MetricRow]) -> float | None:
    starts = [one.last for one in series if by_name[one.name].quantity == START]
    return min(starts, default=None)


@dataclass(frozen=True)
class _Model:
    """The series of one model, by metric."""

    rows: Sequence[MetricRow]
    exporter: str
    metrics: Mapping[str, list[Series]]
    before: Mapping[Key, float]
    over_s: float | None
    started: float | None

    def seen(self, model: str) -> Seen:
        lengths = self._histograms(("prompt_tokens", "output_tokens"))
        requests = self._total("requests")
        counted = next(iter(lengths.values()), None)
        if requests is None and counted is not None:
            requests = counted.number
        prompt, output = self._total("prompt_total"), self._total("output_total")
        return Seen(
            model=model,
            exporter=self.exporter,
            requests=requests,
            span_s=self._span(),
            windows=self._windows(),
            lengths=lengths,
            prompt_mean=prompt / requests if prompt and requests else None,
            output_mean=output / requests if output and requests else None,
            hit_share=self._hits(),
            latencies=self._histograms(("ttft", "tpot", "itl", "e2e")),
        )

    def _of(self, quantity: str) -> list[Series]:
        """The series of the first metric of ``quantity`` that has any."""
        for row in self.rows:
            if (row.exporter, row.quantity) == (self.exporter, quantity):
                own = self.metrics.get(row.metric)
                if own:
                    several = [one for one in own if len(one.points) > 1]
                    return several or own
        return []

    def _rise(self, one: Series) -> float:
        """How far a counter rose, since the earlier dump where there is one; what fell began again at 0."""
        before = self.before.get(one.key, 0.0) if len(one.points) == 1 else 0.0
        return one.increase - before if one.increase >= before else one.increase

    def _total(self, quantity: str) -> float | None:
        own = self._of(quantity)
        return math.fsum(self._rise(one) for one in own) if own else None

    def _hits(self) -> float | None:
        hits, queries = self._total("prefix_hits"), self._total("prefix_queries")
        if hits is not None and queries:
            return min(1.0, hits / queries)
        shares = [value for one in self._of("prefix_share") for _, value in one.points]
        return min(1.0, max(0.0, statistics.fmean(shares))) if shares else None

    def _histograms(self, quantities: Sequence[str]) -> dict[str, Histogram]:
        found = {}
        for quantity in quantities:
            own = self._of(quantity)
            buckets: dict[float, float] = defaultdict(float)
            total = 0.0
            for one in own:
                if one.name.endswith("_bucket"):
                    buckets[_bound(one.labels.get("le", ""))] += self._rise(one)
                elif one.name.endswith("_sum"):
                    total += self._rise(one)
            held = histogram(buckets, total)
            if held is not None:
                found[quantity] = held
        return found

    def _windows(self) -> tuple[tuple[float, float], ...]:
        """Requests/s between points, over all series of the counter."""
        return added_up([step for one in self._of("requests") for step in one.steps()])

    def _span(self) -> float | None:
        """The time that the counters cover [s]."""
        own = self._of("requests") or [s for several in self.metrics.values() for s in several]
        times = [time for one in own for time, _ in one.points if time is not None]
        if times and max(times) > min(times):
            return max(times) - min(times)
        if self.over_s is not None:
            return self.over_s
        if times and self.started is not None and max(times) > self.started and not self.before:
            return max(times) - self.started
        return None


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf
