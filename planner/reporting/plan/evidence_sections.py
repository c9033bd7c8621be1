"""The background of a plan: alternatives, assumptions, evidence, prices, derivation, origin."""

from __future__ import annotations

from planner.findings.schema import Findings
from planner.plan.labels import rented
from planner.plan.schema import Plan
from planner.reporting.charts import money as money_charts
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Items,
    Paragraph,
    Quantity,
    Section,
    Table,
    rows_of,
)
from planner.reporting.served import with_served
from planner.reporting.tables.derivation_tables import side_by_side

ALTERNATIVES_NOTE = "Alternatives are sized by the closed form; only the chosen plan was simulated."
_GRADES = {
    "measured": "a measurement of this very configuration",
    "calibrated": "same engine and GPU, a model of the same kernel family",
    "measured kernels": "kernels measured on this GPU, added up; the sum was checked on models left out",
    "modelled": "physics with factors borrowed from other hardware or engines",
    "assumed": "an assumption of the user or of the tool",
}


def alternatives(findings: Findings) -> Section:
    """Alternatives considered, faster ones, and deployments that were rejected, each with the reason."""
    plan = findings.plan
    blocks: list[Block] = []
    base = plan.totals.usd_per_hour if plan.totals else None
    others = plan.not_chosen
    if others:
        columns = (
            Column("label", "Alternative"),
            Column("gpus", "GPUs", Quantity.COUNT),
            Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
            Column("relative", "Against the plan", Quantity.CHANGE),
            Column("reason", "Why not"),
        )
        rows = rows_of(
            others, columns, relative=lambda a: a.usd_per_hour / base - 1 if base else None
        )
        note = ALTERNATIVES_NOTE if plan.verification.rounds else ""
        table = Table("alternatives", "Alternatives considered", columns, rows, note)
        blocks.append(with_served(table, (a.served_qps for a in others)))
        blocks.append(money_charts.cost_by_option(plan, others))
    blocks += _frontier(findings)
    if plan.rejections:
        blocks.append(_rejections(plan))
    return Section("alternatives", "Why not the others", tuple(blocks))


def _frontier(findings: Findings) -> tuple[Block, ...]:
    if not findings.frontier:
        return ()
    columns = (
        Column("bound_s", "TPOT target", Quantity.SECONDS),
        Column("tpot_p99_s", "TPOT p99 achieved", Quantity.SECONDS),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("gpus", "GPUs", Quantity.COUNT),
        Column("layout", "Replica"),
    )
    rows = rows_of(findings.frontier, columns)
    note = "Each row is the cheapest fleet under its target; none is both cheaper and faster."
    table = Table("frontier", "What faster tokens cost", columns, rows, note)
    return (table, money_charts.pareto(findings.plan, findings.frontier))


def _rejections(plan: Plan) -> Table:
    columns = (
        Column("reason", "Reason"),
        Column("count", "Deployments", Quantity.COUNT),
        Column("nearest_miss", "Nearest miss"),
    )
    rows = rows_of(plan.rejections, columns)
    return Table("rejections", "Rejected configurations", columns, rows)


def assumptions(plan: Plan) -> Section:
    """What was taken for granted, and how well each prediction is known."""
    blocks: list[Block] = [Items(plan.assumptions)] if plan.assumptions else []
    rows = tuple(
        (s.name, g.name, g.evidence, _GRADES.get(g.evidence, ""), "; ".join(g.notes))
        for s in plan.services
        for g in s.replica_groups
    )
    if rows:
        columns = (
            Column("service", "Service", optional=True),
            Column("layout", "Replica"),
            Column("evidence", "Evidence"),
            Column("meaning", "Which means"),
            Column("notes", "Notes"),
        )
        blocks.append(Table("evidence", "Evidence behind the predictions", columns, rows))
    if plan.verification.rounds:
        blocks.append(_rounds(plan))
    if plan.verification.near_winners:
        blocks.append(
            Paragraph("With 10 % more capacity these unsimulated candidates would have won:")
        )
        blocks.append(Items(plan.verification.near_winners))
    recorded = ", ".join(plan.not_verified)
    blocks.append(Paragraph(f"Recorded by the run that made the plan, not verified: {recorded}."))
    return Section("assumptions", "Assumptions and evidence", tuple(blocks))


def _rounds(plan: Plan) -> Table:
    columns = (
        Column("round", "Round", Quantity.COUNT),
        Column("deployment", "Deployment"),
        Column("closed_form_qps", "Capacity per replica, closed form", Quantity.QPS),
        Column("simulated_qps", "Load per replica that held", Quantity.QPS),
        Column("holds", "Holds"),
        Column("note", "Note"),
    )
    rounds = plan.verification.rounds
    rows = rows_of(rounds, columns, holds=lambda r: "yes" if r.holds else "no")
    return Table("verification", "Checked in the simulator", columns, rows)


def sources(findings: Findings) -> Section:
    """Date, source and confidence of every price behind a number, and of what providers promise."""
    plan = findings.plan
    rows = [
        (
            n.name,
            n.price_as_of,
            n.price_source,
            n.price_confidence,
        )
        for n in rented(plan)
    ]
    rows += [
        (f"{p.way}: {p.what}", p.as_of, p.source, p.confidence)
        for p in findings.purchases
        if p.source and not p.planned
    ]
    columns = (
        Column("price", "Price of"),
        Column("as_of", "Date"),
        Column("source", "Source"),
        Column("confidence", "Confidence"),
    )
    tables = [Table("sources", "Prices", columns, tuple(rows))] if rows else []
    if findings.service_levels:
        tables.append(_service_levels(findings))
    return Section("sources", "Price dates and sources", tuple(tables))


def _service_levels(findings: Findings) -> Table:
    columns = (
        Column("provider", "Provider"),
        Column("monthly_uptime", "Uptime promised in a month"),
        Column("as_of", "Date"),
        Column("source", "Source"),
        Column("confidence", "Confidence"),
        Column("note", "Note", optional=True),
    )
    rows = rows_of(findings.service_levels, columns)
    note = "Below it the provider owes a credit; no plan counts on it."
    return Table("service_levels", "Service level agreements", columns, rows, note)


def derivation(findings: Findings) -> Section:
    """The textbook sizing beside what the targets need, topic by topic."""
    return Section("derivation", "Derivation", tuple(side_by_side(findings.derivations)))


def provenance(plan: Plan) -> Section:
    """What it takes to reproduce the plan."""
    p, s = plan.provenance, plan.solver
    dates = " to ".join(dict.fromkeys(p.price_dates)) if p.price_dates else None
    rows = (
        ("Planner version", p.planner_version),
        ("Scenario digest", p.scenario_digest),
        ("Catalog digest", p.catalog_digest),
        ("Calibration", p.calibration),
        ("Calibration digest", p.calibration_digest),
        ("Price dates", dates),
        ("Seed", Cell(p.seed, Quantity.COUNT)),
        ("Solver", f"{s.name} {s.version}"),
        ("Solver status", s.status),
        ("Objective", Cell(plan.objective_usd_per_hour, Quantity.USD_PER_HOUR)),
        ("Proven bound", Cell(plan.bound_usd_per_hour, Quantity.USD_PER_HOUR)),
        ("Gap", Cell(plan.gap, Quantity.SHARE)),
        ("Candidates", Cell(s.candidates, Quantity.COUNT)),
        ("Candidates after dominance", Cell(s.candidates_after_dominance, Quantity.COUNT)),
    )
    columns = (Column("what", "What"), Column("value", "Value"))
    return Section(
        "provenance", "How to reproduce it", (Table("provenance", "Origin", columns, rows),)
    )
