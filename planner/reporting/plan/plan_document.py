"""A plan as a document: the decision first, then its cost, then the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.offer import Term
from planner.findings.schema import Findings
from planner.plan.alternatives import Infeasibility
from planner.plan.labels import comes_and_goes, leaves, rented
from planner.plan.replica_group import QUANTISE_YOURSELF, ReplicaGroup
from planner.plan.schema import NodeCount, Plan, Totals
from planner.reporting import rounding
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Document,
    Fact,
    Facts,
    Items,
    Paragraph,
    Quantity,
    Section,
    Table,
    rows_of,
)
from planner.reporting.names import metric_title
from planner.reporting.plan import (
    evidence_sections,
    money_sections,
    price_sections,
    service_sections,
)
from planner.reporting.plan.decision_text import decision_lines, searched_line, unserved
from planner.units import counted

_MOST_NAMED = 4
_PROOF = {
    "optimal": "proven cheapest of what was searched, for the printed capacities and prices",
    "feasible": "not proven cheapest: the solver stopped early",
    "infeasible": "no fleet can meet this scenario",
    "unknown": "the solver stopped before it found a plan; give it longer with --time-limit",
}


def plan_document(findings: Findings) -> Document:
    """Everything a reader needs to sign, or to refuse to."""
    plan = findings.plan
    sections = (
        Section("decision", "Decision", _decision(findings)),
        Section("order", "What to rent", _order(plan)),
        money_sections.cost(findings),
        price_sections.prices(findings),
        money_sections.break_even(findings),
        money_sections.sensitivity(findings),
        *service_sections.sections(findings),
        price_sections.energy(findings),
        evidence_sections.alternatives(findings),
        evidence_sections.assumptions(plan),
        evidence_sections.sources(findings),
        evidence_sections.derivation(findings),
        evidence_sections.provenance(plan),
    )
    return Document(
        title=f"Capacity plan: {plan.scenario.name}",
        headline=headline(plan),
        sections=tuple(s for s in sections if s.blocks),
        footer=(_origin(plan),),
        data=money_sections.cash_by_month(plan),
        failed=plan.totals is None,
    )


def _origin(plan: Plan) -> str:
    """Version, catalog, prices and time in a line."""
    p = plan.provenance
    dates = f", prices of {' to '.join(dict.fromkeys(p.price_dates))}" if p.price_dates else ""
    return (
        f"planner {p.planner_version}, catalog {p.catalog_digest[:12]}{dates}, {p.run.created_at}"
    )


def headline(plan: Plan) -> str:
    """The decision in one sentence."""
    if plan.totals is None:
        why = f": {plan.infeasibility.summary}" if plan.infeasibility else "."
        return f"{plan.scenario.name}: {_PROOF[plan.status]}{why}"
    owned = [_text(n) for n in rented(plan) if n.term == Term.OWNED and not leaves(n, plan)]
    hired = [_text(n) for n in rented(plan) if n.term != Term.OWNED]
    run = _listed(
        [
            ("up to " if comes_and_goes(plan, s, g) else "")
            + f"{g.replicas} x [{_layout(g)}]"
            + (f" for {s.name}" if len(plan.services) > 1 else "")
            for s in plan.services
            for g in s.replica_groups
        ]
    )
    steps = [
        f"keep {_listed(owned)}" if owned else "",
        f"rent {_listed(hired)}" if hired else "",
    ]
    sentence = f"{', '.join(step for step in steps if step)} and run {run}"
    return (
        f"{sentence[0].upper()}{sentence[1:]}: {rounding.usd(plan.totals.usd_per_month)} per month."
    )


def _layout(group: ReplicaGroup) -> str:
    own = f", {QUANTISE_YOURSELF}" if group.quantise_yourself else ""
    return group.name + own


def _listed(names: list[str]) -> str:
    """The first few, joined; how many more there are."""
    if len(names) > _MOST_NAMED:
        names = [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} more"]
    return " and ".join(names)


def _text(node: NodeCount) -> str:
    part = f", {rounding.share(node.hours_share)} of the time" if node.hours_share < 1 else ""
    if node.term == Term.OWNED:
        where = "own" if node.region == "own" else f"own, {node.region}"
        return f"{node.count} x {node.instance_type} ({where}{part})"
    return (
        f"{node.count} x {node.instance_type} at {node.provider} ({node.region}, {node.term}{part})"
    )


def _decision(findings: Findings) -> tuple[Block, ...]:
    plan = findings.plan
    unconfirmed = [w for w in plan.warnings if w == plan.verification.note]
    others = [w for w in plan.warnings if w != plan.verification.note]
    blocks: list[Block] = [Paragraph(w, warning=True) for w in unconfirmed]
    if plan.totals is not None:
        blocks.append(_key_facts(plan))
    if lines := tuple(decision_lines(plan)):
        blocks.append(Items(lines))
    blocks += [Paragraph(text, warning=True) for text in unserved(plan)]
    blocks += [Paragraph(w, warning=True) for w in (*others, *findings.notes)]
    blocks.append(Paragraph(_proof(plan)))
    if line := searched_line(plan):
        blocks.append(Paragraph(line))
    if plan.infeasibility is not None:
        blocks += _infeasibility(plan.infeasibility)
    return tuple(blocks)


def _key_facts(plan: Plan) -> Facts:
    totals = plan.totals
    assert totals is not None
    facts = [
        Fact("Cost per month", Cell(totals.usd_per_month, Quantity.USD)),
        Fact("Cost per year", Cell(totals.usd_per_year, Quantity.USD)),
        Fact("Cost per hour", Cell(totals.usd_per_hour, Quantity.USD)),
        _token_cost(totals),
        Fact(
            "GPUs",
            Cell(totals.gpus_rented, Quantity.COUNT),
            f"{_in_use(plan, totals)}, {counted(totals.nodes, 'node')}",
        ),
    ]
    return Facts((*facts, *_targets(plan)))


def _token_cost(totals: Totals) -> Fact:
    """Per million output tokens; per million of any where nothing is generated."""
    written = totals.usd_per_million_output_tokens
    kind, usd = (" output", written) if written is not None else ("", totals.usd_per_million_tokens)
    return Fact(f"Cost per million{kind} tokens", Cell(usd, Quantity.USD), "at mean demand")


def _in_use(plan: Plan, totals: Totals) -> str:
    """How many of the rented GPUs run; over time groups peak apart and share them.

    Several parts may be of one GPU, so that they are counted as parts.
    """
    if plan.varies:
        return "at most"
    parts = sum(g.replicas for g in plan.groups if g.gpu_share < 1)
    whole = totals.gpus - parts
    cut = f"{counted(parts, 'part')} in use" if parts else ""
    return f"{rounding.count(whole)} in use" + (f", {cut}" if cut else "") if whole else cut


def _targets(plan: Plan) -> Iterator[Fact]:
    """Each target beside its prediction; for many services, how many targets are met."""
    predictions = [
        (service, key, target_s, service_sections.predicted_s(service, key))
        for service in plan.services
        for key, target_s in service.targets.items()
    ]
    if len(plan.services) > _MOST_NAMED:
        met = sum(p is not None and p <= target_s for _, _, target_s, p in predictions)
        note = f"of {rounding.count(len(predictions))} targets"
        yield Fact("Targets met", Cell(met, Quantity.COUNT), note)
        return
    for service, key, target_s, predicted_s in predictions:
        prefix = f"{service.name}: " if len(plan.services) > 1 else ""
        yield Fact(
            f"{prefix}{metric_title(key)}",
            Cell(predicted_s, Quantity.SECONDS),
            f"target {rounding.seconds(target_s)}",
        )


def _proof(plan: Plan) -> str:
    text = f"Status: {plan.status}, {_PROOF[plan.status]}."
    if plan.bound_usd_per_hour is not None:
        text += (
            f" No fleet of these can cost less than {rounding.usd_per_hour(plan.bound_usd_per_hour)}"
            f" (gap {rounding.share(plan.gap)})."
        )
    return text


def _infeasibility(why: Infeasibility) -> list[Block]:
    blocks: list[Block] = []
    if why.conflict:
        blocks += [Paragraph("These requirements are in conflict:"), Items(why.conflict)]
    if why.relaxations:
        blocks.append(
            Table(
                "relaxations",
                "Cheapest relaxations, each sufficient by itself",
                (
                    Column("requirement", "Relax"),
                    Column("current", "Now"),
                    Column("relaxed", "Relaxed to"),
                    Column("usd_per_hour", "Resulting cost", Quantity.USD_PER_HOUR),
                    Column("gpus", "GPUs", Quantity.COUNT),
                ),
                tuple(
                    (r.requirement, r.current, r.relaxed, r.usd_per_hour, r.gpus)
                    for r in why.relaxations
                ),
            )
        )
    return blocks


def _order(plan: Plan) -> tuple[Block, ...]:
    if not plan.nodes:
        return ()
    nodes = rented(plan)
    always = all(n.hours_share == 1 for n in nodes)
    columns = (
        Column("provider", "Provider"),
        Column("region", "Region"),
        Column("instance_type", "Instance type"),
        Column("term", "Term"),
        Column("count", "Nodes", Quantity.COUNT),
        Column("gpus_per_node", "GPUs per node", Quantity.COUNT),
        Column("gpu", "GPU"),
        Column("idle_gpus", "Idle GPUs", Quantity.COUNT),
        Column("usd_per_hour_each", "Price per node", Quantity.USD_PER_HOUR),
        Column("hours_share", "Share of time paid", Quantity.SHARE, optional=always),
        Column("usd_per_hour", "Total", Quantity.USD_PER_HOUR),
        Column("price_as_of", "Price date"),
    )
    return (Table("order", "Instances", columns, rows_of(nodes, columns)),)
