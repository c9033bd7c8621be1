"""What vLLM computes again because the KV pool is smaller than what runs.

Chunked prefill admits a prompt as soon as the prompt alone fits. While requests wait for room, whatever an
ending request frees (p + o tokens) goes to new prompts at once, and the tokens that running answers grow by,
o a request over its life, are taken from the request that came last: it is preempted, gives up p' >= p
tokens, and computes them again. Freed and grown tokens balance, so that a request causes

    R = w E[o]                            without prefix caching,
    R = w E[o] E[o] / (E[p] + E[o])       with it

recomputed tokens, w the share of requests that wait for room. With prefix caching a preempted request finds
its blocks but for those that growing answers took: of the p + o tokens that a request occupies, o.
Source: vLLM V1 scheduler (preemption by recompute); held against the simulator, which plays it step by step
(``tests/serving/closed_form/test_recomputation.py``).
"""

from __future__ import annotations

from planner.catalog.engine import Scheduler
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.replica_curves import ReplicaCurves
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths


def recomputed_tokens(lengths: JointLengths, waiting_share: float, prefix_caching: bool) -> float:
    """Tokens a request, in the mean, that are computed a second time [tokens].

    waiting_share: of requests that wait for room in the KV pool, in [0, 1].
    """
    prompt, output = lengths.mean_prompt, lengths.mean_output
    lost = output / max(prompt + output, TINY) if prefix_caching else 1.0
    return waiting_share * output * lost


def recomputation_s(curves: ReplicaCurves, limits: ReplicaLimits, lengths: JointLengths) -> float:
    """Prefill time that a request causes a second time while the pool is always full [s].

    0 where a replica is bounded by anything else, and with schedulers that do not admit by the prompt alone.
    """
    if curves.slot_bound != CapacityLimit.KV_POOL or curves.scheduler != Scheduler.CHUNKED_PREFILL:
        return 0.0
    each_s = float(curves.prefill_shared_s[-1]) / max(lengths.mean_prompt, 1.0)
    return recomputed_tokens(lengths, 1.0, limits.prefix_caching) * each_s
