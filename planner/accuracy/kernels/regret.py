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
from dataclasses import dataclass
from statistics import median

import numpy as np

from planner.accuracy.kernels.samples import KernelSample, measured
from planner.accuracy.kernels.shipped import KernelsDone, group_weights, weighted_quantiles
from planner.catalog.offer import Term
from planner.catalog.store import Catalog

TARGETS_MS = (10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
MS = 1e3


@dataclass(frozen=True, slots=True)
class MeasuredChoice:
    """One configuration at one concurrency: seconds, and USD per token, measured and predicted."""

    configuration: Hashable
    tpot_s: float
    cost: float
    predicted_tpot_s: float
    predicted_cost: float


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


def regrets(done: KernelsDone, catalog: Catalog, margin: float) -> tuple[DecisionRegret, ...]:
    """Regret among all GPUs and within one GPU, by point estimates and with ``margin`` on TPOT."""
    prices = gpu_prices(catalog)
    among_all = _workloads(done, prices, within_gpu=False)
    within = _workloads(done, prices, within_gpu=True)
    return (
        regret("any GPU", among_all),
        regret("any GPU, TPOT with a margin", among_all, margin),
        regret("one GPU", within),
        regret("one GPU, TPOT with a margin", within, margin),
    )


def regret(
    name: str, workloads: Sequence[Sequence[MeasuredChoice]], margin: float = 1.0
) -> DecisionRegret:
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
                if o.predicted_tpot_s * margin <= target_s
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


def _workloads(
    done: KernelsDone, prices: Mapping[str, float], within_gpu: bool
) -> list[list[MeasuredChoice]]:
    """Options of each workload (and GPU); runs repeated on other days count once, by their medians."""
    runs: dict[Hashable, dict[Hashable, list[MeasuredChoice]]] = {}
    tpot, ttft = measured(done.samples)
    left = done.left_out
    for i, sample in enumerate(done.samples):
        point = sample.point
        if not done.trusted[i] or np.isnan(ttft[i]) or not point.concurrency:
            continue
        price = prices.get(point.gpu)
        if price is None:
            continue
        workload = (*point.workload, point.gpu if within_gpu else "")
        per_s = point.tokens_per_s_per_gpu(ttft[i] * MS, tpot[i] * MS)
        expected = point.tokens_per_s_per_gpu(left.ttft_s[i] * MS, left.tpot_s[i] * MS)
        option = MeasuredChoice(
            _configuration(sample), tpot[i], price / per_s, left.tpot_s[i], price / expected
        )
        repeats = runs.setdefault(workload, {})
        repeats.setdefault((option.configuration, point.concurrency), []).append(option)
    return [[_middle(same) for same in repeats.values()] for repeats in runs.values()]


def _configuration(sample: KernelSample) -> Hashable:
    point = sample.point
    return (
        point.gpu,
        sample.traits.engine,
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
    )
