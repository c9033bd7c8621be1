"""How far each requirement of a service is from failing, by rate; capacity is where the first one fails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from planner.scenario.slo import Slo
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form.rate_states import WHOLE, RateStates, late_by_state

Floats = NDArray[np.float64]


def ladder_margins(states: RateStates, slo: Slo) -> dict[LimitedBy, Floats]:
    """``margins_at`` at the ladder's rates, which are read twice under the same targets."""
    if states.judged is None or states.judged[0] is not slo:
        states.judged = slo, margins_at(states, slo)
    return states.judged[1]


def worst_margin(margins: Mapping[LimitedBy, Floats]) -> Floats:
    """The requirement nearest to failing, by rate.

    margins: by requirement, late share over allowed share minus 1, by rate.
    """
    first, *others = margins.values()
    worst = first.copy()
    for other in others:
        np.maximum(worst, other, out=worst)
    return worst


def margins_at(states: RateStates, slo: Slo, interval: int = WHOLE) -> dict[LimitedBy, Floats]:
    """How far each requirement is from failing, by rate: late share over allowed share, minus 1."""
    s = states.ladder() if interval == WHOLE else states.between(interval)
    out: dict[LimitedBy, Floats] = {CapacityLimit.STABLE: np.where(s.stable, -1.0, 1e6)}
    if slo.goodput is not None:
        met = np.ones(s.share.shape)
        for target in slo.targets:
            met = met * (1 - np.minimum(late_by_state(s, target, target.seconds), 1.0))
        out[CapacityLimit.GOODPUT] = (1 - (s.share * met).sum(axis=1)) / (1 - slo.goodput) - 1
        return out
    for target in slo.targets:
        share = states.late_share(target, interval)
        out[target.key] = share / (1 - target.percentile / 100) - 1
    return out
