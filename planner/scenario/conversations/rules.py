"""How a service's other fields go with its conversations: the rate's unit, lengths, what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from planner.scenario.conversations.fields import Conversations
from planner.scenario.fields import field_error
from planner.scenario.lengths import Lengths
from planner.units import parse_rate_qps

_CONVERSATIONS = re.compile(r"^(.*?)\s*(?:conversations?|sessions?)\s*((?:/|per).*)$")


def as_turns(value: object) -> object:
    """A service with ``rate: 2 conversations/s`` as requests/s, and a recording's lengths as its own.

    A conversation counts as the mean number of its turns. Anything else comes back as it is.
    """
    if not isinstance(value, Mapping):
        return value
    stated = value.get("conversations")
    if isinstance(stated, Mapping) and isinstance(stated.get("trace"), str):
        own = {"trace": stated["trace"]}
        value = {"prompt_tokens": own, "output_tokens": own, **value}
    rate = value.get("rate")
    match = _CONVERSATIONS.match(rate) if isinstance(rate, str) else None
    if match is None:
        return value
    per_second = parse_rate_qps(f"{match[1]}{match[2]}")
    if not isinstance(per_second, float):
        return value
    turns = _mean_turns(stated)
    if turns is None:
        raise field_error(
            "rate",
            rate,
            "conversations/s needs conversations with turns: give requests/s, or state them",
        )
    return {**value, "rate": per_second * turns}


def _mean_turns(stated: object) -> float | None:
    try:
        found = Conversations.model_validate(stated)
    except ValidationError:
        return None  # its own message follows
    return None if found.turns is None else found.turns.mean


def check_conversations(
    conversations: Conversations, prompt: Lengths, others: Mapping[str, bool]
) -> None:
    """Raise at the field where a service's ``prompt`` or what ``others`` names cannot go with them.

    The first prompt holds the shared system prompt and at least one token more.
    """
    for field, given in others.items():
        if given:
            raise field_error(
                "conversations", None, f"{field} does not go with conversations: leave one out"
            )
    least = prompt.mean
    if prompt.quantiles is not None:
        least = min(prompt.quantiles.values())
    shared = conversations.shared_system_prompt
    if least is not None and least <= shared:
        raise field_error(
            "prompt_tokens",
            least,
            "prompt_tokens is the whole first prompt: it must be more than "
            f"shared_system_prompt ({shared:g})",
        )
    most = conversations.max_context
    if most is not None and prompt.mean is not None and prompt.mean >= most:
        raise field_error(
            "prompt_tokens", prompt.mean, f"the first prompt must be below max_context ({most:g})"
        )
