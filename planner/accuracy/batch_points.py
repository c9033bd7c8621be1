"""Prompt and token times of fixed batches on an older engine: what tells A100 from H100.

``catalogs/calibration/batch_points.csv`` holds medians of repeated runs in which a batch of equal
prompts is computed in one step and then decoded together. The engine is a level of its own
("vllm-2023"), so its host overheads stay out of today's engines.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from planner.accuracy.conditions import deployment_of
from planner.accuracy.points import Point
from planner.accuracy.samples import Sample
from planner.catalog.store import Catalog
from planner.catalog.tables import Row, read_rows
from planner.performance.factors import Calibration
from planner.performance.loads import loads_of
from planner.performance.steps import StepBatch
from planner.serving.closed_loop import ClosedLoopRun

LARGEST_BATCH = 16
WEIGHT = 0.5


class BatchRow(Row):
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
    return [row for _, row in read_rows(path, BatchRow)]


def batch_samples(path: Path, catalog: Catalog, calibration: Calibration) -> list[Sample]:
    """Return a sample per row of small batches (larger ones were split by the engine)."""
    return [
        _sample(row, catalog, calibration)
        for row in read_batch_points(path)
        if row.batch <= LARGEST_BATCH
    ]


def _sample(row: BatchRow, catalog: Catalog, calibration: Calibration) -> Sample:
    point = Point(
        model=row.model,
        gpu=row.gpu,
        engine="vllm",
        weights=row.weights,
        tensor_parallel=row.tensor_parallel,
        prompt_tokens=row.prompt_tokens,
        output_tokens=row.output_tokens,
        concurrency=row.batch,
        ttft_ms=row.prompt_ms,
        tpot_ms=row.token_ms,
        kv_cache="bf16",
        source=row.source,
        weight=WEIGHT,
    )
    deployment = deployment_of(point, catalog, calibration)
    traits = replace(calibration.traits(deployment), engine=row.engine)
    return Sample(point, deployment.model.name, traits, loads_of(deployment), _run(row))


def _run(row: BatchRow) -> ClosedLoopRun:
    """Two steps: the prompts of the batch together, then its decoding at mean context."""
    b, p, o = row.batch, row.prompt_tokens, row.output_tokens
    zero = np.zeros(1)

    def pair(prompt: float, token: float) -> np.ndarray:
        return np.array([prompt, token], dtype=float)

    return ClosedLoopRun(
        batch=StepBatch(
            decode_sequences=pair(0, b),
            decode_context_tokens=pair(0, b * (p + o / 2)),
            prefill_tokens=pair(b * p, 0),
            prefill_sequences=pair(b, 0),
            prefill_context_tokens=pair(b * p * (p + 1) / 2, 0),
            sampled_tokens=pair(b, b),
        ),
        steps=pair(1, o - 1),
        ttft_weight=pair(1, 0),
        tpot_weight=pair(0, 1),
        e2e_weight=pair(1, o - 1),
        requests=b,
        output_tokens=b * o,
        preemptions=0,
        outputs=zero.astype(np.int64),
    )
