"""A sweep as a document: the cost along the input, where the choice changes, a chart."""

from __future__ import annotations

from dataclasses import replace

from planner.comparison.sweeps import Sweep, SweepPoint
from planner.plan.labels import simulated
from planner.reporting.charts import money as money_charts
from planner.reporting.document import (
    Block,
    Column,
    Document,
    Figure,
    Items,
    Paragraph,
    Quantity,
    Section,
    Table,
    Value,
    letter,
    written,
)
from planner.reporting.served import with_served

_FLIPS = {0: "never changes", 1: "changes once"}
_SUFFIX = {"qps": "_qps", "seconds": "_s", "share": "_share"}


def sweep_document(sweep: Sweep) -> Document:
    """Crossover points first, then the chart and every point; each choice is named by a letter."""
    quantity = Quantity(sweep.axis.quantity)
    letters = _letters(sweep)
    blocks: list[Block] = [Items(tuple(f"{v}: {' + '.join(k)}" for k, v in letters.items()))]
    for flip in sweep.flips:
        before, after = (letters.get(c, "nothing feasible") for c in (flip.before, flip.after))
        low, high = (written(v, quantity) for v in (flip.low, flip.high))
        blocks.append(
            Paragraph(f"Between {low} and {high} the choice changes: {before} -> {after}.")
        )
    if not sweep.flips:
        blocks.append(Paragraph("The choice is the same over the whole range."))
    exact = points_table(sweep)
    at = next(i for i, column in enumerate(exact.columns) if column.key == "choice")
    short = tuple(
        (*row[:at], letters.get(p.choice), *row[at + 1 :])
        for row, p in zip(exact.rows, sweep.points, strict=True)
    )
    return Document(
        title=f"Sweep of {sweep.axis.title.lower()}: {sweep.scenario.name}",
        headline=headline(sweep),
        sections=(
            Section("flips", "Choices and crossover points", tuple(blocks)),
            Section(
                "curve",
                "Cost along the range",
                (cost_figure(sweep), replace(exact, key="curve", rows=short)),
            ),
        ),
        data=(exact,),
    )


def _letters(sweep: Sweep) -> dict[tuple[str, ...], str]:
    """A, B, C, ... for the choices in order of appearance."""
    choices = dict.fromkeys(p.choice for p in sweep.points if p.choice)
    return {choice: letter(i) for i, choice in enumerate(choices)}


def headline(sweep: Sweep) -> str:
    """From where to where the cost goes, in one sentence."""
    quantity = Quantity(sweep.axis.quantity)
    feasible = [p for p in sweep.points if p.plan.totals is not None]
    if not feasible:
        return f"No value of the {sweep.axis.title.lower()} is feasible."
    first, last = feasible[0], feasible[-1]
    flips = len(sweep.flips)
    return (
        f"From {written(first.value, quantity)} to {written(last.value, quantity)} the cost changes "
        f"from {written(_usd(first), Quantity.USD_PER_HOUR)} to "
        f"{written(_usd(last), Quantity.USD_PER_HOUR)}; the choice "
        f"{_FLIPS.get(flips, f'changes {flips} times')}."
    )


def points_table(sweep: Sweep) -> Table:
    """One row per point."""
    unit = _SUFFIX.get(sweep.axis.quantity, "")
    columns = (
        Column(f"{sweep.axis.name}{unit}", sweep.axis.title, Quantity(sweep.axis.quantity)),
        Column("status", "Status"),
        Column("usd_per_hour", "Cost per hour", Quantity.USD),
        Column("usd_per_month", "Cost per month", Quantity.USD),
        Column("usd_per_million_tokens", "Per million tokens", Quantity.USD),
        Column("gpus_rented", "GPUs", Quantity.COUNT),
        Column("nodes", "Nodes", Quantity.COUNT),
        Column("simulated", "Simulated"),
        Column("choice", "Choice"),
    )
    table = Table("points", "Points", columns, tuple(_row(p) for p in sweep.points))
    if sweep.scenario.serve == "all":
        return table
    return with_served(
        table, ({s.name: s.served_qps for s in p.plan.services} for p in sweep.points)
    )


def flips_records(sweep: Sweep) -> list[dict[str, object]]:
    """Crossover points, for machines."""
    return [
        {"low": f.low, "high": f.high, "before": list(f.before), "after": list(f.after)}
        for f in sweep.flips
    ]


def cost_figure(sweep: Sweep) -> Figure:
    """The cost curve with its flips."""
    return money_charts.cost_curve(
        f"Cost against {sweep.axis.title.lower()}",
        sweep.axis.title,
        [(p.value, _usd(p)) for p in sweep.points],
        [(f.low + f.high) / 2 for f in sweep.flips],
    )


def _usd(point: SweepPoint) -> float | None:
    return point.plan.totals.usd_per_hour if point.plan.totals else None


def _row(point: SweepPoint) -> tuple[Value, ...]:
    totals = point.plan.totals
    return (
        point.value,
        point.plan.status,
        *(
            getattr(totals, name) if totals else None
            for name in (
                "usd_per_hour",
                "usd_per_month",
                "usd_per_million_tokens",
                "gpus_rented",
                "nodes",
            )
        ),
        simulated(point.plan),
        "; ".join(point.choice),
    )
