"""The shipped calibration: fitted from the project's own tables, with its errors beside it.

``planner calibrate --shipped`` runs this and writes ``catalogs/calibration/fitted.json``; the same
tables give the same file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.cross_validation import (
    LeftOutErrors,
    cross_validate,
    engine_and_generation,
    model_and_gpu,
)
from planner.accuracy.fitting import Fit, FitResult, FitSettings, balance, shipped_hierarchy
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.samples import Floats, Sample, Stack, samples_of
from planner.catalog.store import Catalog
from planner.errors import CatalogError
from planner.performance.calibration_files import (
    CarrierRow,
    FactorProvenance,
    FittedFile,
    ResidualTable,
    ShiftRow,
    TraitsRow,
    read_priors,
)
from planner.performance.factors import Calibration, Residuals, assemble

SMALLEST_SHIFT = 1e-3
TABLE = "serving_points.csv"
DOUBTED = (
    0.1  # weight up to which times contradict the recorded layout or load: such runs are not fitted
)


@dataclass(frozen=True, slots=True)
class ShippedFit:
    """The fit, what it predicts in sample, and what fits that had not seen a group predict [s]."""

    samples: tuple[Sample, ...]
    result: FitResult
    ttft_s: Floats
    tpot_s: Floats
    left_out: LeftOutErrors
    far: LeftOutErrors

    @property
    def known(self) -> NDArray[np.bool_]:
        """Samples whose engine, format and kernel family other groups carry as well."""
        return ~(self.left_out.sole_format | self.left_out.sole_kernel)


def fit_shipped(catalog: Catalog, settings: FitSettings | None = None) -> ShippedFit:
    """Fit the shipped table and cross-validate; takes minutes.

    Runs of ``DOUBTED`` weight are left out: groups weigh alike, so that a lone one would count as a sweep.
    So are runs with speculative decoding, whose tokens a step nobody recorded.
    Raises CatalogError when a row of the table cannot be used.
    """
    folder = catalog.root / "calibration"
    priors = read_priors(folder / "priors.yaml")
    calibration = assemble(priors, [])
    samples = _samples(folder / TABLE, catalog, calibration)
    stack = Stack(samples, calibration)
    spreads = {name: row.spread for name, row in priors.factors.items()}
    fit = Fit(stack, calibration, shipped_hierarchy(priors), spreads, settings or FitSettings())
    weights = balance([sample.point.group for sample in samples])
    result = fit.run(balance=weights)
    ttft, tpot = fit.predict(result.shifts)
    left_out = cross_validate(fit, samples, model_and_gpu, weights)
    far = cross_validate(fit, samples, engine_and_generation, weights)
    return ShippedFit(tuple(samples), result, ttft, tpot, left_out, far)


def fitted_file(done: ShippedFit, catalog: Catalog, fitted_on: str) -> FittedFile:
    """Return the document to ship."""
    table = catalog.root / "calibration" / TABLE
    shifts = [
        ShiftRow(
            factor=parameter.factor,
            when=dict(parameter.when),
            shift=round(float(shift), 4),
            deviation=round(float(deviation), 3),
        )
        for parameter, shift, deviation in zip(
            done.result.parameters, done.result.shifts, done.result.deviations, strict=True
        )
        if abs(shift) >= SMALLEST_SHIFT
    ]
    provenance = FactorProvenance.model_validate(
        {
            "source": f"least squares on catalogs/calibration/{TABLE}, over priors.yaml",
            "fitted_on": fitted_on,
            "points": len(done.samples),
            "data_sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
            "errors": {name: round(value, 4) for name, value in errors_of_fit(done).items()},
        }
    )
    return FittedFile(
        schema_version=1,
        provenance=provenance,
        shifts=tuple(sorted(shifts, key=lambda row: (row.factor, sorted(row.when.items())))),
        carriers=carrier_rows(done.samples),
        residuals=residual_table(done),
    )


def carrier_rows(samples: Sequence[Sample]) -> tuple[CarrierRow, ...]:
    """Return the distinct models and traits behind the samples, with the most requests in flight of each."""
    most: dict[tuple[str, tuple[tuple[str, str], ...], str], int] = {}
    for sample in samples:
        levels = tuple(sorted(sample.traits.as_dict().items()))
        carrier = (sample.model_name, levels, sample.traits.indexer)
        running = round(float(np.max(sample.run.batch.decode_sequences)))
        most[carrier] = max(most.get(carrier, 1), running)
    return tuple(
        CarrierRow(
            model=model, traits=TraitsRow(**dict(levels), indexer=indexer), in_flight=running
        )
        for (model, levels, indexer), running in sorted(most.items())
    )


def errors_of_fit(done: ShippedFit) -> dict[str, float]:
    """Return the headline errors as shares of one."""
    measured = np.array([sample.tpot_s for sample in done.samples])
    known, sole = done.known, ~done.known
    shares: dict[str, float] = {}
    for name, predicted, chosen in (
        ("tpot_in_sample", done.tpot_s, np.ones_like(known)),
        ("tpot_left_out_known", done.left_out.tpot_s, known),
        ("tpot_left_out_sole", done.left_out.tpot_s, sole),
        ("tpot_left_out_engine_generation", done.far.tpot_s, np.ones_like(known)),
    ):
        off = np.abs(predicted[chosen] / measured[chosen] - 1)
        shares[f"{name}_mean"] = float(off.mean())
        shares[f"{name}_median"] = float(np.median(off))
    return shares


def residual_table(done: ShippedFit) -> ResidualTable:
    """Return the residual quantiles by distance from the data (see ``factors.Residuals``)."""
    levels = Residuals().levels
    tpot = np.array([sample.tpot_s for sample in done.samples])
    ttft = np.array([sample.ttft_s for sample in done.samples])
    known, everything = done.known, np.ones(len(tpot), dtype=bool)
    quantiles = {}
    for distance, predicted_ttft, predicted_tpot, chosen in (
        ("fitted", done.ttft_s, done.tpot_s, everything),
        ("calibrated", done.left_out.ttft_s, done.left_out.tpot_s, known),
        ("relative", done.left_out.ttft_s, done.left_out.tpot_s, everything),
        ("distant", done.far.ttft_s, done.far.tpot_s, everything),
    ):
        quantiles[distance] = {
            kind: tuple(
                round(float(q), 4)
                for q in np.quantile(np.log(measured / predicted)[chosen], levels)
            )
            for kind, measured, predicted in (
                ("tpot", tpot, predicted_tpot),
                ("ttft", ttft, predicted_ttft),
            )
        }
    return ResidualTable(levels=levels, quantiles=quantiles)


def undoubted(points: Sequence[MeasuredPoint]) -> list[MeasuredPoint]:
    """Runs whose times do not contradict what was recorded of their layout and load."""
    return [point for point in points if point.weight > DOUBTED]


def _samples(path: Path, catalog: Catalog, calibration: Calibration) -> list[Sample]:
    table = read_points(path, CatalogError)
    bad = next((row for row in table.rows if row.error), None)
    if bad is not None:
        raise CatalogError(bad.error or "bad row", where=f"{path}:{bad.line}")
    points = [point for point in undoubted(table.points) if not point.speculative]
    samples, failures = samples_of(points, catalog, calibration)
    if failures:
        raise CatalogError(
            "a measured row cannot be simulated", where=str(path), found=failures[0][1]
        )
    return samples
