"""The fit of the correction over measured kernels, and its errors on models left out.

Minimised over the shifts t of every term at every level:

    sum over samples of w * rho(log(predicted / measured) / sigma)   (TPOT and TTFT)
    + sum over shifts of (t / spread)**2

Every group of runs (model, GPU, engine, weights) weighs as much as half a run at ``sigma``: runs of one
group err together, and what a fit may learn from them is one thing. A prediction is linear in the terms'
values, so a step of the descent costs one matrix product per distinct set of levels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.kernels.samples import KernelSample, measured
from planner.accuracy.samples import Floats
from planner.performance.calibration_files import ShiftRow
from planner.performance.kernels.correction import TERMS, KernelPriors, levels_of
from planner.performance.shift_index import When

STEP_TERMS = len(TERMS) - 2
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KernelFitSettings:
    """sigma: log residual that counts as one. ttft_weight: of a TTFT residual against a TPOT's.
    robust_at: residuals beyond this many units count linearly. group_weight: units of all runs of one
    group together."""

    sigma: float = 0.1
    ttft_weight: float = 0.6
    robust_at: float = 2.0
    group_weight: float = 0.5
    iterations: int = 25
    tolerance: float = 1e-4


class KernelFit:
    """A fit over samples, reusable for any subset of them."""

    def __init__(
        self,
        samples: Sequence[KernelSample],
        priors: KernelPriors,
        settings: KernelFitSettings | None = None,
    ) -> None:
        self.samples, self.settings = list(samples), settings or KernelFitSettings()
        self.keys: list[tuple[str, When]] = []
        self._tpot, self._ttft = measured(self.samples)
        self._a = np.array([s.tpot_parts for s in self.samples])
        self._b = np.array([s.ttft_parts for s in self.samples])
        self._burst = np.array([s.burst_s for s in self.samples])
        index: dict[tuple[str, When], int] = {}
        spreads: list[float] = []
        rows = []
        for sample in self.samples:
            row: list[tuple[int, int]] = []
            for term, name in enumerate(TERMS):
                levels = levels_of(name, sample.traits, sample.release)
                for level in priors.terms[name].levels:
                    when = tuple(sorted((key, levels[key]) for key in level.by))
                    if (name, when) not in index:
                        index[name, when] = len(spreads)
                        spreads.append(level.spread)
                        self.keys.append((name, when))
                    row.append((term, index[name, when]))
            rows.append(tuple(row))
        cells = {key: i for i, key in enumerate(dict.fromkeys(rows))}
        self._cell: Ints = np.array([cells[key] for key in rows])
        self._spreads = np.array(spreads)
        self._design = np.zeros((len(cells), len(TERMS), len(spreads)))
        for key, cell in cells.items():
            for term, column in key:
                self._design[cell, term, column] += 1.0
        self._origin = np.log([priors.terms[name].value for name in TERMS])
        sizes = Counter(sample.point.group for sample in self.samples)
        self.weights = np.array([s.point.weight / sizes[s.point.group] for s in self.samples])

    def predict(self, shifts: Floats, rows: Ints | None = None) -> tuple[Floats, Floats]:
        """TPOT and TTFT [s] of the samples (of ``rows``) under ``shifts``."""
        rows = np.arange(len(self.samples)) if rows is None else rows
        values = np.exp(self._origin + self._design @ shifts)[self._cell[rows]]
        tpot = (values[:, :STEP_TERMS] * self._a[rows]).sum(axis=1)
        ttft = (values[:, :STEP_TERMS] * self._b[rows]).sum(axis=1)
        return tpot, ttft + self._burst[rows] + values[:, -2] + values[:, -1] * tpot

    def run(self, keep: NDArray[np.bool_] | None = None) -> Floats:
        """Fit the samples of ``keep`` (default all) and return the shifts."""
        s = self.settings
        rows = np.flatnonzero(np.ones(len(self.samples), bool) if keep is None else keep)
        weights = np.tile(self.weights[rows] * s.group_weight, 2)
        shifts, precision, damping = np.zeros(len(self._spreads)), self._spreads**-2.0, 1e-3
        cost = self._cost(shifts, rows, weights)
        for _ in range(s.iterations):
            residuals, jacobian = self._linearise(shifts, rows)
            effective = weights / np.sqrt(1 + (residuals / s.robust_at) ** 2)
            normal = jacobian.T @ (jacobian * effective[:, None]) + np.diag(precision)
            gradient = jacobian.T @ (residuals * effective) + shifts * precision
            for _attempt in range(6):
                damped = normal + damping * np.diag(np.diag(normal))
                trial = shifts + np.clip(-np.linalg.solve(damped, gradient), -1.0, 1.0)
                trial_cost = self._cost(trial, rows, weights)
                if trial_cost < cost:
                    break
                damping *= 8
            else:
                break
            damping = max(damping / 8, 1e-8)
            improved, shifts, cost = cost - trial_cost, trial, trial_cost
            if improved < s.tolerance * cost:
                break
        return shifts

    def rows(self, shifts: Floats, smallest: float = 1e-3) -> tuple[ShiftRow, ...]:
        """The shifts as rows of a fitted file."""
        found = [
            ShiftRow(factor=name, when=dict(when), shift=round(float(shift), 4))
            for (name, when), shift in zip(self.keys, shifts, strict=True)
            if abs(shift) >= smallest
        ]
        return tuple(sorted(found, key=lambda row: (TERMS.index(row.factor), repr(row.when))))

    def _residuals(self, tpot: Floats, ttft: Floats, rows: Ints) -> Floats:
        s = self.settings
        late = np.nan_to_num(np.log(ttft / self._ttft[rows])) * s.ttft_weight
        return np.concatenate([np.log(tpot / self._tpot[rows]), late]) / s.sigma

    def _cost(self, shifts: Floats, rows: Ints, weights: Floats) -> float:
        residuals, at = self._residuals(*self.predict(shifts, rows), rows), self.settings.robust_at
        loss = 2 * at**2 * (np.sqrt(1 + (residuals / at) ** 2) - 1)
        return float(weights @ loss + ((shifts / self._spreads) ** 2).sum())

    def _linearise(self, shifts: Floats, rows: Ints) -> tuple[Floats, Floats]:
        s = self.settings
        tpot, ttft = self.predict(shifts, rows)
        values = np.exp(self._origin + self._design @ shifts)
        first, late = np.zeros((2, len(rows), len(shifts)))
        cells = self._cell[rows]
        for cell in np.unique(cells):
            at = np.flatnonzero(cells == cell)
            design, value = self._design[cell], values[cell]
            each = (self._a[rows[at]] * value[:STEP_TERMS]) @ design[:STEP_TERMS]
            first[at] = each / tpot[at, None]
            total = (self._b[rows[at]] * value[:STEP_TERMS]) @ design[:STEP_TERMS]
            total += value[-2] * design[-2] + value[-1] * (tpot[at, None] * design[-1] + each)
            late[at] = total / ttft[at, None]
        late[np.isnan(self._ttft[rows])] = 0.0
        jacobian = np.concatenate([first, late * s.ttft_weight]) / s.sigma
        return self._residuals(tpot, ttft, rows), jacobian


@dataclass(frozen=True, slots=True)
class LeftOutKernels:
    """Predictions [s] of every sample by fits that had seen nothing of its model."""

    tpot_s: Floats
    ttft_s: Floats


def leave_models_out(fit: KernelFit, relatives: dict[str, str]) -> LeftOutKernels:
    """Leave each family of models out once, on every engine, GPU and format, and predict it.

    relatives: model name to the name its family goes by; others are families of their own.
    """
    return leave_groups_out(fit, [relatives.get(s.model_name, s.model_name) for s in fit.samples])


def leave_groups_out(fit: KernelFit, groups: Sequence[str]) -> LeftOutKernels:
    """Leave each group of samples out once and predict it. groups: that of each sample."""
    names = np.array(groups)
    tpot, ttft = np.zeros(len(names)), np.zeros(len(names))
    for name in sorted(set(groups)):
        out = names == name
        tpot[out], ttft[out] = fit.predict(fit.run(~out), np.flatnonzero(out))
    return LeftOutKernels(tpot, ttft)
