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
scale the wait for a batch slot and the wait behind full steps, in which prompts are too that the own step has
no room for. What is left of the running step, and the prompts that do share the own one, are not reordered.
That the first class may take the KV of the last (preemption) is left out.

While all slots are taken, what waits is not prefilled, and does not slow the batch that it waits for. Classes
before the last are served as by c servers with the variability of gaps and answers (Allen and Cunneen, in
Whitt 1993, Approximations for the GI/G/m queue): the tail of their wait falls at

    (mu - lambda) 2 / (CV^2 + CV_o^2)                                                       (7)

with mu what leaves a full batch [requests/s] and CV_o that of the answers, 1 / overlap - 1 squared: exact for
equal and for exponential ones. The last class's falls as first come first served, (3) included.
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
    spilled = sharing.spilled_variance_s2
    rest = sharing.busy_variance_s2 - _variance(left, behind) - spilled
    service = s.rows.slots[:, 0] / np.maximum(s.rows.steps_per_request * s.step_s[:, -1], TINY)
    burst = np.array(bursts / max(bursts + EXPONENTIAL, TINY))
    slots = wait_factor(s.rate_qps / service, classes, classes.decode_share, number, burst)
    drain = s.drain_qps
    if classes.levels[number] < max(classes.levels):
        drain = np.maximum(drain, (service - s.rate_qps) * _drain_power(s))
    return replace(
        seen,
        drain_qps=drain / slots,
        sharing=replace(
            sharing,
            busy_wait_s=sharing.busy_wait_s + (slower - 1) * behind,
            busy_variance_s2=np.maximum(rest, 0.0)
            + slower**2 * spilled
            + _variance(left, slower * behind),
        ),
    )


def _drain_power(s: SteadyState) -> float:
    """(7), over mu - lambda: 1 for exponential gaps and answers."""
    stay = 1 / max(s.rows.overlap, TINY) - 1
    return 2 / (s.arrival_cv**2 + stay)


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
