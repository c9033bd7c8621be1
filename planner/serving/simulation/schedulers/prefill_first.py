"""SGLang: prompts first and alone, in chunks; decode waits; retraction when the pool runs out.

While the queue has a request that fits, the next step is a prefill of up to ``chunked_prefill_size``
tokens and no sequence decodes (mixed chunks are off by default). A request fits when the pool holds
its prompt and its expected output beside what the running sequences are expected to need: the
remaining output times ``new_token_ratio``, which starts at 0.7 and falls over 600 decode steps to
0.7 x 0.14; a retraction raises it again (sglang/srt/managers/schedule_policy.py, server_args.py).
"""

from __future__ import annotations

from planner.serving.simulation.replica import Replica
from planner.serving.simulation.sequence import ScheduledStep

INITIAL_NEW_TOKEN_RATIO = 0.7
MINIMUM_NEW_TOKEN_RATIO = 0.7 * 0.14
RATIO_DECAY_STEPS = 600
LONGEST_EXPECTED_OUTPUT_TOKENS = 4096
RETRACTION_HORIZON_STEPS = 20
BLOCKED_STEPS = 32  # how often a queue that waits for memory is looked at again


class PrefillFirst:
    """Composes SGLang steps; holds the adaptive ``new_token_ratio`` of one replica."""

    reserves = False

    def __init__(self) -> None:
        self._ratio = INITIAL_NEW_TOKEN_RATIO

    def compose(self, replica: Replica) -> ScheduledStep | None:
        if replica.prefilling or replica.waiting:
            step = ScheduledStep(0, 0, 1)
            self._fill(replica, step)
            if step.chunks:
                return step
        if not replica.decoding:
            return None
        self._make_room(replica)
        steps = max(1, replica.steps_within_pool(replica.steps_to_next_end()))
        if replica.waiting and replica.running < replica.limits.max_num_seqs:
            steps = min(steps, BLOCKED_STEPS)
        decay = (INITIAL_NEW_TOKEN_RATIO - MINIMUM_NEW_TOKEN_RATIO) / RATIO_DECAY_STEPS
        self._ratio = max(MINIMUM_NEW_TOKEN_RATIO, self._ratio - decay * steps)
        return replica.decode_step(steps)

    def _make_room(self, replica: Replica) -> None:
        retracted = False
        while replica.tight and replica.running > 1 and replica.growth(1) > replica.free_blocks:
            replica.preempt_latest(requeue_last=True)
            retracted = True
        if retracted and replica.decoding:
            left = replica.tokens_to_decode
            horizon = RETRACTION_HORIZON_STEPS * replica.decoding
            self._ratio = min(
                1.0, max(self._ratio, horizon / max(left, 1), INITIAL_NEW_TOKEN_RATIO)
            )

    def _fill(self, replica: Replica, step: ScheduledStep) -> None:
        limits = replica.limits
        budget = limits.max_num_batched_tokens
        expected = self._ratio * min(
            replica.tokens_to_decode, replica.decoding * LONGEST_EXPECTED_OUTPUT_TOKENS
        )
        free = replica.free_blocks - expected * self._blocks_per_token(replica)
        for sequence in replica.prefilling:
            tokens = min(sequence.pending, budget, limits.chunk_tokens)
            step.add_chunk(sequence, tokens)
            budget -= tokens
        while replica.waiting and budget > 0 and replica.running < limits.max_num_seqs:
            sequence = replica.waiting[0]
            cached = replica.look_up_prefix(sequence)
            left = sequence.prompt + sequence.generated - cached
            held = sequence.prompt + sequence.generated
            output = min(sequence.output - sequence.generated, LONGEST_EXPECTED_OUTPUT_TOKENS)
            need = replica.admission_blocks(sequence, held) + output * self._blocks_per_token(
                replica
            )
            alone = replica.running == 0
            if need > free and not alone:
                return
            free -= need
            tokens = min(left, budget, limits.chunk_tokens)
            replica.admit(sequence, cached, held)
            step.add_chunk(sequence, tokens)
            budget -= tokens

    @staticmethod
    def _blocks_per_token(replica: Replica) -> float:
        return replica.blocks_for(replica.limits.kv_block_tokens) / replica.limits.kv_block_tokens
