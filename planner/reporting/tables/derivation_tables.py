"""A derivation as tables: side by side for people, a row a step for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.derivation.rows import Beside, Derivation, DerivationStep
from planner.reporting.document import (
    Block,
    Column,
    Document,
    Paragraph,
    Quantity,
    Section,
    Table,
    rows_of,
)

TEXTBOOK = "By memory alone (textbook)"
HONEST = "What the targets need"


def derivation_document(
    title: str, derivations: tuple[Derivation, ...], beside: tuple[Beside, ...]
) -> Document:
    """``planner explain``: every service's derivation, and the scenarios solved beside it.

    CSV carries the steps, and ``beside``.
    """
    sections = [Section("derivation", "Derivation", tuple(side_by_side(derivations)))]
    if beside:
        sections.append(Section("beside", "Solved beside it", (_beside(beside),)))
    headline = "The sizing by memory alone, beside what the targets need."
    return Document(title, headline, tuple(sections), data=(_steps(derivations),))


def side_by_side(derivations: Iterable[Derivation]) -> Iterator[Block]:
    """The textbook sizing beside what the targets need, topic by topic; a table a service."""
    columns = (Column("topic", "Topic"), Column("textbook", TEXTBOOK), Column("honest", HONEST))
    for d in derivations:
        rows = tuple((r.topic, _in_words(r.textbook), _in_words(r.honest)) for r in d.rows)
        yield Table(f"derivation_{d.service}", f"{d.service}: {d.model}", columns, rows)
        yield Paragraph(f"Why they differ: {d.verdict}")


def _in_words(step: DerivationStep | None) -> str:
    if step is None:
        return ""
    given = "; ".join(part for part in (step.formula, step.numbers) if part)
    return f"{given} = {step.result}" + (f" ({step.note})" if step.note else "")


def _steps(derivations: Iterable[Derivation]) -> Table:
    """A row a step: the service, the topic, which of the two ways it is, and its parts."""
    columns = (
        Column("service", "Service"),
        Column("topic", "Topic"),
        Column("way", "Way"),
        Column("formula", "Formula"),
        Column("numbers", "Numbers"),
        Column("result", "Result"),
        Column("note", "Note"),
    )
    rows = tuple(
        (d.service, row.topic, way, step.formula, step.numbers, step.result, step.note)
        for d in derivations
        for row in d.rows
        for way, step in (("textbook", row.textbook), ("targets", row.honest))
        if step is not None
    )
    return Table("steps", "Steps", columns, rows)


def _beside(beside: Iterable[Beside]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("capacity_qps", "A replica holds", Quantity.QPS),
        Column("gpus", "GPUs", Quantity.COUNT),
        Column("usd_per_hour", "Cost", Quantity.USD_PER_HOUR),
        Column("answer", "Answer"),
    )
    return Table("beside", "Scenarios solved beside it", columns, rows_of(beside, columns))
