"""A replay of autoscalers as a document: what each misses and pays, beside the plan's own schedule."""

from __future__ import annotations

from collections.abc import Sequence

from planner.deploy.replayed import GroupStudy, PolicyRun
from planner.reporting import rounding
from planner.reporting.document import (
    Column,
    Document,
    Paragraph,
    Quantity,
    Section,
    Table,
    Value,
)

NAMES = {
    "static": "static, for the busiest hour",
    "schedule": "the plan's schedule",
    "keda": "KEDA, queue and clock",
    "hpa": "HPA, queue",
    "llm-d": "llm-d, saturation",
}
_METHOD = (
    "Between two samples of an autoscaler rates are constant and shared equally. A request counts as missed "
    "when it arrives while the load exceeds the capacity of the serving replicas, or while a backlog "
    "lasts. Queue and KV pool are those of the closed form's steady state. Replicas are paid from "
    "the moment they are requested; the cost is at the plan's mean price of a GPU-hour, which committed and "
    "owned nodes cost whether they run or not."
)


def autoscaling_document(name: str, studies: Sequence[GroupStudy]) -> Document:
    """One row per replica group and policy, the plan's schedule to compare with."""
    notes = [
        Paragraph(f"{s.service}: left out {'; '.join(s.left_out)}.") for s in studies if s.left_out
    ]
    basis = [Paragraph(_basis(s)) for s in studies]
    return Document(
        title=f"Autoscaling replayed: {name}",
        headline=headline(studies),
        sections=(
            Section(
                "policies", "Missed requests and cost by policy", (policies_table(studies), *notes)
            ),
            Section("basis", "What was replayed", (*basis, Paragraph(_METHOD))),
        ),
        data=(series_table(studies),),
    )


def headline(studies: Sequence[GroupStudy]) -> str:
    """The cheapest policy that misses nothing, or the one that misses least."""
    names = [r.policy for r in studies[0].runs]
    whole = [(name, _missed(studies, name), _hours(studies, name)) for name in names]
    kept = [w for w in whole if w[1] == 0]
    if kept:
        name, _, hours = min(kept, key=lambda w: w[2])
        text = f"misses nothing with the fewest GPU-hours: {rounding.significant(hours)} over the trace."
        return _sentence(f"{NAMES[name]} {text}")
    name, missed, hours = min(whole, key=lambda w: (w[1], w[2]))
    return (
        f"No policy misses nothing; {NAMES[name]} misses least, {rounding.share(missed)} of the requests, "
        f"with {rounding.significant(hours)} GPU-hours."
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def policies_table(studies: Sequence[GroupStudy]) -> Table:
    """Misses, GPU-hours and cost by policy."""
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica", optional=True),
        Column("policy", "Policy"),
        Column("missed_share", "Missed", Quantity.SHARE),
        Column("missed", "Requests missed", Quantity.COUNT),
        Column("longest_s", "Longest overload", Quantity.SECONDS),
        Column("most_backlog", "Longest backlog [requests]", Quantity.COUNT),
        Column("gpu_hours", "GPU-hours", Quantity.NUMBER),
        Column("against_schedule", "Against the schedule", Quantity.SHARE),
        Column("usd", "Cost", Quantity.USD),
        Column("most_replicas", "Most replicas", Quantity.COUNT),
        Column("scalings", "Scale events", Quantity.COUNT),
    )
    several = len({(s.service, s.layout) for s in studies}) > 1
    rows = tuple(_row(s, r, several=several) for s in studies for r in s.runs)
    note = "; ".join(
        f"{s.service}: an ideal fleet that follows every rate without delay takes "
        f"{rounding.significant(s.least_gpu_hours)} GPU-hours"
        for s in studies
    )
    return Table("policies", "Policies", columns, rows, f"{note}.")


def series_table(studies: Sequence[GroupStudy]) -> Table:
    """Every change of the fleet: when, at which rate, replicas paid and serving."""
    columns = (
        Column("service", "Service"),
        Column("policy", "Policy"),
        Column("time_s", "Time", Quantity.SECONDS),
        Column("rate_qps", "Rate", Quantity.QPS),
        Column("paid", "Replicas paid", Quantity.COUNT),
        Column("serving", "Replicas serving", Quantity.COUNT),
    )
    rows = tuple(row for s in studies for r in s.runs for row in _changes(s, r))
    return Table("series", "The fleet over time", columns, rows)


def _changes(study: GroupStudy, run: PolicyRun) -> list[tuple[Value, ...]]:
    found: list[tuple[Value, ...]] = []
    before: tuple[float, int, int] | None = None
    steps = zip(
        run.replay.times_s.tolist(),
        run.replay.rate_qps.tolist(),
        run.replay.paid.tolist(),
        run.replay.serving.tolist(),
        strict=True,
    )
    for time, rate, paid, serving in steps:
        if (rate, paid, serving) != before:
            found.append((study.service, run.policy, time, rate, paid, serving))
            before = (rate, paid, serving)
    return found


def _row(study: GroupStudy, run: PolicyRun, *, several: bool) -> tuple[Value, ...]:
    found, own = run.replay, study.run("schedule")
    against = run.gpu_hours / own.gpu_hours - 1 if own is not None and own.gpu_hours else None
    return (
        study.service if several else None,
        study.layout if several else None,
        NAMES[run.policy],
        found.missed_share,
        found.missed,
        found.longest_overload_s,
        found.most_backlog,
        run.gpu_hours,
        against,
        run.usd,
        found.most_replicas,
        found.scale_ups + found.scale_downs,
    )


def _basis(study: GroupStudy) -> str:
    trace = study.trace
    return (
        f"{study.service}: {study.layout}, each with a capacity of {rounding.qps(study.capacity_qps)} within "
        "the targets; "
        f"a replica serves {rounding.seconds(study.start_up_s)} after it is requested. "
        f"{rounding.seconds(trace.duration_s)} of rates in {len(trace.rate_qps):,} windows, up to "
        f"{rounding.qps(float(trace.rate_qps.max()))}. Queue threshold "
        f"{study.launch.queue_threshold:,} requests a replica."
    )


def _missed(studies: Sequence[GroupStudy], policy: str) -> float:
    runs = [r for s in studies if (r := s.run(policy)) is not None]
    requests = sum(r.replay.requests for r in runs)
    return sum(r.replay.missed for r in runs) / requests if requests else 0.0


def _hours(studies: Sequence[GroupStudy], policy: str) -> float:
    return sum(r.gpu_hours for s in studies if (r := s.run(policy)) is not None)
