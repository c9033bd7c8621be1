"""What the plan costs: over time and by way of paying, where it breaks even, what moves it."""

from __future__ import annotations

from collections.abc import Iterator

from planner.findings.schema import Findings
from planner.plan.money import Cash
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.charts import cash as cash_charts
from planner.reporting.charts import money as money_charts
from planner.reporting.document import (
    Block,
    Column,
    Paragraph,
    Quantity,
    Section,
    Table,
    rows_of,
)
from planner.reporting.plan import price_sections


def cost(findings: Findings) -> Section:
    """Accrued totals, cash by month, and every way of paying over the plan's horizon."""
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
            rows_of([totals], unit_columns),
            note="Cost per million tokens is at mean demand, not at capacity; per input, per output and per "
            f"any token each divide the whole cost, so they do not add up. {price_sections.TAX}",
        ),
        *price_sections.extras(findings.plan),
        *_cash(findings.plan),
    ]
    if findings.purchases:
        blocks.append(_ways(findings))
        if sum(p.cost_usd is not None for p in findings.purchases) > 1:
            months = findings.plan.scenario.horizon.months
            blocks.append(money_charts.ways_to_pay(findings.purchases, months))
            blocks.append(money_charts.cumulative(findings.purchases))
            blocks.append(_ranges(findings))
    return Section("cost", "Cost", tuple(blocks))


def _cash(plan: Plan) -> Iterator[Block]:
    """What is signed for and when it is paid, apart from what the plan costs."""
    if plan.cash is None:
        return
    cash, months = plan.cash, plan.scenario.horizon.months
    sums = (
        ("Due at signature", cash.due_at_signature_usd),
        ("Committed in total", cash.committed_usd),
        ("All upfront payments", cash.upfront_usd),
        (f"Paid by month {min(12, months)}", cash.until(min(12, months))),
        (f"Paid by month {months}, the end of the horizon", cash.horizon_usd),
        ("Paid ahead for months beyond the horizon", cash.paid_ahead_usd),
        ("Still owed after the horizon", cash.owed_after_usd),
        (f"Accrued cost of the {months} months", cash.accrued_usd),
    )
    columns = (Column("what", "What"), Column("usd", "Amount", Quantity.USD))
    rule = (
        "The need ends with the horizon: commitments are charged whole."
        if plan.scenario.horizon.ends
        else "The need continues: what is paid ahead for later months is not charged to these."
    )
    yield Table("cash", "Cash and accrued cost", columns, sums, note=rule)
    yield _by_quarter(cash)
    yield cash_charts.cash_by_month(cash)
    if cash.committed_usd:
        yield money_charts.exposure(cash)


_CANCELLED = (
    " If cancelled, terms that have begun are paid to their end, none begin, and nothing is resold."
)


def _by_quarter(cash: Cash) -> Table:
    """Cash at signature and by quarter; what giving everything up at its end would cost."""
    last = len(cash.by_month) - 1
    ends = [0, *range(3, last, 3), last]
    exits = cash.exit_owed_usd or (None,) * (last + 1)
    unused = cash.exit_unused_usd or (None,) * (last + 1)
    rows = tuple(
        (
            "signature" if not end else f"{start + 1} to {end}",
            sum(cash.by_month[start + 1 : end + 1]) if end else cash.by_month[0],
            cash.until(end),
            exits[end],
            unused[end],
        )
        for start, end in zip([0, *ends], ends, strict=False)
    )
    columns = (
        Column("months", "Months"),
        Column("usd", "Paid", Quantity.USD),
        Column("so_far_usd", "Paid so far", Quantity.USD),
        Column("exit_owed_usd", "Still owed if cancelled then", Quantity.USD, optional=True),
        Column("exit_unused_usd", "Paid and unused then", Quantity.USD, optional=True),
    )
    note = "Payments fall at month ends; an upfront payment falls due when its term starts." + (
        _CANCELLED if cash.exit_owed_usd else ""
    )
    return Table("cash_by_quarter", "Cash and exposure by quarter", columns, rows, note)


def cash_by_month(plan: Plan) -> tuple[Table, ...]:
    """Cash and exposure at the end of every month, for machines; month 0 is signature."""
    if plan.cash is None:
        return ()
    cash = plan.cash
    columns = (
        Column("month", "Month", Quantity.COUNT),
        Column("usd", "Paid", Quantity.USD),
        Column("so_far_usd", "Paid so far", Quantity.USD),
        Column("exit_owed_usd", "Still owed if cancelled then", Quantity.USD),
        Column("exit_unused_usd", "Paid and unused then", Quantity.USD),
    )
    months = zip(cash.by_month, cash.exit_owed_usd, cash.exit_unused_usd, strict=True)
    rows = tuple((m, paid, cash.until(m), *left) for m, (paid, *left) in enumerate(months))
    return (Table("cash_by_month", "Cash and exposure by month", columns, rows),)


def _ways(findings: Findings) -> Table:
    months = findings.plan.scenario.horizon.months
    columns = (
        Column("way", "Payment option"),
        Column("cost_usd", f"Cost of {months} months", Quantity.USD),
        Column("usd_per_month", "Mean per month", Quantity.USD),
        Column("due_at_signature_usd", "Due at signature", Quantity.USD),
        Column("upfront_usd", "All upfront", Quantity.USD),
        Column("first_year_usd", f"Paid by month {min(12, months)}", Quantity.USD),
        Column("cash_usd", f"Paid by month {months}", Quantity.USD),
        Column("left_usd", "Left then", Quantity.USD),
        Column("owed_usd", "Owed after", Quantity.USD, optional=True),
        Column("present_value_usd", "Present value", Quantity.USD),
        Column("what", "What"),
        Column("as_of", "Price date"),
    )
    rows = rows_of(
        findings.purchases, columns, way=lambda p: f"{p.way} (planned)" if p.planned else p.way
    )
    note = (
        "The cheapest fleet under each payment option for the same demand. Cost is accrued: paid by the "
        "end of the horizon less what is left then (paid ahead for later months, or the worth of servers), "
        "and with what is owed after it where the need ends. Present values are of that cost, at "
        f"{rounding.share(findings.discount_rate)} a year."
    )
    return Table("ways_to_pay", "Payment options side by side", columns, rows, note)


def _ranges(findings: Findings) -> Table:
    """Each option's cost at the lowest and highest prices known."""
    columns = (
        Column("way", "Payment option"),
        Column("low_usd", "At the lowest prices", Quantity.USD),
        Column("cost_usd", "At the prices of this report", Quantity.USD),
        Column("high_usd", "At the highest prices", Quantity.USD),
    )
    rows = rows_of([p for p in findings.purchases if p.cost_usd is not None], columns)
    note = "Prices of the same GPUs under the same term on offer, of the server, of the hosts of the model."
    return Table("price_ranges", "Range of cost of each option", columns, rows, note)


def break_even(findings: Findings) -> Section:
    """Where one way to serve becomes cheaper than another."""
    columns = (
        Column("comparison", "Comparison"),
        Column("at", "Breaks even at"),
        Column("note", "Note"),
    )
    rows = rows_of(findings.break_even, columns)
    note = (
        "The first month from which an option costs no more than the plan until the horizon ends, at present "
        "value; from the start: at no month's end has it cost more. Cash alone counts what was paid by then."
    )
    points = (Table("break_even", "Break-even points", columns, rows, note),) if rows else ()
    regret = (_regret(findings),) if findings.regrets else ()
    return Section("break_even", "Break-even", (*points, *regret))


def _regret(findings: Findings) -> Table:
    """Signed as planned, and demand turns out otherwise."""
    columns = (
        Column("change", "Demand"),
        Column("signed_usd", "Signed as planned", Quantity.USD),
        Column("hindsight_usd", "Best in hindsight", Quantity.USD),
        Column("regret_usd", "Regret", Quantity.USD),
    )
    rows = rows_of(findings.regrets, columns, change=lambda r: rounding.signed_share(r.factor - 1))
    months = findings.plan.scenario.horizon.months
    note = (
        f"Cost of {months} months. What is signed is paid whatever happens, and what is then missing is "
        "rented by the hour; hindsight is the cheapest fleet had the demand been known, at most what "
        "signing costs."
    )
    return Table("regret", "If demand turns out otherwise", columns, rows, note)


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
                "Each row changes one input and solves again by the closed form; all else is as stated. "
                f"Differences are against {rounding.usd_per_hour(base.usd_per_hour)} for the scenario as "
                "stated, solved the same way."
            ),
            *price_sections.tornado(findings),
            money_charts.sensitivity(base, findings.what_ifs),
            Table("sensitivity", "Each change by itself", columns, tuple(rows)),
        ),
    )
