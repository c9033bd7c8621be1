"""How much further than their steps percentiles and pools are off: ``python -m benchmarks.measure_errors``.

Every run with percentiles is predicted by a correction over measured kernels that has seen nothing of its
model's family (AMD's devices: by the shipped layer) and played with its steps off. Written is, by pools,
drafts, metric and tail, what has to be added in squares to the played interval so that a tenth of the runs
lies beyond either end, groups of runs weighing alike (conformal quantiles); printed is how often it then
holds for a group that the others speak for. Takes a minute or two; ``make accuracy`` runs it after the fits,
of which the table keeps a digest.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.accuracy.kernels.fit import KernelFit
from planner.accuracy.kernels.samples import kernel_samples
from planner.accuracy.kernels.shipped import TABLES, families
from planner.accuracy.measures import Measure
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.step_error import FILE, MeasureErrorRow, digest_of_inputs, is_tail
from planner.accuracy.validation import Predictor
from planner.catalog.store import Catalog, load_catalog
from planner.performance.calibration_files import read_priors
from planner.performance.factors import Calibration, KernelPrices, assemble, load_calibration
from planner.performance.kernels.correction import corrections, read_kernel_priors

EVERY = 2  # of the runs of one pool
LEAST = 0.05
ONE_GROUP = 0.5  # a quantile that falls by more when one group is left out stands on that group
SOURCE = "percentile_points.csv: what a tenth of the runs lies beyond, in squares beside the steps' interval"
WRITTEN = tuple(MeasureErrorRow.model_fields)
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class PredictionMiss:
    """log(measured / predicted) of one measure, and how far the played interval reaches up and down."""

    group: tuple[str, str, str]
    off: float
    up: float
    down: float

    def lacking(self, side: float) -> float:
        """What the interval lacks on one side (1: up), in squares beside what it has."""
        reach = self.up if side > 0 else self.down
        beyond = max(self.off * side, 0.0)
        return math.sqrt(max(beyond * beyond - reach * reach, 0.0))


def main() -> None:
    """Write the table and print its coverage."""
    catalog = load_catalog()
    misses: dict[Key, list[PredictionMiss]] = defaultdict(list)
    for point, predictor in _runs(catalog):
        found = predictor.predict(point)
        pools, drafts = (
            "two" if point.prefill else "one",
            "some" if point.speculative else "none",
        )
        for measure, value in point.measures.items():
            around, predicted = found.intervals.get(measure), found.values[measure]
            if around is None or not _counts(measure):
                continue
            metric = measure.metric if measure.is_latency else "rate"
            misses[pools, drafts, metric, "yes" if is_tail(measure) else "no"].append(
                PredictionMiss(
                    (point.gpu, point.engine, point.weights),
                    math.log(value / predicted),
                    math.log(around.high / predicted),
                    math.log(predicted / around.low),
                )
            )
    rows = [row for key in sorted(misses) for row in _row(key, misses[key])]
    folder = catalog.root / "calibration"
    made_from = digest_of_inputs(folder)
    target = folder / FILE
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(WRITTEN)
        made = (row.model_copy(update={"made_from": made_from}) for row in rows)
        writer.writerows([getattr(row, name) for name in WRITTEN] for row in made)


def _counts(measure: Measure) -> bool:
    """Medians and p99 of latencies, and output per GPU."""
    if measure.is_latency:
        return measure.percentile in (50.0, 99.0)
    return measure.metric == "output_tokens_per_s_per_gpu"


def _runs(catalog: Catalog) -> Iterator[tuple[MeasuredPoint, Predictor]]:
    """Runs with percentiles, each with a predictor that has not seen its family."""
    calibration = load_calibration(catalog)
    points = read_points(catalog.root / "calibration" / "percentile_points.csv").points
    single = [p for p in points if p.prefill is None][::EVERY]
    chosen = [*single, *(p for p in points if p.prefill is not None)]
    amd = Predictor(catalog, calibration, steps_alone=True)
    left_out = _without(catalog, calibration, {p.model for p in chosen})
    nvidia = Predictor(catalog, left_out, steps_alone=True)
    for point in chosen:
        yield point, nvidia if catalog.gpu(point.gpu).vendor == "nvidia" else amd


def _without(catalog: Catalog, calibration: Calibration, models: set[str]) -> Calibration:
    """The calibration as it would be without any run of these models' families."""
    folder = catalog.root / "calibration"
    plain = assemble(read_priors(folder / "priors.yaml"), [])
    points = [p for name in TABLES for p in read_points(folder / name).points]
    priors = read_kernel_priors(folder)
    fit = KernelFit(kernel_samples(points, catalog, plain), priors)
    named = {catalog.model(name).name for name in models}
    known = families(catalog, {s.model_name for s in fit.samples} | named)
    out = {known[name] for name in named}
    kept = np.array([known[s.model_name] not in out for s in fit.samples])
    rows = fit.rows(fit.run(kept), smallest=0.0)
    carriers = {
        (name, traits): distance
        for (name, traits), distance in calibration.carriers.items()
        if known.get(name, name) not in out
    }
    prices = KernelPrices(catalog.root, corrections(priors, rows))
    return replace(calibration, carriers=carriers, kernels=prices)


def _row(key: Key, misses: Sequence[PredictionMiss]) -> Iterator[MeasureErrorRow]:
    """The row of one kind of measure, where it is off further than its steps; prints what it covers."""
    groups = sorted({miss.group for miss in misses})
    up, down = _steady(misses, 1.0), _steady(misses, -1.0)
    before, after = [], []
    for group in groups:
        others = [miss for miss in misses if miss.group != group]
        added = _steady(others, 1.0), _steady(others, -1.0)
        own = [miss for miss in misses if miss.group == group]
        before.append(np.mean([_inside(miss, 0.0, 0.0) for miss in own]))
        after.append(np.mean([_inside(miss, *added) for miss in own]))
    print(
        f"{' '.join(key):24} {len(misses):4} runs, {len(groups):2} groups: inside {np.mean(before):.0%}, "
        f"left out {np.mean(after):.0%}; up {up:.2f}, down {down:.2f}"
    )
    if max(up, down) >= LEAST:
        pools, drafts, metric, tail = key
        yield MeasureErrorRow(
            pools=pools,
            drafts=drafts,
            metric=metric,
            tail=tail,
            up=round(up, 3),
            down=round(down, 3),
            runs=len(misses),
            groups=len(groups),
            source=SOURCE,
        )


def _inside(miss: PredictionMiss, up: float, down: float) -> bool:
    return -math.hypot(miss.down, down) <= miss.off <= math.hypot(miss.up, up)


def _steady(misses: Sequence[PredictionMiss], side: float) -> float:
    """The quantile on one side, or that without the one group it stands on."""
    groups = {miss.group for miss in misses}
    whole = _quantile(misses, side)
    least = min(_quantile([m for m in misses if m.group != group], side) for group in groups)
    return least if whole - least > ONE_GROUP else whole


def _quantile(misses: Sequence[PredictionMiss], side: float) -> float:
    """The 0.9 quantile of what is lacking on one side, groups weighing alike."""
    sizes = Counter(miss.group for miss in misses)
    lacking = np.array([miss.lacking(side) for miss in misses])
    weights = np.array([1 / sizes[miss.group] for miss in misses])
    order = np.argsort(lacking, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    return float(lacking[order][np.searchsorted(shares, 0.9)])


if __name__ == "__main__":
    main()
