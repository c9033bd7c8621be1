"""Latencies of one request class among those that share a replica: part of the closed form.

All classes see the same batches and steps; each has prompts and answers of its own. What a request waits for
behind others is the same for all, first come first served. By priority it is that of a queue whose service is
not interrupted (Cobham 1954, Priority assignment in waiting line problems): with sigma_k the load of all
classes that are served no later than class k,

    W_k / W = (1 - rho) / ((1 - sigma_(k-1)) (1 - sigma_k))                                  (5)

whether one server or c of them wait (Kella and Yechiali 1985). Where arrivals come in bursts, the part of
the wait that those of the own burst cause, (CV^2 - 1) / (CV^2 - 1 + E[S^2] / E[S]^2) of it, is further that
behind earlier classes and half of the own one,

    b_k = 2 e_k + l_k                                                                        (6)

with e_k and l_k the shares of the work that earlier classes and the own level bring (1 for one level). Both
scale the wait for a batch slot and the wait behind full steps. What is left of the running step, and the
prompts that share the own one, are not reordered. That the first class may take the KV of the last
(preemption) is left out.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.serving.closed_form import bounds
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.length_nodes import ClassNodes
from planner.serving.closed_form.steady_state import SteadyState

Floats = NDArray[np.float64]

EXPONENTIAL = 2.0  # E[S^2] / E[S]^2 of what leaves a full batch: the times until one of many ends


def of_class(s: SteadyState, name: str) -> SteadyState:
    """The states as requests of one class see them; all requests for "" or where there are no classes."""
    classes = s.rows.nodes.classes
    if not name or classes is None:
        return s
    number = classes.number(name)
    rows = copy.copy(s.rows)
    rows.nodes = s.rows.nodes.of_class(number)
    seen = replace(s, rows=rows, answer_times=[])
    if len(set(classes.levels)) == 1:
        return seen
    sharing = s.sharing
    bursts = s.arrival_cv**2 - 1
    burst = bursts / np.maximum(bursts + s.rows.prefill_spread, TINY)
    slower = wait_factor(sharing.load, classes, classes.prefill_share, number, burst)
    left = np.minimum(sharing.overflow / np.maximum(1 - sharing.in_pause, TINY), 1.0)
    behind = left * sharing.overflow_s
    rest = sharing.busy_variance_s2 - _variance(left, behind)
    service = s.rows.slots[:, 0] / np.maximum(s.rows.steps_per_request * s.step_s[:, -1], TINY)
    burst = np.array(bursts / max(bursts + EXPONENTIAL, TINY))
    slots = wait_factor(s.rate_qps / service, classes, classes.decode_share, number, burst)
    return replace(
        seen,
        drain_qps=s.drain_qps / slots,
        sharing=replace(
            sharing,
            busy_wait_s=sharing.busy_wait_s + (slower - 1) * behind,
            busy_variance_s2=np.maximum(rest + _variance(left, slower * behind), 0.0),
        ),
    )


def _variance(left: Floats, behind_s: Floats) -> Floats:
    """Variance of a wait that only a share ``left`` of requests has; behind_s: its mean over all [s]."""
    return np.asarray(behind_s**2 * (2 / np.maximum(left, bounds.LEAST_CHANCE) - 1))


def wait_factor(
    load: Floats, classes: ClassNodes, share: Floats, number: int, burst: Floats | float = 0.0
) -> Floats:
    """(5) and (6): what a class waits over what it would wait first come first served.

    load: rho, of the resource; share: of each class in it; burst: the part of the wait that comes of bursts.
    """
    rho = np.minimum(load, bounds.MOST_LOAD)
    level = classes.levels[number]
    earlier = float(sum(x for x, at in zip(share, classes.levels, strict=True) if at < level))
    own = float(sum(x for x, at in zip(share, classes.levels, strict=True) if at == level))
    steady = (1 - rho) / ((1 - rho * earlier) * (1 - rho * (earlier + own)))
    within = 2 * earlier + own
    return np.asarray(steady * (1 + np.maximum(burst, 0.0) * (within - 1)))
