"""The closed form of a disaggregated unit: P prefill replicas, a KV link, D decode replicas.

Each pool is the closed form of one replica (``steady_state``): prefill replicas see answers of one
token, decode replicas see prompts that are cached but for their last token. A request's first token
leaves the decode pool, so that

    TTFT = prefill queue and prefill + link queue and KV transfer + decode admission and first step
    E2E  = the same with the decode replica's whole stay;  TPOT and ITL are the decode pool's own.

Chances to be late add up by convolution, P(A + B > t) = sum_i w_i P(A > t - b_i) with b_i quantiles of
the decode side; prompt and transfer grow together and are kept together in A. Tails are tabled once
for each pool over a ladder of rates, made monotone in the rate, and read off for every pair and ratio:
a unit with more replicas, or a faster link, never holds less.

``arrival_cv``: standard deviation over mean of the gaps between requests; ``prefix_hit_share``: share of each
prompt's tokens that the prefix cache holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.performance.derived import DerivedSteps
from planner.performance.steps import Number, StepBatch, StepModel, StepTimes
from planner.scenario.slo import Slo, Target
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form.bounds import MOST_LOAD, TINY
from planner.serving.closed_form.capacity import ceiling_of, ceiling_qps
from planner.serving.closed_form.latency_tails import (
    late_ends,
    late_first_tokens,
    long_gaps,
    slow_answers,
)
from planner.serving.closed_form.replica_curves import ReplicaCurves, replica_curves
from planner.serving.closed_form.steady_state import SteadyState, steady_state
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

LADDER = np.concatenate([[1e-3, 0.02], np.linspace(0.08, 0.96, 12), [0.985, 0.995]])
TIMES = 25  # of a target, growing as squares, at which the prefill side is tabled
DECODE_TIMES = 20  # up to a target, in proportion, at which the decode side is inverted
EDGES = np.array([0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0])
BUSIEST_LINK = 0.95
LEVELS, POINTS = 5, 17  # the bracket of a capacity shrinks 16-fold on each level
_LEAST = 1e-9
SUMMED = ("ttft", "e2e")


@dataclass(frozen=True, slots=True)
class TransferLink:
    """The KV link as the closed form sees it: seconds a prompt takes on it, and after it [s]."""

    mean_s: float
    second_moment_s2: float
    latency_s: float


@dataclass(frozen=True, slots=True, eq=False)
class PrefillTails:
    """One prefill replica by rate: log odds of prefill and transfer > time for each summed target.

    ``late`` by target key over (rate, time); ``limits``: rates beyond which something gives
    way, by its name [requests/s]; ``ranks``: attention-DP ranks that send at the same time;
    ``stay_s``: mean time in the pool, transfer included, by rate [s].
    """

    rate_qps: Floats
    late: Mapping[str, Floats]
    limits: Mapping[CapacityLimit, float]
    link: TransferLink
    ranks: int
    stay_s: Floats
    ceiling_qps: float


@dataclass(frozen=True, slots=True, eq=False)
class DecodeTails:
    """One decode replica by rate: quantiles [s] for summed targets, log odds of lateness for the others.

    ``in_flight``: requests; ``kv_used``: share of its pool; ``tpot_s``: mean [s]; all by rate.
    """

    rate_qps: Floats
    quantiles: Mapping[str, Floats]
    late: Mapping[str, Floats]
    limits: Mapping[CapacityLimit, float]
    in_flight: Floats
    kv_used: Floats
    tpot_s: Floats
    ceiling_qps: float


def prefill_tails(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    slo: Slo,
    transfer: Transfer,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> PrefillTails:
    """Table one prefill replica whose prompts then take ``transfer``."""
    curves = prefill_curves(steps, limits, lengths, transfer, prefix_hit_share)
    ceiling = ceiling_of(curves)  # its prompts queue for prefill alone, not for their transfer
    rates = ceiling * LADDER
    state = steady_state(curves, rates, arrival_cv)
    shares = np.linspace(0, 1, TIMES) ** 2
    late: dict[str, Floats] = {}
    for target in _summed(slo):
        found = [_mean(state, late_first_tokens(state, target.seconds * x)) for x in shares]
        late[target.key] = _tabled(np.stack(found, axis=1))
    link = transfer.link(lengths)
    held = limits.kv_pool_bytes - limits.sequence_bytes(int(lengths.prompt.max()))
    waiting = (link.mean_s / limits.ranks + link.latency_s) * _mean_bytes(limits, lengths)
    bounds = {
        CapacityLimit.PREFILL_THROUGHPUT: _last_stable(state),
        CapacityLimit.KV_LINK: BUSIEST_LINK * limits.ranks / max(link.mean_s, TINY),
        CapacityLimit.PREFILL_KV_POOL: max(held, 0.0) / max(waiting, TINY),
    }
    queued = (state.share * state.sharing.wait_s).sum(axis=1)
    stay = float(curves.own_s[0] @ curves.nodes.prompt_weight) + queued
    return PrefillTails(rates, late, bounds, link, limits.ranks, stay, ceiling)


def decode_tails(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    slo: Slo,
    arrival_cv: float = 1.0,
) -> DecodeTails:
    """Table one decode replica."""
    curves = decode_curves(steps, limits, lengths)
    ceiling = ceiling_of(curves)
    rates = LADDER * ceiling
    state = steady_state(curves, rates, arrival_cv)
    quantiles: dict[str, Floats] = {}
    late: dict[str, Floats] = {}
    for target in slo.targets:
        if target.metric in SUMMED:
            quantiles[target.key] = _quantiles_by_rate(state, target)
        else:
            slow = slow_answers if target.metric == "tpot" else long_gaps
            late[target.key] = _tabled(_mean(state, slow(state, target.seconds))[:, None])[:, 0]
    bounds = {CapacityLimit.DECODE_THROUGHPUT: _last_stable(state)}
    in_flight, kv_used, tpot = in_decode(state)
    return DecodeTails(rates, quantiles, late, bounds, in_flight, kv_used, tpot, ceiling)


def in_decode(state: SteadyState) -> tuple[Floats, Floats, Floats]:
    """Requests in a decode replica, the share of its KV pool, and its mean TPOT [s], by rate."""
    c = state.curves
    batch = (state.share * np.minimum(c.state, c.slots)).sum(axis=1)
    entering = (state.share * c.own_s.mean(axis=1)).sum(axis=1)
    used = np.minimum(batch * c.kv_bytes_per_request / c.kv_pool_bytes, 1.0)
    tpot = (state.share * state.step_s).sum(axis=1) / c.tokens_per_step
    return batch + state.waiting + state.rate_qps * entering, used, tpot


@dataclass(frozen=True, slots=True)
class JoiningSteps(DerivedSteps):
    """A step model for sequences that arrive with their KV cache: a new token is a decoded one.

    The decode engine admits each as a request of its own, as the prefill engine did before.
    """

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        return self.steps.step_times(_decoded(batch))

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.steps.step_seconds(_decoded(batch))


def _decoded(batch: StepBatch) -> StepBatch:
    sequences = batch.decode_sequences + batch.prefill_tokens
    context = batch.decode_context_tokens + batch.prefill_context_tokens
    return StepBatch(sequences, context, sampled_tokens=sequences)


def decode_curves(steps: StepModel, limits: ReplicaLimits, lengths: JointLengths) -> ReplicaCurves:
    """Curves of a replica that only decodes."""
    return replica_curves(JoiningSteps(steps), limits, lengths, prefix_hit_share=1.0)


def decode_ceiling_qps(steps: StepModel, limits: ReplicaLimits, lengths: JointLengths) -> float:
    """The rate beyond which a decode replica's queue grows without end [requests/s]."""
    return ceiling_qps(JoiningSteps(steps), limits, lengths, 1.0)


@dataclass(frozen=True, slots=True)
class Transfer:
    """How long a prompt's KV cache is on the link: the fuller GPU of the two sides sets it."""

    prefill: ReplicaLimits
    decode: ReplicaLimits
    gb_s: float
    latency_s: float

    def seconds(self, prompt_tokens: Floats) -> Floats:
        """Time on the link by prompt [s], latency left out."""
        sides = [_sequence_bytes(x, prompt_tokens) for x in (self.prefill, self.decode)]
        return np.asarray(np.maximum(*sides) / (self.gb_s * 1e9))

    def link(self, lengths: JointLengths) -> TransferLink:
        """Its moments over requests."""
        each = self.seconds(lengths.prompt.astype(float))
        return TransferLink(float(each.mean()), float((each**2).mean()), self.latency_s)


def unit_qps(
    prefill: PrefillTails, decode: DecodeTails, slo: Slo, replicas: int, decode_replicas: int
) -> tuple[float, LimitedBy]:
    """The highest rate of a unit at which every target holds [requests/s], and what stops a higher.

    0 with the worst target where even an idle unit misses one.
    """
    bounds: dict[LimitedBy, float] = {name: replicas * qps for name, qps in prefill.limits.items()}
    bounds |= {name: decode_replicas * qps for name, qps in decode.limits.items()}
    bound = min(bounds, key=lambda name: bounds[name])
    low, high = 0.0, bounds[bound]
    if high <= 0:
        return 0.0, bound

    def margins(rates: Floats) -> Mapping[LimitedBy, Floats]:
        return _margins(prefill, decode, slo, rates, replicas, decode_replicas)

    least = margins(np.array([high * LADDER[0]]))
    worst = max(least, key=lambda key: float(least[key][0]))
    if least[worst][0] > 0:
        return 0.0, worst
    found = bound
    for _ in range(LEVELS):
        rates = np.linspace(low, high, POINTS)
        each = margins(rates)
        fails = np.flatnonzero(np.max(np.stack(list(each.values())), axis=0) > 0)
        if not len(fails):
            return high, found
        at = int(fails[0])
        found = max(each, key=lambda key: float(each[key][at]))
        low, high = float(rates[max(at - 1, 0)]), float(rates[at])
    return low, found


def _margins(
    prefill: PrefillTails,
    decode: DecodeTails,
    slo: Slo,
    rates: Floats,
    replicas: int,
    decode_replicas: int,
) -> Mapping[LimitedBy, Floats]:
    """Late share over allowed share, minus 1, by rate."""
    mine, theirs = rates / replicas, rates / decode_replicas
    wait = link_wait_s(prefill.link, mine, prefill.ranks)
    late = {}
    for target in slo.targets:
        if target.metric in SUMMED:
            left = target.seconds - wait[:, None] - _at(decode, decode.quantiles, target, theirs)
            late[target.key] = _beyond(prefill, target, mine, left)
        else:
            odds = np.interp(theirs, decode.rate_qps, decode.late[target.key])
            late[target.key] = _chance(odds)
    if slo.goodput is not None:
        met = np.prod([1 - np.minimum(x, 1.0) for x in late.values()], axis=0)
        return {CapacityLimit.GOODPUT: (1 - met) / (1 - slo.goodput) - 1}
    return {t.key: late[t.key] / (1 - t.percentile / 100) - 1 for t in slo.targets}


def link_wait_s(link: TransferLink, rate_qps: Floats, ranks: int) -> Floats:
    """Mean wait behind earlier prompts on the link of one prefill replica (M/G/1) [s].

    rate_qps: prompts that this replica sends [requests/s].
    """
    busy = np.minimum(rate_qps * link.mean_s / ranks, MOST_LOAD)
    residual = link.second_moment_s2 / max(2 * link.mean_s, TINY)
    return np.asarray(busy / (1 - busy) * residual / ranks)


def _at(decode: DecodeTails, table: Mapping[str, Floats], target: Target, rates: Floats) -> Floats:
    """Quantiles of the decode side by (rate, probability)."""
    columns = table[target.key].T
    return np.stack([np.interp(rates, decode.rate_qps, column) for column in columns], axis=1)


def _beyond(prefill: PrefillTails, target: Target, rates: Floats, left_s: Floats) -> Floats:
    """P(prefill side > what the decode side left), averaged over the decode side's quantiles."""
    table = prefill.late[target.key]
    rows = np.stack([np.interp(rates, prefill.rate_qps, column) for column in table.T], axis=1)
    place = np.sqrt(np.clip(left_s / target.seconds, 0.0, 1.0)) * (TIMES - 1)
    below = np.minimum(place.astype(int), TIMES - 2)
    here = np.arange(len(rates))[:, None]
    part = place - below
    logs = rows[here, below] * (1 - part) + rows[here, below + 1] * part
    late = np.where(left_s > 0, _chance(logs), 1.0)
    return np.asarray(late @ np.diff(EDGES))


def _quantiles_by_rate(state: SteadyState, target: Target) -> Floats:
    """The decode side's part of a summed target at the middle of each probability bin [s]."""
    late = late_first_tokens if target.metric == "ttft" else late_ends
    least = min(float(state.curves.decode_s[0]) / 4, target.seconds / 4)
    times = np.geomspace(least, target.seconds, DECODE_TIMES)
    tails = _chance(_tabled(np.stack([_mean(state, late(state, t)) for t in times], axis=1)))
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    found = [np.interp(middle, 1 - row, times, left=0.0, right=target.seconds) for row in tails]
    return np.asarray(np.maximum.accumulate(np.stack(found), axis=0))


def _mean(state: SteadyState, late: Floats) -> Floats:
    return np.asarray((state.share * late).sum(axis=1))


def _tabled(late: Floats) -> Floats:
    """Log odds, never falling with the rate (rows) nor rising with time (columns).

    Between rates a chance goes from next to nothing to nearly one, much as its odds do.
    """
    rising = np.maximum.accumulate(np.clip(late, _LEAST, 1 - _LEAST), axis=0)
    falling = np.minimum.accumulate(rising, axis=1)
    return np.asarray(np.log(falling / (1 - falling)))


def _chance(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _last_stable(state: SteadyState) -> float:
    unstable = np.flatnonzero(~state.stable)
    last = len(state.rate_qps) - 1 if not len(unstable) else int(unstable[0]) - 1
    return float(state.rate_qps[last]) if last >= 0 else 0.0


def _summed(slo: Slo) -> list[Target]:
    return [t for t in slo.targets if t.metric in SUMMED]


def prompts_alone(lengths: JointLengths) -> JointLengths:
    """What is sent to a prefill replica: the prompts, and one token each."""
    return JointLengths(lengths.prompt, np.ones_like(lengths.output))


def prefill_curves(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    transfer: Transfer,
    prefix_hit_share: float,
) -> ReplicaCurves:
    """Curves of a replica that decodes nothing, each prompt's transfer added to its own prefill."""
    curves = replica_curves(steps, _alone(limits), prompts_alone(lengths), prefix_hit_share)
    sent = transfer.seconds(curves.nodes.prompt) + transfer.latency_s
    return replace(curves, own_s=curves.own_s + sent)


def _alone(limits: ReplicaLimits) -> ReplicaLimits:
    """Nothing decodes beside a prompt, so there is one state to price."""
    return replace(limits, max_num_seqs=1)


def _sequence_bytes(limits: ReplicaLimits, tokens: Floats) -> Floats:
    blocks = np.ceil(tokens / limits.kv_block_tokens)
    fixed = limits.state_bytes + sum(b * np.minimum(tokens, w) for w, b in limits.windows)
    return np.asarray(fixed + blocks * limits.kv_block_bytes)


def _mean_bytes(limits: ReplicaLimits, lengths: JointLengths) -> float:
    return float(_sequence_bytes(limits, lengths.prompt.astype(float)).mean())
