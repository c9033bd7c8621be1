"""What serves a service, brought to life: a deployment, its memory and steps, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.deployment import Deployment
from planner.performance.steps import StepModel
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import (
    Capacity,
    ceiling_qps,
    lasts_at,
    operating_point,
    replica_capacity,
)
from planner.serving.closed_form.unit_point import (
    unit_capacity,
    unit_ceiling_qps,
    unit_of,
    unit_point,
)
from planner.serving.limits import replica_limits
from planner.serving.pools import Prefill
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import JointLengths


@dataclass(frozen=True, slots=True)
class Placed:
    """Replicas of one deployment, and the part of the service's rate they get [requests/s].

    ``prefill``: the pool that prefills for it; ``replicas`` are then units of both.
    """

    deployment: Deployment
    memory: MemoryLayout
    steps: StepModel
    replicas: int
    rate_qps: float
    prefill: Prefill | None = None

    def with_steps(self, changed: Callable[[StepModel], StepModel]) -> Placed:
        """The same with other step times, in both pools of a unit."""
        pool = self.prefill
        if pool is not None:
            pool = replace(pool, steps=changed(pool.steps))
        return replace(self, steps=changed(self.steps), prefill=pool)

    def ceiling_qps(self, lengths: JointLengths, prefix_hit_share: float) -> float:
        """The rate beyond which one replica's queue grows without end [requests/s]."""
        if self.prefill is not None:
            unit = unit_of(self.prefill, self.deployment, self.memory, self.steps)
            return unit_ceiling_qps(unit, lengths, prefix_hit_share)
        limits = replica_limits(self.deployment, self.memory)
        return ceiling_qps(self.steps, limits, lengths, prefix_hit_share)

    def keeps_up(
        self, lengths: JointLengths, rate_qps: float, arrival_cv: float, prefix_hit_share: float
    ) -> bool:
        """Whether one replica keeps up with ``rate_qps`` [requests/s], whatever its latency."""
        if self.prefill is not None:
            return rate_qps < self.ceiling_qps(lengths, prefix_hit_share)
        limits = replica_limits(self.deployment, self.memory)
        return lasts_at(self.steps, limits, lengths, rate_qps, arrival_cv, prefix_hit_share)

    def capacity(
        self, lengths: JointLengths, slo: Slo, arrival_cv: float, prefix_hit_share: float
    ) -> Capacity:
        """The highest rate of one replica at which every target holds, by the closed form."""
        if self.prefill is not None:
            unit = unit_of(self.prefill, self.deployment, self.memory, self.steps)
            return unit_capacity(unit, lengths, slo, arrival_cv, prefix_hit_share)
        return replica_capacity(
            self.steps, self.memory, self.deployment, lengths, slo, arrival_cv, prefix_hit_share
        )

    def point(
        self,
        lengths: JointLengths,
        slo: Slo,
        rate_qps: float,
        arrival_cv: float,
        prefix_hit_share: float,
    ) -> Capacity:
        """What one replica does at ``rate_qps``, by the closed form."""
        if self.prefill is not None:
            unit = unit_of(self.prefill, self.deployment, self.memory, self.steps)
            return unit_point(unit, lengths, slo, rate_qps, arrival_cv, prefix_hit_share)
        return operating_point(
            self.steps,
            self.memory,
            self.deployment,
            lengths,
            slo,
            rate_qps,
            arrival_cv=arrival_cv,
            prefix_hit_share=prefix_hit_share,
        )
