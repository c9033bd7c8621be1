"""How a simulation is presented: targets against what happened, where time went, and every request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from planner.reporting import rounding
from planner.reporting.charts import canvas, figures
from planner.reporting.document import (
    Block,
    Column,
    Document,
    Figure,
    Paragraph,
    Quantity,
    Section,
    Table,
    Value,
)
from planner.scenario.slo import class_target
from planner.serving.simulation.service_simulation import StudiedService
from planner.serving.simulation.simulation_result import SimulationResult, Study, TargetOutcome
from planner.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
_METRICS = (
    ("wait", "Waiting for the engine"),
    ("ttft", "Time to first token"),
    ("tpot", "Time per output token"),
    ("e2e", "End to end"),
)


def simulation_document(checks: dict[str, StudiedService]) -> Document:
    """``planner simulate``: one section of findings per service."""
    good = all(c.holds for c in checks.values())
    outcomes = [(name, o) for name, c in checks.items() for o in c.outcomes if not o.holds]
    missed = [f"{name}: {o.key}" for name, o in outcomes if o.missed]
    unsure = [f"{name}: {o.key}" for name, o in outcomes if not o.missed]
    over = [name for name, c in checks.items() if c.study.overloaded]
    if over:
        headline = f"Overloaded: {', '.join(over)} cannot keep up with the arrivals"
    elif good:
        headline = "Every target holds in the simulator"
    elif missed:
        headline = "Missed in the simulator: " + ", ".join(missed)
    else:
        headline = "Met, but the run is too short to be sure of: " + ", ".join(unsure)
    sections = [
        Section(f"service-{i}", name, tuple(_blocks(c, suffix=f"_{i}" if i else "")))
        for i, (name, c) in enumerate(checks.items())
    ]
    return Document("Simulation", headline, tuple(sections))


def _blocks(check: StudiedService, suffix: str) -> list[Block]:
    study, each = check.study, check.prompts_per_call
    run = study.runs[0]
    measured = sum(int(r.measured.sum()) for r in study.runs)
    replicas, runs = counted(run.replicas, "replica"), counted(len(study.runs), "replication")
    noun = "calls" if each > 1 else "requests"
    text = (
        f"{_arriving(check.rate_qps, each)}; {measured:,} {noun} measured over "
        f"{rounding.seconds(check.window.measured_s)} after a warm-up of "
        f"{rounding.seconds(check.window.warm_up_s)}, {runs}, {replicas}; "
        f"the last ended after {rounding.seconds(run.end_of_run_s)}"
    )
    if check.window.slice_share < 1:
        text += f" (a slice of the fleet: {rounding.share(check.window.slice_share)})"
    blocks: list[Block] = [Paragraph(text + ".")]
    if study.overloaded:
        blocks.append(Paragraph("The backlog kept growing and the run was stopped.", warning=True))
    elif not check.enough:
        blocks.append(
            Paragraph(
                "The run is too short for some percentiles: their intervals are open above. "
                "Simulate longer (--duration) or more often (--replications).",
                warning=True,
            )
        )
    blocks += [_targets(check, suffix), _percentiles(check, suffix), _time(study, suffix)]
    blocks.append(_series_figure(run, suffix))
    return blocks


def _arriving(rate_qps: float, each: int) -> str:
    """What arrives, and how prompts that come several a call do."""
    if each == 1:
        return f"{rounding.qps(rate_qps)} arrive"
    return f"{rate_qps:,.4g} prompts/s arrive in calls of {each}"


def _targets(check: StudiedService, suffix: str) -> Table:
    columns = (
        Column("target", "Target"),
        Column("required_share", "Required", Quantity.SHARE),
        Column("met_share", "Met", Quantity.SHARE),
        Column("met_low_share", "at least", Quantity.SHARE),
        Column("met_high_share", "at most", Quantity.SHARE),
        Column("holds", "Holds"),
    )
    rows = tuple(
        (o.key, o.required, o.met, o.met_low, o.met_high, _verdict(o)) for o in check.outcomes
    )
    note = "A target holds when the lower bound of the share (95 %) meets it."
    return Table(f"targets{suffix}", "Targets", columns, rows, note)


def _verdict(outcome: TargetOutcome) -> str:
    if outcome.holds:
        return "yes"
    return "no" if outcome.missed else "not sure"


def _percentiles(check: StudiedService, suffix: str) -> Table:
    """Of all requests, and of each class alone."""
    study = check.study
    columns = [Column("latency", "Latency")]
    for p in PERCENTILES:
        columns.append(Column(f"p{p:g}_s", f"p{p:g}", Quantity.SECONDS))
    columns += [
        Column("p99_low_s", "p99 range", Quantity.SECONDS, low_end=True),
        Column("p99_high_s", "to", Quantity.SECONDS),
    ]
    rows: list[tuple[str | float | None, ...]] = list(_latency_rows(study, ""))
    for name, own in check.by_class.items():
        rows.extend(_latency_rows(own, f"{name}: "))
    gaps = [finite(study.runs[0].gap_percentile_s(p)) for p in PERCENTILES]
    if any(g is not None for g in gaps):
        rows.append(("Gap between tokens", *gaps, None, None))
    return Table(f"percentiles{suffix}", "Latency", tuple(columns), tuple(rows))


def _latency_rows(study: Study, of: str) -> Iterator[tuple[str | float | None, ...]]:
    """A row for each latency; ``of``: goes before its name."""
    for metric, name in _METRICS:
        found = [study.percentile(metric, p) for p in PERCENTILES]
        last = found[-1]
        if last.requests:
            values = [finite(e.value_s) for e in found]
            titled = f"{of}{name[0].lower()}{name[1:]}" if of else name
            yield (titled, *values, finite(last.low_s), finite(last.high_s))


def _time(study: Study, suffix: str) -> Table:
    columns = (Column("what", "Part"), Column("share", "Share", Quantity.SHARE))
    runs = study.runs
    total = sum(r.end_of_run_s * r.replicas for r in runs)
    prefill = sum(r.prefill_busy_s for r in runs) / total
    decode = sum(r.decode_busy_s for r in runs) / total
    rows: list[tuple[str, float]] = [
        ("replicas in steps with prompts", prefill),
        ("replicas in decode-only steps", decode),
        ("replicas idle", max(0.0, 1 - prefill - decode)),
        ("KV pool in use, mean", float(np.mean([r.kv_share_mean for r in runs]))),
        ("prompt tokens found in the prefix cache", float(np.mean([r.cached_share for r in runs]))),
        ("requests shed", study.shed_share),
        (
            "requests preempted",
            float(np.mean([(r.preemptions[r.measured] > 0).mean() for r in runs])),
        ),
    ]
    return Table(f"time{suffix}", "Use of time and memory", columns, tuple(rows))


def _series_figure(run: SimulationResult, suffix: str) -> Figure:
    series = run.series
    description = (
        f"Requests running: mean {series.running.mean():.0f}, most {series.running.max():.0f}; "
        f"waiting: mean {series.waiting.mean():.1f}, most {series.waiting.max():.0f}; "
        f"KV pool in use: most {rounding.share(float(series.kv_used_share.max()))}."
    )

    def paint(axes: Axes) -> None:
        axes.plot(series.time_s, series.running, color=canvas.SERIES[0], lw=1.2, label="running")
        axes.plot(series.time_s, series.waiting, color=canvas.SERIES[1], lw=1.2, label="waiting")
        axes.set_xlabel("seconds")
        axes.set_ylabel("requests")
        axes.legend(loc="upper left", fontsize=8)

    key, title = f"load{suffix}".replace("_", "-"), "Requests in the fleet over time"
    return figures.figure(key, title, description, paint, 2.7)


def requests_table(checks: dict[str, StudiedService]) -> Table:
    """Every request of every run, for machines."""
    named = any(check.request_classes for check in checks.values())
    columns = (
        Column("service", "service"),
        Column("run", "run", Quantity.COUNT),
        Column("arrival_s", "arrival", Quantity.SECONDS),
        Column("prompt_tokens", "prompt", Quantity.COUNT),
        Column("output_tokens", "output", Quantity.COUNT),
        Column("replica", "replica", Quantity.COUNT),
        Column("wait_s", "wait", Quantity.SECONDS),
        Column("ttft_s", "ttft", Quantity.SECONDS),
        Column("tpot_s", "tpot", Quantity.SECONDS),
        Column("longest_gap_s", "longest gap", Quantity.SECONDS),
        Column("e2e_s", "e2e", Quantity.SECONDS),
        Column("preemptions", "preemptions", Quantity.COUNT),
        Column("shed", "shed"),
        Column("measured", "measured"),
        *((Column("request_class", "class"),) if named else ()),
    )
    rows: list[tuple[Value, ...]] = []
    for name, check in checks.items():
        for number, run in enumerate(check.study.runs):
            latencies = {m: run.latency_s(m) for m in ("wait", "ttft", "tpot", "itl", "e2e")}
            rows.extend(
                (
                    name,
                    number,
                    float(run.arrival_s[i]),
                    int(run.prompt_tokens[i]),
                    int(run.output_tokens[i]),
                    int(run.replica[i]),
                    *(finite(latencies[m][i]) for m in ("wait", "ttft", "tpot", "itl", "e2e")),
                    int(run.preemptions[i]),
                    "yes" if run.shed[i] else "no",
                    "yes" if inside else "no",
                    *((_class_of(check, run, i),) if named else ()),
                )
                for i, inside in enumerate(run.measured)
            )
    return Table("requests", "Requests", columns, tuple(rows))


def _class_of(check: StudiedService, run: SimulationResult, request: int) -> str:
    """The class of a request; "" where its service has none."""
    return "" if run.classes is None else check.request_classes[int(run.classes[request])]


def series_table(checks: dict[str, StudiedService]) -> Table:
    """The fleet over time, for machines."""
    columns = (
        Column("service", "service"),
        Column("run", "run", Quantity.COUNT),
        Column("time_s", "time", Quantity.SECONDS),
        Column("running", "running", Quantity.COUNT),
        Column("waiting", "waiting", Quantity.COUNT),
        Column("kv_used_share", "KV in use", Quantity.SHARE),
    )
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (name, number, *(float(v) for v in point))
        for name, check in checks.items()
        for number, run in enumerate(check.study.runs)
        for point in zip(
            run.series.time_s,
            run.series.running,
            run.series.waiting,
            run.series.kv_used_share,
            strict=True,
        )
    )
    return Table("series", "Series", columns, rows)


def simulation_data(checks: dict[str, StudiedService]) -> dict[str, object]:
    """The findings for JSON."""
    return {
        "holds": all(c.holds for c in checks.values()),
        "services": [
            {
                "name": name,
                "rate_qps": c.rate_qps,
                "holds": c.holds,
                "overloaded": c.study.overloaded,
                "long_enough": c.enough,
                "makespan_s": c.study.runs[0].end_of_run_s,
                "requests_measured": sum(int(r.measured.sum()) for r in c.study.runs),
                "shed_share": c.study.shed_share,
                "targets": [
                    {
                        "target": o.key,
                        "required": o.required,
                        "met": o.met,
                        "interval": [o.met_low, o.met_high],
                        "holds": o.holds,
                    }
                    for o in c.outcomes
                ],
                "percentiles": {
                    class_target(own, f"{m}_p{p:g}_s"): _estimate(study, m, p)
                    for own, study in {"": c.study, **c.by_class}.items()
                    for m, _ in _METRICS
                    for p in PERCENTILES
                },
            }
            for name, c in checks.items()
        ],
    }


def _estimate(study: Study, metric: str, percentile: float) -> dict[str, object] | None:
    e = study.percentile(metric, percentile)
    if not e.requests:
        return None
    interval: Sequence[float | None] = [finite(e.low_s), finite(e.high_s)]
    return {"value": finite(e.value_s), "interval": interval, "enough": e.enough}


def finite(value: float) -> float | None:
    """None for what never happened."""
    return float(value) if np.isfinite(value) else None
