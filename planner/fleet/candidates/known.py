"""What is known of deployments whatever the rate, targets, prices, stock or budget are.

Step models, refusals and steady states are kept by deployment and load; whole candidates by what a
service requires of them. One ``Known`` belongs to one catalog and one calibration, so that
solving again with another target, price or stock sizes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from planner import cache_folder
from planner.catalog.model import ModelSpec
from planner.deployment import Deployment
from planner.fleet.candidates.cuts import GpuCut
from planner.fleet.candidates.deployments import name_on_part
from planner.fleet.candidates.outcomes import layout_text, outcome_store
from planner.fleet.offers.networks import on_usual_network
from planner.fleet.program.solutions import SolutionStore
from planner.fleet.rejection_reason import RejectionReason
from planner.kept_rows import RowStore
from planner.performance.factors import Calibration
from planner.performance.guard import Floors
from planner.performance.model import CalibratedStepModel
from planner.performance.replica_steps import replica_steps
from planner.serving.closed_form.rate_states import RateStates
from planner.serving.limits import ReplicaLimits
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import Floats, JointLengths

MOST_STATES = 1024  # about 100 kB each
TRIED_PER_STATE = 4
MOST_DEPLOYMENTS = 4096
MOST_SPANS = 1024
MOST_MODELS = 64

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Refusal = tuple[RejectionReason, str, float | None]


class Kept(Generic[Key, Value]):
    """Values by key, the latest ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def of(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value kept under ``key``, or a new one."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class SpannedLayout:
    """A deployment as the search spans it, on a part of its GPU or the whole.

    ``label``: the name of one replica; ``text``: all that differs between deployments of its model;
    ``single``: the same on one rank a stage.
    """

    whole: Deployment
    cut: GpuCut
    label: str
    text: str
    single: Deployment


Span = tuple[SpannedLayout, ...]


@dataclass(frozen=True, slots=True)
class FittingReplica:
    """What follows from the layout of a replica that fits: memory, step model, floors, limits."""

    deployment: Deployment
    memory: MemoryLayout
    steps: CalibratedStepModel
    floors: Floors
    limits: ReplicaLimits


class Known:
    """The stores of one session.

    ``refusals``: the first check that rules one pool of two out, None where none does; ``replicas``: by
    deployment, or the first check that rules it out; ``spans``: the layouts of a search; ``deeper``: those
    of a deployment in stages; ``states``: of a replica by deployment and load, ``most_states`` at once;
    ``seconds``: of its steps as predicted, whatever margin they are sized with; ``lengths``: of requests,
    equal ones once; ``tried``: candidates and rejections by what a service requires; ``outcomes``: of
    earlier runs, None where they are not kept; ``solutions``: programs proved before;
    ``simulations``: what fleets did in the simulator; ``ceilings``: rates that replicas cannot exceed, by
    load, both kept between runs where ``namespace`` says of what; ``at_ceilings``: deployments at them,
    whatever the targets; ``ceiling_sets``: whole searches.
    """

    def __init__(
        self,
        most_states: int = MOST_STATES,
        solutions: SolutionStore | None = None,
        namespace: str | None = None,
    ) -> None:
        self.simulations = RowStore("played", namespace or "", lasts=namespace is not None)
        self.ceilings = RowStore("ceilings", namespace or "", lasts=namespace is not None)
        self.outcomes = None if namespace is None else outcome_store(namespace)
        self.solutions = solutions
        self.refusals: Kept[tuple[Hashable, ...], Refusal | None] = Kept(MOST_DEPLOYMENTS)
        self.replicas: Kept[tuple[Hashable, ...], FittingReplica | Refusal] = Kept(MOST_DEPLOYMENTS)
        self.layouts: Kept[tuple[Deployment, GpuCut], SpannedLayout] = Kept(MOST_DEPLOYMENTS)
        self.spans: Kept[tuple[Hashable, ...], Span] = Kept(MOST_SPANS)
        self.deeper: Kept[tuple[Hashable, ...], Span] = Kept(MOST_DEPLOYMENTS)
        self.states: Kept[tuple[Hashable, ...], RateStates] = Kept(most_states)
        self.seconds: Kept[tuple[Hashable, ...], Floats] = Kept(most_states)
        self.lengths: Kept[bytes, JointLengths] = Kept(MOST_MODELS)
        self.tried: Kept[tuple[Hashable, ...], object] = Kept(TRIED_PER_STATE * most_states)
        self.ceiling_sets: Kept[tuple[Hashable, ...], object] = Kept(MOST_MODELS)
        self.at_ceilings: Kept[tuple[Hashable, ...], object] = Kept(MOST_DEPLOYMENTS)
        self._models: dict[int, tuple[ModelSpec, str]] = {}
        self._steps: Kept[Deployment, CalibratedStepModel] = Kept(MOST_DEPLOYMENTS)

    def steps(self, deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
        """The deployment's step model under the session's calibration."""
        return self._steps.of(deployment, lambda: replica_steps(deployment, calibration))

    def layout(self, whole: Deployment, cut: GpuCut) -> SpannedLayout:
        """The deployment with its names, which are written once."""

        def made() -> SpannedLayout:
            label, text = name_on_part(whole, cut), layout_text(whole, cut)
            single = replace(
                on_usual_network(whole), tensor_parallel=1, data_parallel=1, expert_parallel=1
            )
            return SpannedLayout(whole, cut, label, text, single)

        return self.layouts.of((whole, cut), made)

    def model_text(self, model: ModelSpec) -> str:
        """All of a model, whether a catalog lists it or a scenario's own file does, as one hash."""
        if id(model) not in self._models:
            if len(self._models) >= MOST_MODELS:
                self._models.clear()
            self._models[id(model)] = (model, cache_folder.key_of((repr(model),)))
        return self._models[id(model)][1]

    def save(self) -> None:
        """Keep what is new for later runs."""
        if self.outcomes is not None:
            self.outcomes.save()
        if self.solutions is not None:
            self.solutions.save()
        self.simulations.save()
        self.ceilings.save()


def digest(lengths: JointLengths) -> bytes:
    """A short name of a length distribution, equal where all its pairs and what they repeat are."""
    pairs = hashlib.blake2b(lengths.prompt.tobytes(), digest_size=16)
    pairs.update(lengths.output.tobytes())
    pairs.update(b"" if lengths.generates else b"pooled")
    if lengths.reuse is not None:
        pairs.update(lengths.reuse.fingerprint)
    if lengths.mix is not None:
        pairs.update(lengths.mix.fingerprint)
    return pairs.digest()
