"""What a replica group computes a second time because its KV pool is full at times, in a note."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.engine import Scheduler
from planner.fleet.candidates.candidate import Candidate
from planner.serving.closed_form.capacity import Capacity
from planner.serving.closed_form.recomputation import recomputed_tokens
from planner.serving.limits import replica_limits
from planner.workload.lengths import JointLengths

WORTH_A_NOTE = 0.05  # of the prompt's tokens


def preemption_note(
    candidate: Candidate, at: Capacity, lengths: JointLengths, *, is_job: bool
) -> Iterator[str]:
    """Recomputed tokens a request at its load, where they are a twentieth of the prompt or more."""
    if candidate.prefill is not None or not lengths.generates or lengths.reuse is not None:
        return
    limits = replica_limits(candidate.deployment, candidate.memory)
    if limits.scheduler != Scheduler.CHUNKED_PREFILL:
        return
    share = 1.0 if is_job and at.pool_wait_share > 0 else at.pool_wait_share
    tokens = recomputed_tokens(lengths, share, limits.prefix_caching)
    if tokens < WORTH_A_NOTE * lengths.mean_prompt:
        return
    where = "in its capacity" if is_job else "in the simulator, not in the closed form"
    yield (
        f"{share:.0%} of the requests wait for room in the KV pool: about {tokens:,.0f} tokens a request "
        f"are computed again ({where})"
    )
