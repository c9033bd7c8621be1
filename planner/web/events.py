"""Answers as server-sent events: progress as it comes, the answer last."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from planner.web.limits import ServerLimits
from planner.web.pool import TooLong
from planner.web.problems import Json, problem
from planner.web.worker import Message

MEDIA = "text/event-stream"


def event(kind: str, body: Json) -> str:
    """One event; its data is a single line of JSON."""
    return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


async def event_stream(
    messages: AsyncIterator[Message], limits: ServerLimits
) -> AsyncIterator[str]:
    """Progress and the answer of one request as events: progress, answer or problem.

    Closing the stream stops the work.
    """
    try:
        async for message in messages:
            if message.kind in ("progress", "answer"):
                yield event(message.kind, message.body)
            else:
                yield event("problem", {"problems": reported(message)})
    except TooLong:
        yield event("problem", {"problems": [too_long(limits)]})


def reported(message: Message) -> list[Json]:
    """The problems in a message; a bug is reported without its internals."""
    if message.kind == "problem":
        return list(message.problems)
    if message.kind == "stopped":
        return [problem("the request was stopped", exit_code=130)]
    return [
        problem(
            "internal error",
            action="this is a bug; the server's log has the details",
            exit_code=70,
        )
    ]


def too_long(limits: ServerLimits) -> Json:
    """What a request that ran out of time is answered."""
    return problem(
        "the request took longer than this server grants",
        allowed=f"{limits.request_s:g} s",
        action="narrow the search, or solve on the command line",
        exit_code=5,
    )
