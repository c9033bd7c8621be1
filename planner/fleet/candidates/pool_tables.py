"""What one pool of a unit holds, tabled once for the pairs, ratios and places that read it."""

from __future__ import annotations

from dataclasses import dataclass

from planner.deployment import Deployment
from planner.fleet.candidates.candidate import (
    Context,
)
from planner.fleet.candidates.derating import derating
from planner.performance.steps import StepModel
from planner.serving.capacity_limit import LimitedBy
from planner.serving.closed_form.pool_capacity import (
    DecodeTails,
    PrefillTails,
    Transfer,
    decode_tails,
    prefill_tails,
    unit_qps,
)
from planner.serving.limits import ReplicaLimits
from planner.serving.pools import Prefill
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import JointLengths


@dataclass(frozen=True, eq=False)
class PoolReplica:
    """One pool's replica: how it is cut, its memory, its steps and what its scheduler may do."""

    deployment: Deployment
    memory: MemoryLayout
    steps: StepModel
    limits: ReplicaLimits
    groups: tuple[int, ...]


class PoolTables:
    """Each pool's tails, tabled once for the pairs, ratios and places that read them."""

    def __init__(self, context: Context) -> None:
        service = context.service
        self._service = service
        self._cv = service.prompts_cv
        self._share = service.assumptions.prefix_hit_share
        self._prefill: dict[tuple[object, ...], PrefillTails] = {}
        self._decode: dict[tuple[object, ...], DecodeTails] = {}

    def capacity(
        self, lengths: JointLengths, mine: PoolReplica, theirs: PoolReplica, prefill: Prefill
    ) -> tuple[float, LimitedBy]:
        """Requests/s of one unit, and what stops a higher rate."""
        worse = derating(theirs.steps, self._service.assurance, mine.steps)
        tails = self.of(lengths, mine, theirs, prefill)
        slo = worse.tightened(self._service.slo)
        qps, bound = unit_qps(*tails, slo, prefill.replicas, prefill.decode_replicas)
        return qps / worse.demand, bound

    def of(
        self, lengths: JointLengths, mine: PoolReplica, theirs: PoolReplica, prefill: Prefill
    ) -> tuple[PrefillTails, DecodeTails]:
        """Both pools' tables for these lengths and this link."""
        worse = derating(theirs.steps, self._service.assurance, mine.steps)
        slo = worse.tightened(self._service.slo)
        joined = prefill.link
        transfer = Transfer(mine.limits, theirs.limits, joined.gb_s, joined.latency_s)
        sent = transfer.link(lengths).mean_s
        one = (
            id(lengths),
            mine.deployment,
            worse.prefill_steps,
            worse.ttft,
            sent,
            joined.latency_s,
        )
        if one not in self._prefill:
            self._prefill[one] = prefill_tails(
                worse.slowed_prefill(mine.steps),
                mine.limits,
                lengths,
                slo,
                transfer,
                self._cv,
                self._share,
            )
        other = (id(lengths), theirs.deployment, worse.steps, worse.ttft)
        if other not in self._decode:
            self._decode[other] = decode_tails(
                worse.slowed(theirs.steps), theirs.limits, lengths, slo, self._cv
            )
        return self._prefill[one], self._decode[other]
