"""A plan told in the terminal: the decision first, then why, then what stands behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from planner.plan.labels import goodput_target
from planner.plan.prefix_hits import PrefixHits
from planner.plan.provenance import Provenance
from planner.plan.schema import NodeCount, Plan, ReplicaGroup, ServicePlan
from planner.reporting import rounding as say
from planner.reporting.plan.evidence_sections import ALTERNATIVES_NOTE
from planner.reporting.plan.pools import link_text, pools_of
from planner.reporting.plan.prefix_section import KEPT, hits_text
from planner.reporting.plan.searched import searched_line
from planner.reporting.plan.service_sections import goodput_text, limit_title
from planner.reporting.tables.memory_tables import PART_NAMES
from planner.units import counted

_METRIC = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2e": "E2E"}
_HEADLINE_SERVICES = 4


def render_plan(plan: Plan) -> RenderableType:
    """The whole report as one renderable; ``rich`` wraps it to the terminal's width."""
    parts: list[RenderableType] = [_headline(plan)]
    if plan.infeasibility is not None:
        parts += _infeasibility(plan)
    if plan.nodes:
        parts += [_section("What to rent"), _nodes(plan.nodes), _totals(plan)]
    for service in plan.services:
        if service.replica_groups:
            goodput = goodput_target(plan, service.name)
            parts += _service(service, many=len(plan.services) > 1, goodput=goodput)
    parts += _verification(plan)
    parts += _alternatives(plan)
    parts += _rejections(plan)
    parts += _footnotes(plan)
    return Group(*parts)


def print_plan(plan: Plan, console: Console) -> None:
    """Print the report on ``console``."""
    console.print(render_plan(plan))


def _section(title: str) -> Text:
    return Text(f"\n{title}", style="bold cyan")


def _headline(plan: Plan) -> RenderableType:
    name = plan.scenario.name
    if plan.status == "infeasible":
        return Text.assemble((f"{name}: no fleet can meet this scenario", "bold red"))
    if plan.totals is None:
        return Text.assemble(
            (f"{name}: no plan was found before the solver stopped", "bold yellow"),
            "\nGive it longer with --time-limit.",
        )
    proof = {
        "optimal": "proven cheapest of what was searched, for the printed capacities and prices",
        "feasible": f"not proven cheapest: the gap is {say.share(plan.gap)}",
    }.get(plan.status, plan.status)
    at_most = "up to " if plan.varies else ""
    rented = f"{at_most}{counted(plan.totals.gpus_rented, 'GPU')}"
    return Group(
        Text.assemble((f"{name}: ", "bold"), (_fleet(plan.services), "bold green")),
        Text(f"{rented}, {say.usd_per_hour(plan.totals.usd_per_hour)}, {proof}"),
        *((_dim(line),) if (line := searched_line(plan)) else ()),
        *_shortfall(plan.services),
        *(Text(w, style="bold yellow") for w in plan.warnings if w == plan.verification.note),
    )


def _shortfall(services: tuple[ServicePlan, ...]) -> Iterator[Text]:
    """What is not served, where stock or budget is short and the scenario allows it."""
    requested, served = sum(s.rate_qps for s in services), sum(s.served_qps for s in services)
    if served < requested * (1 - 1e-6):
        yield Text(f"Only {say.qps(served)} of {say.qps(requested)} are served.", style="bold red")


def _fleet(services: tuple[ServicePlan, ...]) -> str:
    """The chosen replicas in a line, by service where there are several."""
    shown = services[:_HEADLINE_SERVICES]
    groups = [" + ".join(g.label for g in s.replica_groups) or "nothing" for s in shown]
    if len(services) > 1:
        groups = [f"{s.name} {label}" for s, label in zip(shown, groups, strict=True)]
    left = len(services) - len(shown)
    return "; ".join(groups) + (f"; {left} more services" if left else "")


def _infeasibility(plan: Plan) -> list[RenderableType]:
    why = plan.infeasibility
    assert why is not None
    parts: list[RenderableType] = [Text(why.summary)]
    if why.conflict:
        parts += [_section("These requirements cannot all hold")]
        parts += [Text(f"  - {line}") for line in why.conflict]
    if why.relaxations:
        table = _table("Relax", "asked", "relaxed to", "resulting cost", "GPUs")
        for r in why.relaxations:
            cost = say.usd_per_hour(r.usd_per_hour)
            table.add_row(r.requirement, r.current, r.relaxed, cost, say.count(r.gpus))
        parts += [_section("Cheapest ways out, each enough by itself"), table]
    return parts


def _nodes(nodes: Sequence[NodeCount]) -> Table:
    varies = any(n.hours_share < 1 for n in nodes)
    paid = (">hours paid",) if varies else ()
    table = _table(">nodes", "of", "GPUs", ">each", *paid, ">total")
    for n in nodes:
        gpus = f"{n.gpus_per_node}x {n.gpu}" + (f" ({n.idle_gpus} idle)" if n.idle_gpus else "")
        table.add_row(
            say.count(n.count),
            f"{n.provider} {n.instance_type}, {n.region}, {n.term}",
            gpus,
            say.usd_per_hour(n.usd_per_hour_each),
            *((say.share(n.hours_share),) if varies else ()),
            say.usd_per_hour(n.usd_per_hour),
        )
    return table


def _totals(plan: Plan) -> RenderableType:
    totals = plan.totals
    assert totals is not None
    table = _table(">per hour", ">per month", ">per year", ">per M output tokens", ">per M tokens")
    table.add_row(
        say.usd(totals.usd_per_hour),
        say.usd(totals.usd_per_month),
        say.usd(totals.usd_per_year),
        say.usd(totals.usd_per_million_output_tokens),
        say.usd(totals.usd_per_million_tokens),
    )
    bound = say.usd_per_hour(plan.bound_usd_per_hour)
    proof = (
        f"Solver {plan.solver.name} {plan.solver.version}: {plan.solver.status}, "
        f"bound {bound}, gap {say.share(plan.gap)}; "
        f"{counted(plan.solver.candidates, 'candidate')}, {plan.solver.candidates_after_dominance} after "
        "dominance."
    )
    return Group(Text(), table, _dim(proof))


def _service(service: ServicePlan, many: bool, goodput: float | None) -> list[RenderableType]:
    rate = say.qps(service.rate_qps)
    if service.busiest_qps is not None:
        rate += f" on average, {say.qps(service.busiest_qps)} at most,"
    rate += f" of {service.model}"
    title = f"Service {service.name}: {rate}" if many else rate
    parts: list[RenderableType] = [_section(title), _groups(service)]
    if service.served_qps < service.rate_qps * (1 - 1e-9):
        short = f"  Only {say.qps(service.served_qps)} of {say.qps(service.rate_qps)} is served."
        parts.append(Text(short, style="bold red"))
    load = "planned" if service.busiest_qps is None else "highest"
    parts += [_section(f"Predicted latency at the {load} load"), _latency(service, goodput)]
    if goodput is not None:
        parts.append(_dim(goodput_text(goodput)))
    p = service.replica_groups[0].predicted
    source = "simulated" if p.method == "simulated" else "from the closed form"
    parts.append(
        _dim(
            f"Percentiles are {source}; model intervals are meant to hold in "
            f"{say.share(p.interval_level)} of cases."
        )
    )
    if service.prefix_hits is not None:
        parts += [_section("Prefix cache"), _prefix(service.prefix_hits)]
        parts.append(_dim(hits_text(service.prefix_hits)))
    parts += [_section("Memory of one GPU"), _memory(service.replica_groups)]
    if service.floors:
        f = service.floors
        parts.append(
            _dim(
                f"Physics allows no TTFT below {say.seconds(f.get('ttft_s'))}, no TPOT below "
                f"{say.seconds(f.get('tpot_s'))}; the arithmetic alone fills "
                f"{say.significant(f.get('gpus_for_arithmetic_alone'))} of these GPUs."
            )
        )
    return parts


def _dim(text: str) -> RenderableType:
    return Padding(Text(text, style="dim"), (0, 0, 0, 1))


def _groups(service: ServicePlan) -> Table:
    units = any(g.prefill for g in service.replica_groups)
    one = "one unit" if units else "one replica"
    links: dict[str, Callable[[ReplicaGroup], str]] = {"KV link": link_text} if units else {}
    return _upright(
        service.replica_groups,
        {
            "units of both pools" if units else "replicas": lambda g: say.count(g.replicas),
            f"{one} holds": lambda g: say.qps(g.capacity_qps),
            f"{one} gets": lambda g: say.qps(g.routed_qps / g.replicas if g.replicas else None),
            "limited by": lambda g: limit_title(g.limited_by),
            "utilization": lambda g: say.share(g.utilisation),
            "requests in flight, each": lambda g: say.count(round(g.concurrency, 1)),
            "KV pool in use": lambda g: say.share(g.kv_used_share),
            **links,
        },
    )


def _latency(service: ServicePlan, goodput: float | None) -> Table:
    table = _table("", ">target", ">predicted", "model interval", "simulated", "evidence")
    for g in service.replica_groups:
        p = g.predicted
        values = {k: getattr(p, k) for k in type(p).model_fields if re.match(r"\w+_p\d+_s$", k)}
        values |= p.others_s
        for key, value in sorted(values.items(), reverse=True):
            if value is None:
                continue
            metric, _, percentile = key.removesuffix("_s").partition("_p")
            target = service.targets.get(key.removesuffix("_s"))
            met = target is None or goodput is not None or value <= target
            low_high = p.intervals.get(key)
            simulated = p.simulation_intervals.get(key)
            table.add_row(
                f"{_METRIC.get(metric, metric)} p{percentile}",
                say.seconds(target),
                Text(say.seconds(value), style="" if met else "bold red"),
                say.interval(*low_high) if low_high else "-",
                say.interval(*simulated) if simulated else "no",
                g.evidence,
            )
    return table


def _prefix(hits: PrefixHits) -> Table:
    table = _table("", ">prompt tokens found", "targets")
    table.add_row("as planned", say.share(hits.share), "")
    for case in hits.cases:
        table.add_row(f"with {case.changed}", say.share(case.share), KEPT[case.holds])
    return table


def _memory(groups: tuple[ReplicaGroup, ...]) -> Table:
    parts = [k for k in groups[0].memory if k.endswith("_bytes") and k != "total_bytes"]
    table = Table(box=SIMPLE_HEAD, pad_edge=True, show_edge=False)
    table.add_column("")
    columns = [pool for g in groups for pool in pools_of(g)]
    for g in groups:
        for pool in pools_of(g):
            table.add_column(pool.title or g.name, justify="right")
    for part in (*parts, "total_bytes"):
        table.add_row(_part(part), *(say.gib(pool.memory.get(part)) for pool in columns))
    table.add_row("KV tokens, whole replica", *(say.count(p.kv_pool_tokens) for p in columns))
    return table


def _part(key: str) -> str:
    name = key.removesuffix("_bytes")
    return "CUDA-visible memory" if name == "total" else PART_NAMES.get(name, name)


def _upright(
    groups: tuple[ReplicaGroup, ...], rows: Mapping[str, Callable[[ReplicaGroup], str]]
) -> Table:
    """One column a group, one row a property: few groups with many properties fit any width."""
    table = Table(box=SIMPLE_HEAD, pad_edge=True, show_edge=False)
    table.add_column("")
    for g in groups:
        table.add_column(g.name, justify="right")
    for title, read in rows.items():
        table.add_row(title, *(read(g) for g in groups))
    return table


def _verification(plan: Plan) -> list[RenderableType]:
    v = plan.verification
    if v.method == "none" or not v.rounds:
        return []
    table = _table(">round", "deployment", ">closed form", ">simulated capacity", "holds", "note")
    for r in v.rounds:
        table.add_row(
            str(r.round),
            r.deployment,
            say.qps(r.closed_form_qps),
            say.qps(r.simulated_qps),
            "yes" if r.holds else "no",
            r.note,
        )
    parts: list[RenderableType] = [_section("Checked in the simulator"), table]
    if v.near_winners:
        near = "  With 10 % more capacity these unsimulated candidates would win: "
        parts.append(Text(near + "; ".join(v.near_winners), style="dim"))
    return parts


def _alternatives(plan: Plan) -> list[RenderableType]:
    rows = list(plan.alternatives)
    if plan.native_precision is not None:
        rows.insert(0, plan.native_precision)
    if not rows:
        return []
    base = plan.totals.usd_per_hour if plan.totals else None
    table = _table("alternative", ">GPUs", ">cost", ">against the plan", "why not")
    for a in rows:
        table.add_row(
            a.label,
            str(a.gpus),
            say.usd_per_hour(a.usd_per_hour),
            say.relative(base, a.usd_per_hour),
            a.reason,
        )
    parts: list[RenderableType] = [_section("Alternatives considered"), table]
    if plan.verification.rounds:
        parts.append(_dim(ALTERNATIVES_NOTE))
    return parts


def _rejections(plan: Plan) -> list[RenderableType]:
    if not plan.rejections:
        return []
    table = _table(">count", "rejected because", "nearest miss")
    for r in plan.rejections:
        table.add_row(str(r.count), r.reason, r.nearest_miss)
    return [_section("Rejected configurations"), table]


def _footnotes(plan: Plan) -> list[RenderableType]:
    parts: list[RenderableType] = []
    warnings = [w for w in plan.warnings if w != plan.verification.note]
    if warnings:
        parts.append(_section("Warnings"))
        parts += [Text(f"  - {w}", style="yellow") for w in warnings]
    if plan.assumptions:
        parts.append(_section("Assumed"))
        parts += [Text(f"  - {a}") for a in plan.assumptions]
    p = plan.provenance
    parts.append(
        Text(
            f"\n{_dates(p)}catalog {p.catalog_digest[:12]}, planner {p.planner_version}\n"
            f"calibration: {p.calibration}",
            style="dim",
        )
    )
    return parts


def _dates(provenance: Provenance) -> str:
    if provenance.price_dates is None:
        return ""
    first, last = provenance.price_dates
    return f"prices of {first}, " if first == last else f"prices of {first} to {last}, "


def _table(*columns: str) -> Table:
    """A plain table; ``>`` before a title aligns the column to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for title in columns:
        right = title.startswith(">")
        table.add_column(
            title.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return table
