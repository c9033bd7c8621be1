"""A person's own calibration: a few measurements shift the shipped factors of one engine and GPU.

Every factor may shift for the measured (engine, GPU), those of matrix products for a weight format as
well. Shrinkage holds what the points say nothing about at the shipped value, so a handful is enough.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from planner.accuracy.conditions import faster_than_possible, setup_of
from planner.accuracy.fitting import Fit, FitSettings, Parameter
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.accuracy.samples import Floats, Sample, Stack, samples_of
from planner.accuracy.shipped import carrier_rows
from planner.catalog.store import Catalog
from planner.errors import InputError, PlannerError, in_one_line
from planner.performance.calibration_files import (
    FactorProvenance,
    FittedFile,
    ResidualTable,
    ShiftRow,
)
from planner.performance.factors import DENSE_FACTORS, EXPERT_FACTORS, Calibration, Residuals

SETTINGS = FitSettings(sigma=0.08, level_spread=1.0, pair_spread=1.0, tolerance=2e-4)
SPREAD = 0.8
LEARNED_BELOW = 0.8
FEWEST_FOR_RESIDUALS = 8
CANDIDATE_CONCURRENCIES = (1, 8, 32, 128)
CANDIDATE_LENGTHS = ((1024, 1024), (1024, 128), (8192, 1024))


@dataclass(frozen=True, slots=True)
class Learned:
    """One factor at one level: its value before and after, and how much the points say about it.

    certainty: 1 - (deviation after / deviation before); 0 = nothing learned.
    """

    parameter: Parameter
    before: float
    after: float
    certainty: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A measurement worth making next: it cuts the mean variance of log TPOT by ``gain`` (0 to 1)."""

    point: MeasuredPoint
    gain: float


@dataclass(frozen=True, slots=True)
class OwnFit:
    """The file to write, and what there is to say about it; errors are mean absolute TPOT shares."""

    file: FittedFile
    samples: tuple[Sample, ...]
    failures: tuple[tuple[MeasuredPoint, str], ...]
    learned: tuple[Learned, ...]
    unlearned: tuple[Learned, ...]
    error_before: float
    error_after: float
    next_measurements: tuple[Suggestion, ...]


def fit_own(
    points: Sequence[MeasuredPoint], catalog: Catalog, calibration: Calibration, fitted_on: str
) -> OwnFit:
    """Fit a person's points over ``calibration``; those faster than physically possible are left out.

    Raises InputError when no point can be simulated.
    """
    impossible = _impossible(points, catalog, calibration)
    possible = [point for point in points if all(point is not one for one, _ in impossible)]
    samples, unusable = samples_of(possible, catalog, calibration)
    failures = [*impossible, *unusable]
    if not samples:
        raise InputError(
            "none of the points can be used",
            found=f"{len(failures)} of {len(points)} rejected" if points else "no points",
            allowed="models, GPUs, engines and formats of the catalog",
            action=f"the first: {in_one_line(failures[0][1])}" if failures else None,
        )
    candidates, _ = samples_of(_candidates(points), catalog, calibration)
    everything = [*samples, *candidates]
    measured = np.arange(len(everything)) < len(samples)
    fit = _fit(everything, calibration)
    before = _tpot_error(fit, np.zeros(len(fit.parameters)), samples)
    result = fit.run(measured)
    learned, unlearned = _text(fit, result.shifts, result.deviations, samples, calibration)
    return OwnFit(
        file=_file(fit, result.shifts, result.deviations, samples, fitted_on),
        samples=tuple(samples),
        failures=tuple(failures),
        learned=learned,
        unlearned=unlearned,
        error_before=before,
        error_after=_tpot_error(fit, result.shifts, samples),
        next_measurements=_next(fit, result.shifts, measured, everything),
    )


def _impossible(
    points: Sequence[MeasuredPoint], catalog: Catalog, calibration: Calibration
) -> list[tuple[MeasuredPoint, str]]:
    """Points faster than their GPUs could be; what else is wrong with one is found as it is simulated."""
    found = []
    for point in points:
        with suppress(PlannerError):
            deployment = setup_of(point, catalog, calibration).deployment
            if reason := faster_than_possible(point, deployment):
                found.append((point, reason))
    return found


def _fit(samples: Sequence[Sample], calibration: Calibration) -> Fit:
    own = ("engine", "gpu")
    products = (*DENSE_FACTORS, *EXPERT_FACTORS)
    levels: dict[str, tuple[tuple[str, ...], ...]] = dict.fromkeys(calibration.scales, (own,))
    levels |= dict.fromkeys(products, ((*own, "format"),))
    spreads = dict.fromkeys(calibration.scales, SPREAD)
    return Fit(Stack(samples, calibration), calibration, levels, spreads, SETTINGS)


def _text(
    fit: Fit,
    shifts: Floats,
    deviations: Floats,
    samples: Sequence[Sample],
    calibration: Calibration,
) -> tuple[tuple[Learned, ...], tuple[Learned, ...]]:
    """Split the parameters by whether the points say anything about them."""
    levels = {
        (sample.traits.engine, sample.traits.gpu): sample.traits.levels() for sample in samples
    }
    learned: list[Learned] = []
    unlearned: list[Learned] = []
    for parameter, shift, deviation in zip(fit.parameters, shifts, deviations, strict=True):
        when = dict(parameter.when)
        known = levels[when["engine"], when["gpu"]] | when
        x = calibration.position(parameter.factor, known)
        scale = calibration.scales[parameter.factor]
        row = Learned(
            parameter,
            scale.value(x),
            scale.value(x + float(shift)),
            1 - min(float(deviation) / parameter.spread, 1.0),
        )
        (learned if row.certainty > 1 - LEARNED_BELOW else unlearned).append(row)
    learned.sort(key=lambda row: -row.certainty)
    return tuple(learned), tuple(unlearned)


def _file(
    fit: Fit, shifts: Floats, deviations: Floats, samples: Sequence[Sample], fitted_on: str
) -> FittedFile:
    rows = tuple(
        ShiftRow(
            factor=parameter.factor,
            when=dict(parameter.when),
            shift=round(float(shift), 4),
            deviation=round(float(deviation), 3),
        )
        for parameter, shift, deviation in zip(fit.parameters, shifts, deviations, strict=True)
        if abs(shift) >= 1e-3
    )
    digest = hashlib.sha256(repr([sample.point for sample in samples]).encode()).hexdigest()
    return FittedFile(
        schema_version=1,
        provenance=FactorProvenance.model_validate(
            {
                "source": "planner calibrate, over the shipped factors",
                "fitted_on": fitted_on,
                "points": len(samples),
                "data_sha256": digest,
            }
        ),
        shifts=rows,
        carriers=carrier_rows(samples),
        residuals=_residuals(fit, shifts, samples),
    )


def _residuals(fit: Fit, shifts: Floats, samples: Sequence[Sample]) -> ResidualTable | None:
    """Quantiles of a person's own residuals, when there are enough points for them."""
    count = len(samples)
    if count < FEWEST_FOR_RESIDUALS:
        return None
    ttft, tpot = fit.predict(shifts)
    levels = Residuals().levels
    widen = ((count + 1) / (count - 1)) ** 0.5
    kinds = {
        "tpot": np.log([s.tpot_s for s in samples] / tpot[:count]),
        "ttft": np.log([s.ttft_s for s in samples] / ttft[:count]),
    }
    table = {
        kind: tuple(round(float(q) * widen, 4) for q in np.nanquantile(values, levels))
        for kind, values in kinds.items()
        if not np.isnan(values).all()
    }
    return ResidualTable(levels=levels, quantiles={"own": table})


def _candidates(points: Sequence[MeasuredPoint]) -> list[MeasuredPoint]:
    """Measurements a person could add: each deployment at a few concurrencies and lengths."""
    deployments = {
        replace(
            p,
            prompt_tokens=1,
            output_tokens=2,
            concurrency=1,
            ttft_ms=1.0,
            tpot_ms=1.0,
            weight=1.0,
            engine_version="",
            measured_on="",
            source="",
            others=(),
            load=LoadKind.CLOSED,
            rate_qps=0.0,
            requests=0,
            length_spread=None,
            mean_lengths=False,
            lengths=None,
        )
        for p in points
    }
    return [
        replace(deployment, concurrency=c, prompt_tokens=p, output_tokens=o)
        for deployment in sorted(deployments, key=repr)[:4]
        for c, (p, o) in itertools.product(CANDIDATE_CONCURRENCIES, CANDIDATE_LENGTHS)
    ]


def _next(
    fit: Fit, shifts: Floats, measured: np.ndarray, samples: Sequence[Sample], count: int = 3
) -> tuple[Suggestion, ...]:
    """Rank candidates by how much each would cut the mean variance of log TPOT over all of them.

    With covariance S of the shifts and rows g of the Jacobian (units of sigma), measuring i takes
    ``(g_j S g_i)**2 / (1 + g_i S g_i)`` off the variance of j.
    """
    _, text = fit.linearise(shifts, measured)
    _, offered = fit.linearise(shifts, ~measured)
    covariance = np.linalg.inv(text.T @ text + np.diag([p.spread**-2.0 for p in fit.parameters]))
    tpot = offered[: len(offered) // 2]
    joint = tpot @ covariance @ tpot.T
    variance = np.diag(joint)
    gains = (joint**2).sum(axis=0) / (1 + variance) / variance.sum()
    candidates = [sample.point for sample, done in zip(samples, measured, strict=True) if not done]
    order = np.argsort(-gains, kind="stable")[:count]
    return tuple(Suggestion(candidates[i], float(gains[i])) for i in order)


def _tpot_error(fit: Fit, shifts: Floats, samples: Sequence[Sample]) -> float:
    _, tpot = fit.predict(shifts)
    measured = np.array([sample.tpot_s for sample in samples])
    return float(np.abs(tpot[: len(samples)] / measured - 1).mean())
