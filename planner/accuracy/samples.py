"""Measured points made ready for a fit: loads, traits and simulated runs, stacked into arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.conditions import setup_of
from planner.accuracy.measures import Measure
from planner.accuracy.playback import ROWS_FOR_FITS, Playback
from planner.accuracy.point import LoadKind, MeasuredPoint
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
from planner.serving.simulation.closed_loop import ClosedLoopRun

Floats = NDArray[np.float64]
_SPANS = {Measure("makespan_s"), Measure("output_tokens_per_s")}
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

    point: MeasuredPoint
    model_name: str
    traits: Traits
    loads: Loads
    run: ClosedLoopRun
    first_burst_s: float = 0.0

    @property
    def ttft_s(self) -> float:
        """TTFT as measured [s]: the median in the steady state, else the mean; nan without either."""
        median = self.point.measures.get(Measure("ttft", 50.0))
        return median if median is not None and self.steady else self.point.ttft_ms / 1e3

    @property
    def burst_s(self) -> float:
        """What requests sent to a server that has just begun add to ``ttft_s`` [s]."""
        return 0.0 if self.steady else self.run.first_share * self.first_burst_s

    @property
    def steady(self) -> bool:
        """Whether ``ttft_s`` is of the requests that an answer released alone."""
        return Measure("ttft", 50.0) in self.point.measures and len(self.run.steady_weight) > 0

    @property
    def ttft_weight(self) -> Floats:
        """How often each row's step time enters what ``ttft_s`` measures."""
        return self.run.steady_weight if self.steady else self.run.ttft_weight

    @property
    def tpot_s(self) -> float:
        """What the fit is to meet [s]: mean TPOT, else its median, else the makespan of the run."""
        measure = self.point.typical("tpot")
        return self.makespan_s if measure is None else self.point.measures[measure]

    @property
    def makespan_s(self) -> float:
        """From the first request to the last answer [s]; nan where it was not recorded."""
        known = self.point.measures
        rate = known.get(Measure("output_tokens_per_s"), math.nan)
        return known.get(Measure("makespan_s"), self.run.output_tokens / rate)

    @property
    def weights(self) -> Floats:
        """How often each row's step time enters what ``tpot_s`` measures."""
        return self.run.steps if self.point.typical("tpot") is None else self.run.tpot_weight


def samples_of(
    points: Sequence[MeasuredPoint], catalog: Catalog, calibration: Calibration
) -> tuple[list[Sample], list[tuple[MeasuredPoint, str]]]:
    """Return a sample of each point that can be simulated, and the others with the reason.

    An open loop represents the closed loop with as many requests in flight, TPOT alone.
    """
    playback = Playback(ROWS_FOR_FITS)
    samples, failures = [], []
    for point in points:
        if point.typical("tpot") is None and not _SPANS & set(point.measures):
            failures.append((point, "neither a TPOT nor the time of the whole run was measured"))
            continue
        try:
            setup = setup_of(point, catalog, calibration)
            simulated = as_closed_loop(point)
            run = playback.run(setup, simulated)
        except PlannerError as problem:
            failures.append((point, str(problem)))
            continue
        deployment = setup.deployment
        traits = calibration.traits(deployment)
        samples.append(
            Sample(
                simulated,
                deployment.model.name,
                traits,
                loads_of(deployment),
                run,
                setup.first_burst_s,
            )
        )
    return samples, failures


def as_closed_loop(point: MeasuredPoint) -> MeasuredPoint:
    """An open loop's equivalent for TPOT: in flight are rate x mean stay (Little's law), as measured."""
    if point.load is not LoadKind.OPEN:
        return point
    known, tpot, ttft = point.measures, point.typical("tpot"), point.typical("ttft")
    decoding = known[tpot] * (point.output_tokens - 1) if tpot is not None else 0.0
    stay = decoding + (known[ttft] if ttft is not None else 0.0)
    in_flight = max(1, round(point.rate_qps * stay))
    return replace(
        point, load=LoadKind.CLOSED, rate_qps=0.0, concurrency=in_flight, ttft_ms=math.nan
    )


class Stack:
    """Samples as arrays: one row per distinct step of each, one cell per distinct traits."""

    def __init__(self, samples: Sequence[Sample], calibration: Calibration) -> None:
        self.samples = list(samples)
        self._scales = calibration.scales
        rows = [len(sample.run.steps) for sample in samples]
        self.sample_of_row = np.repeat(np.arange(len(samples)), rows)
        self._starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
        self._batch = StepBatch(*(self._concatenate(f.name) for f in fields(StepBatch)))
        self._ttft_weight = np.concatenate([sample.ttft_weight for sample in samples])
        self._tpot_weight = np.concatenate([sample.weights for sample in samples])
        self._loads = _gather([sample.loads for sample in samples], self.sample_of_row)
        cells = {repr(sample.traits): sample.traits for sample in samples}
        self.cells: list[Traits] = [cells[name] for name in sorted(cells)]
        index = {name: i for i, name in enumerate(sorted(cells))}
        self.cell_of_sample = np.array([index[repr(sample.traits)] for sample in samples])
        self._cell_of_row = self.cell_of_sample[self.sample_of_row]
        self.ttft_s = np.array([sample.ttft_s for sample in samples])
        self.tpot_s = np.array([sample.tpot_s for sample in samples])
        self._burst_s = np.array([sample.burst_s for sample in samples])

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
        return ttft + self._burst_s + admission + delivery, tpot

    def _factors(self, positions: Sequence[Floats]) -> Factors:
        values: dict[tuple[str | None, str], Floats] = {}
        for slot, x in zip(SLOTS, positions, strict=True):
            scale = self._scales[slot.factor]
            value = scale.low * (scale.high / scale.low) ** (1 / (1 + np.exp(-x)))
            values[slot.family, slot.attribute or slot.factor] = value[self._cell_of_row]

        def gemm(family: str) -> GemmFactors:
            return GemmFactors(*(values[family, a] for a in GEMM_FIELDS))

        singles = {name: values[None, name] for name in SINGLE_FACTORS}
        return Factors(
            quantised=gemm("quantised"), plain=gemm("plain"), expert=gemm("expert"), **singles
        )

    def _concatenate(self, name: str) -> Floats:
        parts = []
        for sample in self.samples:
            value = np.asarray(getattr(sample.run.batch, name), dtype=float)
            parts.append(np.broadcast_to(value, sample.run.steps.shape))
        return np.concatenate(parts)


def _gather(loads: Sequence[Loads], index: NDArray[np.int64]) -> Loads:
    # arrays represent all samples at once where a Loads has a number: no type says both
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
