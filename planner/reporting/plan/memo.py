"""A one-page memo for approval: the decision, alternatives, exposure, risks, and room for signatures."""

from __future__ import annotations

from collections.abc import Iterator

from planner.findings.schema import Findings, Purchase
from planner.plan.schema import Plan
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
)
from planner.reporting.plan.plan_document import headline
from planner.reporting.plan.price_sections import TAX
from planner.units import counted

MOST_WAYS = 6
MOST_RISKS = 6
LONGEST = 180  # characters of a risk, of the headline or of a reason: a page has no more room
LONGEST_WHAT = 120  # of what is rented or bought, in its column
SIGN = ("Requested by", "Platform engineering", "Finance", "Procurement")


def memo(findings: Findings) -> Document:
    """The memo of a plan; one without a fleet says why there is none."""
    plan = findings.plan
    sections = (
        Section("decision", "Decision", tuple(_decision(plan))),
        Section("alternatives", "Alternatives", tuple(_alternatives(findings))),
        Section("exposure", "Exposure", tuple(_exposure(plan))),
        Section("risks", "Risks", tuple(_risks(findings))),
        Section("signatures", "Signatures", (_signatures(),)),
    )
    run = plan.provenance.run
    return Document(
        title=f"For approval: {plan.scenario.name}",
        headline=_short(headline(plan), 260),
        sections=tuple(s for s in sections if s.blocks),
        footer=(
            f"planner {plan.provenance.planner_version}, {run.created_at}; scenario "
            f"{plan.provenance.scenario_digest[:12]}, catalog {plan.provenance.catalog_digest[:12]}. {TAX}",
        ),
        compact=True,
    )


def _decision(plan: Plan) -> Iterator[Block]:
    totals = plan.totals
    if totals is None:
        return
    horizon = plan.scenario.horizon
    months = horizon.months
    facts = [
        Fact("Cost per month", Cell(totals.usd_per_month, Quantity.USD)),
        Fact(
            f"Cost of {counted(months, 'month')}",
            Cell(totals.usd_per_month * months, Quantity.USD),
            "the need ends then" if horizon.ends else "",
        ),
    ]
    if plan.cash is not None:
        facts.append(Fact("Due at signature", Cell(plan.cash.due_at_signature_usd, Quantity.USD)))
        facts.append(Fact("Committed in total", Cell(plan.cash.committed_usd, Quantity.USD)))
    yield Facts(tuple(facts))
    proof = "proven cheapest of what was searched" if plan.status == "optimal" else plan.status
    served = plan.served_qps
    yield Paragraph(
        f"Serves {rounding.qps(served)} on {rounding.count(totals.gpus_rented)} GPUs in "
        f"{counted(totals.nodes, 'node')}; {proof}."
    )


def _alternatives(findings: Findings) -> Iterator[Block]:
    known = [p for p in findings.purchases if p.cost_usd is not None][:MOST_WAYS]
    if not known:
        return
    base = next((p.present_value_usd for p in known if p.planned), None)
    columns = (
        Column("way", "Payment option"),
        Column("cost_usd", "Cost of the horizon", Quantity.USD),
        Column("relative", "Present value, against the plan", Quantity.CHANGE),
        Column("due_usd", "Due at signature", Quantity.USD),
        Column("left_usd", "Left at its end", Quantity.USD),
        Column("even", "Breaks even"),
        Column("what", "What"),
    )
    rows = tuple(
        (
            f"{p.way} (planned)" if p.planned else p.way,
            p.cost_usd,
            _against(p, base),
            p.due_at_signature_usd,
            p.left_usd,
            _breaks_even(p),
            _short(p.what, LONGEST_WHAT),
        )
        for p in known
    )
    yield Table("memo_alternatives", "The same demand, paid otherwise", columns, rows)
    cheaper = sorted((change, p.way) for p in known if (change := _against(p, base) or 0.0) < 0)
    said = ", ".join(f"{way} {rounding.signed_share(change)}" for change, way in cheaper)
    terms = ", ".join(findings.plan.scenario.prices.terms)
    if said:
        yield Paragraph(f"The scenario admits {terms}. Cheaper at present value: {said}.")
    missing: dict[str, list[str]] = {}
    for p in findings.purchases:
        if p.cost_usd is None:
            missing.setdefault(p.what, []).append(p.way)
    if missing:
        whys = "; ".join(f"{', '.join(ways)}: {why}" for why, ways in missing.items())
        yield Paragraph(_short(f"Not to be had: {whys}.", LONGEST))


def _against(way: Purchase, base: float | None) -> float | None:
    """How much more it costs than the plan, at present value; None for the plan itself."""
    worth = way.present_value_usd
    return None if way.planned or not base or worth is None else worth / base - 1


def _breaks_even(way: Purchase) -> str:
    """From when it has cost no more than the plan; of servers both ways."""
    if way.planned or way.way == "API":
        return ""
    cash, with_left = (
        "never" if month is None else f"month {month}" if month else "from the start"
        for month in (way.break_even_month, way.counted_break_even_month)
    )
    both = way.owned is not None and cash != with_left
    return f"{cash} kept, {with_left} sold" if both else with_left


def _exposure(plan: Plan) -> Iterator[Block]:
    cash = plan.cash
    if cash is None:
        return
    months = plan.scenario.horizon.months
    last = len(cash.by_month) - 1
    ends = sorted({0, min(12, months), min(24, months), months, last})
    columns = (
        Column("month", "By"),
        Column("so_far_usd", "Paid so far", Quantity.USD),
        Column("exit_owed_usd", "Still owed if cancelled then", Quantity.USD, optional=True),
        Column("exit_unused_usd", "Paid and unused then", Quantity.USD, optional=True),
    )
    committed = bool(cash.committed_usd and cash.exit_owed_usd)
    rows = tuple(
        (
            f"month {month}" if month else "signature",
            cash.until(month),
            cash.exit_owed_usd[month] if committed else None,
            cash.exit_unused_usd[month] if committed else None,
        )
        for month in ends
    )
    yield Table("memo_exposure", "Cash and exit cost", columns, rows)
    if not cash.committed_usd:
        yield Paragraph("Nothing is signed for: what is rented by the hour can end at any time.")


def _risks(findings: Findings) -> Iterator[Block]:
    """Demand below and above, the widest inputs, and what the plan warns of."""
    risks: list[str] = []
    regrets = [(r, r.regret_usd) for r in findings.regrets]
    known = [(r, usd) for r, usd in regrets if usd is not None]
    if known:
        worst, usd = max(known, key=lambda pair: pair[1])
        change = rounding.signed_share(worst.factor - 1)
        risks.append(f"Demand {change}: {rounding.usd(usd)} more than the best in hindsight.")
    for swing in [s for s in findings.swings if s.of != "owned"][:2]:
        ends = [
            "no fleet" if usd is None else rounding.usd(usd)
            for usd in (swing.low_usd_per_month, swing.high_usd_per_month)
        ]
        risks.append(
            f"{swing.input} {swing.low} to {swing.high}, the fleet chosen again: {ends[0]} to {ends[1]} "
            "per month."
        )
    risks += [*findings.plan.warnings, *findings.notes]
    shown = [_short(r, LONGEST) for r in risks[:MOST_RISKS]]
    if len(risks) > MOST_RISKS:
        shown.append(f"{len(risks) - MOST_RISKS} more in the report.")
    if shown:
        yield Items(tuple(shown))


def _signatures() -> Table:
    columns = (
        Column("role", "For"),
        Column("name", "Name"),
        Column("date", "Date"),
        Column("signature", "Signature"),
    )
    blank = Cell("\N{NO-BREAK SPACE}", Quantity.TEXT)
    rows = tuple((role, blank, blank, blank) for role in SIGN)
    return Table("signatures", "Approved", columns, rows)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
