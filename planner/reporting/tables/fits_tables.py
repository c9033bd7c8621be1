"""How fits are presented: one table per weight format with counts of GPUs across, or models by format."""

from __future__ import annotations

from collections.abc import Sequence

from planner.reporting import rounding
from planner.reporting.document import Column, Document, Quantity, Section, Table, rows_of
from planner.sizing.fits import FitQuestion, FitVerdict, GpuFit
from planner.units import counted


def fits_document(fits: Sequence[GpuFit], ask: FitQuestion, *, by_model: bool) -> Document:
    """``planner memory fits``: one table per weight format, counts of GPUs across."""
    subject = fits[0].gpu if by_model else fits[0].model
    weights = [""] if by_model else list(dict.fromkeys(fit.precision for fit in fits))
    tables = tuple(_fits_table(fits, name, by_model) for name in weights)
    legend = (
        f"Cells: tokens of KV cache left on {ask.engine.name} {ask.engine.version}, {ask.kv_cache.name} "
        f"cache. A ! is tight: fewer than {ask.concurrency} sequences of {ask.context_tokens:,} tokens; a "
        "dot does not fit or would not launch."
    )
    what = "models on one kind of GPU" if by_model else "GPUs that hold a model"
    return Document(
        title=f"{subject}: {what}",
        headline="",
        sections=tuple(Section(table.key, table.title, (table,)) for table in tables),
        footer=(legend,),
        data=(_every_fit(fits),),
    )


def fits_mapping(fits: Sequence[GpuFit], ask: FitQuestion) -> dict[str, object]:
    """The JSON of ``planner memory fits``."""
    return {
        "engine": f"{ask.engine.name} {ask.engine.version}",
        "kv_cache": ask.kv_cache.name,
        "context_tokens": ask.context_tokens,
        "concurrency": ask.concurrency,
        "fits": _every_fit(fits).records(),
    }


def _every_fit(fits: Sequence[GpuFit]) -> Table:
    """A row for each GPU type, number of them and format, with the reason where it does not fit."""
    columns = (
        Column("model", "Model"),
        Column("gpu", "GPU"),
        Column("gpus", "GPUs", Quantity.COUNT),
        Column("precision", "Precision"),
        Column("weights", "Weights"),
        Column("verdict", "Verdict"),
        Column("tokens_left", "Tokens left", Quantity.COUNT),
        Column("sequences_left", "Sequences left", Quantity.COUNT),
        Column("layout", "Layout"),
        Column("reason", "Reason"),
    )
    rows = rows_of(
        fits,
        columns,
        verdict=lambda fit: fit.verdict.value,
        tokens_left=lambda fit: fit.tokens,
        sequences_left=lambda fit: fit.sequences,
    )
    return Table("fits", "Every fit", columns, rows)


def _fits_table(fits: Sequence[GpuFit], weights: str, by_model: bool) -> Table:
    shown = [fit for fit in fits if by_model or fit.precision == weights]
    across = [fit.precision if by_model else f"{fit.gpus}x" for fit in shown]
    heads = list(dict.fromkeys(across))
    grid: dict[str, dict[str, GpuFit]] = {}
    for head, fit in zip(across, shown, strict=True):
        grid.setdefault(fit.model if by_model else fit.gpu, {})[head] = fit
    held = {
        name: row
        for name, row in grid.items()
        if any(f.verdict is not FitVerdict.NOT for f in row.values())
    }
    left_out = len(grid) - len(held)
    kind = "model" if by_model else "GPU"
    note = f"Left out, because nothing fits: {counted(left_out, kind)}." if left_out else ""
    return Table(
        f"fits_{weights or 'models'}",
        f"Weights in {weights}" if weights else "By weight format",
        (Column(kind.lower(), kind), *(Column(h, h, Quantity.NUMBER) for h in heads)),
        tuple((name, *(_fit_cell(row.get(head)) for head in heads)) for name, row in held.items()),
        note,
    )


def _fit_cell(fit: GpuFit | None) -> str:
    if fit is None:
        return rounding.UNKNOWN
    if fit.verdict is FitVerdict.NOT:
        return "·"
    return rounding.compact(fit.tokens) + ("!" if fit.verdict is FitVerdict.TIGHT else "")
