"""Parts of ``docs/reference/accuracy.md`` that need no fit: margins by grade, records of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.accuracy.margin_fit import GradeErrors
from planner.accuracy.published.records import FLAGGED_ABOVE, Promise
from planner.accuracy.published.runs import MISSED_BEYOND, PublishedRun
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


def runs_section(runs: Sequence[PublishedRun]) -> Section:
    """Runs that others published beside what is predicted of them, the misses too."""
    missed = sum(run.missed for run in runs)
    by_grade = [
        f"{sum(not run.missed for run in own)} of {len(own)} {grade}"
        for grade in dict.fromkeys(run.evidence.value for run in runs)
        for own in [[run for run in runs if run.evidence.value == grade]]
    ]
    return Section(
        "published-runs",
        "Runs that others published",
        (
            Paragraph(
                f"{len(runs)} runs of engine makers, clouds and users; nothing is fitted to them. "
                f"{len(runs) - missed} lie within {MISSED_BEYOND:g} times either way "
                f"({', '.join(by_grade)}). Above 1 the planner promises more than was measured. Conditions "
                "that a source leaves open are those of its guide (graphs, padding and memory fraction of "
                "TensorRT-LLM's) or assumed, some of them after a first look: no blind test."
            ),
            Table(
                "published-runs",
                "Predictions beside published runs",
                (
                    Column("model", "Model"),
                    Column("gpu", "GPU"),
                    Column("engine", "Engine"),
                    Column("weights", "Weights"),
                    Column("gpus", "GPUs", Quantity.COUNT),
                    Column("lengths", "Prompt + output"),
                    Column("load", "Load"),
                    Column("figure", "Figure"),
                    Column("published", "Published", Quantity.NUMBER),
                    Column("predicted", "Predicted", Quantity.NUMBER),
                    Column("speed", "Predicted / published speed", Quantity.NUMBER),
                    Column("grade", "Grade"),
                    Column("note", "Note"),
                ),
                tuple(_run_row(run) for run in runs),
                note="; ".join(dict.fromkeys(run.point.source for run in runs)),
            ),
        ),
    )


def _run_row(run: PublishedRun) -> tuple[Value, ...]:
    point = run.point
    scale = 1e3 if run.measure.name.endswith("_ms") else 1.0
    closed = point.load.value == "closed"
    return (
        point.model,
        point.gpu,
        point.engine,
        point.weights,
        point.gpus,
        f"{point.prompt_tokens} + {point.output_tokens}",
        f"{point.concurrency} in flight" if closed else f"{point.requests} at once",
        run.measure.name,
        run.published * scale,
        run.predicted * scale,
        run.speed,
        run.evidence.value,
        ("missed: " if run.missed else "") + run.note if run.note or run.missed else None,
    )
