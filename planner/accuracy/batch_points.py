"""Fixed batches on an older engine: do two GPUs differ as much as predicted?

``catalogs/calibration/batch_points.csv`` holds medians of repeated runs in which a batch of equal
prompts is computed in one step and then decoded together, on A100 and on H100. The engine of that day
had host overheads that are gone, so its times are not fitted; the ratio of the two GPUs is a check
of the stated factors of a GPU generation that the shipped fit has no measurement of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import TableRow, read_table
from planner.deployment import Deployment
from planner.performance.factors import Calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch

LARGEST_BATCH = 16
SLOWER, FASTER = "a100-sxm-80gb", "h100-sxm-80gb"


@dataclass(frozen=True, slots=True)
class GpuRatio:
    """How many times as long A100 takes as H100, measured and predicted, for prompts and tokens."""

    model: str
    tensor_parallel: int
    prompt_tokens: int
    batch: int
    prompt_measured: float
    prompt_predicted: float
    token_measured: float
    token_predicted: float


class BatchRow(TableRow):
    """One line of ``batch_points.csv``; times in milliseconds."""

    model: str
    gpu: str
    engine: str
    weights: str
    tensor_parallel: int = Field(gt=0)
    prompt_tokens: int = Field(gt=0)
    batch: int = Field(gt=0)
    output_tokens: int = Field(gt=1)
    prompt_ms: float = Field(gt=0)
    token_ms: float = Field(gt=0)
    repeats: int = Field(gt=0)
    source: str


def read_batch_points(path: Path) -> list[BatchRow]:
    """Return the rows of the table; raises CatalogError."""
    return list(read_table(path, BatchRow))


def gpu_ratios(catalog: Catalog, calibration: Calibration) -> list[GpuRatio]:
    """Return the ratios of all rows that both GPUs have (larger batches were split by the engine)."""
    rows = read_batch_points(catalog.root / "calibration" / "batch_points.csv")
    by_run: dict[tuple[str, int, int, int, int], dict[str, BatchRow]] = {}
    for row in rows:
        if row.batch <= LARGEST_BATCH:
            key = (row.model, row.tensor_parallel, row.prompt_tokens, row.batch, row.output_tokens)
            by_run.setdefault(key, {})[row.gpu] = row
    ratios = []
    for (model, tp, prompt, batch, _), runs in by_run.items():
        if SLOWER not in runs or FASTER not in runs:
            continue
        slow, fast = runs[SLOWER], runs[FASTER]
        slow_s, fast_s = (_seconds(row, catalog, calibration) for row in (slow, fast))
        ratios.append(
            GpuRatio(
                model=model,
                tensor_parallel=tp,
                prompt_tokens=prompt,
                batch=batch,
                prompt_measured=slow.prompt_ms / fast.prompt_ms,
                prompt_predicted=slow_s[0] / fast_s[0],
                token_measured=slow.token_ms / fast.token_ms,
                token_predicted=slow_s[1] / fast_s[1],
            )
        )
    return ratios


def _seconds(row: BatchRow, catalog: Catalog, calibration: Calibration) -> tuple[float, float]:
    """Predicted time of the prompts of the batch and of one decode step at mean context [s]."""
    model, gpu = catalog.model(row.model), catalog.gpu(row.gpu)
    deployment = Deployment(
        model=model,
        gpu=gpu,
        engine=catalog.engine("vllm"),
        tensor_parallel=row.tensor_parallel,
        weights=catalog.weight_format(row.weights),
        kv_cache=catalog.kv_format("bf16"),
    )
    steps = step_model(deployment, calibration)
    b, p = float(row.batch), float(row.prompt_tokens)
    prompt = StepBatch(0.0, 0.0, b * p, b, b * p * (p + 1) / 2, b)
    token = StepBatch(b, b * (p + row.output_tokens / 2), sampled_tokens=b)
    return float(steps.step_seconds(prompt)), float(steps.step_seconds(token))
