"""The shipped correction over measured kernels: its tables, its errors on left-out models, its file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.kernels.fit import KernelFit, LeftOutKernels, leave_models_out
from planner.accuracy.kernels.samples import KernelSample, kernel_samples, measured
from planner.accuracy.metrics import equal_groups, weighted_quantiles
from planner.accuracy.points import read_points
from planner.accuracy.samples import Floats
from planner.catalog.store import Catalog
from planner.errors import CatalogError
from planner.performance.calibration_files import FactorProvenance, ResidualTable, read_priors
from planner.performance.factors import Residuals, assemble
from planner.performance.kernels.correction import KernelFitted, read_kernel_priors

TABLES = ("serving_points.csv", "percentile_points.csv")
TRUSTED_WEIGHT = 0.5
TTFT_SHARE, TTFT_S = 0.3, 0.05


@dataclass(frozen=True)
class KernelsDone:
    """The fit, what it predicts in sample, and what fits without a model's family predict [s]."""

    fit: KernelFit
    shifts: Floats
    tpot_s: Floats
    ttft_s: Floats
    left_out: LeftOutKernels
    data_sha256: str

    @property
    def samples(self) -> list[KernelSample]:
        return self.fit.samples

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """Samples whose measurement is not doubted; errors are taken over these."""
        return np.array([s.point.weight > TRUSTED_WEIGHT for s in self.samples])


def fit_kernels(catalog: Catalog) -> KernelsDone:
    """Fit the shipped tables and leave every family of models out once; takes half a minute."""
    folder = catalog.root / "calibration"
    calibration = assemble(read_priors(folder / "priors.yaml"), [])
    points = [p for name in TABLES for p in read_points(folder / name, CatalogError).points]
    fit = KernelFit(kernel_samples(points, catalog, calibration), read_kernel_priors(folder))
    shifts = fit.run()
    tpot, ttft = fit.predict(shifts)
    names = {sample.model_name for sample in fit.samples}
    left_out = leave_models_out(fit, families(catalog, names))
    return KernelsDone(fit, shifts, tpot, ttft, left_out, digest_of(folder))


def families(catalog: Catalog, names: set[str]) -> dict[str, str]:
    """Model name to its family: models with the same layers are relatives of one another."""
    known: dict[object, str] = {}
    found = {}
    for name in sorted(names):
        model = catalog.model(name)
        shape = (model.hidden_size, len(model.layers), model.layers[-1].mixer, model.layers[-1].mlp)
        found[name] = known.setdefault(shape, name)
    return found


def kernel_errors(done: KernelsDone) -> dict[str, float]:
    """Errors as shares of one: TPOT, TTFT and throughput, in sample and on left-out models."""
    shares: dict[str, float] = {}
    for where, tpot, ttft in (
        ("in_sample", done.tpot_s, done.ttft_s),
        ("left_out_models", done.left_out.tpot_s, done.left_out.ttft_s),
    ):
        for name, off in _errors(done, tpot, ttft).items():
            shares[f"{name}_{where}_mean"] = float(off.mean())
            shares[f"{name}_{where}_median"] = float(np.median(off))
        known, late = _known_ttft(done), measured(done.samples)[1]
        near = np.abs(ttft - late)[known] <= np.maximum(TTFT_SHARE * late[known], TTFT_S)
        shares[f"ttft_{where}_near"] = float(near.mean())
    return shares


def fitted_kernels(done: KernelsDone, fitted_on: str) -> KernelFitted:
    """The document to ship."""
    provenance = {
        "source": "least squares on catalogs/calibration/"
        + ", ".join(TABLES)
        + ", over kernel_priors.yaml",
        "fitted_on": fitted_on,
        "points": len(done.samples),
        "data_sha256": done.data_sha256,
        "errors": {name: round(value, 4) for name, value in kernel_errors(done).items()},
    }
    return KernelFitted(
        schema_version=1,
        provenance=FactorProvenance.model_validate(provenance),
        shifts=done.fit.rows(done.shifts),
        residuals=kernel_residuals(done),
    )


def kernel_residuals(done: KernelsDone) -> ResidualTable:
    """Quantiles of log(measured / predicted) on left-out models, every group of runs having equal weight."""
    levels = Residuals().levels
    tpot, ttft = measured(done.samples)
    weights = group_weights(done.samples)
    kinds = {}
    for kind, known, wanted, predicted in (
        ("tpot", done.trusted, tpot, done.left_out.tpot_s),
        ("ttft", _known_ttft(done), ttft, done.left_out.ttft_s),
    ):
        off = np.log(wanted[known] / predicted[known])
        quantiles = weighted_quantiles(off, weights[known], levels)
        kinds[kind] = tuple(round(float(q), 4) for q in quantiles)
    return ResidualTable(levels=levels, quantiles={"kernels": kinds})


def group_weights(samples: list[KernelSample]) -> Floats:
    """Weights under which every group of runs counts equally."""
    return equal_groups([sample.point.group for sample in samples])


def _known_ttft(done: KernelsDone) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = done.trusted & ~np.isnan(measured(done.samples)[1])
    return known


def _errors(done: KernelsDone, tpot: Floats, ttft: Floats) -> dict[str, Floats]:
    both = _known_ttft(done)
    measured_tpot, measured_ttft = measured(done.samples)
    rates = [
        s.point.tokens_per_s_per_gpu(b * 1e3, a * 1e3)
        / s.point.tokens_per_s_per_gpu(s.ttft_s * 1e3, s.tpot_s * 1e3)
        for s, a, b in zip(done.samples, tpot, ttft, strict=True)
    ]
    return {
        "tpot": np.abs(tpot / measured_tpot - 1)[done.trusted],
        "ttft": np.abs(ttft / measured_ttft - 1)[both],
        "throughput": np.abs(np.array(rates) - 1)[both],
    }


def digest_of(folder: Path, tables: Sequence[str] = TABLES) -> str:
    """The hash of the tables a correction is fitted to."""
    digest = hashlib.sha256()
    for name in tables:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
