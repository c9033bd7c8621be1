"""vLLM V1: one token budget per step, decodes first, prompts in chunks, preemption by recompute.

Every running sequence gets its decode token, then unfinished prompts and the queue (FCFS) fill what
is left of ``max_num_batched_tokens``. A request is admitted when the pool has blocks for its whole
prompt (``scheduler_reserve_full_isl``, on since 0.19), though it takes them chunk by chunk.
When the pool cannot hold the next decode tokens, the latest sequence loses its KV and starts over
from the head of the queue (vllm/v1/core/sched/scheduler.py).
"""

from __future__ import annotations

from planner.serving.simulation.replica import Replica
from planner.serving.simulation.sequence import ScheduledStep


class ChunkedPrefill:
    """Composes vLLM V1 steps."""

    reserves = False

    def compose(self, replica: Replica) -> ScheduledStep | None:
        preempted = False
        while replica.tight and replica.running > 1 and replica.growth(1) > replica.free_blocks:
            replica.preempt_latest()
            preempted = True
        step = replica.decode_step(1)
        if replica.prefilling or (replica.waiting and not preempted):
            while self._fill(replica, step, admit=not preempted):
                preempted = True
                step = replica.decode_step(1)
        if step.chunks:
            return step
        if not replica.decoding:
            return None
        if not preempted:
            step.steps = max(1, replica.steps_within_pool(replica.steps_to_next_end()))
        return step

    def _fill(self, replica: Replica, step: ScheduledStep, admit: bool) -> bool:
        """Add prompts to the step; whether it has to be composed again, as one of its sequences gave way."""
        limits = replica.limits
        budget = limits.max_num_batched_tokens - step.decode * (1 + limits.draft_tokens)
        free = replica.free_blocks - replica.growth(1)
        for sequence in tuple(replica.prefilling):
            tokens = min(sequence.pending, budget, limits.chunk_tokens)
            if tokens <= 0:
                return False
            done = sequence.prompt + sequence.generated - sequence.pending
            need = replica.blocks_beyond(sequence, done + tokens)
            if need > free:
                return replica.preempt_latest()
            free -= need
            replica.hold(sequence, done + tokens)
            step.add_chunk(sequence, tokens)
            budget -= tokens
        waiting, most, chunk = replica.waiting, limits.max_num_seqs, limits.chunk_tokens
        while admit and waiting and budget > 0 and replica.running < most:
            sequence = waiting[0]
            cached = replica.look_up_prefix(sequence)
            left = sequence.prompt + sequence.generated - cached
            tokens = min(left, budget, chunk)
            whole = replica.admission_blocks(sequence, cached + left)
            if whole > free:
                break
            free -= whole if tokens == left else replica.admission_blocks(sequence, cached + tokens)
            replica.admit(sequence, cached, cached + tokens)
            step.add_chunk(sequence, tokens)
            budget -= tokens
        return False
