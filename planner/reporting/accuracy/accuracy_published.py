"""Parts of ``docs/reference/accuracy.md`` that need no fit: margins by grade, records of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.accuracy.margin_fit import GradeErrors
from planner.accuracy.published.records import FLAGGED_ABOVE, Promise
from planner.reporting import rounding
from planner.reporting.document import Column, Paragraph, Quantity, Section, Table, Value

HELD_AT = (0.5, 0.8, 0.9)


def margins_section(errors: Mapping[str, Mapping[str, GradeErrors]]) -> Section:
    """How often plans hold that are sized with the errors of the other groups, by vendor and grade."""
    rows: list[tuple[Value, ...]] = [
        (
            vendor,
            grade,
            len(found.groups),
            *(found.coverage(level) for level in HELD_AT),
            found.quantiles()[1],
        )
        for vendor, grades in errors.items()
        for grade, found in grades.items()
    ]
    return Section(
        "margins",
        "Plans sized with a margin",
        (
            Paragraph(
                "Each left-out group is sized with the quantile that the others give, and then measured. "
                "The grade of measured models is in sample; fewer than eight groups carry no probability, "
                "and plans call their margin assumed. AMD's devices have margins of their own."
            ),
            Table(
                "margins",
                "Share of left-out runs within the margin",
                (
                    Column("vendor", "Vendor"),
                    Column("grade", "Grade"),
                    Column("groups", "Groups", Quantity.COUNT),
                    *(
                        Column(f"held_{level}", f"Held at {rounding.share(level)}", Quantity.SHARE)
                        for level in HELD_AT
                    ),
                    Column("log", "ln(slowdown) at 80 %", Quantity.NUMBER),
                ),
                tuple(rows),
                note="every group weighs alike",
            ),
        ),
    )


def published_section(promised: Sequence[Promise]) -> Section:
    """What others published under latency targets, and what would be promised for the same."""
    flagged = sum(promise.flagged for promise in promised)
    many = "none is" if not flagged else f"{flagged} of {len(promised)} are"
    return Section(
        "published",
        "Records that others published",
        (
            Paragraph(
                "MLPerf Server records whose lengths, format, targets and lack of speculation a scenario can "
                "state; nothing is fitted to them. A plan that would promise more than "
                f"{FLAGGED_ABOVE:g} times a record is flagged: {many}."
            ),
            Table(
                "published",
                "Promises beside records",
                (
                    Column("record", "Record"),
                    Column("gpu", "GPU"),
                    Column("gpus", "GPUs", Quantity.COUNT),
                    Column("engine", "Engine"),
                    Column("published", "Published output tokens/s", Quantity.COUNT),
                    Column("predicted", "Predicted", Quantity.COUNT),
                    Column("sized", "With the margin", Quantity.COUNT),
                    Column("ratio", "Predicted / published", Quantity.NUMBER),
                    Column("flagged", "Flagged"),
                ),
                tuple(
                    (
                        p.record.name,
                        p.record.gpu,
                        p.record.replicas * p.record.tensor_parallel,
                        p.record.engine,
                        p.record.output_tokens_per_s,
                        p.predicted_tokens_per_s,
                        p.sized_tokens_per_s,
                        p.ratio,
                        "yes" if p.flagged else "no",
                    )
                    for p in promised
                ),
                note="; ".join(dict.fromkeys(p.record.source for p in promised)),
            ),
        ),
    )
