"""Measured points made ready for a fit: loads, traits and played runs, stacked into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.conditions import setup_of
from planner.accuracy.playback import ROWS_FOR_FITS, Playback
from planner.accuracy.points import Point
from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.performance import roofline
from planner.performance.factors import (
    DENSE_FACTORS,
    EXPERT_FACTORS,
    SINGLE_FACTORS,
    Calibration,
)
from planner.performance.loads import loads_of
from planner.performance.roofline import Factors, Gemm, GemmFactors, Loads
from planner.performance.steps import StepBatch
from planner.performance.traits import Traits
from planner.serving.closed_loop import ClosedLoopRun

Floats = NDArray[np.float64]
GEMM_FIELDS = ("memory", "stream_bytes_s", "compute", "fill_tokens")


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in ``Factors``: which factor fills it, and the kernel family it belongs to."""

    factor: str
    family: str | None = None
    attribute: str | None = None


SLOTS: tuple[Slot, ...] = (
    *(
        Slot(name, family, attribute)
        for family, names in (
            ("quantised", DENSE_FACTORS),
            ("plain", DENSE_FACTORS),
            ("expert", EXPERT_FACTORS),
        )
        for name, attribute in zip(names, GEMM_FIELDS, strict=True)
    ),
    *(Slot(name) for name in SINGLE_FACTORS),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run: what was measured [s], on what, and the steps it consisted of."""

    point: Point
    model_name: str
    traits: Traits
    loads: Loads
    run: ClosedLoopRun

    @property
    def ttft_s(self) -> float:
        return self.point.ttft_ms / 1e3

    @property
    def tpot_s(self) -> float:
        return self.point.tpot_ms / 1e3


def samples_of(
    points: Sequence[Point], catalog: Catalog, calibration: Calibration
) -> tuple[list[Sample], list[tuple[Point, str]]]:
    """Return a sample of each point that can be played, and the others with the reason."""
    playback = Playback(ROWS_FOR_FITS)
    samples, failures = [], []
    for point in points:
        try:
            setup = setup_of(point, catalog, calibration)
            run = playback.run(setup, point)
        except PlannerError as problem:
            failures.append((point, str(problem)))
            continue
        deployment = setup.deployment
        traits = calibration.traits(deployment)
        samples.append(Sample(point, deployment.model.name, traits, loads_of(deployment), run))
    return samples, failures


class Stack:
    """Samples as arrays: one row per distinct step of each, one cell per distinct traits."""

    def __init__(self, samples: Sequence[Sample], calibration: Calibration) -> None:
        self.samples = list(samples)
        self._scales = calibration.scales
        rows = [len(sample.run.steps) for sample in samples]
        self.sample_of_row = np.repeat(np.arange(len(samples)), rows)
        self._starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
        self._batch = StepBatch(*(self._concatenate(f.name) for f in fields(StepBatch)))
        self._ttft_weight = np.concatenate([sample.run.ttft_weight for sample in samples])
        self._tpot_weight = np.concatenate([sample.run.tpot_weight for sample in samples])
        self._loads = _gather([sample.loads for sample in samples], self.sample_of_row)
        self.cells: list[Traits] = sorted({sample.traits for sample in samples}, key=repr)
        index = {cell: i for i, cell in enumerate(self.cells)}
        self.cell_of_sample = np.array([index[sample.traits] for sample in samples])
        self._cell_of_row = self.cell_of_sample[self.sample_of_row]
        self.ttft_s = np.array([sample.ttft_s for sample in samples])
        self.tpot_s = np.array([sample.tpot_s for sample in samples])

    def predict(self, positions: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Return mean TTFT and TPOT [s] of every sample.

        positions: per slot the factor's ``x`` of every cell.
        """
        factors = self._factors(positions)
        seconds = np.asarray(roofline.step_times(self._loads, factors, self._batch).total_s)
        tpot = np.add.reduceat(self._tpot_weight * seconds, self._starts)
        ttft = np.add.reduceat(self._ttft_weight * seconds, self._starts)
        first = self._starts
        admission = np.asarray(factors.admission_s)[first]
        delivery = np.asarray(factors.delivery_steps)[first] * tpot
        return ttft + admission + delivery, tpot

    def _factors(self, positions: Sequence[Floats]) -> Factors:
        values: dict[tuple[str | None, str], Floats] = {}
        for slot, x in zip(SLOTS, positions, strict=True):
            scale = self._scales[slot.factor]
            value = scale.low * (scale.high / scale.low) ** (1 / (1 + np.exp(-x)))
            values[slot.family, slot.attribute or slot.factor] = value[self._cell_of_row]
        gemms: dict[str, Any] = {
            family: GemmFactors(*(values[family, a] for a in GEMM_FIELDS))
            for family in ("quantised", "plain", "expert")
        }
        singles: dict[str, Any] = {name: values[None, name] for name in SINGLE_FACTORS}
        return Factors(**gemms, **singles)

    def _concatenate(self, name: str) -> Floats:
        parts = []
        for sample in self.samples:
            value = np.asarray(getattr(sample.run.batch, name), dtype=float)
            parts.append(np.broadcast_to(value, sample.run.steps.shape))
        return np.concatenate(parts)


def _gather(loads: Sequence[Loads], index: NDArray[np.int64]) -> Loads:
    fields_of: dict[str, Any] = {}
    for f in fields(Loads):
        values = [getattr(load, f.name) for load in loads]
        if isinstance(values[0], Gemm):
            fields_of[f.name] = Gemm(
                *(
                    np.array([float(getattr(v, g.name)) for v in values])[index]
                    for g in fields(Gemm)
                )
            )
        else:
            fields_of[f.name] = np.array([float(v) for v in values])[index]
    return Loads(**fields_of)
