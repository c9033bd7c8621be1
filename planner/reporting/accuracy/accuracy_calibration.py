"""What a person's calibration learned, what it could not, and what to measure next."""

from __future__ import annotations

from collections.abc import Sequence

from planner.accuracy.own_fit import Learned, OwnFit
from planner.accuracy.point import MeasuredPoint
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
from planner.units import counted


def calibration_document(fit: OwnFit, written_to: str) -> Document:
    """The report of ``planner calibrate``."""
    sections = [
        Section("error", "Error on these points", (_errors(fit),)),
        Section("learned", "Learned", _learned(fit.learned)),
        Section("unlearned", "Not learned", _unlearned(fit.unlearned)),
        Section("next", "Measure next", (_next(fit),)),
    ]
    headline = (
        f"{counted(len(fit.samples), 'measured point')}, "
        f"{counted(len(fit.learned), 'fitted factor')}; TPOT is "
        f"{rounding.share(fit.error_after)} off instead of {rounding.share(fit.error_before)}."
    )
    footer = (f"Written to {written_to}; use it with: planner solve --calibration {written_to}",)
    return Document("Calibration", headline, tuple(sections), footer)


def _errors(fit: OwnFit) -> Facts:
    return Facts(
        (
            Fact("Shipped factors", Cell(fit.error_before, Quantity.SHARE), "mean TPOT error"),
            Fact(
                "Own factors", Cell(fit.error_after, Quantity.SHARE), "mean TPOT error, in sample"
            ),
        )
    )


def _learned(rows: Sequence[Learned]) -> tuple[Block, ...]:
    if not rows:
        text = "Nothing: the points say too little about any one factor alone."
        return (Paragraph(text),)
    columns = (
        Column("factor", "Factor"),
        Column("where", "Where"),
        Column("before", "Shipped", Quantity.NUMBER),
        Column("after", "Own", Quantity.NUMBER),
        Column("certainty", "Uncertainty removed", Quantity.SHARE),
    )
    cells = tuple(
        (row.parameter.factor, _level(row), row.before, row.after, row.certainty) for row in rows
    )
    return (Table("learned", "Fitted factors", columns, cells),)


def _unlearned(rows: Sequence[Learned]) -> tuple[Block, ...]:
    names = sorted({row.parameter.factor for row in rows})
    if not names:
        return (Paragraph("Nothing is left at its shipped value."),)
    return (
        Paragraph(
            "The points say too little about each of these alone, so they stay near their shipped values: "
            + ", ".join(names)
        ),
    )


def _next(fit: OwnFit) -> Items:
    return Items(
        tuple(
            f"{_where(s.point)}: {s.point.prompt_tokens} prompt and {s.point.output_tokens} output "
            f"tokens at concurrency {s.point.concurrency} "
            f"(takes {rounding.share(s.gain)} off the variance of TPOT over common workloads)"
            for s in fit.next_measurements
        ),
        ordered=True,
    )


def _where(point: MeasuredPoint) -> str:
    return f"{point.model} on {point.gpus}x {point.gpu}, {point.engine} {point.weights}"


def _level(row: Learned) -> str:
    return ", ".join(value for _, value in row.parameter.when)
