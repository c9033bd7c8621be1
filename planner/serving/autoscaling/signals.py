"""What an autoscaler can observe of a replica at a steady rate: requests waiting, KV pool in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.serving.closed_form.rate_states import RateStates
from planner.serving.limits import replica_limits
from planner.serving.placed import Placed
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

RATES = np.linspace(0.02, 0.995, 40)  # of the ceiling


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaSignals:
    """One replica by its rate, in steady state.

    capacity_qps: up to which its targets hold; ceiling_qps: beyond which its queue grows without end
    [requests/s]; waiting: requests in the queue, kv_share: of the KV pool in use, at ``rate_qps``.
    """

    capacity_qps: float
    ceiling_qps: float
    rate_qps: Floats
    waiting: Floats
    kv_share: Floats

    def waiting_at(self, rate_qps: float) -> float:
        """Requests waiting at a rate [requests/s]; at the ceiling and beyond, those of the ceiling."""
        return float(np.interp(rate_qps, self.rate_qps, self.waiting))

    def kv_share_at(self, rate_qps: float) -> float:
        """Share of the KV pool in use at a rate [requests/s]."""
        return float(np.interp(rate_qps, self.rate_qps, self.kv_share))


def replica_signals(
    placed: Placed,
    lengths: JointLengths,
    capacity_qps: float,
    arrival_cv: float,
    prefix_hit_share: float,
) -> ReplicaSignals:
    """The signals of one replica by the closed form; ``capacity_qps`` as the plan counts it."""
    limits = replica_limits(placed.deployment, placed.memory)
    states = RateStates(placed.steps, limits, lengths, arrival_cv, prefix_hit_share)
    rates = RATES * states.ceiling
    at = states.at(rates)
    curves = at.curves
    batch = (at.share * np.minimum(curves.state, curves.slots)).sum(axis=1)
    used = np.minimum(1.0, batch * curves.kv_bytes_per_request / curves.kv_pool_bytes)
    return ReplicaSignals(
        capacity_qps=capacity_qps,
        ceiling_qps=max(states.ceiling, capacity_qps),
        rate_qps=np.concatenate([[0.0], rates]),
        waiting=np.concatenate([[0.0], np.maximum(at.waiting, 0.0)]),
        kv_share=np.concatenate([[0.0], used]),
    )
