"""The parts of a start-up check: planned, printed, and what explains the difference."""

from __future__ import annotations

from dataclasses import dataclass

from planner.deployment import Deployment
from planner.sizing.boot_log.reader import BootLog
from planner.sizing.layout import MemoryLayout
from planner.sizing.memory import memory_layout
from planner.units import GIB

HYBRID_NOTE = "hybrid model: the printed tokens are concurrency x longest request, not capacity"


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


def part_checks(
    deployment: Deployment, log: BootLog, *, gpu_known: bool, gpu_note: str
) -> tuple[PartCheck, ...]:
    """Every part the log prints, and the weights always.

    ``gpu_note`` qualifies the pool where the GPU is not named by the log or the user; with
    ``gpu_known`` False what depends on the GPU stays unplanned.
    """
    plan = memory_layout(deployment)
    pool = plan.kv_pool_bytes if gpu_known else None
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
            printed_pool_bytes(plan, log),
            "; ".join(filter(None, (gpu_note, _pool_note(log)))),
        ),
        *_token_parts(plan, log, gpu_known),
        *_concurrency_part(plan, log, pool),
        PartCheck(
            "activations",
            "bytes",
            plan.activations_bytes if gpu_known or log.max_num_seqs else None,
            _bytes(log.activations_gib),
            _activation_note(log),
        ),
        _context_part(plan, log),
        PartCheck(
            "CUDA graphs",
            "bytes",
            plan.cuda_graphs_bytes,
            _bytes(
                log.graphs_gib if log.graphs_estimated_gib is None else log.graphs_estimated_gib
            ),
            _graph_note(deployment, log),
        ),
    ]
    return tuple(part for part in parts if part.printed is not None or part.part == "weights")


def _context_part(plan: MemoryLayout, log: BootLog) -> PartCheck:
    """What lies outside the framework's allocator; TensorRT-LLM counts graphs and other processes too."""
    planned, name, note = plan.context_bytes, "context and collectives", ""
    if log.engine == "tensorrt-llm":
        planned, name = planned + plan.cuda_graphs_bytes, "context, collectives and graphs"
        note = "the engine counts whatever else holds memory of the device"
    return PartCheck(name, "bytes", planned, _bytes(log.context_gib), note)


def _token_parts(plan: MemoryLayout, log: BootLog, gpu_known: bool) -> list[PartCheck]:
    tokens = log.capacity_tokens
    if not tokens:
        return []
    per_token = plan.kv.growing_bytes_per_token + sum(size for _, size in plan.kv.windows)
    capacity = log.engine == "tensorrt-llm"  # it prints what every layer holds, windows or not
    equal = capacity or not (plan.kv.windows or plan.kv.state_bytes_per_sequence)
    note = "" if equal else HYBRID_NOTE
    planned = plan.kv_pool_tokens if gpu_known else None
    parts = [PartCheck("KV cache tokens", "tokens", planned, tokens, note, equal)]
    if log.kv_pool_gib:
        printed = log.kv_pool_gib * GIB / tokens * plan.kv_ranks
        name = "KV cache per token"
        parts.insert(0, PartCheck(name, "bytes per token", per_token, printed, note, equal))
    return parts


def _concurrency_part(plan: MemoryLayout, log: BootLog, pool: float | None) -> list[PartCheck]:
    """Sequences of the printed length in the printed pool: this line holds for hybrid models too."""
    if not log.concurrency or not log.concurrency_tokens:
        return []
    one = plan.kv.reserved_for(log.concurrency_tokens)
    printed = printed_pool_bytes(plan, log)
    size = printed or pool
    notes = ["in the printed pool"] if printed else []
    if plan.kv.windows:
        notes.append("the engine counts a step's tokens beside each window")
    if plan.kv.state_bytes_per_sequence:
        notes.append("state blocks for drafts and prefix caching counted")
    return [
        PartCheck(
            f"sequences of {log.concurrency_tokens:,} tokens",
            "sequences",
            size / one * plan.kv_ranks if size and one else None,
            log.concurrency,
            "; ".join(notes),
        )
    ]


def printed_pool_bytes(plan: MemoryLayout, log: BootLog) -> float | None:
    """The printed pool [B per GPU]; from the printed tokens where every layer keeps them all."""
    if log.kv_pool_gib is not None:
        return log.kv_pool_gib * GIB
    tokens = log.capacity_tokens
    if tokens is None or plan.kv.windows or plan.kv.state_bytes_per_sequence:
        return None
    return tokens * plan.kv.growing_bytes_per_token / plan.kv_ranks


def _weights_note(deployment: Deployment, log: BootLog) -> str:
    notes = []
    if deployment.model.vision:
        size = sum(tensor.values for tensor in deployment.model.vision) * 2 / GIB
        notes.append(f"includes the vision or audio encoder, {size:.2f} GiB")
    if log.draft and log.engine == "vllm":
        notes.append("the printed figure includes the draft model")
    if log.draft_gib:
        notes.append(f"the draft model's {log.draft_gib:.2f} GiB are apart")
    if deployment.weights.bits < 16 and not notes:
        notes.append("a checkpoint may leave other tensors unquantised")
    return "; ".join(notes)


def _pool_note(log: BootLog) -> str:
    notes = []
    if log.memory_fraction is None:
        notes.append("memory fraction not printed: the version's default")
    if log.draft_gib:
        notes.append(f"the draft model takes {log.draft_gib:.2f} GiB of it")
    if log.state_gib:
        notes.append(f"{log.state_gib:.2f} GiB of recurrent state are apart")
    return "; ".join(notes)


def _activation_note(log: BootLog) -> str:
    if log.fused_sampler is None:
        return ""
    if log.fused_sampler:
        return "FlashInfer samples without a full sort"
    return "the sampler's warm-up sorts all logits"


def _graph_note(deployment: Deployment, log: BootLog) -> str:
    if log.eager:
        return "eager mode captures none"
    if log.graphs_gib is not None and log.graphs_gib < 0:
        return "negative: memory was freed during capture"
    place = "inside" if deployment.engine.graphs_inside_budget else "outside"
    return f"{place} the budget in this version"


def _bytes(gib: float | None) -> float | None:
    return None if gib is None else gib * GIB
