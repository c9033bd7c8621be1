"""Calibrated factors: stated priors, shifts that a fit learned, and which of them a deployment takes.

A factor is ``low * (high / low) ** sigmoid(x)``: physical bounds hold whatever a fit finds. ``x`` is
the prior's x0 plus the shifts of every level the deployment belongs to ("engine = vllm",
"generation = hopper and format = fp8", ...). A level nobody measured adds nothing, so a deployment
borrows what its relatives share; the files are in ``catalogs/calibration/``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.errors import InputError
from planner.evidence import Evidence, Interval, StepLatency
from planner.performance.beyond_measured import KernelGrowth
from planner.performance.calibration_files import (
    FittedFile,
    PriorsFile,
    read_fitted,
    read_priors,
)
from planner.performance.host_time import GraphRow, HostTimeRow, read_host_time
from planner.performance.kernels import correction
from planner.performance.kernels.correction import Corrections
from planner.performance.kernels.model import KernelSteps, kernel_steps
from planner.performance.margins import Margin, named, read_margins
from planner.performance.roofline import Factors, GemmFactors
from planner.performance.shift_index import ShiftIndex, When
from planner.performance.traits import FAMILIES, Traits, traits_of

DENSE_FACTORS = ("gemm_memory", "gemm_stream_bytes_s", "gemm_compute", "gemm_fill_tokens")
EXPERT_FACTORS = ("expert_memory", "expert_stream_bytes_s", "expert_compute", "expert_fill_tokens")
SINGLE_FACTORS = (
    "expert_skew",
    "rank_imbalance",
    "attention_memory",
    "attention_stream_bytes_s",
    "attention_compute",
    "activation_passes",
    "collective_latency_s",
    "collective_bandwidth",
    "kernel_gap_s",
    "layer_kernels",
    "expert_layer_kernels",
    "latent_layer_kernels",
    "recurrent_layer_kernels",
    "spread_layer_kernels",
    "step_overhead_s",
    "sequence_overhead_s",
    "prefill_step_overhead_s",
    "prefill_layer_launch_s",
    "eager_layer_launch_s",
    "overlap",
    "admission_s",
    "delivery_steps",
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The bounds of a factor, and the curve between ``x`` and its value."""

    low: float
    high: float

    def value(self, x: float) -> float:
        """Return ``low * (high / low) ** sigmoid(x)``."""
        return float(self.low * (self.high / self.low) ** (1.0 / (1.0 + math.exp(-x))))

    def position(self, value: float) -> float:
        """Return the x of a value strictly inside the bounds."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        share = min(max(share, 1e-4), 1 - 1e-4)
        return math.log(share / (1 - share))


@dataclass(frozen=True, slots=True)
class Residuals:
    """Quantiles of log(measured / predicted) at ``levels``, by kind and by distance from the data.

    Distances: "fitted" (this model on this engine, GPU and format is among the measurements), "own"
    (among a person's own, with enough of them for residuals of their own), "kernels" (priced by
    kernels measured on this GPU), "calibrated" (its kernel families are, on this engine and GPU),
    "relative" (this engine and GPU generation are), "distant" (neither). All but the first come from
    cross-validation; "unmeasured", from the priors, replaces any that is missing. ``ttft_assumed``:
    distances at which TTFT was recorded for too few models to say how models differ.
    """

    levels: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    quantiles: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    ttft_assumed: frozenset[str] = frozenset()

    def interval(self, value: float, kind: StepLatency, distance: str, level: float) -> Interval:
        """Return the interval around a prediction; interpolated between the stored quantiles."""
        low, high = self.ends(kind, distance, level)
        return Interval(level, value * math.exp(low), value * math.exp(high))

    def ends(self, kind: StepLatency, distance: str, level: float) -> tuple[float, float]:
        """log(measured / predicted) at both ends of an interval; 0 lies between them."""
        table = self._table(kind, distance)
        low = _interpolate((1 - level) / 2, self.levels, table)
        high = _interpolate((1 + level) / 2, self.levels, table)
        return min(low, 0.0), max(high, 0.0)

    def margin(self, distance: str) -> Margin:
        """The upper half of the residuals at a distance, as a margin that is assumed."""
        table = self.quantiles.get(distance, self.quantiles["unmeasured"])["tpot"]
        upper = [(level, q) for level, q in zip(self.levels, table, strict=True) if level >= 0.5]
        margin = Margin(distance, tuple(at for at, _ in upper), tuple(q for _, q in upper))
        return self.with_ttft(margin, distance)

    def with_ttft(self, margin: Margin, distance: str) -> Margin:
        """The margin with quantiles of TTFT: its own, or those of the residuals at the distance."""
        if margin.ttft:
            return margin
        table = self._table("ttft", distance)
        ttft = tuple(_interpolate(level, self.levels, table) for level in margin.levels)
        return replace(margin, ttft=ttft)

    def _table(self, kind: StepLatency, distance: str) -> tuple[float, ...]:
        return self.quantiles.get(distance, {}).get(kind) or self.quantiles["unmeasured"][kind]


@dataclass(frozen=True)
class KernelPrices:
    """Measured kernels under a root, their correction, and those of ``stated_relatives`` by vendor."""

    root: Path
    corrections: Corrections
    vendors: Mapping[str, Corrections] = field(default_factory=dict)

    def steps(self, deployment: Deployment, traits: Traits) -> KernelSteps | None:
        """Step times of a deployment, None where its kernels were not measured."""
        return kernel_steps(deployment, traits, self.root, self.corrections, self.vendors)


@dataclass(frozen=True)
class Calibration:
    """Priors with shifts laid over them; ``factors`` gives those of one deployment.

    ``carriers``: model name and traits of the measurements behind the shifts, which decide the
    evidence grade and the width of intervals; "fitted", or "own" where a person's residuals apply.
    measured_to: requests in flight up to which each of them was measured, where known.
    own: engines and GPUs that a person measured. kernels: prices what the measurements do not carry.
    ``margins``: one-sided quantiles of the step-time error by evidence grade, or grade and vendor;
    ``host``: what engines take on the host; ``graphs``: which batches they have captured.
    """

    scales: Mapping[str, Scale]
    origins: Mapping[str, float]
    generations: Mapping[str, str]
    shifts: Mapping[str, Mapping[When, float]]
    carriers: Mapping[tuple[str, Traits], str]
    residuals: Residuals
    sources: tuple[str, ...]
    measured_to: Mapping[tuple[str, Traits], int] = field(default_factory=dict)
    own: frozenset[tuple[str, str]] = frozenset()
    kernels: KernelPrices | None = None
    margins: Mapping[str, Margin] = field(default_factory=dict)
    host: tuple[HostTimeRow, ...] = ()
    graphs: tuple[GraphRow, ...] = ()
    _known: dict[tuple[str, ...], Factors] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _indexed: dict[str, ShiftIndex] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _distances: dict[tuple[str, Traits], str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _nearest: dict[tuple[str, Traits], str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every factor in force."""
        shifts = {name: sorted(table.items()) for name, table in self.shifts.items()}
        text = repr((sorted(self.origins.items()), sorted(shifts.items())))
        return hashlib.sha256(text.encode()).hexdigest()

    def factors(self, deployment: Deployment) -> Factors:
        """Return the factors of a deployment."""
        return self.factors_for(self.traits(deployment))

    def traits(self, deployment: Deployment) -> Traits:
        """Return the properties of a deployment that decide its factors."""
        return traits_of(deployment, self.generations)

    def factors_for(self, traits: Traits) -> Factors:
        """Return the factors of any deployment with these traits, looked up once for each."""
        key = traits.levels_key()  # traits that compare equal may differ in levels
        if key not in self._known:
            self._known[key] = self._factors_for(traits)
        return self._known[key]

    def _factors_for(self, traits: Traits) -> Factors:
        common = traits.levels()
        families = {family: common | traits.format_levels(family) for family in FAMILIES}
        return Factors(
            quantised=self._gemm(DENSE_FACTORS, families["quantised"]),
            plain=self._gemm(DENSE_FACTORS, families["plain"]),
            expert=self._gemm(EXPERT_FACTORS, families["expert"]),
            **{name: self.value(name, common) for name in SINGLE_FACTORS},
        )

    def value(self, name: str, levels: Mapping[str, str]) -> float:
        """Return one factor for the given levels."""
        return self.scales[name].value(self.position(name, levels))

    def position(self, name: str, levels: Mapping[str, str]) -> float:
        """Return the ``x`` of one factor for the given levels."""
        if name not in self._indexed:
            self._indexed[name] = ShiftIndex(self.origins[name], self.shifts.get(name, {}))
        return self._indexed[name].position(levels)

    def kernel_steps(
        self, deployment: Deployment, traits: Traits | None = None
    ) -> KernelSteps | None:
        """Step times from measured kernels, unless fitted factors hold for this very deployment.

        Those of a model measured on its engine, GPU and release stay, and so do a person's own on the
        engine and GPU they measured.
        """
        traits = traits or self.traits(deployment)
        fitted = (deployment.model.name, traits) in self.carriers
        if self.kernels is None or fitted or (traits.engine, traits.gpu) in self.own:
            return None
        return self.kernels.steps(deployment, traits)

    def growth(self, deployment: Deployment, traits: Traits) -> KernelGrowth | None:
        """How steps grow beyond the requests in flight that this very deployment was measured at.

        None where it was not measured, to an unknown number, or its kernels were not.
        """
        most = self.measured_to.get((deployment.model.name, traits))
        if most is None or self.kernels is None:
            return None
        kernels = self.kernels.steps(deployment, traits)
        return None if kernels is None else KernelGrowth(kernels, float(most))

    def evidence(self, model: str, traits: Traits) -> Evidence:
        """Return ``calibrated`` when this engine, GPU and kernel families were measured."""
        near = self._distance(model, traits) in ("fitted", "own", "calibrated")
        return Evidence.CALIBRATED if near else Evidence.MODELLED

    def margin(self, evidence: Evidence, distance: str, vendor: str = "") -> Margin:
        """What a deployment's steps may turn out slower by: its grade's, or a person's own residuals.

        That of a model measured on its engine and GPU is the row of measurements, though its grade says
        that other loads are predicted. A vendor's own row comes first; a grade without a row takes the
        prior width. A row without quantiles of TTFT has those of the residuals at the distance.
        """
        if distance == "own":
            return self.residuals.margin(distance)
        row = Evidence.MEASURED if distance.partition("-")[0] == "fitted" else evidence
        own = self.margins.get(named(row.value, vendor)) or self.margins.get(row.value)
        if own is None:
            return self.residuals.margin("unmeasured")
        return self.residuals.with_ttft(own, distance)

    def distance(self, model: str, traits: Traits) -> str:
        """Return how far a deployment lies from the measurements (see ``Residuals``).

        ``fitted-amd`` and the like where the vendor's layer brings residuals of its own.
        """
        if (model, traits) not in self._distances:
            distance = self._distance(model, traits)
            own = f"{distance}-{traits.vendor}"
            self._distances[model, traits] = own if own in self.residuals.quantiles else distance
        return self._distances[model, traits]

    def _distance(self, model: str, traits: Traits) -> str:
        """``distance`` without a vendor, looked up once."""
        if (model, traits) not in self._nearest:
            self._nearest[model, traits] = self._nearest_to(model, traits)
        return self._nearest[model, traits]

    def _nearest_to(self, model: str, traits: Traits) -> str:
        exact = self.carriers.get((model, traits))
        if exact is not None:
            return exact
        measured = [carrier for _, carrier in self.carriers if carrier.engine == traits.engine]
        if any((c.gpu, c.kernels) == (traits.gpu, traits.kernels) for c in measured):
            return "calibrated"
        near = any(c.generation == traits.generation for c in measured)
        return "relative" if near else "distant"

    def _gemm(self, names: tuple[str, ...], levels: Mapping[str, str]) -> GemmFactors:
        return GemmFactors(*(self.value(name, levels) for name in names))


def load_calibration(catalog: Catalog, user_file: str | Path | None = None) -> Calibration:
    """Return the shipped calibration, vendors' layers over it, and a user's own shifts when given.

    Raises CatalogError for a bad shipped file and InputError for a bad user file.
    """
    folder = catalog.root / "calibration"
    priors = read_priors(folder / "priors.yaml")
    layers = [read_fitted(path) for path in sorted(folder.glob("fitted*.json"))]
    shipped = len(layers)
    if user_file:
        layers.append(read_fitted(Path(user_file), InputError))
    host = read_host_time(folder)
    found = replace(
        assemble(priors, layers, own_from=shipped),
        margins=read_margins(folder),
        host=host.rows,
        graphs=host.graphs,
    )
    known = correction.load_corrections(folder)
    if known is None:
        return found
    quantiles = {d: dict(kinds) for d, kinds in found.residuals.quantiles.items()}
    if known.residuals is not None:
        quantiles |= known.residuals.quantiles
    return replace(
        found,
        kernels=KernelPrices(catalog.root, known, correction.vendor_corrections(folder)),
        residuals=replace(found.residuals, quantiles=quantiles),
    )


def assemble(priors: PriorsFile, layers: Iterable[FittedFile], own_from: int = 1) -> Calibration:
    """Lay fitted files over the priors; later files add their shifts to earlier ones.

    own_from: the first of the layers that a person fitted to measurements of their own.
    """
    scales = {name: Scale(p.low, p.high) for name, p in priors.factors.items()}
    origins = {name: scales[name].position(p.value) for name, p in priors.factors.items()}
    shifts: dict[str, dict[When, float]] = {name: {} for name in scales}
    for known in priors.relatives:
        scale, x0 = scales[known.factor], origins[known.factor]
        moved = scale.position(min(scale.value(x0) * known.times, scale.high)) - x0
        _add(shifts[known.factor], known.when, moved)
    carriers: dict[tuple[str, Traits], str] = {}
    measured_to: dict[tuple[str, Traits], int] = {}
    residuals = Residuals(priors.residuals.levels, priors.residuals.quantiles)
    sources = [priors.source]
    measured: set[tuple[str, str]] = set()
    for index, layer in enumerate(layers):
        if index >= own_from:
            measured |= {(row.traits.engine, row.traits.gpu) for row in layer.carriers}
        for shift in layer.shifts:
            if shift.factor not in scales:
                raise InputError(
                    "unknown factor", found=shift.factor, allowed=", ".join(sorted(scales))
                )
            _add(shifts[shift.factor], shift.when, shift.shift)
        own = layer.residuals is not None and "own" in layer.residuals.quantiles
        for row in layer.carriers:
            carrier = (row.model, Traits(**row.traits.model_dump()))
            carriers[carrier] = "own" if own else "fitted"
            if row.in_flight is not None:
                measured_to[carrier] = row.in_flight
        if layer.residuals is not None:
            quantiles = {d: dict(kinds) for d, kinds in residuals.quantiles.items()}
            for distance, kinds in layer.residuals.quantiles.items():
                quantiles.setdefault(distance, {}).update(kinds)
            assumed = residuals.ttft_assumed | {*(layer.residuals.ttft_assumed or ())}
            residuals = Residuals(layer.residuals.levels, quantiles, assumed)
        sources.append(layer.provenance.source)
    return Calibration(
        scales=scales,
        origins=origins,
        generations=priors.generations,
        shifts=shifts,
        carriers=carriers,
        measured_to=measured_to,
        residuals=residuals,
        sources=tuple(sources),
        own=frozenset(measured),
    )


def _add(table: dict[When, float], when: Mapping[str, str], amount: float) -> None:
    key = tuple(sorted(when.items()))
    table[key] = table.get(key, 0.0) + amount


def _interpolate(at: float, levels: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Linear in the level; beyond the outermost level the outermost value, widened in proportion."""
    if at < levels[0]:
        return values[0] * (1 + (levels[0] - at) / levels[0])
    if at > levels[-1]:
        return values[-1] * (1 + (at - levels[-1]) / (1 - levels[-1]))
    for i in range(1, len(levels)):
        if at <= levels[i]:
            share = (at - levels[i - 1]) / (levels[i] - levels[i - 1])
            return values[i - 1] + share * (values[i] - values[i - 1])
    return values[-1]
