"""Prices beside the plan's own: a ladder by kind of provider, quotes side by side, what comes on top."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.offer import Offer
from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.charts import cash as cash_charts
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Paragraph,
    Quantity,
    Section,
    Table,
    Value,
    rows_of,
)
from planner.units import HOURS_PER_MONTH, dollars

TAX = "Every amount excludes taxes (VAT, sales tax, import duties)."


def prices(findings: Findings) -> Section:
    """The ladder and the quotes of the scenario's own price file."""
    blocks: list[Block] = []
    if findings.ladder:
        blocks.append(_ladder(findings))
    if findings.quotes:
        blocks.append(_quotes(findings))
    return Section("prices", "Prices", tuple(blocks))


def _ladder(findings: Findings) -> Table:
    totals = findings.plan.totals
    base = totals.usd_per_month if totals is not None else None
    columns = (
        Column("rung", "Prices of"),
        Column("usd_per_month", "Cost per month", Quantity.USD),
        Column("relative", "Against the plan", Quantity.CHANGE),
        Column("usd_per_gpu_hour", "Per GPU-hour", Quantity.USD_PER_HOUR),
        Column("what", "Cheapest fleet"),
        Column("as_of", "Price date"),
    )
    rows = rows_of(
        findings.ladder,
        columns,
        rung=lambda r: r.name,
        relative=lambda r: (
            r.usd_per_month / base - 1 if base and r.usd_per_month is not None else None
        ),
    )
    note = f"The same demand under the same terms at list prices of each kind of provider. {TAX}"
    return Table("price_ladder", "Price ladder", columns, rows, note)


def _quotes(findings: Findings) -> Table:
    """Every row of the price file, the cheapest of a GPU first, and how many nodes the plan takes."""
    plan = findings.plan
    day = plan.provenance.run.created_at[:10]
    columns = (
        Column("offer", "Quote"),
        Column("usd_per_gpu_hour", "Per GPU-hour", Quantity.USD_PER_HOUR),
        Column("usd_per_month", "Node per month", Quantity.USD),
        Column("months", "Months", Quantity.COUNT),
        Column("due_usd", "Prepaid per node", Quantity.USD),
        Column("signed_usd", "Signed per node", Quantity.USD),
        Column("nodes", "Nodes"),
        Column("valid_until", "Valid until"),
        Column("taken", "In the plan", Quantity.COUNT),
    )
    ranked = sorted(findings.quotes, key=lambda o: (o.gpu, o.usd_per_gpu_hour, o.key))
    rows = tuple(_quote(o, plan, day) for o in ranked)
    note = (
        "Prices as the file has them, before discounts. Prepaid falls due when the term starts; a quote "
        f"whose date is before {day} has ended. {TAX}"
    )
    return Table("quotes", "Quotes side by side", columns, rows, note)


def _quote(o: Offer, plan: Plan, day: str) -> tuple[Value | Cell, ...]:
    month = o.usd_per_hour * HOURS_PER_MONTH
    taken = sum(
        n.count
        for n in plan.nodes
        if (n.provider, n.region, n.instance_type, n.term)
        == (o.provider, o.region, o.instance_type, o.term.value)
    )
    most = "" if o.max_nodes is None else f"{o.max_nodes}"
    ended = bool(o.valid_until) and o.valid_until < day
    return (
        f"{o.provider} {o.instance_type} ({o.gpu_count} x {o.gpu}, {o.term.value})",
        o.usd_per_gpu_hour,
        month,
        o.term.months,
        month * o.term.months * o.upfront_share,
        month * o.term.months,
        f"{o.min_nodes} to {most}" if most else f"from {o.min_nodes}",
        f"{o.valid_until} (ended)" if ended else o.valid_until,
        taken,
    )


def extras(plan: Plan) -> Iterator[Block]:
    """Egress, storage and support beside the plan's cost, where the scenario states them."""
    requested, totals = plan.scenario.extras, plan.totals
    if requested is None or totals is None:
        return
    rows: list[tuple[str, float, str]] = [("GPUs, as planned", totals.usd_per_month, "")]
    if requested.egress is not None:
        e = requested.egress
        how = f"{rounding.count(e.gb_per_month)} GB at {dollars(e.usd_per_gb)}"
        rows.append(("Egress", e.usd_per_month, how))
    if requested.storage is not None:
        s = requested.storage
        how = f"{rounding.count(s.gb)} GB at {dollars(s.usd_per_gb_month)} a month"
        rows.append(("Storage", s.usd_per_month, how))
    if requested.support is not None:
        usd = requested.support.usd_per_month(totals.usd_per_month)
        how = f"{rounding.share(requested.support.share)} of the GPUs, at least "
        rows.append(("Support", usd, how + rounding.usd(requested.support.least_usd_per_month)))
    rows.append(("Together", sum(usd for _, usd, _ in rows), ""))
    columns = (
        Column("what", "Per month"),
        Column("usd_per_month", "Amount", Quantity.USD),
        Column("how", "How"),
    )
    note = f"The plan minimises what GPUs cost; the other amounts are added here. {TAX}"
    yield Table("extras", "With what comes on top", columns, tuple(rows), note)


def tornado(findings: Findings) -> Iterator[Block]:
    """Both ends of every input: a chart each for the plan and for servers, and the table of both."""
    if not findings.swings:
        return
    for of in dict.fromkeys(s.of for s in findings.swings):
        base = _base(findings, of)
        swings = [s for s in findings.swings if s.of == of]
        if base is not None and (figure := cash_charts.tornado(swings, base, of)) is not None:
            yield figure
    columns = (
        Column("input", "Input"),
        Column("low_usd_per_month", "Per month, low end", Quantity.USD),
        Column("high_usd_per_month", "Per month, high end", Quantity.USD),
        Column("low", "Low end"),
        Column("high", "High end"),
        Column("of", "Cost of"),
    )
    rows = rows_of(findings.swings, columns)
    note = (
        "Each input by itself, the widest first. Prices and step time move by the ranges of the data, what "
        "servers cost by those of its rows; demand by the forecast's spread where one is stated, else a "
        "fifth, lengths by a fifth. The plan's question is solved again at each end, so the fleet may "
        "differ: where the planned GPUs cost more, another type may be cheaper."
    )
    yield Table("tornado", "Low and high end of every input", columns, rows, note)


def _base(findings: Findings, of: str) -> float | None:
    if of == "owned":
        return next((p.usd_per_month for p in findings.purchases if p.owned is not None), None)
    return None if findings.baseline is None else _month(findings.baseline.usd_per_hour)


def _month(usd_per_hour: float | None) -> float | None:
    return None if usd_per_hour is None else usd_per_hour * HOURS_PER_MONTH


def energy(findings: Findings) -> Section:
    """Energy and carbon per month and per million tokens."""
    found = findings.energy
    if found is None:
        return Section("energy", "Energy and carbon", ())
    columns = (
        Column("what", "What"),
        Column("per_month", "Per month", Quantity.COUNT),
        Column("per_million_tokens", "Per million tokens", Quantity.NUMBER),
    )
    rows = (
        ("Energy, kWh", found.kwh_per_month, found.kwh_per_million_tokens),
        ("Emissions, kg CO2e", found.kg_per_month, found.kg_per_million_tokens),
    )
    note = (
        f"PUE {found.pue:g}, {found.g_per_kwh:.0f} g CO2e per kWh on average. Power: {found.basis}."
    )
    table = Table("energy", "Energy and carbon", columns, rows, note)
    return Section("energy", "Energy and carbon", (table, Paragraph(_ENERGY)))


_ENERGY = (
    "For running the planned fleet at its mean load, without manufacturing the machines. State the grid of "
    "your regions under limits.carbon."
)
