"""Decision regret: what choosing by predictions costs, where the model was left out of the fit.

The runs of one workload (model, prompt and output length) are what a planner could choose from. At a TPOT
target it takes the configuration (GPU, engine, weights, parallel degrees) whose predicted cost per token is
lowest at any concurrency whose predicted TPOT meets the target. It then pays what that configuration was
measured to cost at the target, at the concurrency that measurement allows; the best choice is the
configuration that was measured to cost least.

    regret = measured cost per token of the choice / of the best choice - 1
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from planner.accuracy.kernels.samples import measured
from planner.accuracy.kernels.shipped import KernelsDone, group_weights
from planner.accuracy.measures import Measure
from planner.accuracy.metrics import equal_groups, weighted_quantiles
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.vendor_fit import VendorFit
from planner.catalog.offer import Term
from planner.catalog.store import Catalog

TARGETS_MS = (10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
MS = 1e3
PER_GPU = Measure("tokens_per_s_per_gpu")  # prompt and output tokens


@dataclass(frozen=True, slots=True)
class PredictedRun:
    """A measured run beside what a fit that had not seen it predicts [s]; ttft_s may be nan.

    margin: what a plan multiplies this TPOT by, that of the run's grade and vendor.
    """

    point: MeasuredPoint
    engine: str
    tpot_s: float
    ttft_s: float
    predicted_tpot_s: float
    predicted_ttft_s: float
    margin: float = 1.0

    @property
    def per_s(self) -> float:
        """Output tokens/s and GPU as measured: from both times, else from the throughput of the run."""
        point = self.point
        if not np.isnan(self.ttft_s):
            return point.tokens_per_s_per_gpu(self.ttft_s * MS, self.tpot_s * MS)
        share = point.output_tokens / (point.prompt_tokens + point.output_tokens)
        return point.measures[PER_GPU] * share


@dataclass(frozen=True, slots=True)
class MeasuredChoice:
    """One configuration at one concurrency: seconds, and USD per token, measured and predicted.

    margin: multiple of the predicted TPOT that has to meet a target.
    """

    configuration: Hashable
    tpot_s: float
    cost: float
    predicted_tpot_s: float
    predicted_cost: float
    margin: float = 1.0


@dataclass(frozen=True, slots=True)
class DecisionRegret:
    """What decisions over left-out models cost.

    decisions: (workload, target) pairs where at least two configurations met the target as measured.
    unserved: share of them where predictions let no configuration meet it; missed: share where the chosen
    one did not meet it as measured. mean, median, p90: of the regret of the others. at_random: median
    regret of a configuration drawn blindly from those that meet the target.
    """

    name: str
    decisions: int
    unserved: float
    missed: float
    mean: float
    median: float
    p90: float
    at_random: float


def regrets(
    runs: Sequence[PredictedRun], catalog: Catalog, of: str = ""
) -> tuple[DecisionRegret, ...]:
    """Regret among all GPUs and within one GPU, by point estimates and with each run's margin on TPOT.

    ``of``: which vendors' GPUs the runs are on, for the rows' names.
    """
    prices = gpu_prices(catalog)
    as_predicted = [replace(run, margin=1.0) for run in runs]
    any_gpu, one_gpu = f"any {of} GPU".replace("  ", " "), f"one {of} GPU".replace("  ", " ")
    return (
        regret(any_gpu, workloads(as_predicted, prices, within_gpu=False)),
        regret(f"{any_gpu}, TPOT with a margin", workloads(runs, prices, within_gpu=False)),
        regret(one_gpu, workloads(as_predicted, prices, within_gpu=True)),
        regret(f"{one_gpu}, TPOT with a margin", workloads(runs, prices, within_gpu=True)),
    )


def regret(name: str, workloads: Sequence[Sequence[MeasuredChoice]]) -> DecisionRegret:
    """Decide every workload at every target; see the module's docstring."""
    paid, blind, unserved, missed, decisions = [], [], 0, 0, 0
    for options in workloads:
        for target_ms in TARGETS_MS:
            target_s = target_ms / MS
            costs = _cheapest((o.configuration, o.cost) for o in options if o.tpot_s <= target_s)
            if len(costs) < 2:
                continue
            decisions += 1
            expected = _cheapest(
                (o.configuration, o.predicted_cost)
                for o in options
                if o.predicted_tpot_s * o.margin <= target_s
            )
            best = min(costs.values())
            blind += [cost / best - 1 for cost in costs.values()]
            if not expected:
                unserved += 1
                continue
            choice = min(expected, key=lambda configuration: expected[configuration])
            if choice in costs:
                paid.append(costs[choice] / best - 1)
            else:
                missed += 1
    values = np.array(paid) if paid else np.array([float("nan")])
    return DecisionRegret(
        name,
        decisions,
        unserved / max(decisions, 1),
        missed / max(decisions, 1),
        float(values.mean()),
        float(np.median(values)),
        float(np.quantile(values, 0.9)),
        float(np.median(blind)) if blind else float("nan"),
    )


def margin_at(done: KernelsDone, level: float) -> float:
    """What a predicted TPOT is multiplied by so that a share ``level`` of left-out runs stays below it."""
    tpot = measured(done.samples)[0][done.trusted]
    off = np.log(tpot / done.left_out.tpot_s[done.trusted])
    weights = group_weights(done.samples)[done.trusted]
    return float(np.exp(weighted_quantiles(off, weights, (level,))[0]))


def vendor_margin(done: VendorFit, level: float) -> float:
    """As ``margin_at``, of a vendor's layer: over its left-out runs whose kernels others carry."""
    if done.left_out is None:
        return 1.0
    known = done.known
    tpot = np.array([sample.tpot_s for sample in done.samples])
    off = np.log(tpot / done.left_out.tpot_s)[known]
    pairs = [(s.point.model, s.point.gpu) for s, k in zip(done.samples, known, strict=True) if k]
    weights = equal_groups(pairs)
    return float(np.exp(weighted_quantiles(off, weights, (level,))[0]))


def gpu_prices(catalog: Catalog) -> dict[str, float]:
    """A GPU's on-demand price [USD/h]: the median over providers of the lowest that each asks."""
    lowest: dict[str, dict[str, float]] = {}
    for offer in catalog.offers():
        if offer.term is Term.ON_DEMAND:
            by_provider = lowest.setdefault(offer.gpu, {})
            price = offer.usd_per_gpu_hour
            by_provider[offer.provider] = min(price, by_provider.get(offer.provider, price))
    return {gpu: median(by_provider.values()) for gpu, by_provider in lowest.items()}


def _cheapest(priced: Iterable[tuple[Hashable, float]]) -> dict[Hashable, float]:
    """The lowest cost of each configuration."""
    found: dict[Hashable, float] = {}
    for configuration, cost in priced:
        found[configuration] = min(cost, found.get(configuration, cost))
    return found


def workloads(
    runs: Iterable[PredictedRun], prices: Mapping[str, float], within_gpu: bool
) -> list[list[MeasuredChoice]]:
    """Options of each workload (and GPU); runs repeated on other days count once, by their medians.

    GPUs without a price are choices within themselves alone, where none is needed.
    """
    found: dict[Hashable, dict[Hashable, list[MeasuredChoice]]] = {}
    for run in runs:
        point = run.point
        price = prices.get(point.gpu, 1.0 if within_gpu else None)
        if price is None or not point.concurrency:
            continue
        workload = (*point.workload, point.gpu if within_gpu else "")
        expected = point.tokens_per_s_per_gpu(run.predicted_ttft_s * MS, run.predicted_tpot_s * MS)
        option = MeasuredChoice(
            _configuration(run),
            run.tpot_s,
            price / run.per_s,
            run.predicted_tpot_s,
            price / expected,
            run.margin,
        )
        repeats = found.setdefault(workload, {})
        repeats.setdefault((option.configuration, point.concurrency), []).append(option)
    return [[_middle(same) for same in repeats.values()] for repeats in found.values()]


def kernel_runs(done: KernelsDone, level: float) -> list[PredictedRun]:
    """Runs that measured kernels price, as a correction predicts them that saw nothing of their model.

    level: that of their margin.
    """
    margin = margin_at(done, level)
    tpot, ttft = measured(done.samples)
    left = done.left_out
    return [
        PredictedRun(
            sample.point,
            sample.traits.engine,
            tpot[i],
            ttft[i],
            left.tpot_s[i],
            left.ttft_s[i],
            margin,
        )
        for i, sample in enumerate(done.samples)
        if done.trusted[i] and not np.isnan(ttft[i])
    ]


def vendor_runs(done: VendorFit, level: float) -> list[PredictedRun]:
    """Runs of one at a time on a vendor's devices, as a layer predicts them that saw nothing of their pair.

    Their cost comes from the throughput that was measured where the run recorded no TTFT. level: that of
    their margin.
    """
    if done.left_out is None:
        return []
    margin = vendor_margin(done, level)
    return [
        PredictedRun(
            sample.point,
            sample.traits.engine,
            sample.tpot_s,
            sample.ttft_s,
            done.left_out.tpot_s[i],
            done.left_out.ttft_s[i],
            margin,
        )
        for i, sample in enumerate(done.samples)
        if sample.point.typical("tpot") is not None
        and (not np.isnan(sample.ttft_s) or PER_GPU in sample.point.measures)
    ]


def _configuration(run: PredictedRun) -> Hashable:
    point = run.point
    return (
        point.gpu,
        run.engine,
        point.weights,
        point.tensor_parallel,
        point.data_parallel,
        point.expert_parallel,
        point.pipeline_parallel,
    )


def _middle(same: Sequence[MeasuredChoice]) -> MeasuredChoice:
    """Medians over repetitions of one run."""
    return MeasuredChoice(
        same[0].configuration,
        median(o.tpot_s for o in same),
        median(o.cost for o in same),
        median(o.predicted_tpot_s for o in same),
        median(o.predicted_cost for o in same),
        same[0].margin,
    )
