"""The closed form's capacity against the simulator's; docs/concepts/serving.md has the large grid."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import capacity_within
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.capacity import simulated_capacity
from planner.workload.lengths import joint_lengths


class Affine:
    admission_s = 0.0

    def __init__(self, rng: np.random.Generator) -> None:
        self.base = float(np.exp(rng.uniform(np.log(0.005), np.log(0.03))))
        self.sequence = self.base * float(rng.uniform(0.002, 0.01))
        self.prefill = self.base * float(np.exp(rng.uniform(np.log(0.001), np.log(0.008))))

    def step_seconds(self, b: StepBatch):
        return (
            self.base
            + self.sequence * b.decode_sequences
            + 2e-8 * b.decode_context_tokens
            + self.prefill * b.prefill_tokens
        )


def error(seed: int, requests: int) -> float | None:
    rng = np.random.default_rng(seed)
    steps = Affine(rng)
    scheduler = list(Scheduler)[seed % 3]
    limits = ReplicaLimits(
        scheduler, 256, 8192, 64e9, 16, 16 * 1e5, chunked=scheduler is not Scheduler.NO_EVICT
    )
    lengths = joint_lengths(
        Lengths(mean=float(rng.uniform(200, 1500)), cv=float(rng.uniform(0, 1)), max=12_000),
        Lengths(mean=float(rng.uniform(80, 500)), cv=float(rng.uniform(0, 1)), max=4_000),
    )
    slo = Slo.model_validate(
        {"ttft_p95": 60 * steps.base + 1.0, "tpot_p95": steps.base * float(rng.uniform(2, 4))}
    )
    closed = capacity_within(steps, limits, lengths, slo)
    if closed.concurrency < 8:
        return None
    simulated = simulated_capacity(
        steps, limits, lengths, slo, Arrivals(), closed, requests=requests, seed=seed
    )
    return closed.qps / simulated.qps - 1


@pytest.mark.slow
def test_closed_form_is_near_the_simulator():
    errors = [e for e in (error(seed, 6000) for seed in range(24)) if e is not None]
    assert len(errors) >= 12
    assert np.median(np.abs(errors)) < 0.05
    assert np.quantile(np.abs(errors), 0.9) < 0.10


def test_three_points_agree():
    found = [error(seed, 2500) for seed in (3, 4, 5)]
    assert all(e is not None and abs(e) < 0.25 for e in found)
