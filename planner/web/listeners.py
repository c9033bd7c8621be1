"""Work that ends when the client that asked for it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import Request as HttpRequest

Result = TypeVar("Result")


class NobodyListens(Exception):
    """The client closed its connection before the answer."""


async def while_listening(http: HttpRequest, work: Coroutine[object, object, Result]) -> Result:
    """The result of ``work``; where the client closes its connection first, ``work`` is cancelled.

    The body of ``http`` must have been read. Raises NobodyListens, and what ``work`` raises.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(http))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise NobodyListens
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
