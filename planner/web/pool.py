"""Workers behind a bounded queue: each request is answered, refused at once, or stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

from planner.web.limits import ServerLimits
from planner.web.requests import Request
from planner.web.worker import Handler, Message, Worker


class TooBusy(Exception):
    """As many requests wait as may wait."""


class TooLong(Exception):
    """A request took longer than one may take."""


class WorkerPool:
    """``limits.workers`` processes; a request that is given up frees its process within seconds.

    Short requests take the first idle worker and long ones the last, so that each finds the candidates
    it sized before.
    """

    def __init__(
        self, handler: Handler, limits: ServerLimits, catalogs: Path | None = None
    ) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="worker pipe")
        self._workers = [Worker(handler, limits, catalogs) for _ in range(limits.workers)]
        self._idle = set(range(limits.workers))
        self._freed = asyncio.Event()
        self._waiting = 0
        self._recovering: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request, *, short: bool = False) -> AsyncGenerator[Message, None]:
        """Yield what a worker says, the answer last.

        Raises TooBusy at once when the queue is full, TooLong when time is up. A caller that stops
        listening stops the work.
        """
        index = await self._take(short)
        worker = self._workers[index]
        coming: asyncio.Future[Message] | None = None
        last = ""
        try:
            loop = asyncio.get_running_loop()
            worker.ask(request)
            until = loop.time() + self._limits.request_s
            while last in ("", "progress"):
                coming = self._next(worker)
                try:
                    message = await asyncio.wait_for(asyncio.shield(coming), until - loop.time())
                except TimeoutError:
                    raise TooLong from None
                coming, last = None, message.kind
                yield message
        finally:
            if last in ("", "progress", "died"):
                self._recover(index, coming, alive=last != "died")
            else:
                self._free(index)

    async def answer(self, request: Request, *, short: bool = False) -> Message:
        """The answer alone; progress is dropped."""
        async with aclosing(self.ask(request, short=short)) as messages:
            async for message in messages:
                if message.kind != "progress":
                    return message
        return Message("died", {"what": "the worker said nothing"})

    async def close(self) -> None:
        """End every process."""
        for task in self._recovering:
            task.cancel()
        for worker in self._workers:
            worker.kill()
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _take(self, short: bool) -> int:
        """An idle worker, waited for if need be. Raises TooBusy, TooLong."""
        if not self._idle and self._waiting >= self._limits.waiting:
            raise TooBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.request_s):
                while not self._idle:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise TooLong from None
        finally:
            self._waiting -= 1
        index = min(self._idle) if short else max(self._idle)
        self._idle.discard(index)
        return index

    def _free(self, index: int) -> None:
        """Without a pause, so that it is done whole also where a caller is being cancelled."""
        self._idle.add(index)
        self._freed.set()

    def _recover(self, index: int, coming: asyncio.Future[Message] | None, *, alive: bool) -> None:
        """Free a worker whose request was given up, without making anybody wait for it."""
        task = asyncio.get_running_loop().create_task(self._stopped(index, coming, alive))
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)

    async def _stopped(
        self, index: int, coming: asyncio.Future[Message] | None, alive: bool
    ) -> None:
        """Wait until the worker has given up; one that does not in time, or died, is replaced."""
        worker = self._workers[index]
        if coming is None and alive:
            coming = self._next(worker)
        if coming is not None:
            coming = await self._given_up(worker, coming)
            alive = coming is None
        if not alive:
            worker.kill()
            if coming is not None:
                await coming
            worker.close()
            worker.start()
        self._free(index)

    def _next(self, worker: Worker) -> asyncio.Future[Message]:
        """What the worker says next."""
        return asyncio.get_running_loop().run_in_executor(self._threads, worker.receive)

    async def _given_up(
        self, worker: Worker, coming: asyncio.Future[Message]
    ) -> asyncio.Future[Message] | None:
        """Ask the worker to stop and read what it says; what still comes of one that does not in time."""
        until = asyncio.get_running_loop().time() + self._limits.stop_s
        try:
            worker.stop()
            while True:
                left_s = until - asyncio.get_running_loop().time()
                message = await asyncio.wait_for(asyncio.shield(coming), left_s)
                if message.kind not in ("progress", "died"):
                    return None
                if message.kind == "died":
                    return coming
                coming = self._next(worker)
        except (TimeoutError, OSError):
            return coming
