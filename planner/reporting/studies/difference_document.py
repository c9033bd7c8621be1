"""Two plans' differences, as a document: ``old -> new (+12 %)``, added, removed, changed, and why."""

from __future__ import annotations

from itertools import pairwise

from planner.comparison.differences import Change, Difference
from planner.comparison.splitting import CostPart
from planner.reporting import rounding
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Document,
    Paragraph,
    Quantity,
    Section,
    Table,
    written,
)

_ORDER = (
    "The causes are changed in this order, each on top of those above it, and solved again; joint effects "
    "fall to the later one. The parts sum to the difference."
)
_KIND = {"+": "added", "-": "removed", "~": "changed"}


def difference_document(difference: Difference, parts: tuple[CostPart, ...] = ()) -> Document:
    """Causes first, with what each added where that was worked out, then every change."""
    causes = Table(
        "causes",
        "Causes",
        (Column("kind", "Cause"), Column("detail", "What changed in the inputs")),
        tuple((c.kind, c.detail) for c in difference.causes),
    )
    changes = Table(
        "changes",
        "Changes",
        (
            Column("mark", ""),
            Column("subject", "Of"),
            Column("name", "What"),
            Column("change", "Change"),
        ),
        tuple((c.mark, c.subject, c.name, stated(c)) for c in difference.changes),
        note="+ added, - removed, ~ changed",
    )
    same = Paragraph("Nothing differs.")
    cause_blocks: tuple[Block, ...] = (
        (causes,)
        if difference.causes
        else (Paragraph("No input differs; the change comes from the planner or the solver."),)
    )
    return Document(
        title=f"Difference: {difference.old.scenario.name} to {difference.new.scenario.name}",
        headline=headline(difference),
        sections=(
            Section("causes", "Why", cause_blocks if difference.changes else ()),
            Section("parts", "How much of it", (_parts_table(difference, parts),) if parts else ()),
            Section("changes", "What changed", (changes,) if difference.changes else (same,)),
        ),
        data=(values_table(difference), differences_table(difference, parts)),
    )


def _parts_table(difference: Difference, parts: tuple[CostPart, ...]) -> Table:
    old = difference.old.totals
    columns = (
        Column("causes", "Cause"),
        Column("added", "Added", Quantity.USD_PER_HOUR),
        Column("usd_per_hour", "Cost after it", Quantity.USD_PER_HOUR),
    )
    start = ("the old plan", None, old.usd_per_hour if old else None)
    rows = tuple((" and ".join(p.causes), p.added_usd_per_hour, p.usd_per_hour) for p in parts)
    return Table("parts", "Added by each cause", columns, (start, *rows), note=_ORDER)


def values_table(difference: Difference) -> Table:
    """The changes with exact old and new values, for machines."""
    columns = (
        Column("kind", "Kind"),
        Column("subject", "Of"),
        Column("name", "What"),
        Column("old", "Old"),
        Column("new", "New"),
        Column("quantity", "Quantity"),
    )
    rows = tuple(
        (
            _KIND[c.mark],
            c.subject,
            c.name,
            Cell(c.old, Quantity(c.quantity)),
            Cell(c.new, Quantity(c.quantity)),
            c.quantity,
        )
        for c in difference.changes
    )
    return Table("values", "Changes", columns, rows)


def differences_table(difference: Difference, parts: tuple[CostPart, ...]) -> Table:
    """Everything in one table, for CSV: causes, what each added to the cost, and the changes."""
    changes = values_table(difference)
    causes = (("cause", c.kind, c.detail, None, None, "text") for c in difference.causes)
    before = [difference.old.totals.usd_per_hour] if difference.old.totals else []
    costs = [*before, *(p.usd_per_hour for p in parts)]
    steps = (
        ("added", " and ".join(part.causes), "cost per hour", old, new, "usd")
        for part, (old, new) in zip(parts, pairwise(costs), strict=False)
    )
    return Table("differences", "Differences", changes.columns, (*causes, *steps, *changes.rows))


def headline(difference: Difference) -> str:
    """The change in cost, and its causes, in one sentence."""
    old, new = difference.old.totals, difference.new.totals
    kinds = ", ".join(dict.fromkeys(c.kind for c in difference.causes))
    because = f" (because of: {kinds})" if kinds else ""
    if new is None or old is None:
        return f"The plan went from {difference.old.status} to {difference.new.status}{because}."
    if not difference.changes:
        return "The plans say the same."
    if old.usd_per_hour == new.usd_per_hour and kinds:
        stays = rounding.usd_per_hour(old.usd_per_hour)
        return f"Cost stays {stays}; what differs in the inputs: {kinds}."
    cost = rounding.change(old.usd_per_hour, new.usd_per_hour, rounding.usd_per_hour)
    return f"Cost {cost}{because}."


def stated(change: Change) -> str:
    """``old -> new (+12 %)``; for what was added or removed, its value alone."""
    quantity = Quantity(change.quantity)
    old, new = change.old, change.new
    if change.mark == "+":
        return written(new, quantity)
    if change.mark == "-":
        return written(old, quantity)
    text = f"{written(old, quantity)} -> {written(new, quantity)}"
    if isinstance(old, str) or isinstance(new, str):
        return text
    percent = rounding.relative(old, new)
    return text if percent == rounding.UNKNOWN else f"{text} ({percent})"
