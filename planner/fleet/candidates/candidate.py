"""What a service may run or may not: candidates, rejections, and what they are sized under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.catalog.store import Catalog
from planner.deployment import (
    Deployment,
)
from planner.evidence import Evidence, weakest
from planner.fleet.candidates.buckets import Bucket
from planner.fleet.candidates.cuts import GpuCut
from planner.fleet.candidates.deployments import (
    name_on_part,
)
from planner.fleet.candidates.known import Known
from planner.fleet.offers.networks import OfferedNetworks, network_needed_gb_s, on_usual_network
from planner.fleet.rejection_reason import RejectionReason
from planner.kept_rows import KeptRows
from planner.performance.factors import Calibration
from planner.performance.steps import StepModel
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import Capacity
from planner.serving.pools import Prefill
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import JointLengths


class Parts:
    """What a replica occupies and how fast it is, worked out when first read."""

    def __init__(self, memory: Callable[[], MemoryLayout], steps: Callable[[], StepModel]) -> None:
        self._memory, self._steps = memory, steps

    @cached_property
    def memory(self) -> MemoryLayout:
        """What one replica occupies on each GPU."""
        return self._memory()

    @cached_property
    def steps(self) -> StepModel:
        """How long its steps take."""
        return self._steps()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that can serve ``service`` at ``capacity.qps`` per replica within its targets.

    ``bucket_qps``: the rate it holds of each length bucket it can serve [requests/s] (the service's
    name where it is not split). ``gpu_share``: of its one GPU; ``deployment.gpu`` is then that share.
    ``prefill``: the other pool of a disaggregated unit, whose answers ``deployment`` writes; a replica
    is then a whole unit. ``prefill_groups``: as ``group_sizes``, of a pool on another GPU type.
    ``profile``: of the MIG slice that it has. ``group_sizes``: GPUs that must
    each stay in one node or link domain.
    """

    key: str
    service: str
    deployment: Deployment
    capacity: Capacity
    parts: Parts
    evidence: Evidence
    notes: tuple[str, ...] = ()
    bucket_qps: Mapping[str, float] = field(default_factory=dict)
    gpu_share: float = 1.0
    prefill: Prefill | None = None
    group_sizes: tuple[int, ...] = ()
    profile: str = ""
    prefill_groups: tuple[int, ...] = ()

    @property
    def memory(self) -> MemoryLayout:
        """What one replica occupies on each GPU."""
        return self.parts.memory

    @property
    def steps(self) -> StepModel:
        """How long the steps of one replica take."""
        return self.parts.steps

    @property
    def gpus(self) -> int:
        """GPUs of one replica, or of one unit of both pools."""
        return self.prefill.gpus(self.deployment) if self.prefill else self.deployment.gpus

    @property
    def gpus_by_type(self) -> dict[str, float]:
        """GPUs of one replica or unit by GPU type, a share of one counted as that."""
        own = self.deployment.gpu.name
        pool = self.prefill
        if pool is None or pool.deployment.gpu.name == own:
            return {own: self.gpus * self.gpu_share}
        return {
            own: float(pool.decode_replicas * self.deployment.gpus),
            pool.deployment.gpu.name: float(pool.replicas * pool.deployment.gpus),
        }

    @property
    def network_gb_s(self) -> float:
        """What its capacity counts on between nodes, a GPU's share [GB/s]; 0 where it does not."""
        return network_needed_gb_s(self.deployment, self.prefill)

    @property
    def name_on_any_network(self) -> str:
        """Its name without the network between its nodes."""
        usual = on_usual_network(self.deployment)
        pool = self.prefill
        if pool is not None:
            return replace(pool, deployment=on_usual_network(pool.deployment)).label(usual)
        return name_on_part(usual, GpuCut(self.gpu_share, self.profile))

    @property
    def label(self) -> str:
        """The name of one replica or unit, see ``replica_name``."""
        if self.prefill:
            return self.prefill.label(self.deployment)
        return name_on_part(self.deployment, GpuCut(self.gpu_share, self.profile))


def known_as(steps: StepModel, deployment: Deployment) -> Evidence:
    """The grade behind a replica's numbers: its step times', and its acceptance's where it drafts."""
    draft = deployment.draft
    return steps.evidence if draft is None else weakest((steps.evidence, draft.evidence))


@dataclass(frozen=True, slots=True)
class Rejection:
    """A deployment that was rejected: the ``reason`` it shares with others, and its own numbers.

    ``miss``: how far it is from passing, as found over allowed (1.3 = 30 % over); None where that
    has no meaning. ``is_floor``: the miss is that of a physical floor, which is below any prediction: not to
    be ranked with misses of predictions.
    """

    reason: RejectionReason
    label: str
    detail: str
    miss: float | None = None
    is_floor: bool = False


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """What a service may run, in the order it was tried, and what it may not."""

    service: str
    candidates: tuple[Candidate, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What every deployment of one service is tried under. ``largest_node``: GPUs by GPU type.

    ``networks``: what joins nodes, by GPU type of which some nodes share a network.
    ``required``: all that the service requires of a replica, as one text; ``load``: its lengths.
    ``model_text``: all of its model, hashed; ``outcomes``: how deployments fared under the same in earlier
    runs, where that is kept. ``past_floors``: what misses a target by its floor is predicted all the same.
    """

    service: Service
    catalog: Catalog
    calibration: Calibration
    lengths: JointLengths
    buckets: tuple[Bucket, ...]
    median_prompt_tokens: float
    largest_node: Mapping[str, int]
    networks: OfferedNetworks
    known: Known
    required: str
    load: bytes
    model_text: str
    outcomes: KeptRows | None = None
    past_floors: bool = False
