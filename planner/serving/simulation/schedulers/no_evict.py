"""TensorRT-LLM, GUARANTEED_NO_EVICT: admission reserves the worst-case KV, so nothing is evicted.

Context and generation share a step under ``max_num_tokens``. A request is admitted when blocks for
its prompt and its whole output are free. Without chunked context (the PyTorch backend's default)
prompts enter whole, as many as the budget holds; one prompt always enters, since engines are launched
with ``max_num_tokens`` above their longest prompt (tensorrt_llm/_torch/pyexecutor/scheduler.py).
"""

from __future__ import annotations

from planner.serving.simulation.replica import Replica
from planner.serving.simulation.sequence import ScheduledStep


class NoEvict:
    """Composes TensorRT-LLM steps."""

    reserves = True

    def compose(self, replica: Replica) -> ScheduledStep | None:
        step = replica.decode_step(1)
        if replica.prefilling or replica.waiting:
            self._fill(replica, step)
        if step.chunks:
            return step
        if not replica.decoding:
            return None
        step.steps = replica.steps_to_next_end()
        return step

    def _fill(self, replica: Replica, step: ScheduledStep) -> None:
        limits = replica.limits
        budget = limits.max_num_batched_tokens - step.decode * (1 + limits.draft_tokens)
        for sequence in replica.prefilling:
            tokens = min(sequence.pending, budget, limits.chunk_tokens)
            if tokens <= 0:
                return
            step.add_chunk(sequence, tokens)
            budget -= tokens
        while replica.waiting and replica.running < limits.max_num_seqs:
            sequence = replica.waiting[0]
            cached = replica.look_up_prefix(sequence)
            left = sequence.prompt + sequence.generated - cached
            fits = left <= min(budget, limits.chunk_tokens) or (
                not limits.chunked and not step.chunks
            )
            tokens = left if fits else min(budget, limits.chunk_tokens)
            if tokens <= 0 or not (fits or limits.chunked):
                return
            if replica.admission_blocks(sequence, sequence.total) > replica.free_blocks:
                return
            replica.admit(sequence, cached, sequence.total)
            step.add_chunk(sequence, tokens)
            budget -= tokens
