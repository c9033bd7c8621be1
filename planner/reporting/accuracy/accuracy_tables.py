"""Predicted against measured; as tables; and as JSON for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from planner.accuracy.point import LoadKind
from planner.accuracy.validation import Errors, ValidatedRow, Validation
from planner.errors import in_one_line
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

LISTED_FAILURES = 20
_GROUP = (Column("group", "Model on GPU, engine weights"),)
_ERRORS = (
    Column("points", "Points", Quantity.COUNT),
    Column("tpot_mean", "Mean", Quantity.SHARE),
    Column("tpot_median", "Median", Quantity.SHARE),
    Column("tpot_bias", "Bias", Quantity.CHANGE),
    Column("ttft_median", "TTFT", Quantity.SHARE),
    Column("rank_correlation", "Rank", Quantity.NUMBER),
    Column("tpot_coverage", "Inside", Quantity.SHARE),
)


def validation_document(validation: Validation) -> Document:
    """The errors over all points, by group, the worst points and the rows without a prediction."""
    summary = validation.summary
    sections = [Section("summary", "Errors", _summary_blocks(validation))]
    if summary is not None:
        groups = Section("groups", "By model, GPU, engine and weights", (group_table(validation),))
        worst = Section("worst", "Worst points", (worst_table(validation.worst()),))
        measures = Section("measures", "By measured quantity", (measure_table(summary),))
        sections += [measures] if set(summary.measures) - {"ttft_ms", "tpot_ms"} else []
        sections += [groups, worst]
    if validation.failures:
        sections.append(Section("failures", "Not predicted", (_failures(validation.failures),)))
    return Document("Predicted against measured", _headline(validation), tuple(sections))


def validation_json(validation: Validation) -> dict[str, object]:
    """``{"summary": ..., "groups": [...], "rows": [...]}`` with every input row."""
    summary = errors_json(validation.summary) if validation.summary else None
    return {
        "summary": {
            "rows": len(validation.rows),
            "not_predicted": len(validation.failures),
            "interval_level": validation.level,
            "warnings": list(validation.warnings),
            **(summary or {"points": 0}),
        },
        "groups": [
            {**dict(zip(("model", "gpu", "engine", "weights"), key, strict=True)), **errors_json(e)}
            for key, e in validation.groups
        ],
        "rows": [_row_json(row, validation.level) for row in validation.rows],
    }


def errors_json(errors: Errors) -> dict[str, object]:
    """Errors as JSON; percentages are percent, coverages shares of one."""
    return {
        "points": errors.points,
        "tpot": dict(errors.tpot),
        "ttft": dict(errors.ttft),
        "throughput_per_gpu": dict(errors.throughput),
        "rank_correlation": errors.rank_correlation,
        "interval_coverage": {"tpot": errors.tpot_coverage, "ttft": errors.ttft_coverage},
        "measures": {name: dict(values) for name, values in errors.measures.items()},
    }


def group_table(validation: Validation) -> Table:
    """Errors of each group, the largest mean TPOT error first."""
    groups = sorted(validation.groups, key=lambda group: -(_mean(group[1].tpot) or 0.0))
    return Table(
        "groups",
        "TPOT error by group (TTFT: median error; rank: of throughput; inside: the interval)",
        (*_GROUP, *_ERRORS),
        tuple((combination(key), *error_cells(errors)) for key, errors in groups),
    )


def combination(key: tuple[str, str, str, str]) -> str:
    """A group in a few words."""
    model, gpu, engine, weights = key
    return f"{model.rsplit('/', 1)[-1]} on {gpu}, {engine} {weights}"


def error_cells(errors: Errors) -> tuple[float | None, ...]:
    """One row of errors; percentages become shares."""
    return (
        errors.points,
        _mean(errors.tpot),
        _share(errors.tpot, "median_absolute_error_pct"),
        _share(errors.tpot, "bias_pct"),
        _share(errors.ttft, "median_absolute_error_pct"),
        errors.rank_correlation,
        errors.tpot_coverage,
    )


def measure_table(errors: Errors) -> Table:
    """Errors of every recorded quantity over all points."""
    columns = (
        Column("measure", "Measured"),
        Column("points", "Points", Quantity.COUNT),
        Column("mean", "Mean", Quantity.SHARE),
        Column("median", "Median", Quantity.SHARE),
        Column("bias", "Bias", Quantity.CHANGE),
        Column("coverage", "Inside", Quantity.SHARE),
    )
    rows = tuple(
        (
            name,
            values["points"],
            _mean(values),
            _share(values, "median_absolute_error_pct"),
            _share(values, "bias_pct"),
            values["coverage"],
        )
        for name, values in errors.measures.items()
    )
    title = "Error by measured quantity (inside: its interval)"
    return Table("measures", title, columns, rows)


def worst_table(rows: Sequence[ValidatedRow]) -> Table:
    """The points that are furthest off."""
    columns = (
        Column("line", "Line", Quantity.COUNT),
        Column("deployment", "Deployment and workload"),
        Column("measured_tpot_ms", "Measured", Quantity.SECONDS),
        Column("predicted_tpot_ms", "Predicted", Quantity.SECONDS),
        Column("off", "Off", Quantity.CHANGE),
    )
    listed = tuple(cells for row in rows if (cells := _worst_row(row)) is not None)
    return Table("worst", "TPOT furthest off", columns, listed)


def _worst_row(row: ValidatedRow) -> tuple[float | str, ...] | None:
    point, prediction = row.row.point, row.prediction
    assert point is not None
    assert prediction is not None
    tpot = point.typical("tpot")
    if tpot is None:
        return None
    parallel = f"TP{point.tensor_parallel}"
    parallel += f" DP{point.data_parallel}" if point.data_parallel > 1 else ""
    parallel += f" EP{point.expert_parallel}" if point.expert_parallel > 1 else ""
    load = f"{point.rate_qps:g}/s" if point.load is LoadKind.OPEN else f"{point.concurrency}"
    measured, predicted = point.measures[tpot], prediction.values[tpot]
    return (
        row.row.line,
        f"{combination(point.group)} {parallel}, "
        f"{point.prompt_tokens}+{point.output_tokens} at {load}",
        measured,
        predicted,
        predicted / measured - 1,
    )


def _headline(validation: Validation) -> str:
    errors = validation.summary
    if errors is None:
        return "No row could be predicted."
    over = f"over {errors.points} of {len(validation.rows)} rows"
    mean, median = _mean(errors.tpot), _share(errors.tpot, "median_absolute_error_pct")
    if mean is None or median is None:
        return f"No TPOT was measured; errors of what was, {over}."
    return f"TPOT is {rounding.share(mean)} off in the mean, {rounding.share(median)} in the median, {over}."


def _summary_blocks(validation: Validation) -> tuple[Block, ...]:
    warnings = tuple(Paragraph(text, warning=True) for text in validation.warnings)
    errors = validation.summary
    if errors is None:
        return warnings
    facts = [
        Fact(f"{title} error", Cell(_mean(values), Quantity.SHARE), _spread(values))
        for title, values in (
            ("TPOT", errors.tpot),
            ("TTFT", errors.ttft),
            ("Throughput per GPU", errors.throughput),
        )
    ]
    facts.append(
        Fact(
            "Rank correlation",
            Cell(errors.rank_correlation, Quantity.NUMBER),
            "Spearman, throughput per GPU within a workload, mean over workloads",
        )
    )
    facts += [
        Fact(
            f"{title} inside its interval",
            Cell(share, Quantity.SHARE),
            f"{rounding.share(validation.level)} expected",
        )
        for title, share in (("TPOT", errors.tpot_coverage), ("TTFT", errors.ttft_coverage))
    ]
    return (*warnings, Facts(tuple(facts)))


def _mean(values: Mapping[str, float | None]) -> float | None:
    return _share(values, "mean_absolute_error_pct")


def _share(values: Mapping[str, float | None], name: str) -> float | None:
    percent = values[name]
    return None if percent is None else percent / 100


def _spread(values: Mapping[str, float | None]) -> str:
    median, bias = _share(values, "median_absolute_error_pct"), _share(values, "bias_pct")
    if median is None or bias is None:
        return "not measured"
    return f"mean; median {rounding.share(median)}, bias {rounding.signed_share(bias)}"


def _failures(rows: Sequence[ValidatedRow]) -> Items:
    listed = [f"line {row.row.line}: {_one_line(row.error)}" for row in rows[:LISTED_FAILURES]]
    if len(rows) > LISTED_FAILURES:
        listed.append(f"and {len(rows) - LISTED_FAILURES} more")
    return Items(tuple(listed))


def _one_line(text: str | None) -> str:
    return in_one_line(text or "")


def _row_json(row: ValidatedRow, level: float) -> dict[str, object]:
    """The cells of a row, with ``predicted_<column>`` and an interval for each measured one, in its unit."""
    cells: dict[str, object] = {**row.row.cells, "line": row.row.line}
    prediction = row.prediction
    if prediction is None:
        return cells | {
            "predicted_ttft_ms": None,
            "predicted_tpot_ms": None,
            **{f"predicted_{name}": None for name in row.row.measured},
            "interval": None,
            "evidence": None,
            "error": _one_line(row.error),
        }
    first, each = prediction.ttft_interval, prediction.tpot_interval
    return cells | {
        "predicted_ttft_ms": _number(prediction.ttft_ms),
        "predicted_tpot_ms": _number(prediction.tpot_ms),
        **{
            f"predicted_{found.name}": _number(prediction.values[found.measure] / found.unit)
            for found in row.row.measured.values()
        },
        "interval": {
            "level": level,
            "ttft_ms": [_number(first.low), _number(first.high)],
            "tpot_ms": None if each is None else [_number(each.low), _number(each.high)],
            **{
                found.name: [_number(around.low / found.unit), _number(around.high / found.unit)]
                for found in row.row.measured.values()
                if (around := prediction.intervals.get(found.measure)) is not None
            },
        },
        "evidence": str(prediction.evidence),
        "error": None,
    }


def _number(value: float) -> float | None:
    """A number for JSON, which has no nan: what is undefined is null."""
    return None if math.isnan(value) else value
