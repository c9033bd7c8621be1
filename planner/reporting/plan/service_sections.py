"""What each service gets: its replicas, predicted latency, memory, and capacity against demand."""

from __future__ import annotations

from collections.abc import Iterator

from planner.findings.schema import Findings
from planner.plan.labels import costliest, goodput_target, headroom_qps
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import ServicePlan
from planner.reporting import rounding
from planner.reporting.charts import services as service_charts
from planner.reporting.document import (
    Block,
    Column,
    Figure,
    Paragraph,
    Quantity,
    Section,
    Table,
)
from planner.reporting.names import MEMORY_PARTS, METRICS, WHOLE_GPU, limit_title, metric_title
from planner.reporting.plan import jobs, schedule_section
from planner.reporting.plan.drafting import drafts_table
from planner.reporting.plan.pools import PoolColumn, link_text, pools_of
from planner.reporting.plan.prefix_section import prefix_section
from planner.reporting.tables.class_tables import classes_table

MOST_BARS = 12
MEMORY_BYTES = {f"{key}_bytes": title for key, title in MEMORY_PARTS.items()}


KINDS = (
    Column("service", "Service", optional=True),
    Column("layout", "Replica"),
    Column("percentile", "Percentile"),
    Column("own_s", "Its own requests", Quantity.SECONDS),
    Column("all_s", "All requests", Quantity.SECONDS),
)
BY_KIND = "Targets are of all requests of a service; which kind answers one is the router's choice."


def sections(findings: Findings) -> tuple[Section, ...]:
    """Replicas, latency and memory over all services."""
    services = tuple(s for s in findings.plan.services if s.replica_groups)
    if not services:
        return ()
    return (
        Section("replicas", "What runs", _running(services, findings)),
        schedule_section.over_time(findings.plan),
        jobs.section(findings.plan),
        Section("latency", "Predicted latency", _latency(services, findings)),
        prefix_section(services),
        Section("memory", "Memory of one GPU", _memory(services)),
    )


def predicted_s(service: ServicePlan, key: str) -> float | None:
    """The worst prediction of ``ttft_p99`` among the service's replica groups [s]."""
    known = [v for g in service.replica_groups if (v := g.predicted.seconds(key)) is not None]
    return max(known, default=None)


def _each(services: tuple[ServicePlan, ...]) -> Iterator[tuple[ServicePlan, ReplicaGroup]]:
    for service in services:
        for group in service.replica_groups:
            yield service, group


def _running(services: tuple[ServicePlan, ...], findings: Findings) -> tuple[Block, ...]:
    charted = costliest(services, MOST_BARS)
    return (
        _replicas(services, len(findings.plan.periods) > 1),
        *classes_table(findings.plan, services),
        service_charts.demand_and_capacity(charted),
        *_steps(services),
        *drafts_table(services),
    )


_SHARES = (
    "Capacity is the rate at which a replica still meets its targets; utilization is the load over the rate "
    "at which it would fall behind, whatever the targets."
)
_BUSIEST = (
    "Each row is those replicas at their busiest. Rows may be busiest in different periods and do not add "
    "up: the timetable has what runs at the same time. Headroom is that of the service's busiest period."
)
_WITH_HITS = (
    "That rate is with the cache hits of the planned load: where a higher load loses histories, a replica "
    "falls behind sooner."
)


def _replicas(services: tuple[ServicePlan, ...], varies: bool) -> Table:
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica"),
        Column("engine_version", "Engine version"),
        Column("replicas", "Replicas", Quantity.COUNT),
        Column("gpus", "GPUs", Quantity.COUNT),
        Column("capacity_qps", "Capacity per replica", Quantity.QPS),
        Column("load_qps", "Load per replica", Quantity.QPS),
        Column("routed_qps", "Load of all", Quantity.QPS),
        Column("utilisation", "Utilization", Quantity.SHARE),
        Column("concurrency", "In flight per replica", Quantity.COUNT),
        Column("kv_used_share", "KV pool in use", Quantity.SHARE),
        Column("limited_by", "Limited by"),
        Column("headroom_qps", "Service headroom", Quantity.QPS),
        Column("evidence", "Evidence"),
    )
    rows = tuple(
        (
            s.name,
            g.name,
            g.engine_version,
            g.replicas,
            g.gpus,
            g.capacity_qps,
            g.routed_qps / g.replicas if g.replicas else None,
            g.routed_qps,
            g.utilisation,
            g.concurrency,
            g.kv_used_share,
            limit_title(g.limited_by),
            headroom_qps(s),
            g.evidence,
        )
        for s, g in _each(services)
    )
    links = [f"{g.name}: KV cache over {link_text(g)}." for _, g in _each(services) if g.prefill]
    hits = (_WITH_HITS,) if any(s.prefix_hits for s in services) else ()
    busiest = (_BUSIEST,) if varies else ()
    notes = " ".join((*links, _SHARES, *hits, *busiest))
    return Table("replicas", "Replicas", columns, rows, notes)


def _steps(services: tuple[ServicePlan, ...]) -> tuple[Table, ...]:
    parts = ("weights", "kv", "compute", "collectives", "overhead", "total")
    titles = ("Weights", "KV", "Compute", "Collectives", "Overhead", "Whole step")
    rows = tuple(
        (
            s.name,
            g.name,
            *(getattr(g.step, f"{p}_s") for p in parts),
            g.step.collectives_s / g.step.total_s if g.step.total_s else None,
        )
        for s, g in _each(services)
        if g.step is not None
    )
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica"),
        *(Column(f"{p}_s", t, Quantity.SECONDS) for p, t in zip(parts, titles, strict=True)),
        Column("collectives_share", "Lost to collectives", Quantity.SHARE),
    )
    table = Table("steps", "Where a decode step spends its time", columns, rows)
    return (table,) if rows else ()


def _latency(services: tuple[ServicePlan, ...], findings: Findings) -> tuple[Block, ...]:
    of = {s.name: f"{s.name}: " if len(services) > 1 else "" for s in services}
    goodputs = {s.name: goodput_target(findings.plan, s.name) for s in services}
    floors = [
        of[s.name] + ", ".join(_floor(k, v) for k, v in s.floors.items())
        for s in services
        if s.floors
    ]
    return (
        *_percentiles_of(services, findings),
        *_by_kind(services),
        *(Paragraph(of[n] + goodput_text(g)) for n, g in goodputs.items() if g is not None),
        *((Paragraph(f"Physical floors: {'; '.join(floors)}."),) if floors else ()),
        *(service_charts.latency_curve(curve) for curve in findings.curves),
        *(service_charts.distribution(d) for d in findings.distributions),
    )


def _percentiles_of(services: tuple[ServicePlan, ...], findings: Findings) -> Iterator[Table]:
    """Every percentile beside its target, with both ranges; nothing for batch jobs alone."""
    level = rounding.share(services[0].replica_groups[0].predicted.interval_level)
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica", optional=True),
        Column("percentile", "Percentile"),
        Column("target_s", "Target", Quantity.SECONDS),
        Column("predicted_s", "Predicted", Quantity.SECONDS),
        Column("met", "Met"),
        Column("low_s", f"Model range ({level})", Quantity.SECONDS, low_end=True),
        Column("high_s", "to", Quantity.SECONDS),
        Column("simulated_low_s", "Simulation range", Quantity.SECONDS, low_end=True),
        Column("simulated_high_s", "to", Quantity.SECONDS),
        Column("method", "Method", optional=True),
        Column("evidence", "Evidence", optional=True),
    )
    rows = tuple(
        (
            s.name,
            g.name,
            metric_title(key),
            s.targets.get(key),
            value,
            _met(s.targets.get(key), value, goodput_target(findings.plan, s.name)),
            *g.predicted.intervals.get(f"{key}_s", (None, None)),
            *g.predicted.simulation_intervals.get(f"{key}_s", (None, None)),
            g.predicted.method,
            g.evidence,
        )
        for s, g in _each(services)
        for key, value in g.predicted.by_key_s.items()
        if value is not None or (key in s.targets and g.predicted.method == "simulated")
    )
    if rows:
        title = "Percentiles at the planned load"
        yield Table("latency", title, columns, rows, _method(services))


def _met(target: float | None, value: float | None, goodput: float | None) -> str:
    """Whether the target holds; empty without one, and where all are judged together.

    A percentile without a value, of requests sent away, does not hold.
    """
    if target is None or goodput is not None:
        return ""
    return "yes" if value is not None and value <= target else "no"


def _by_kind(services: tuple[ServicePlan, ...]) -> Iterator[Table]:
    """Percentiles of the requests of each kind of replica, where several serve together."""
    rows = tuple(
        (s.name, g.name, metric_title(key.removesuffix("_s")), value, g.predicted.seconds(key[:-2]))
        for s, g in _each(services)
        for key, value in g.predicted.own_s.items()
    )
    if rows:
        yield Table("latency_by_kind", "Of the requests of each kind", KINDS, rows, BY_KIND)


def _method(services: tuple[ServicePlan, ...]) -> str:
    """Where the percentiles come from, and what the model's range means."""
    methods = {g.predicted.method for _, g in _each(services)}
    level = rounding.share(services[0].replica_groups[0].predicted.interval_level)
    source = {
        frozenset({"simulated"}): "Percentiles are simulated",
        frozenset({"closed-form"}): "Percentiles are from the closed form, not simulated",
    }.get(frozenset(methods), "Percentiles are simulated or from the closed form, as stated")
    mixed = any(
        len(s.replica_groups) > 1 and s.replica_groups[0].predicted.method == "simulated"
        for s in services
    )
    shared = (
        "; where replicas of several kinds serve together, of all their requests" if mixed else ""
    )
    return f"{source}{shared}; the model's range is meant to hold in {level} of cases{_range_of(services)}."


def _range_of(services: tuple[ServicePlan, ...]) -> str:
    """How the model's range was found, and which replicas have none above."""
    groups = [g for _, g in _each(services)]
    off = [g.predicted.step_factors for g in groups if g.predicted.step_factors is not None]
    if not off:
        return ""
    low = rounding.significant(min(factors[0] for factors in off))
    high = rounding.significant(max(factors[1] for factors in off))
    text = f": this load with steps that take {low} to {high} times as long, queue included"
    few = [g for g in groups if g.predicted.ttft_range_assumed]
    if few:
        text += (
            f"; that of TTFT on {', '.join(dict.fromkeys(g.gpu for g in few))} is assumed: too few models "
            "were timed to the first token there, so it reaches as far as on other vendors' devices"
        )
    behind = [g for g in groups if not g.predicted.keeps_up_if_slow]
    if not behind:
        return text
    named = ", ".join(dict.fromkeys(g.name for g in behind)) if len(groups) > len(behind) else ""
    noun = "replica" if len(behind) == 1 else "replicas"
    return f"{text}; at the slow end the {noun}{f' ({named})' if named else ''} would not keep up"


def goodput_text(goodput: float) -> str:
    """What is required where the targets are judged together."""
    return (
        f"Goodput target: {rounding.share(goodput)} of the requests meet all these targets at once; a "
        "percentile above its target is no miss by itself."
    )


def _floor(key: str, value: float) -> str:
    """``ttft_s`` and ``gpus_for_arithmetic_alone`` in words."""
    if key.endswith("_s"):
        metric = key.removesuffix("_s")
        return f"{METRICS.get(metric, metric)} {rounding.seconds(value)}"
    return f"{key.replace('_', ' ').replace('gpus', 'GPUs')} {rounding.significant(value)}"


def _pool_name(group: ReplicaGroup, pool: PoolColumn) -> str:
    """The layout, and which of its pools where it has two."""
    name = group.name
    return f"{name}: {pool.title}" if pool.title else name


def _memory(services: tuple[ServicePlan, ...]) -> tuple[Block, ...]:
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica"),
        *(Column(key, title, Quantity.BYTES) for key, title in MEMORY_BYTES.items()),
        Column("total_bytes", WHOLE_GPU, Quantity.BYTES),
        Column("kv_pool_tokens", "KV tokens per replica", Quantity.COUNT),
    )
    rows = tuple(
        (
            s.name,
            _pool_name(g, pool),
            *(pool.memory.get(key) for key in MEMORY_BYTES),
            pool.memory.get("total_bytes"),
            pool.kv_pool_tokens,
        )
        for s, g in _each(services)
        for pool in pools_of(g)
    )
    charted = costliest(services, MOST_BARS)
    bars = {_pool_name(g, p): p.memory for _, g in _each(charted) for p in pools_of(g) if p.memory}
    table = Table("memory", "Parts of the memory", columns, rows)
    figure: tuple[Figure, ...] = (service_charts.memory(bars, MEMORY_BYTES),) if bars else ()
    return (table, *figure)
