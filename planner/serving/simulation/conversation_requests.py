"""Requests that are turns of conversations: the next comes when the answer before has ended and been read."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.scenario.schema import Service
from planner.serving.simulation.dialogue import Dialogue
from planner.serving.simulation.requests import Requests, arrival_cv, interarrival_times
from planner.workload.recorded_reuse import answered_chains, chains, copies_of
from planner.workload.trace import Trace
from planner.workload.turns import DialogueTurns, recorded, sample_turns

Floats = NDArray[np.float64]

LONGEST_LIVES = 0.995  # of conversations: how far back those reach that are under way at the start
MOST_TURNS = 5_000_000


def conversation_requests(
    service: Service, rate_qps: float, seconds: float, stay_s: float, seed: int
) -> Requests:
    """Turns of conversations that start as ``service.arrivals`` says, at ``rate_qps`` turns/s on average.

    Conversations under way at the start go on with the turn that they have reached, ``stay_s`` being the
    mean time of an answer [s]; what they and earlier ones have left behind is in the caches. Arrivals, and
    turns, come from separate streams of the seed. Raises InputError for more turns than fit in memory.
    """
    stated = service.conversations
    assert stated is not None
    if stated.trace is not None:
        return recorded_requests(recorded(stated), rate_qps, seconds, seed)
    gaps_rng, turns_rng, first_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)
    )
    some = sample_turns(stated, service.prompt_tokens, service.output_tokens, 512, first_rng)
    back = float(np.quantile(_lives_s(some, stay_s), LONGEST_LIVES))
    per_second = rate_qps / some.per_conversation
    expected = per_second * (back + seconds)
    if expected * some.per_conversation > MOST_TURNS:
        raise InputError(
            "the conversations of so long a simulation do not fit in memory",
            found=f"{expected * some.per_conversation:.2g} turns",
            allowed=f"at most {MOST_TURNS:,}",
            action="a shorter duration, or a lower rate",
        )
    count = int(expected + 6 * math.sqrt(expected) * max(1.0, arrival_cv(service.arrivals)) + 16)
    starts = np.cumsum(interarrival_times(service.arrivals, per_second, count, gaps_rng)) - back
    turns = sample_turns(stated, service.prompt_tokens, service.output_tokens, count, turns_rng)
    return _cut(turns, starts, stay_s, seconds, int(stated.shared_system_prompt))


def pauses_s(service: Service) -> float:
    """Mean pause between an answer and the conversation's next request [s]; 0 without conversations."""
    stated = service.conversations
    if stated is None:
        return 0.0
    if stated.trace is not None:
        trace = recorded(stated)
        return _recorded_pause_s(trace) * _pace(trace, service.rate)
    some = sample_turns(
        stated, service.prompt_tokens, service.output_tokens, 512, np.random.default_rng(0)
    )
    pauses = some.pause_s[~np.isinf(some.pause_s)]
    return float(pauses.mean()) if len(pauses) else 0.0


def recorded_requests(trace: Trace, rate_qps: float, seconds: float, seed: int) -> Requests:
    """A recording of conversations sent at ``rate_qps`` [requests/s] for ``seconds``.

    As many copies of it as come nearest to the rate run at once, from places of their own, and each at
    nearly its own pace; every copy, and every time round, has block ids of its own.
    """
    assert trace.arrival_s is not None
    prompts, (_, block) = answered_chains(trace), chains(trace)
    copies, pace = copies_of(trace, rate_qps), _pace(trace, rate_qps)
    gap = trace.span_s / len(trace)
    own_s, round_s = trace.arrival_s * pace, (trace.span_s + gap) * pace
    starts = np.random.default_rng(seed).uniform(0, round_s, copies)
    rows: list[tuple[float, int, int]] = []
    for copy, start in enumerate(starts.tolist()):
        for turn in range(int((seconds + start) / round_s) + 1):
            at = own_s + turn * round_s - start
            chosen = np.flatnonzero((at >= 0) & (at < seconds))
            lap = turn * copies + copy
            rows += zip(at[chosen].tolist(), [lap] * len(chosen), chosen.tolist(), strict=True)
    if len(rows) > MOST_TURNS or not rows:
        raise InputError("no requests, or too many, of the recording", found=f"{len(rows):,}")
    rows.sort()
    index = np.array([i for _, _, i in rows])
    apart = 1 + max((max(ids) for ids in prompts if ids), default=0)
    return Requests(
        np.array([at for at, _, _ in rows]),
        trace.prompt_tokens[index],
        trace.output_tokens[index],
        tuple(tuple(b + lap * apart for b in prompts[i]) for _, lap, i in rows),
        block,
        recorded=True,
        answered=trace.prefix is None,
    )


def _pace(trace: Trace, rate_qps: float) -> float:
    """Times between requests of one copy over those recorded."""
    return copies_of(trace, rate_qps) * len(trace) / trace.span_s / rate_qps


def _recorded_pause_s(trace: Trace) -> float:
    """Mean time since a request's longest known prefix was last sent [s]."""
    assert trace.arrival_s is not None
    last: dict[int, float] = {}
    gaps = []
    prompts, _ = chains(trace)
    for at, blocks in zip(trace.arrival_s.tolist(), prompts, strict=True):
        known = None
        for block in blocks:
            if block not in last:
                break
            known = block
        if known is not None:
            gaps.append(at - last[known])
        last.update(dict.fromkeys(blocks, at))
    return float(np.mean(gaps)) if gaps else 0.0


def _lives_s(turns: DialogueTurns, stay_s: float) -> Floats:
    """How long each conversation takes from its first request to its last answer [s]."""
    each = np.where(np.isinf(turns.pause_s), 0.0, turns.pause_s) + stay_s
    return np.asarray(np.bincount(turns.conversation, weights=each))


def _cut(
    turns: DialogueTurns, starts: Floats, stay_s: float, seconds: float, shared_tokens: int
) -> Requests:
    """The turns that fall into [0, ``seconds``), if every answer takes ``stay_s`` [s]."""
    pauses = np.where(np.isinf(turns.pause_s), 0.0, turns.pause_s) + stay_s
    passed = np.concatenate([[0.0], np.cumsum(pauses)[:-1]])
    first = np.flatnonzero(turns.position == 0)
    at = starts[turns.conversation] + passed - passed[first][turns.conversation]
    kept = np.flatnonzero((at >= 0) & (at < seconds))
    if not len(kept):
        raise InputError("there are no requests to simulate", action="longer duration, higher rate")
    order = kept[np.argsort(at[kept], kind="stable")]
    place = np.full(len(at) + 1, -1)
    place[order] = np.arange(len(order))
    follows = np.where(np.isinf(turns.pause_s[order]), -1, place[order + 1])
    begins = (turns.position[order] == 0) | (at[np.maximum(order - 1, 0)] < 0)
    return Requests(
        at[order],
        turns.prompt[order],
        turns.output[order],
        dialogue=Dialogue(
            conversation=turns.conversation[order],
            next_turn=follows,
            pause_s=turns.pause_s[order],
            begins=np.flatnonzero(begins),
            left_before=_left_before(turns, at),
            shared_tokens=shared_tokens,
            until_s=seconds,
        ),
    )


def _left_before(turns: DialogueTurns, at: Floats) -> tuple[tuple[int, int], ...]:
    """What each conversation held after its last turn before the start, in order of time."""
    before = at < 0
    following = np.append(before[1:] & (turns.position[1:] > 0), False)
    last = np.flatnonzero(before & ~following)
    last = last[np.argsort(at[last], kind="stable")]
    held = turns.prompt + turns.output - 1
    return tuple(zip(turns.conversation[last].tolist(), held[last].tolist(), strict=True))
