"""How a trace is presented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

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
    Value,
)
from planner.units import counted
from planner.workload.trace_statistics import QUANTILES, TraceStatistics

FEW_INSTANTS = 0.5


def trace_document(s: TraceStatistics) -> Document:
    """``planner trace describe``: rates, lengths and prefix reuse."""
    headline = counted(s.requests, "request")
    if s.mean_qps is not None:
        headline += f" over {rounding.seconds(s.span_s)}, {rounding.qps(s.mean_qps)} on average"
    sections = [Section("lengths", "Lengths", (_lengths(s), *_read_as(s)))]
    if s.mean_qps is not None:
        blocks: tuple[Block, ...] = (_rates(s), *_remarks(s))
        sections.insert(0, Section("rates", "Rates", blocks))
    if s.prefix_share is not None:
        text = (
            f"{rounding.share(s.prefix_share)} of the prompt tokens are in leading blocks shared with an "
            "earlier prompt: what a prefix cache that never evicts would save."
        )
        if s.conversations is not None:
            text += (
                f" The requests are turns of {counted(s.conversations, 'conversation')}, "
                f"{s.requests / s.conversations:.3g} each."
            )
        sections.append(Section("prefix", "Prefix reuse", (Paragraph(text),)))
    return Document(s.name, headline, tuple(sections))


def trace_data(s: TraceStatistics) -> dict[str, object]:
    """The statistics for JSON, window lengths and quantiles as text keys."""

    return _keyed(asdict(s))


def _keyed(values: Mapping[str, object]) -> dict[str, object]:
    return {str(k): _keyed(v) if isinstance(v, dict) else v for k, v in values.items()}


def _rates(s: TraceStatistics) -> Table:
    columns = (
        Column("window_s", "Window", Quantity.SECONDS),
        Column("peak_qps", "Peak rate", Quantity.QPS),
        Column("peak_over_mean", "over mean", Quantity.NUMBER),
        Column("burst_cv", "Burstiness", Quantity.NUMBER),
    )
    mean = s.mean_qps or 1.0
    rows = tuple((w, q, q / mean, s.burst_cv.get(w)) for w, q in s.peak_qps.items())
    note = (
        f"Interarrival CV {rounding.significant(s.interarrival_cv)} (1 for a Poisson process). "
        "Burstiness: spread of the counts in windows over that of a Poisson process."
    )
    return Table("rates", "Rates", columns, rows, note)


def _remarks(s: TraceStatistics) -> tuple[Paragraph, ...]:
    if s.distinct_times >= FEW_INSTANTS * s.requests:
        return ()
    text = (
        f"Only {s.distinct_times:,} different arrival times for {s.requests:,} requests: the "
        "publisher rounded them, so bursts shorter than the rounding are not real."
    )
    return (Paragraph(text, warning=True),)


def _read_as(s: TraceStatistics) -> tuple[Paragraph, ...]:
    """What the file was taken for: its publisher, and the unit of its times."""
    parts = []
    if s.publisher:
        parts.append(f"Read as a trace of {s.publisher}")
    if s.time_unit:
        parts.append(f"times are {s.time_unit}" if parts else f"Times are {s.time_unit}")
    if s.failed:
        parts.append(f"{s.failed:,} requests without an answer are left out")
    return (Paragraph("; ".join(parts) + "."),) if parts else ()


def _lengths(s: TraceStatistics) -> Table:
    columns = (
        Column("length", "Tokens"),
        Column("mean", "Mean", Quantity.NUMBER),
        Column("cv", "CV", Quantity.NUMBER),
        *(
            Column(f"q{q:g}", "most" if q == 1 else f"p{100 * q:g}", Quantity.COUNT)
            for q in QUANTILES
        ),
    )
    rows: tuple[tuple[Value | Cell, ...], ...] = tuple(
        (name, part.mean, part.cv, *part.quantiles.values())
        for name, part in (("prompt", s.prompt), ("output", s.output))
    )
    note = f"Correlation of prompt and output lengths: {rounding.significant(s.correlation)}."
    return Table("lengths", "Lengths", columns, rows, note)
