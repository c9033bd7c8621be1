"""Frontiers as a document: cost against latency, resilience, assurance, limits and other choices."""

from __future__ import annotations

from collections.abc import Mapping

from planner.comparison.assured_sizes import PROBABILITIES, ServiceAssurance
from planner.comparison.frontiers import Frontiers
from planner.fleet.alternatives.shadow_prices import ShadowValue
from planner.reporting import rounding
from planner.reporting.charts import money as money_charts
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Document,
    Paragraph,
    Quantity,
    Section,
    Table,
)
from planner.reporting.served import with_served
from planner.solving.schedule import served_beside
from planner.solving.stages import Decided

COUNTED = ("GPU", "unit")
UNSIMULATED = "Sized by the closed form, not simulated."


def frontier_document(found: Frontiers) -> Document:
    """One section per question requested; the others are left out."""
    return Document(
        title=f"Frontiers of {found.decided.scenario.name}",
        headline=headline(found),
        sections=(
            Section("latency", "Cost against latency", _latency(found)),
            Section("resilience", "The price of resilience", _resilience(found)),
            Section("assurance", "The price of assurance", _assurance(found)),
            Section("alternatives", "Other fleets within the tolerance", _alternatives(found)),
            Section("limits", "What one more unit of a limit is worth", _limits(found)),
        ),
    )


def headline(found: Frontiers) -> str:
    """The decision itself, in one sentence."""
    cost = found.decided.solution.objective_usd_per_hour
    if cost is None:
        return "No fleet meets the scenario as stated; see planner solve for the reasons."
    how = "simulated" if found.simulated else "not simulated"
    return (
        f"As stated: {found.decided.label} at {rounding.usd_per_hour(cost)}, {how}.{_left(found)}"
    )


def _left(found: Frontiers) -> str:
    """What is missing, and why; empty where nothing is."""
    if not found.left:
        return ""
    why = "as it was stopped" if found.stopped else "for lack of time"
    return f" Left {why}: {'; '.join(found.left)}."


def _latency(found: Frontiers) -> tuple[Block, ...]:
    if not found.latency:
        return ()
    key = found.target.key
    columns = (
        Column("bound_s", f"{key} at most", Quantity.SECONDS),
        Column("achieved_s", f"{key} at capacity", Quantity.SECONDS),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("gpus_rented", "GPUs", Quantity.COUNT),
        Column("fleet", "Fleet"),
    )
    rows = tuple(
        (
            p.bound,
            p.achieved,
            p.usd_per_hour,
            p.fleet.solution.most_gpus(p.fleet.problem),
            p.fleet.label,
        )
        for p in found.latency
    )
    note = (
        "Each row is the cheapest fleet under its bound, all other targets as stated; no other row is "
        f"both cheaper and faster. {UNSIMULATED}"
    )
    figure = money_charts.cost_curve(
        f"Cost against {key}",
        f"{key} at most, seconds",
        [(p.bound, p.usd_per_hour) for p in found.latency],
        [],
    )
    table = Table("latency", "Cost against latency", columns, rows, note)
    return with_served(table, (_served(p.fleet) for p in found.latency)), figure


def _resilience(found: Frontiers) -> tuple[Block, ...]:
    if not found.resilience:
        return ()
    columns = (
        Column("survives", "Meets every target after losing"),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("price_usd_per_hour", "Extra cost", Quantity.USD_PER_HOUR),
        Column("gpus_rented", "GPUs", Quantity.COUNT),
        Column("status", "Status"),
    )
    rows = tuple(
        (
            step.name,
            step.usd_per_hour,
            step.price_usd_per_hour,
            None
            if step.usd_per_hour is None
            else step.fleet.solution.most_gpus(step.fleet.problem),
            step.fleet.solution.status,
        )
        for step in found.resilience
    )
    note = _by_the_same_capacities(found)
    table = Table("resilience", "The price of resilience", columns, rows, note)
    return (with_served(table, (_served(step.fleet) for step in found.resilience)),)


def _assurance(found: Frontiers) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for table in found.assurance:
        columns = (
            Column("replicas", "Replicas", Quantity.COUNT),
            Column("gpus", "GPUs", Quantity.COUNT),
            Column("probability", "Probability of meeting the targets", Quantity.SHARE),
            Column("note", "Note"),
        )
        shown = _milestones(table)
        blocks.append(
            Table(
                f"assurance_{table.service}",
                f"How sure the size is: {table.service}",
                columns,
                tuple((c.replicas, c.gpus, c.probability, shown[c.replicas]) for c in table.chances
                      if c.replicas in shown),
                note=(
                    f"{table.candidate.label}: its step times are off by a factor with a "
                    f"standard deviation of {rounding.significant(table.model_sigma)} (of its log), "
                    f"common to all replicas. {_by_the_same_capacities(found)}"
                ),
            )
        )  # fmt: skip
    if found.sized_for:
        columns = (
            Column("probability", "Probability", Quantity.SHARE),
            Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
            Column("price_usd_per_hour", "Extra cost", Quantity.USD_PER_HOUR),
            Column("gpus_rented", "GPUs", Quantity.COUNT),
        )
        costs = [f.decided.solution.objective_usd_per_hour for f in found.sized_for]
        rows = tuple(
            (
                f.probability,
                cost,
                None if cost is None or costs[0] is None else cost - costs[0],
                None if cost is None else f.decided.solution.most_gpus(f.decided.problem),
            )
            for f, cost in zip(found.sized_for, costs, strict=True)
        )
        both = (
            "Model and forecast error are each taken at the likeliest point of that probability, for all "
            "candidates."
        )
        note = f"{both} {_by_the_same_capacities(found)}"
        again = Table("sized_for", "Solved again for a probability", columns, rows, note)
        blocks.append(with_served(again, (_served(f.decided) for f in found.sized_for)))
    return tuple(blocks)


def _milestones(table: ServiceAssurance) -> dict[int, str]:
    """Sizes worth a row: as planned, and the first to reach each quantile."""
    shown = {
        next(c.replicas for c in table.chances if c.probability >= q): f"first with {100 * q:g} %"
        for q in PROBABILITIES
        if any(c.probability >= q for c in table.chances)
    }
    planned = table.planned_replicas
    shown[planned] = f"as planned; {shown[planned]}" if planned in shown else "as planned"
    return shown


def _alternatives(found: Frontiers) -> tuple[Block, ...]:
    if not found.alternatives:
        return ()
    columns = (
        Column("made_of", "Made of"),
        Column("without", "Without"),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("extra", "Above the cheapest", Quantity.SHARE),
        Column("gpus_rented", "GPUs", Quantity.COUNT),
    )
    rows = tuple(
        (
            ", ".join(sorted(a.structure)),
            ", ".join(sorted(a.without)),
            a.solution.objective_usd_per_hour,
            a.extra_share,
            a.solution.most_gpus(a.problem),
        )
        for a in found.alternatives
    )
    note = "Each fleet lacks at least one GPU type of every cheaper one; each is solved to proof. "
    note += _by_the_same_capacities(found)
    table = Table("alternatives", "Structurally different fleets", columns, rows, note)
    served = (served_beside(a.solution, found.decided) for a in found.alternatives)
    return (with_served(table, served),)


def _served(decided: Decided) -> Mapping[str, float]:
    """What a fleet serves, by service [requests/s]; nothing where it is none, or all must be served."""
    return served_beside(decided.solution, decided) if decided.has_fleet else {}


def _limits(found: Frontiers) -> tuple[Block, ...]:
    if not found.limits:
        return ()
    columns = (
        Column("limit", "Limit"),
        Column("now", "Now", Quantity.NUMBER),
        Column("more", "One step more"),
        Column("saving_usd_per_hour", "Saves", Quantity.USD_PER_HOUR),
        Column("per_unit_usd_per_hour", "Per unit", Quantity.USD_PER_HOUR),
        Column("proved", "Proved between"),
    )
    rows = tuple(
        (
            v.limit,
            v.current,
            _step(v),
            v.saving_usd_per_hour,
            v.per_unit_usd_per_hour,
            Cell(f"{rounding.usd(v.saving_low)} and {rounding.usd(v.saving_high)}", Quantity.TEXT),
        )
        for v in found.limits
    )
    note = "Found by solving again with the limit larger, not from dual values. "
    note += _by_the_same_capacities(found)
    return (
        Paragraph("Raising a limit that does not bind saves nothing."),
        Table("limits", "Value of limits", columns, rows, note),
    )


def _step(value: ShadowValue) -> str:
    """How much larger the limit is: ``+2 GPUs``, ``+$10.00/h``, ``+1 kW``."""
    if value.unit == "USD/h":
        return f"+{rounding.usd_per_hour(value.units)}"
    several = "s" if value.unit in COUNTED and value.units != 1 else ""
    return f"+{value.units:g} {value.unit}{several}"


def _by_the_same_capacities(found: Frontiers) -> str:
    """How the other fleets were sized."""
    if not found.simulated:
        return UNSIMULATED
    return (
        "Sized with the capacities found by simulating the scenario as stated; not simulated again."
    )
