"""Turns of conversations: what each resends of its history, and what a prefix cache could know of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.scenario.conversations.fields import Conversations, ThinkTime, Turns
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Service
from planner.workload.length_values import Floats, Ints, lognormal, request_trace, tokens_at
from planner.workload.prefix_reuse import DialogueReuse, PrefixReuse
from planner.workload.recorded_reuse import recorded_reuse
from planner.workload.trace import Trace, read_trace

ATOM_TURNS = 3000  # turns that represent all of a service's
FEWEST_CONVERSATIONS = 64
MOST_CONVERSATIONS = 1024
STICKY = "prefix-aware"


@dataclass(frozen=True, slots=True, eq=False)
class DialogueTurns:
    """Turns of several conversations, one conversation after the other, in order.

    conversation: which one, from 0 on; position: of the turn in it, from 0 on; prompt, output [tokens];
    pause_s: from the end of the answer to the conversation's next request, inf after the last [s].
    """

    conversation: Ints
    position: Ints
    prompt: Ints
    output: Ints
    pause_s: Floats

    @property
    def per_conversation(self) -> float:
        """Mean number of turns."""
        return len(self.prompt) / (int(self.conversation[-1]) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class TurnLengths:
    """Lengths of a service's turns [tokens], and what a prefix cache may know of them."""

    prompt: Ints
    output: Ints
    reuse: PrefixReuse | None


def turn_lengths(service: Service) -> TurnLengths:
    """Turns that represent all of a service's conversations.

    Raises InputError for a recorded trace that is missing, bad or without arrival times.
    """
    assert service.conversations is not None
    if service.conversations.trace is not None:
        trace = recorded(service.conversations)
        sticky = service.routing.policy == STICKY
        return TurnLengths(
            trace.prompt_tokens, trace.output_tokens, recorded_reuse(trace, service.rate, sticky)
        )
    text = service.model_dump_json(include={"conversations", "prompt_tokens", "output_tokens"})
    turns = _atoms(text)
    reuse = DialogueReuse(
        conversation=turns.conversation,
        position=turns.position,
        held=turns.prompt + turns.output - 1,
        prompt=turns.prompt,
        pause_s=turns.pause_s,
        shared_tokens=int(service.conversations.shared_system_prompt),
        rate_qps=service.rate,
        sticky=service.routing.policy == STICKY,
    )
    return TurnLengths(turns.prompt, turns.output, reuse)


def recorded(conversations: Conversations) -> Trace:
    """The recorded requests of ``{trace: FILE}``, with their arrival times."""
    assert conversations.trace is not None
    trace = read_trace(conversations.trace)
    if trace.arrival_s is None or trace.span_s <= 0:
        raise InputError(
            "recorded conversations need arrival times",
            where=trace.name,
            action="use the file in prompt_tokens and output_tokens instead",
        )
    if trace.prefix is None and trace.conversation is None:
        raise InputError(
            "the trace has neither block ids nor conversations",
            where=trace.name,
            found=trace.publisher or "plain columns",
            allowed="hash_ids (Mooncake, Bailian), or a conversation id (OpenTelemetry, AIPerf)",
            action="use the file in prompt_tokens and output_tokens instead",
        )
    return trace


@lru_cache(maxsize=32)
def _atoms(text: str) -> DialogueTurns:
    """As many conversations as make ``ATOM_TURNS``, with evenly spread turns and first prompts."""
    stated = json.loads(text)
    conversations = Conversations.model_validate_json(json.dumps(stated["conversations"]))
    prompt = Lengths.model_validate_json(json.dumps(stated["prompt_tokens"]))
    output = Lengths.model_validate_json(json.dumps(stated["output_tokens"]))
    assert conversations.turns is not None
    wanted = int(ATOM_TURNS / conversations.turns.mean)
    count = min(max(wanted, FEWEST_CONVERSATIONS), MOST_CONVERSATIONS)
    return sample_turns(conversations, prompt, output, count, np.random.default_rng(0))


def sample_turns(
    conversations: Conversations,
    prompt: Lengths,
    output: Lengths,
    count: int,
    rng: np.random.Generator,
) -> DialogueTurns:
    """``count`` conversations; each ends at its last turn or before ``max_context`` is exceeded."""
    assert conversations.turns is not None
    assert conversations.think_time is not None
    assert conversations.growth is not None
    turns = _turns_at(conversations.turns, _spread(count, rng))
    total = int(turns.sum())
    conversation = np.repeat(np.arange(count), turns)
    first = np.cumsum(turns) - turns
    position = np.arange(total) - np.repeat(first, turns)
    shared = int(conversations.shared_system_prompt)
    opening = np.maximum(_tokens(prompt, count, rng), shared + 1)
    answers = _tokens(output, total, rng)
    added = np.where(position > 0, _tokens(conversations.growth, total, rng), 0)
    before = np.where(position > 0, np.concatenate([[0], answers[:-1]]), 0) + added
    grown = np.cumsum(before)
    prompts = opening[conversation] + grown - np.repeat(grown[first], turns)
    pause = _pauses_at(conversations.think_time, _spread(total, rng))
    fits = position >= 0
    if conversations.max_context is not None:
        fits = (prompts + answers <= conversations.max_context) | (position == 0)
    kept = np.flatnonzero(fits)
    last = np.append(conversation[kept][1:] != conversation[kept][:-1], True)
    return DialogueTurns(
        conversation=conversation[kept],
        position=position[kept],
        prompt=prompts[kept],
        output=answers[kept],
        pause_s=np.where(last, np.inf, pause[kept]),
    )


def _spread(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Evenly spread probabilities in (0, 1), in random order."""
    return (rng.permutation(count) + 0.5) / count


def _tokens(lengths: Lengths, count: int, rng: np.random.Generator) -> Ints:
    trace = request_trace(lengths)
    column = None if trace is None else trace.prompt_tokens
    return tokens_at(lengths, _spread(count, rng), column)


def _turns_at(turns: Turns, u: Floats) -> Ints:
    values = np.full(len(u), turns.mean)
    if turns.cv:
        values = lognormal(turns.mean, turns.cv, u)
    elif not turns.mean.is_integer():
        whole = np.floor(turns.mean)
        values = whole + (u < turns.mean - whole)
    if turns.max is not None:
        values = np.minimum(values, turns.max)
    return np.maximum(1, np.round(values)).astype(np.int64)


def _pauses_at(pause: ThinkTime, u: Floats) -> Floats:
    if pause.quantiles is not None:
        points = sorted(pause.quantiles.items())
        values = np.interp(u, [q for q, _ in points], [s for _, s in points])
    else:
        assert pause.mean is not None
        values = np.full(len(u), pause.mean)
        if pause.cv and pause.mean:
            values = lognormal(pause.mean, pause.cv, u)
    return values if pause.max is None else np.minimum(values, pause.max)
