"""The fit of calibrated factors: regularised, robust, deterministic.

Minimised over the shifts ``t`` of every factor at every level of its hierarchy:

    sum over samples of w * rho(log(predicted / measured) / sigma)   (TPOT, and TTFT with less weight)
    + sum over shifts of (t / spread)**2                             (shrinkage toward the level above)

``rho`` is the smooth L1 loss. Steps are Levenberg-Marquardt on the log residuals; the Jacobian needs
one prediction per slot of ``Factors``, as a shift acts on a prediction only through the x of its slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.samples import SLOTS, Floats, Slot, Stack
from planner.performance.calibration_files import PriorsFile
from planner.performance.factors import Calibration
from planner.performance.shift_index import When
from planner.performance.traits import Traits


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How residuals are weighed; defaults of the shipped fit.

    sigma: log residual of a TPOT that counts as one unit; ttft_weight: weight of a TTFT residual
    relative to a TPOT residual; robust_at: residuals beyond this many units count linearly;
    base_spread, level_spread, pair_spread: multiples of a factor's prior spread for the shift common
    to all, of one level, of a pair of levels.
    """

    sigma: float = 0.3
    ttft_weight: float = 0.25
    robust_at: float = 2.0
    base_spread: float = 1.0
    level_spread: float = 0.8
    pair_spread: float = 0.5
    iterations: int = 200
    tolerance: float = 1e-5


@dataclass(frozen=True, slots=True)
class Parameter:
    """One shift: a factor at one level of its hierarchy (no level = common to all)."""

    factor: str
    when: When
    spread: float


@dataclass(frozen=True, slots=True)
class FitResult:
    """Shifts by parameter, their standard deviations, and what the fit predicts [s]."""

    parameters: tuple[Parameter, ...]
    shifts: Floats
    deviations: Floats
    cost: float


class Fit:
    """A fit over one stack of samples, reusable for any subset of them (cross-validation)."""

    def __init__(
        self,
        stack: Stack,
        calibration: Calibration,
        parameters: Mapping[str, Sequence[tuple[str, ...]]],
        spreads: Mapping[str, float],
        settings: FitSettings,
    ) -> None:
        self.stack, self.settings = stack, settings
        self.parameters: list[Parameter] = []
        self._index: dict[tuple[str, When], int] = {}
        columns = [
            [self._columns(slot, cell, parameters, spreads) for cell in stack.cells]
            for slot in SLOTS
        ]
        self._designs = [self._design(rows) for rows in columns]
        self._origins = [
            np.array(
                [calibration.position(slot.factor, levels_of(slot, cell)) for cell in stack.cells]
            )
            for slot in SLOTS
        ]
        self._spreads = np.array([p.spread for p in self.parameters])
        self._weights = np.array([sample.point.weight for sample in stack.samples])

    def run(
        self, keep: NDArray[np.bool_] | None = None, balance: Floats | None = None
    ) -> FitResult:
        """Fit the samples of ``keep`` (default all), each also weighted by ``balance``."""
        keep = np.ones(len(self.stack.samples), dtype=bool) if keep is None else keep
        weights = self._weights if balance is None else self._weights * balance
        weights = np.tile(weights[keep], 2)
        shifts = np.zeros(len(self.parameters))
        common = np.array([not parameter.when for parameter in self.parameters])
        for free in (common, np.ones_like(common)):
            shifts, cost, normal = self._descend(shifts, free, keep, weights)
        deviations = np.sqrt(np.diag(np.linalg.inv(normal)))
        return FitResult(tuple(self.parameters), shifts, deviations, cost)

    def _descend(
        self, shifts: Floats, free: NDArray[np.bool_], keep: NDArray[np.bool_], weights: Floats
    ) -> tuple[Floats, float, Floats]:
        """Levenberg-Marquardt over the free shifts; what is common is fitted before what differs."""
        cost = self._cost(shifts, keep, weights)
        precision = self._spreads[free] ** -2.0
        normal, damping = np.diag(precision), 1e-2
        for _ in range(self.settings.iterations):
            residuals, jacobian = self.linearise(shifts, keep)
            jacobian = jacobian[:, free]
            effective = weights / np.sqrt(1 + (residuals / self.settings.robust_at) ** 2)
            normal = jacobian.T @ (jacobian * effective[:, None]) + np.diag(precision)
            gradient = jacobian.T @ (residuals * effective) + shifts[free] * precision
            for _attempt in range(8):
                damped = normal + damping * np.diag(np.diag(normal))
                trial = shifts.copy()
                trial[free] += np.clip(-np.linalg.solve(damped, gradient), -1.0, 1.0)
                trial_cost = self._cost(trial, keep, weights)
                if trial_cost < cost:
                    break
                damping *= 4
            else:
                break
            damping = max(damping / 5, 1e-6)
            improved = cost - trial_cost
            shifts, cost = trial, trial_cost
            if improved < self.settings.tolerance * cost:
                break
        return shifts, cost, normal

    def predict(self, shifts: Floats) -> tuple[Floats, Floats]:
        """Return mean TTFT and TPOT [s] of every sample under ``shifts``."""
        return self.stack.predict(self._positions(shifts))

    def _positions(self, shifts: Floats) -> list[Floats]:
        pairs = zip(self._origins, self._designs, strict=True)
        return [origin + design @ shifts for origin, design in pairs]

    def _residuals(self, ttft: Floats, tpot: Floats, keep: NDArray[np.bool_]) -> Floats:
        s = self.settings
        late = np.log(ttft / self.stack.ttft_s)[keep] / s.sigma * s.ttft_weight
        late = np.nan_to_num(late)  # what was not measured counts as met
        return np.concatenate([np.log(tpot / self.stack.tpot_s)[keep] / s.sigma, late])

    def _cost(self, shifts: Floats, keep: NDArray[np.bool_], weights: Floats) -> float:
        residuals = self._residuals(*self.predict(shifts), keep)
        at = self.settings.robust_at
        loss = 2 * at**2 * (np.sqrt(1 + (residuals / at) ** 2) - 1)
        return float(weights @ loss + ((shifts / self._spreads) ** 2).sum())

    def linearise(self, shifts: Floats, keep: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return residuals of the kept samples (all TPOT, then all TTFT) and their Jacobian."""
        positions = self._positions(shifts)
        here = self._residuals(*self.stack.predict(positions), keep)
        cells = self.stack.cell_of_sample[keep]
        jacobian = np.zeros((len(here), len(shifts)))
        step = 1e-3
        for index, design in enumerate(self._designs):
            moved = list(positions)
            moved[index] = positions[index] + step
            slope = (self._residuals(*self.stack.predict(moved), keep) - here) / step
            jacobian += slope[:, None] * np.tile(design[cells], (2, 1))
        return here, jacobian

    def _columns(
        self,
        slot: Slot,
        cell: Traits,
        parameters: Mapping[str, Sequence[tuple[str, ...]]],
        spreads: Mapping[str, float],
    ) -> list[int]:
        levels = levels_of(slot, cell)
        columns = []
        for keys in parameters[slot.factor]:
            when = tuple(sorted((key, levels[key]) for key in keys))
            known = self._index.get((slot.factor, when))
            if known is None:
                known = self._index[slot.factor, when] = len(self.parameters)
                spread = spreads[slot.factor] * self._scope(len(keys))
                self.parameters.append(Parameter(slot.factor, when, spread))
            columns.append(known)
        return columns

    def _scope(self, keys: int) -> float:
        s = self.settings
        return (s.base_spread, s.level_spread, s.pair_spread)[min(keys, 2)]

    def _design(self, rows: list[list[int]]) -> Floats:
        design = np.zeros((len(rows), len(self.parameters)))
        for row, columns in enumerate(rows):
            design[row, columns] = 1.0
        return design


def levels_of(slot: Slot, cell: Traits) -> dict[str, str]:
    """Return the levels a slot's factor may depend on, with the format of its kernel family."""
    return cell.levels() | (cell.format_levels(slot.family) if slot.family else {})


def shipped_hierarchy(priors: PriorsFile) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return each factor's levels for the shipped fit: common to all, then as the priors say."""
    return {name: ((), *row.varies_by) for name, row in priors.factors.items()}


def balance(groups: Sequence[object], power: float = 1.0) -> Floats:
    """Return weights that let groups count equally: ``(median size / size) ** power``."""
    counts: dict[object, int] = {}
    for group in groups:
        counts[group] = counts.get(group, 0) + 1
    typical = float(np.median(list(counts.values())))
    return np.array([(typical / counts[group]) ** power for group in groups])
