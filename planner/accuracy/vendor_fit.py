"""Layers of shifts for one vendor's devices, fitted over the shipped factors.

Devices of another vendor share little with the measurements behind ``fitted.json``: their kernels are
others'. Every shift of a layer names the vendor, a generation or a device, so that predictions
for all other devices stay as they are; what no run of the vendor speaks of keeps the stated prior of
its ``relatives``. A layer may also be of a few factors of one engine alone: how long SGLang's first tokens
take to arrive shows in medians of TTFT, which the shipped table does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.cross_validation import (
    LeftOutErrors,
    cross_validate,
    engine_and_generation,
    model_and_gpu,
)
from planner.accuracy.fitting import Fit, FitResult, FitSettings, balance
from planner.accuracy.kernels.relatives_fit import RelativesFit, fit_relatives
from planner.accuracy.kernels.shipped import digest_of
from planner.accuracy.metrics import equal_groups, weighted_quantiles
from planner.accuracy.playback import composable
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.samples import Floats, Sample, Stack, samples_of
from planner.accuracy.shipped import SMALLEST_SHIFT, carrier_rows
from planner.catalog.store import Catalog
from planner.errors import CatalogError
from planner.performance.calibration_files import (
    FactorProvenance,
    FittedFile,
    PriorsFile,
    ResidualTable,
    ShiftRow,
    read_fitted,
    read_priors,
)
from planner.performance.factors import Calibration, Residuals, assemble

TABLES = ("serving_points.csv", "percentile_points.csv", "median_points.csv", "offline_points.csv")
SETTINGS = FitSettings(sigma=0.2, level_spread=0.8, pair_spread=1.0, iterations=100)
DATED = (
    "gemm_stream_bytes_s",
    "expert_stream_bytes_s",
    "expert_compute",
    "attention_memory",
    "kernel_gap_s",
    "step_overhead_s",
    "prefill_layer_launch_s",
)
INDEXED = (
    "attention_memory",
    "attention_compute",
    "latent_layer_kernels",
    "prefill_layer_launch_s",
)
INDEXERS = (
    ("indexer", "vendor"),
    ("generation", "indexer"),
    ("engine", "generation", "indexer"),
)
WAITS = ("admission_s", "delivery_steps", "prefill_layer_launch_s")
FEWEST_MODELS = 3  # with a TTFT, to say how one that nobody measured differs
_DEVICES = {"gpu", "generation", "vendor"}


@dataclass(frozen=True, slots=True)
class FactorLayer:
    """Whose runs a layer is fitted to, and which factors it may shift (all when empty).

    engines: all when empty. A layer of some factors brings no residuals and no carriers of its own.
    spread: multiple of the settings' spreads for factors of steps; WAITS keep theirs. With few models
    the shifts of a device explain its models, and others pay (AMD: TPOT left out 24 % at 1, 21 % at 0.5).
    """

    vendor: str
    engines: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    spread: float = 1.0


LAYERS = (
    FactorLayer("amd", spread=0.5),
    FactorLayer(
        "nvidia",
        engines=("sglang", "tensorrt-llm", "trtllm"),
        factors=("admission_s", "delivery_steps"),
    ),
)


@dataclass(frozen=True, slots=True)
class VendorFit:
    """The layer's fit, what it predicts in sample, and of groups it had not seen [s].

    relatives: the correction that prices what the layer was not fitted to; left_out and far are its errors.
    """

    layer: FactorLayer
    samples: tuple[Sample, ...]
    result: FitResult
    ttft_s: Floats
    tpot_s: Floats
    before: tuple[Floats, Floats]
    left_out: LeftOutErrors | None
    far: LeftOutErrors | None = None
    relatives: RelativesFit | None = None

    @property
    def vendor(self) -> str:
        return self.layer.vendor

    @property
    def known(self) -> NDArray[np.bool_]:
        """Samples whose engine, format and kernel family other groups carry as well."""
        if self.left_out is None:
            return np.zeros(len(self.samples), dtype=bool)
        return ~(self.left_out.sole_format | self.left_out.sole_kernel)


@dataclass(frozen=True, slots=True)
class LayerProblem:
    """The fit of one layer, set up: samples, their weights, and the parameters over the shipped fit.

    base: the calibration that the layer lies over.
    """

    fit: Fit
    samples: tuple[Sample, ...]
    balance: Floats
    base: Calibration


def layer_problem(
    catalog: Catalog, layer: FactorLayer, settings: FitSettings = SETTINGS
) -> LayerProblem:
    """Every run on the vendor's devices that needs no simulation; raises CatalogError."""
    folder = catalog.root / "calibration"
    priors = read_priors(folder / "priors.yaml")
    calibration = assemble(priors, [read_fitted(folder / "fitted.json")])
    samples, _ = samples_of(vendor_points(catalog, layer), catalog, calibration)
    if not samples:
        raise CatalogError("no run on this vendor's devices", where=str(folder), found=layer.vendor)
    spreads = {
        name: row.spread * (1.0 if name in WAITS else layer.spread)
        for name, row in priors.factors.items()
    }
    stack = Stack(samples, calibration)
    fit = Fit(stack, calibration, hierarchy(priors, layer), spreads, settings)
    weights = balance([sample.point.group for sample in samples])
    return LayerProblem(fit, tuple(samples), weights, calibration)


def fit_vendor(catalog: Catalog, layer: FactorLayer, settings: FitSettings = SETTINGS) -> VendorFit:
    """Fit a layer and leave its groups out one at a time; raises CatalogError."""
    problem = layer_problem(catalog, layer, settings)
    fit, samples, weights = problem.fit, problem.samples, problem.balance
    result = fit.run(balance=weights)
    ttft, tpot = fit.predict(result.shifts)
    before = fit.predict(np.zeros(len(fit.parameters)))
    whole = VendorFit(layer, samples, result, ttft, tpot, before, None)
    if layer.factors:
        return whole
    left_out = cross_validate(fit, samples, model_and_gpu, weights)
    far = cross_validate(fit, samples, engine_and_generation, weights)
    relatives = fit_relatives(samples, layer.vendor, catalog, problem.base)
    if relatives is not None:
        left_out = relatives.left_out(left_out, samples, model_and_gpu)
        far = relatives.left_out(far, samples, engine_and_generation)
    return replace(whole, left_out=left_out, far=far, relatives=relatives)


def vendor_points(catalog: Catalog, layer: FactorLayer) -> list[MeasuredPoint]:
    """A layer's runs in the shipped tables: on the vendor's devices, no speculation, one replica."""
    folder = catalog.root / "calibration"
    points = [p for table in TABLES for p in read_points(folder / table, CatalogError).points]
    return [
        p
        for p in points
        if composable(p)
        and not p.speculative
        and catalog.gpu(p.gpu).vendor == layer.vendor
        and (not layer.engines or p.engine in layer.engines)
    ]


def hierarchy(priors: PriorsFile, layer: FactorLayer) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """The levels of each factor: the vendor, its generations, and the base's levels within each.

    What a request waits is the engine's doing, so its levels are shared by all of the vendor's devices.
    A layer of some factors has them by engine and generation, and by engine and device.
    """
    levels: dict[str, list[tuple[str, ...]]] = {}
    for name, row in priors.factors.items():
        device = "vendor" if name in WAITS else "generation"
        if layer.factors:
            own = [("engine", "generation"), ("engine", "gpu")] if name in layer.factors else []
            levels[name] = list[tuple[str, ...]](own)
            continue
        released: list[tuple[str, ...]] = (
            [("engine", "generation", "quarter")] if name in DATED else []
        )
        if name in INDEXED:
            released += INDEXERS
        within = [
            keys if _DEVICES & set(keys) else tuple(sorted((*keys, device)))
            for keys in row.varies_by
            if "release" not in keys and not (name in WAITS and "gpu" in keys)
        ]
        levels[name] = list(dict.fromkeys([("vendor",), (device,), *within, *released]))
    return levels


def layer_file(done: VendorFit, catalog: Catalog, fitted_on: str) -> FittedFile:
    """Return the document to ship."""
    folder = catalog.root / "calibration"
    others = read_fitted(folder / "fitted.json").residuals
    if others is None:
        raise CatalogError("a layer lies over a fit with residuals", where=str(folder))
    return FittedFile(
        schema_version=1,
        provenance=FactorProvenance.model_validate(
            {
                "source": f"least squares on runs on {done.vendor} devices, over fitted.json",
                "fitted_on": fitted_on,
                "points": len(done.samples),
                "data_sha256": digest_of(folder, TABLES),
                "errors": {name: round(value, 4) for name, value in layer_errors(done).items()},
            }
        ),
        shifts=tuple(sorted(shift_rows(done.result), key=_by_factor)),
        carriers=() if done.left_out is None else carrier_rows(done.samples),
        residuals=None if done.left_out is None else _residuals(done, done.left_out, others),
    )


def shift_rows(result: FitResult) -> list[ShiftRow]:
    """What a fit moved, as rows of a fitted file."""
    return [
        ShiftRow(
            factor=parameter.factor,
            when=dict(parameter.when),
            shift=round(float(shift), 4),
            deviation=round(float(deviation), 3),
        )
        for parameter, shift, deviation in zip(
            result.parameters, result.shifts, result.deviations, strict=True
        )
        if abs(shift) >= SMALLEST_SHIFT
    ]


def _by_factor(row: ShiftRow) -> tuple[str, list[tuple[str, str]]]:
    return row.factor, sorted(row.when.items())


def layer_errors(done: VendorFit) -> dict[str, float]:
    """Return the headline errors as shares of one."""
    tpot = np.array([sample.tpot_s for sample in done.samples])
    ttft = np.array([sample.ttft_s for sample in done.samples])
    rows = [
        ("ttft_before", done.before[0], ttft),
        ("ttft_in_sample", done.ttft_s, ttft),
        ("tpot_before", done.before[1], tpot),
        ("tpot_in_sample", done.tpot_s, tpot),
    ]
    if done.left_out is not None:
        rows.append(("tpot_left_out", done.left_out.tpot_s, tpot))
    shares: dict[str, float] = {}
    for name, predicted, measured in rows:
        off = np.abs(predicted / measured - 1)
        shares[f"{name}_mean"] = float(np.nanmean(off))
        shares[f"{name}_median"] = float(np.nanmedian(off))
    return shares


def _residuals(done: VendorFit, left_out: LeftOutErrors, others: ResidualTable) -> ResidualTable:
    """Quantiles of this vendor's own residuals, at the distances ``Calibration`` distinguishes.

    Every (model, GPU) weighs alike, as in margins. By rows, a sweep of many loads speaks for all models:
    TPOT intervals of 80 % held 71 to 75 % of left-out pairs' runs on AMD, and hold 78 to 79 % by pairs.
    "calibrated" takes runs whose kernels others carry; TTFT, which few pairs recorded, takes all. Fewer than
    ``FEWEST_MODELS`` with a TTFT say how devices differ and not how models do: at either end the interval of
    left-out runs then reaches as far as that of the shipped fit's left-out models, ``others``.
    """
    levels = Residuals().levels
    tpot = np.array([sample.tpot_s for sample in done.samples])
    ttft = np.array([sample.ttft_s for sample in done.samples])
    pairs = [repr(model_and_gpu(sample)) for sample in done.samples]
    everything = np.ones(len(tpot), dtype=bool)
    quantiles = {}
    for distance, first, each, chosen in (
        ("fitted", done.ttft_s, done.tpot_s, everything),
        ("calibrated", left_out.ttft_s, left_out.tpot_s, done.known),
        ("relative", left_out.ttft_s, left_out.tpot_s, everything),
    ):
        quantiles[f"{distance}-{done.vendor}"] = {
            "tpot": _quantiles(np.log(tpot / each), chosen, pairs, levels),
            "ttft": _quantiles(np.log(ttft / first), everything, pairs, levels),
        }
    timed = {s.point.model for s, seconds in zip(done.samples, ttft, strict=True) if seconds > 0}
    if len(timed) >= FEWEST_MODELS:
        return ResidualTable(levels=levels, quantiles=quantiles)
    widened = [f"{distance}-{done.vendor}" for distance in ("calibrated", "relative")]
    for distance in widened:
        base = others.quantiles[distance.removesuffix(f"-{done.vendor}")]["ttft"]
        quantiles[distance]["ttft"] = _further(levels, quantiles[distance]["ttft"], base)
    return ResidualTable(levels=levels, quantiles=quantiles, ttft_assumed=tuple(widened))


def _further(
    levels: Sequence[float], own: tuple[float, ...], others: tuple[float, ...]
) -> tuple[float, ...]:
    """Of two rows of quantiles the one further out at each level, on its own side of the median."""
    sides = zip(levels, own, others, strict=True)
    return tuple(min(a, b) if at < 0.5 else max(a, b) if at > 0.5 else a for at, a, b in sides)


def _quantiles(
    errors: Floats, chosen: NDArray[np.bool_], groups: Sequence[str], levels: Sequence[float]
) -> tuple[float, ...]:
    """Quantiles of the chosen errors that were measured, every group having equal weight."""
    at = np.flatnonzero(chosen & ~np.isnan(errors))
    weights = equal_groups([groups[int(i)] for i in at])
    return tuple(round(float(q), 4) for q in weighted_quantiles(errors[at], weights, levels))


def layer_path(catalog: Catalog, vendor: str) -> Path:
    """Where the layer of a vendor lies."""
    return catalog.root / "calibration" / f"fitted_{vendor}.json"
