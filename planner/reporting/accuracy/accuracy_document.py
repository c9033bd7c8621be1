"""``docs/reference/accuracy.md``: errors of the model, left out and in sample, weak regimes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.batch_points import GpuRatio
from planner.accuracy.metrics import mean_rank_correlation, percentage_errors
from planner.accuracy.samples import Floats, Sample
from planner.accuracy.shipped import ShippedFit, residual_table
from planner.evidence import StepLatency
from planner.performance.factors import Residuals
from planner.reporting import rounding
from planner.reporting.charts.accuracy import tpot_scatter
from planner.reporting.document import (
    Column,
    Document,
    Figure,
    Paragraph,
    Quantity,
    Section,
    Table,
)

Bools = NDArray[np.bool_]
LEVEL = 0.8
WEAK_ABOVE = 0.15
_COLUMNS = (
    Column("points", "Points", Quantity.COUNT),
    Column("tpot_mean", "TPOT mean", Quantity.SHARE),
    Column("tpot_median", "TPOT median", Quantity.SHARE),
    Column("tpot_bias", "TPOT bias", Quantity.CHANGE),
    Column("ttft_median", "TTFT median", Quantity.SHARE),
    Column("throughput_mean", "Throughput mean", Quantity.SHARE),
    Column("throughput_median", "Throughput median", Quantity.SHARE),
)


@dataclass(frozen=True, slots=True)
class View:
    """One set of predictions over all samples [s]: in sample, or left out in some way."""

    name: str
    ttft_s: Floats
    tpot_s: Floats


def accuracy_document(fit: ShippedFit, ratios: Sequence[GpuRatio]) -> Document:
    """The page: weak regimes, cross-validation, in sample, intervals, plots, method."""
    left = View("left out", fit.left_out.ttft_s, fit.left_out.tpot_s)
    inside = View("in sample", fit.ttft_s, fit.tpot_s)
    far = View("engine and generation left out", fit.far.ttft_s, fit.far.tpot_s)
    everything = np.ones(len(fit.samples), dtype=bool)
    known = fit.known
    headline = (
        f"On models and GPUs left out of the fit, TPOT is {_mean(fit.samples, left, known)} off in "
        f"the mean; in sample {_mean(fit.samples, inside, everything)}."
    )
    sections = (
        Section("weak", "Weak regimes", (_weak_text(), _weak_table(fit.samples, left))),
        Section(
            "cross-validated",
            "Cross-validated: whole (model, GPU) groups left out",
            (
                _left_out_text(),
                _summary(fit, left, known, far),
                _groups("left_out", fit.samples, left, everything),
                _scatter("left-out", "TPOT of left-out groups", fit.samples, left),
            ),
        ),
        Section(
            "in-sample",
            "In sample",
            (
                _rows_table("in_sample", fit.samples, {"all": (inside, everything)}),
                _groups("in_sample_groups", fit.samples, inside, everything),
                _scatter("in-sample", "TPOT in sample", fit.samples, inside),
            ),
        ),
        Section("intervals", "Intervals", (_interval_text(), _coverage(fit))),
        Section("borrowed", "A generation without measurements", (_ratio_text(ratios),)),
        Section("method", "Method", tuple(Paragraph(text) for text in _METHOD)),
    )
    return Document("Accuracy", headline, sections)


_METHOD = (
    "Each point is simulated through its engine's scheduler as it was measured: all requests sent at "
    "the start, a new one when one ends. The steps that result do not depend on how long they take, "
    "so mean TTFT and TPOT are weighted sums of step times, and the fit works on them exactly.",
    "Factors are bounded by physics and shared along a hierarchy (all, engine, GPU generation, "
    "weight format, pairs of these); priors.yaml states each factor's bounds, prior and source, "
    "fitted.json what the measurements moved. No factor knows a model by name.",
    "Prior values and unrecorded conditions (KV precision, spread of lengths) were set with these "
    "measurements in sight, so left-out errors are a little kinder than a blind test would be.",
    "Rows whose table entry doubts how they were measured (Qwen3-235B on vLLM, whose TPOT hardly depends "
    "on the batch) weigh 0.05 in the fit; every error on this page counts them in full.",
    "Repeated runs of one configuration differ by up to 19 % in TPOT (90th percentile), KV precision "
    "and server flags are not recorded, and some pairs of runs with the same recorded settings "
    "differ by 20 to 30 %: no model of the recorded settings can be closer than that there.",
)


def _weak_text() -> Paragraph:
    return Paragraph(
        f"Groups whose left-out mean TPOT error exceeds {rounding.share(WEAK_ABOVE)}, worst first. "
        "Expect errors of this size where a plan rests on such a combination without measurements."
    )


def _left_out_text() -> Paragraph:
    return Paragraph(
        "Every group was predicted by a fit that had seen no point of that model on that GPU. "
        "Groups that alone carry an engine's format, or a kernel family (engine, stored format, "
        "arithmetic, experts, attention kind), are distinguished: nothing else informs their kernels."
    )


def _interval_text() -> Paragraph:
    return Paragraph(
        "Intervals are quantiles of the residuals: in-sample ones where this model was measured on "
        "this engine and GPU, left-out ones elsewhere. The table gives the share of points inside; "
        "for left-out points the quantiles come from the other groups alone."
    )


def _ratio_text(ratios: Sequence[GpuRatio]) -> Paragraph:
    """A100 against H100 on an engine of 2023: a check of stated factors."""
    middle = [
        f"{np.median([getattr(r, name) for r in ratios]):.2f}"
        for name in ("prompt_measured", "prompt_predicted", "token_measured", "token_predicted")
    ]
    off = [
        float(
            np.median(
                [
                    abs(getattr(r, f"{k}_predicted") / getattr(r, f"{k}_measured") - 1)
                    for r in ratios
                ]
            )
        )
        for k in ("prompt", "token")
    ]
    return Paragraph(
        f"Factors of Ampere are stated, not fitted. On {len(ratios)} pairs of runs of an engine of 2023 "
        f"an A100 takes {middle[0]} times as long as an H100 for prompts (predicted {middle[1]}, median "
        f"error {rounding.share(off[0])}) and {middle[2]} times for tokens (predicted {middle[3]}, "
        f"{rounding.share(off[1])})."
    )


def _weak_table(samples: Sequence[Sample], view: View) -> Table:
    members = _members(samples)
    rows = []
    for key, chosen in members.items():
        cells = _cells(samples, view, chosen)
        if cells[1] is not None and cells[1] > WEAK_ABOVE:
            rows.append((*key, *cells))
    rows.sort(key=lambda row: -float(row[5] or 0))
    return Table("weak", "Weak regimes", (*_group_columns(), *_COLUMNS), tuple(rows))


def _groups(key: str, samples: Sequence[Sample], view: View, within: Bools) -> Table:
    rows = [
        (*group, *_cells(samples, view, chosen & within))
        for group, chosen in _members(samples).items()
    ]
    return Table(key, "By group", (*_group_columns(), *_COLUMNS), tuple(rows))


def _summary(fit: ShippedFit, left: View, known: Bools, far: View) -> Table:
    both = np.ones(len(known), dtype=bool)
    return _rows_table(
        "summary",
        fit.samples,
        {
            "engine, format and kernels known": (left, known),
            "engine and format known": (left, ~fit.left_out.sole_format),
            "sole carriers of a format or kernel": (left, ~known),
            "all": (left, both),
            "whole engine x GPU generation left out": (far, both),
        },
    )


def _rows_table(
    key: str, samples: Sequence[Sample], rows: Mapping[str, tuple[View, Bools]]
) -> Table:
    columns = (
        Column("set", "Left out" if key == "summary" else "Set"),
        *_COLUMNS,
        Column("rank_correlation", "Rank corr.", Quantity.NUMBER),
    )
    cells = tuple(
        (name, *_cells(samples, view, chosen), _ranks(samples, view, chosen))
        for name, (view, chosen) in rows.items()
        if chosen.any()
    )
    return Table(key, "Errors", columns, cells)


def _coverage(fit: ShippedFit) -> Table:
    tpot = np.array([s.tpot_s for s in fit.samples])
    ttft = np.array([s.ttft_s for s in fit.samples])
    table = residual_table(fit)
    residuals = Residuals(table.levels, table.quantiles)
    rows: list[tuple[str, float, float, float]] = []
    kinds: tuple[tuple[str, str, StepLatency, Floats, Floats], ...] = (
        ("TPOT, measured model", "fitted", "tpot", tpot, fit.tpot_s),
        ("TTFT, measured model", "fitted", "ttft", ttft, fit.ttft_s),
    )
    for name, distance, kind, measured, predicted in kinds:
        inside = [
            (i := residuals.interval(float(p), kind, distance, LEVEL)).low <= m <= i.high
            for p, m in zip(predicted, measured, strict=True)
        ]
        rows.append((name, LEVEL, float(np.mean(inside)), float(len(measured))))
    groups = np.array([f"{s.point.model} {s.point.gpu}" for s in fit.samples])
    for kind, measured, predicted in (
        ("tpot", tpot, fit.left_out.tpot_s),
        ("ttft", ttft, fit.left_out.ttft_s),
    ):
        share = held_out_coverage(np.log(measured / predicted), groups, LEVEL)
        rows.append((f"{kind.upper()}, left-out model", LEVEL, share, float(len(measured))))
    columns = (
        Column("points", "Points"),
        Column("nominal", "Nominal", Quantity.SHARE),
        Column("inside", "Inside", Quantity.SHARE),
        Column("count", "Count", Quantity.COUNT),
    )
    return Table("coverage", "Interval coverage", columns, tuple(rows))


def held_out_coverage(log_residuals: Floats, groups: NDArray[np.str_], level: float) -> float:
    """Share of residuals inside the quantiles of all other groups' residuals."""
    inside = np.zeros(len(groups), dtype=bool)
    for group in np.unique(groups):
        chosen = groups == group
        low, high = np.quantile(log_residuals[~chosen], [(1 - level) / 2, (1 + level) / 2])
        inside[chosen] = (log_residuals[chosen] >= low) & (log_residuals[chosen] <= high)
    return float(inside.mean())


def _cells(samples: Sequence[Sample], view: View, chosen: Bools) -> tuple[float | None, ...]:
    index = np.flatnonzero(chosen)
    points = [samples[i].point for i in index.tolist()]
    tpot = percentage_errors(view.tpot_s[index], np.array([p.tpot_ms for p in points]) / 1e3)
    ttft = percentage_errors(view.ttft_s[index], np.array([p.ttft_ms for p in points]) / 1e3)
    rate = percentage_errors(*_rates(samples, view, index))
    return (
        float(len(index)),
        tpot["mean_absolute_error_pct"] / 100,
        tpot["median_absolute_error_pct"] / 100,
        tpot["bias_pct"] / 100,
        ttft["median_absolute_error_pct"] / 100,
        rate["mean_absolute_error_pct"] / 100,
        rate["median_absolute_error_pct"] / 100,
    )


def _rates(
    samples: Sequence[Sample], view: View, index: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    points = [samples[i].point for i in index.tolist()]
    predicted = [
        p.tokens_per_s_per_gpu(1e3 * float(view.ttft_s[i]), 1e3 * float(view.tpot_s[i]))
        for p, i in zip(points, index, strict=True)
    ]
    measured = [p.tokens_per_s_per_gpu(p.ttft_ms, p.tpot_ms) for p in points]
    return np.array(predicted), np.array(measured)


def _ranks(samples: Sequence[Sample], view: View, chosen: Bools) -> float | None:
    index = np.flatnonzero(chosen)
    predicted, measured = _rates(samples, view, index)
    workloads = (samples[i].point.workload for i in index.tolist())
    return mean_rank_correlation(workloads, predicted.tolist(), measured.tolist())


def _members(samples: Sequence[Sample]) -> dict[tuple[str, str, str, str], Bools]:
    groups = [sample.point.group for sample in samples]
    return {group: np.array([g == group for g in groups]) for group in sorted(set(groups))}


def _group_columns() -> tuple[Column, ...]:
    return (
        Column("model", "Model"),
        Column("gpu", "GPU"),
        Column("engine", "Engine"),
        Column("weights", "Weights"),
    )


def _mean(samples: Sequence[Sample], view: View, chosen: Bools) -> str:
    cells = _cells(samples, view, chosen)
    return f"{rounding.share(cells[1])} ({rounding.share(cells[2])} in the median)"


def _scatter(key: str, title: str, samples: Sequence[Sample], view: View) -> Figure:
    return tpot_scatter(
        key,
        title,
        [sample.traits.engine for sample in samples],
        np.array([sample.tpot_s for sample in samples]),
        view.tpot_s,
    )
