"""What the plan costs: over time and by way of paying, where it breaks even, what moves it."""

from __future__ import annotations

from planner.comparison.findings import Findings
from planner.reporting import charts, rounding
from planner.reporting.document import Block, Column, Paragraph, Quantity, Section, Table


def cost(findings: Findings) -> Section:
    """Totals, and every way of paying by month and over one and three years."""
    totals = findings.plan.totals
    if totals is None:
        return Section("cost", "Cost", ())
    unit_columns = (
        Column("usd_per_hour", "Per hour", Quantity.USD),
        Column("usd_per_month", "Per month (730 h)", Quantity.USD),
        Column("usd_per_year", "Per year (8,760 h)", Quantity.USD),
        Column("usd_per_million_input_tokens", "Per million input tokens", Quantity.USD),
        Column("usd_per_million_output_tokens", "Per million output tokens", Quantity.USD),
        Column("usd_per_million_tokens", "Per million tokens", Quantity.USD),
    )
    blocks: list[Block] = [
        Table(
            "totals",
            "Cost of the plan",
            unit_columns,
            (tuple(getattr(totals, c.key) for c in unit_columns),),
            note="Cost per million tokens is at mean demand, not at capacity; per input, per output and per "
            "any token each divide the whole cost, so they do not add up.",
        )
    ]
    if findings.purchases:
        blocks.append(_ways(findings))
        if sum(p.usd_three_years is not None for p in findings.purchases) > 1:
            blocks.append(charts.ways_to_pay(findings.purchases))
            blocks.append(charts.cumulative(findings.purchases))
    return Section("cost", "Cost", tuple(blocks))


def _ways(findings: Findings) -> Table:
    columns = (
        Column("way", "Way to pay"),
        Column("upfront_usd", "Upfront", Quantity.USD),
        Column("usd_per_month", "Mean per month", Quantity.USD),
        Column("usd_one_year", "1 year", Quantity.USD),
        Column("usd_three_years", "3 years", Quantity.USD),
        Column("present_value_usd", "Present value, 3 years", Quantity.USD),
        Column("liability_usd", "Still owed after 1 year", Quantity.USD),
        Column("what", "What"),
        Column("as_of", "Price date"),
    )
    rows = tuple(
        (
            f"{p.way} (planned)" if p.planned else p.way,
            *(getattr(p, column.key) for column in columns[1:]),
        )
        for p in findings.purchases
    )
    note = (
        "The cheapest fleet of each way to pay for the same demand; a commitment that outlasts "
        "the horizon is charged pro rata, an owned server's residual value is credited. Present "
        f"values at {rounding.share(findings.discount_rate)} a year."
    )
    return Table("ways_to_pay", "Ways to pay, side by side", columns, rows, note)


def break_even(findings: Findings) -> Section:
    """Where one way to serve becomes cheaper than another."""
    if not findings.break_even:
        return Section("break_even", "Break-even", ())
    columns = (
        Column("comparison", "Comparison"),
        Column("at", "Breaks even at"),
        Column("note", "Note"),
    )
    rows = tuple((b.comparison, b.at, b.note) for b in findings.break_even)
    return Section(
        "break_even", "Break-even", (Table("break_even", "Break-even points", columns, rows),)
    )


def sensitivity(findings: Findings) -> Section:
    """What the plan would cost had one input been different; each row is a whole new solve."""
    base = findings.baseline
    if not findings.what_ifs or base is None:
        return Section("sensitivity", "Sensitivity", ())
    columns = (
        Column("input", "Input"),
        Column("change", "Changed to"),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("difference_usd_per_hour", "Difference", Quantity.USD_PER_HOUR),
        Column("relative", "Relative", Quantity.CHANGE),
        Column("gpus", "GPUs", Quantity.COUNT),
        Column("choice", "Choice"),
    )
    rows = []
    for w in findings.what_ifs:
        delta = relative = None
        if w.usd_per_hour is not None and base.usd_per_hour:
            delta = w.usd_per_hour - base.usd_per_hour
            relative = delta / base.usd_per_hour
        if w.usd_per_hour is None:
            choice = "no plan is feasible"
        else:
            choice = "same" if w.choice == base.choice else "; ".join(w.choice)
        rows.append((w.input, w.change, w.usd_per_hour, delta, relative, w.gpus, choice))
    return Section(
        "sensitivity",
        "Sensitivity",
        (
            Paragraph(
                "Each row changes one input and solves again by the closed form; the rest stays as "
                f"asked. Differences are against {rounding.usd_per_hour(base.usd_per_hour)} for what "
                "was asked, solved the same way."
            ),
            charts.sensitivity(base, findings.what_ifs),
            Table("sensitivity", "Each change by itself", columns, tuple(rows)),
        ),
    )
