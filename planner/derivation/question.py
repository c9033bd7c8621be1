"""What a derivation reads: one service, its model, its lengths, the textbook's numbers, the answer."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalog.model import LatentAttention, ModelSpec
from planner.catalog.store import Catalog
from planner.derivation.textbook import Textbook, rounded_parameters
from planner.fleet.candidates.deployments import service_model
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.name_checks import NATIVE
from planner.scenario.schema import Service
from planner.sizing.cache.kv_cache import kv_bytes_per_token
from planner.sizing.parameters import ParameterCount, count_parameters
from planner.sizing.precision import format_family
from planner.sizing.reference_gpus import ReferenceGpu, textbook_gpus
from planner.units import GB
from planner.workload.lengths import JointLengths, lengths_of


@dataclass(frozen=True)
class DerivationInputs:
    """One service of a plan, ready to be derived.

    ``gpu``, ``gpus``: the GPU type and count that the scenario's stock fixes, ("", 0) otherwise;
    ``copies``: how many ranks hold the same MLA latent, in the plan or, without one, under the widest
    searched TP; ``reference``: the GPUs the textbook counts in, the first of them the unit of
    arithmetic.
    """

    service: Service
    answer: ServicePlan | None
    plan: Plan
    catalog: Catalog
    model: ModelSpec
    parameters: ParameterCount
    lengths: JointLengths
    textbook: Textbook
    gpu: str
    gpus: int
    copies: int
    reference: tuple[ReferenceGpu, ...]

    @property
    def groups(self) -> tuple[ReplicaGroup, ...]:
        """The service's replica groups; none when there is no fleet."""
        return self.answer.replica_groups if self.answer else ()

    @property
    def planned_qps(self) -> float:
        """What the groups get together when each is at its busiest [requests/s]."""
        return sum(g.routed_qps for g in self.groups)

    @property
    def tokens(self) -> float:
        """Mean prompt plus output of a request [tokens]."""
        return self.lengths.mean_prompt + self.lengths.mean_output

    @property
    def formats(self) -> tuple[str, ...]:
        """The searched weight formats, in the scenario's words."""
        return tuple(self.textbook.bits)

    def gpu_bytes(self, name: str) -> float:
        """Marketed memory of a GPU, which is what the textbook counts [B]."""
        return self.catalog.gpu(name).marketed_memory_gb * GB

    @property
    def arithmetic_flops_s(self) -> float:
        """``rate x tokens x 2 x active parameters`` [FLOP/s]."""
        return self.service.rate * self.tokens * 2 * self.parameters.active

    @property
    def reference_count(self) -> float:
        """That arithmetic in GPUs of the first reference at 100 % of their BF16 peak."""
        return self.arithmetic_flops_s / self.catalog.gpu(self.reference[0].gpu).peak_flops("bf16")


def question(service: Service, plan: Plan, catalog: Catalog) -> DerivationInputs:
    """Gather what the derivation of ``service`` reads."""
    model = service_model(service, catalog)
    count = count_parameters(model)
    lengths = lengths_of(service)
    given = service.assumptions
    stock = plan.scenario.limits.stock
    gpu, gpus = next(iter(stock.items())) if len(stock) == 1 else ("", 0)
    overhead = (given.textbook_overhead_gb + gpus * given.textbook_overhead_gb_per_gpu) * GB
    answer = next((s for s in plan.services if s.name == service.name), None)
    latent = any(isinstance(layer.mixer, LatentAttention) for layer in model.layers)
    return DerivationInputs(
        service=service,
        answer=answer,
        plan=plan,
        catalog=catalog,
        model=model,
        parameters=count,
        lengths=lengths,
        textbook=Textbook(
            parameters=rounded_parameters(count.total),
            bits={n: catalog.weight_format(n).bits for n in _formats(service, model)},
            kv_token_bytes=kv_bytes_per_token(model, catalog.kv_format("bf16")),
            tokens=lengths.mean_prompt + lengths.mean_written,
            in_flight=service.rate * given.response_time,
            overhead_bytes=overhead,
        ),
        gpu=gpu,
        gpus=gpus,
        copies=_copies(service, answer) if latent else 1,
        reference=textbook_gpus(catalog),
    )


def _formats(service: Service, model: ModelSpec) -> tuple[str, ...]:
    """The searched weight formats by a name of their own; the checkpoint's where no other means it."""
    own = format_family(model.native_weights)
    named = tuple(w for w in service.search.weights if w != NATIVE)
    return named if own in named or NATIVE not in service.search.weights else (own, *named)


def _copies(service: Service, answer: ServicePlan | None) -> int:
    groups = answer.replica_groups if answer else ()
    degrees = [g.tensor_parallel for g in groups] or service.search.tensor_parallel
    return max(degrees)
