"""Published records under latency targets (MLPerf Server), and what a plan would promise for the same.

``catalogs/calibration/published_records.csv``: records whose lengths, format, targets and lack of speculation
agree with what a scenario can say. Nothing is fitted to them. A promise of more than ``FLAGGED_ABOVE``
times a record is flagged: a submitter had every reason to reach more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import TableRow, read_table
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import Calibration
from planner.performance.margins import NORMAL
from planner.performance.model import step_model
from planner.performance.paced import PacedSteps
from planner.scenario.lengths import Lengths
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import replica_capacity
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import joint_lengths

FILE = "published_records.csv"
FLAGGED_ABOVE = 1.1
SIZED_AT = 0.8  # the probability that plans are sized for by default


class PublishedRecord(TableRow):
    """One record: tokens/s that ``replicas`` of a layout wrote together while every target held.

    Lengths are lognormal-like with the given means [tokens] and coefficient of variation, up to
    ``most_tokens`` each. ttft_p99_s, tpot_p99_s: the benchmark's targets [s].
    """

    name: str
    model: str
    gpu: str
    engine: str
    weights: str
    kv_cache: str
    tensor_parallel: int = Field(gt=0)
    replicas: int = Field(gt=0)
    prompt_tokens: float = Field(gt=0)
    output_tokens: float = Field(gt=0)
    length_cv: float = Field(ge=0)
    most_tokens: int = Field(gt=0)
    ttft_p99_s: float = Field(gt=0)
    tpot_p99_s: float = Field(gt=0)
    output_tokens_per_s: float = Field(gt=0)
    source: str
    engine_version: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """A record and the output tokens/s that the closed form holds under the same targets.

    predicted: by the prediction itself; sized: with the margin that 80 % of plans keep.
    """

    record: PublishedRecord
    predicted_tokens_per_s: float
    sized_tokens_per_s: float
    evidence: Evidence

    @property
    def ratio(self) -> float:
        """Predicted over published; above 1 the planner promises more than was published."""
        return self.predicted_tokens_per_s / self.record.output_tokens_per_s

    @property
    def flagged(self) -> bool:
        """Whether a plan would promise more than ``FLAGGED_ABOVE`` times the record."""
        sized = self.sized_tokens_per_s / self.record.output_tokens_per_s
        return sized > FLAGGED_ABOVE


def read_records(folder: Path) -> list[PublishedRecord]:
    """The records of a calibration folder; raises CatalogError."""
    return list(read_table(folder / FILE, PublishedRecord))


def promises(catalog: Catalog, calibration: Calibration) -> list[Promise]:
    """What would be promised for each record."""
    records = read_records(catalog.root / "calibration")
    return [promise_for(record, catalog, calibration) for record in records]


def promise_for(record: PublishedRecord, catalog: Catalog, calibration: Calibration) -> Promise:
    """The capacity of the record's layout under the record's targets; raises InputError."""
    model = catalog.model(record.model)
    deployment = Deployment(
        model=model,
        gpu=catalog.gpu(record.gpu),
        engine=catalog.engine(record.engine, record.engine_version or None, oldest_instead=True),
        tensor_parallel=record.tensor_parallel,
        weights=weights_for(model, record.weights, catalog.weight_format),
        kv_cache=catalog.kv_format(record.kv_cache),
    )
    prompts, answers = (
        Lengths.model_validate({"mean": mean, "cv": record.length_cv, "max": record.most_tokens})
        for mean in (record.prompt_tokens, record.output_tokens)
    )
    lengths = joint_lengths(prompts, answers)
    slo = Slo.model_validate(
        {"ttft_p99": f"{record.ttft_p99_s}s", "tpot_p99": f"{record.tpot_p99_s}s"}
    )
    steps = step_model(deployment, calibration)
    slower = math.exp(steps.margin.log_slowdown(NORMAL.inv_cdf(SIZED_AT)))
    layout = memory_layout(deployment)
    rates = [
        replica_capacity(paced, layout, deployment, lengths, slo).qps
        for paced in (steps, PacedSteps(steps, max(slower, 1.0), steps.evidence))
    ]
    tokens = record.replicas * lengths.mean_output
    return Promise(record, rates[0] * tokens, rates[1] * tokens, steps.evidence)
