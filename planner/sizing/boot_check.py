"""A planned memory layout beside what an engine printed at start-up, part by part."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment, EngineSettings
from planner.sizing.boot_identity import (
    logged_gpu,
    logged_kv_format,
    logged_model,
    logged_weights,
)
from planner.sizing.boot_log import BootLog
from planner.sizing.coefficients import memory_coefficients
from planner.sizing.memory import context_gib, memory_layout
from planner.sizing.model_memory import Layout, deployment_of
from planner.units import GIB


@dataclass(frozen=True, slots=True)
class PartCheck:
    """One part: planned and printed, in ``unit`` ("bytes", "tokens", "sequences", "bytes per token").

    ``comparable`` is False where the printed figure is not the planned quantity; the explanation says
    why.
    """

    part: str
    unit: str
    planned: float | None
    printed: float | None
    explanation: str = ""
    comparable: bool = True

    @property
    def difference(self) -> float | None:
        """Planned over printed, minus one; None where either is unknown or they do not compare."""
        if self.planned is None or not self.printed or not self.comparable:
            return None
        return self.planned / self.printed - 1


@dataclass(frozen=True, slots=True)
class BootCheck:
    """A start-up compared with the plan for it; ``assumptions`` says what the log left open."""

    log: BootLog
    deployment: Deployment
    parts: tuple[PartCheck, ...]
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the user says where the log is silent or wrong."""

    model: ModelSpec | None = None
    gpu: GpuSpec | None = None
    weights: str | None = None
    kv_cache: str | None = None
    tensor_parallel: int | None = None
    engine: str | None = None
    engine_version: str | None = None


def check_boot_log(catalog: Catalog, log: BootLog, given: Overrides | None = None) -> BootCheck:
    """Plan the deployment a log describes and set every part beside what was printed.

    Raises InputError when the model cannot be told, or the layout cannot be launched.
    """
    given = given or Overrides()
    assumptions: list[str] = []
    model = given.model or logged_model(catalog, log)
    gpu, card_known = logged_gpu(catalog, log, given.gpu, assumptions)
    gpu = _with_free_memory(catalog, gpu, log)
    version = given.engine_version or log.version
    if version is None:
        assumptions.append(
            f"{log.engine}'s version is not in the log: its default version is taken"
        )
    layout = Layout(
        gpu=gpu,
        engine=given.engine or log.engine,
        engine_version=version,
        tensor_parallel=given.tensor_parallel or _attention_ranks(log),
        pipeline_parallel=log.pipeline_parallel,
        data_parallel=_attention_dp(log),
        expert_parallel=_expert_ranks(log),
        settings=_settings(log, assumptions),
    )
    weights = given.weights or logged_weights(log)
    kv_cache = given.kv_cache or logged_kv_format(log)
    deployment = _with_sampler(deployment_of(catalog, model, weights, kv_cache, layout), log)
    return BootCheck(
        log, deployment, tuple(_parts(deployment, log, card_known)), tuple(assumptions)
    )


def _parts(deployment: Deployment, log: BootLog, card_known: bool) -> list[PartCheck]:
    plan = memory_layout(deployment)
    held_back = "" if card_known else "the card is not known, so the pool cannot be planned"
    pool = plan.kv_pool_bytes if card_known else None
    per_token = plan.kv.growing_bytes_per_token + sum(b for _, b in plan.kv.windows)
    grows_alike = not plan.kv.windows and not plan.kv.state_bytes_per_sequence
    parts = [
        PartCheck(
            "weights",
            "bytes",
            plan.weights_bytes + plan.adapters_bytes,
            _bytes(log.weights_gib),
            _weights_note(deployment, log),
        ),
        PartCheck(
            "KV cache pool",
            "bytes",
            pool,
            _bytes(log.kv_pool_gib),
            held_back or _pool_note(deployment, log),
        ),
    ]
    tokens = log.capacity_tokens
    if tokens and log.kv_pool_gib:
        note = (
            ""
            if grows_alike
            else (
                "hybrid model: the printed tokens are concurrency x longest request, not capacity"
            )
        )
        printed = log.kv_pool_gib * GIB / tokens
        parts.append(
            PartCheck(
                "KV cache per token", "bytes per token", per_token, printed, note, grows_alike
            )
        )
    if tokens:
        note = "" if grows_alike else "hybrid model: see the concurrency line instead"
        planned = plan.kv_pool_tokens if card_known else None
        parts.append(PartCheck("KV cache tokens", "tokens", planned, tokens, note, grows_alike))
    if log.concurrency and log.concurrency_tokens:
        one = float(plan.kv.bytes_for(log.concurrency_tokens))
        own_pool = _bytes(log.kv_pool_gib) or pool
        planned = own_pool / one * plan.kv_ranks if own_pool and one else None
        parts.append(
            PartCheck(
                f"sequences of {log.concurrency_tokens:,} tokens",
                "sequences",
                planned,
                log.concurrency,
                "in the printed pool" if log.kv_pool_gib else "",
            )
        )
    parts += [
        PartCheck(
            "activations",
            "bytes",
            plan.activations_bytes,
            _bytes(log.activations_gib),
            _activation_note(log),
        ),
        PartCheck(
            "context and collectives", "bytes", plan.context_bytes, _bytes(log.non_torch_gib)
        ),
        PartCheck(
            "CUDA graphs",
            "bytes",
            0.0 if log.eager else plan.cuda_graphs_bytes,
            _bytes(
                log.graphs_gib if log.graphs_estimated_gib is None else log.graphs_estimated_gib
            ),
            _graph_note(deployment, log),
        ),
    ]
    return [part for part in parts if part.printed is not None or part.part in ("weights",)]


def _weights_note(deployment: Deployment, log: BootLog) -> str:
    notes = []
    if deployment.model.vision:
        size = sum(tensor.values for tensor in deployment.model.vision) * 2 / GIB
        notes.append(f"includes the vision tower, {size:.2f} GiB")
    if log.draft and log.engine == "vllm":
        notes.append("the printed figure includes the draft model")
    if log.draft_gib:
        notes.append(f"the draft model's {log.draft_gib:.2f} GiB are apart")
    if deployment.weights.bits < 16 and not notes:
        notes.append("a checkpoint may leave other tensors unquantised")
    return "; ".join(notes)


def _pool_note(deployment: Deployment, log: BootLog) -> str:
    notes = []
    if log.memory_fraction is None:
        notes.append("the memory fraction is not in the log: the version's default is taken")
    if log.draft_gib:
        notes.append(f"the draft model takes {log.draft_gib:.2f} GiB of it")
    if log.eager and deployment.engine.graphs_inside_budget:
        notes.append("no CUDA graphs in eager mode")
    if log.state_gib:
        notes.append(f"{log.state_gib:.2f} GiB of recurrent state are apart")
    return "; ".join(notes)


def _activation_note(log: BootLog) -> str:
    if log.fused_sampler is None:
        return ""
    return (
        "FlashInfer samples without a full sort"
        if log.fused_sampler
        else "the sampler's warm-up sorts all logits"
    )


def _graph_note(deployment: Deployment, log: BootLog) -> str:
    if log.eager:
        return "eager mode captures none"
    if log.graphs_gib is not None and log.graphs_gib < 0:
        return "negative: memory was freed during capture"
    if deployment.engine.graphs_inside_budget:
        return "inside the budget in this version"
    return "outside the budget in this version"


def _with_sampler(deployment: Deployment, log: BootLog) -> Deployment:
    """The deployment whose engine samples, and captures graphs, as the log says."""
    changes = dict(deployment.engine.memory)
    if log.fused_sampler:
        changes["sampler_bytes_per_logit"] = changes["fused_sampler_bytes_per_logit"]
    if log.eager:
        changes |= {"graphs_base_gib": 0.0, "graphs_gib_per_size": 0.0}
    return replace(deployment, engine=replace(deployment.engine, memory=tuple(changes.items())))


def _with_free_memory(catalog: Catalog, gpu: GpuSpec, log: BootLog) -> GpuSpec:
    """SGLang says what was free before loading: the visible memory is that and the context."""
    if log.free_before_gib is None or log.engine != "sglang":
        return gpu
    engine = catalog.engine(log.engine, log.version)
    context = context_gib(gpu, log.tensor_parallel, memory_coefficients(engine))
    return replace(gpu, cuda_visible_gib=log.free_before_gib + context)


def _settings(log: BootLog, assumptions: list[str]) -> EngineSettings:
    if log.memory_fraction is None:
        assumptions.append("memory fraction: the engine version's default")
    if log.max_num_seqs is None:
        assumptions.append("max_num_seqs: the engine's default on this card")
    return EngineSettings(
        memory_fraction=log.memory_fraction,
        max_num_seqs=log.max_num_seqs,
        max_num_batched_tokens=log.max_num_batched_tokens,
        max_model_len_tokens=log.max_model_len,
    )


def _attention_dp(log: BootLog) -> int:
    """SGLang's dp_size divides tp_size when attention is data parallel; vLLM's multiplies it."""
    return log.data_parallel if log.engine == "sglang" else 1


def _attention_ranks(log: BootLog) -> int:
    return max(1, log.tensor_parallel // _attention_dp(log))


def _expert_ranks(log: BootLog) -> int:
    return log.tensor_parallel if _attention_dp(log) > 1 else 1


def _bytes(gib: float | None) -> float | None:
    return None if gib is None else gib * GIB
