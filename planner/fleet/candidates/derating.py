"""Sizing with a margin: how much worse than predicted things may turn out, and still hold.

One error is common to all replicas: every step takes ``factor`` times as long, with the one-sided
quantiles of the prediction's evidence grade. Two pools have one each, that of its own GPU and evidence.
TTFT is known less well; what its own quantile lies beyond that of the steps tightens the TTFT targets.
Demand exceeds its forecast by a lognormal factor.

For a probability with normal quantile ``z`` and an exact forecast the steps are slowed by the grade's
quantile itself. With a forecast that may be off, the two errors are taken at the most likely point of
that distance, ``z sigma / sqrt(sigma_model^2 + sigma_demand^2)`` standard deviations each (a
first-order reliability method; exact where the capacity goes as a power of the step time), with
``sigma_model`` that of a lognormal with the same quantile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from planner.performance.margins import Margin
from planner.performance.slowed import SlowedSteps
from planner.performance.steps import StepModel
from planner.scenario.fleet import Assurance
from planner.scenario.slo import Slo
from planner.serving.placed import Placed

LEAST_SIGMA = 1e-6
LEAST_SCORE = 0.1
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Derating:
    """Factors of at least 1 on step times, on TTFT beyond that, and on demand.

    prefill_steps: on those of the pool that prefills, of a unit of two pools.
    """

    steps: float = 1.0
    ttft: float = 1.0
    demand: float = 1.0
    prefill_steps: float = 1.0

    def slowed(self, steps: StepModel) -> StepModel:
        """The step model as slow as it may turn out."""
        return SlowedSteps(steps, self.steps) if self.steps != 1 else steps

    def slowed_prefill(self, steps: StepModel) -> StepModel:
        """The steps of a unit's prefill pool as slow as they may turn out."""
        return SlowedSteps(steps, self.prefill_steps) if self.prefill_steps != 1 else steps

    def slowed_replicas(self, placed: Placed) -> Placed:
        """The replicas with steps as slow as they may turn out, in each pool of a unit."""
        pool = placed.prefill
        if pool is not None:
            pool = replace(pool, steps=self.slowed_prefill(pool.steps))
        return replace(placed, steps=self.slowed(placed.steps), prefill=pool)

    def tightened(self, slo: Slo) -> Slo:
        """The SLO with its TTFT targets divided by what TTFT may be worse by."""
        if self.ttft == 1:
            return slo
        targets = tuple(
            t.model_copy(update={"seconds": t.seconds / self.ttft}) if t.metric == "ttft" else t
            for t in slo.targets
        )
        return slo.model_copy(update={"targets": targets})


def derating(
    steps: StepModel, assurance: Assurance | None, prefill: StepModel | None = None
) -> Derating:
    """What to size for: the prediction itself, or as much worse as the assurance asks.

    prefill: the steps of a unit's prefill pool, which have a margin of their own; so does TTFT, which is
    theirs. The demand of the unit is the higher of both.
    """
    if assurance is None:
        return Derating()
    z = NORMAL.inv_cdf(assurance.probability)
    model, demand = margin_sigma(steps.margin, z), sigma_of_cv(assurance.demand_cv)
    distance = z / math.hypot(model, demand)
    worse = at_score(steps, distance * model)
    found = Derating(
        max(worse.steps, 1.0), max(worse.ttft, 1.0), math.exp(distance * demand * demand)
    )
    return found if prefill is None else _of_unit(found, derating(prefill, assurance))


def _of_unit(decode: Derating, prefill: Derating) -> Derating:
    """Each pool with its own; both are known equally well where one margin stands for both."""
    demand = max(decode.demand, prefill.demand)
    return Derating(decode.steps, prefill.ttft, demand, prefill.steps)


def at_score(steps: StepModel, z: float, prefill: StepModel | None = None) -> Derating:
    """Steps and TTFT as far off as the margin's quantile at the normal score ``z``.

    What a queue makes of slower steps comes on top of TTFT's own quantile: the steps are slowed by theirs,
    the rest of TTFT's tightens its targets. prefill: the steps of a unit's prefill pool, off by their own
    quantiles at the same score.
    """
    off = steps.margin.log_slowdown(z)
    found = Derating(math.exp(off), math.exp(steps.margin.log_ttft(z) - off))
    return found if prefill is None else _of_unit(found, at_score(prefill, z))


def ends(
    steps: StepModel, level: float, prefill: StepModel | None = None
) -> tuple[Derating, Derating]:
    """Steps and TTFT at both ends of what holds with probability ``level``.

    The slow end of the steps is that of sizing, the margin's one-sided quantile at ``(1 + level) / 2``, so
    that a plan assured at that probability meets its targets there. The quick end is that of the steps'
    interval. TTFT beyond its steps reaches as far as its own interval, or as its targets are tightened where
    that is further. prefill: the steps of a unit's prefill pool, off in the same direction.
    """
    if prefill is not None:
        own, prompts = ends(steps, level), ends(prefill, level)
        return _of_unit(own[0], prompts[0]), _of_unit(own[1], prompts[1])
    step, first = steps.interval(1.0, "tpot", level), steps.interval(1.0, "ttft", level)
    worse = at_score(steps, NORMAL.inv_cdf((1 + level) / 2))
    slow = max(worse.steps, 1.0)
    return (
        Derating(step.low, min(first.low / step.low, 1.0)),
        Derating(slow, max(worse.ttft, first.high / slow, 1.0)),
    )


def margin_sigma(margin: Margin, z: float) -> float:
    """Standard deviation of the log of a lognormal that has the margin's quantile at ``z``."""
    at = max(z, LEAST_SCORE)
    return max(margin.log_slowdown(at) / at, LEAST_SIGMA)


def sigma_of_cv(cv: float) -> float:
    """Standard deviation of the log of a lognormal with this coefficient of variation."""
    return math.sqrt(math.log1p(cv * cv))
