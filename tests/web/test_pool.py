"""Workers behind the queue: stopped, killed, too slow, too many; the next request is answered."""

import asyncio
import contextlib
from contextlib import aclosing

import pytest
from web_handlers import scripted

from planner.web.limits import ServerLimits
from planner.web.pool import TooBusy, TooLong, WorkerPool
from planner.web.requests import SolveRequest

LIMITS = ServerLimits(workers=1, waiting=2, request_s=60, stop_s=2)


def ask(text):
    return SolveRequest(scenario=text)


def with_pool(use, limits=LIMITS):
    async def run():
        pool = WorkerPool(scripted, limits)
        try:
            return await use(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def test_progress_comes_before_the_answer():
    async def use(pool):
        async with aclosing(pool.ask(ask("work 0.1"))) as messages:
            return [m.kind async for m in messages]

    kinds = with_pool(use)
    assert kinds[-1] == "answer"
    assert set(kinds[:-1]) == {"progress"}


def test_a_listener_that_leaves_stops_the_work_and_the_process_stays():
    async def use(pool):
        first = await pool.answer(ask("work 0"))
        async with aclosing(pool.ask(ask("work 600"))) as messages:
            await anext(messages)
        again = await asyncio.wait_for(pool.answer(ask("work 0")), 30)
        return first.body["process"], again.body["process"]

    first, again = with_pool(use)
    assert first == again


def test_work_that_does_not_stop_loses_its_process_and_the_next_is_answered():
    async def use(pool):
        first = await pool.answer(ask("work 0"))
        async with aclosing(pool.ask(ask("hang"))) as messages:
            await anext(messages)  # it hangs from here on
        again = await asyncio.wait_for(pool.answer(ask("work 0")), 60)
        return first.body["process"], again

    first, again = with_pool(use)
    assert again.kind == "answer"
    assert again.body["process"] != first


def test_a_worker_that_dies_is_replaced_and_the_next_is_answered():
    async def use(pool):
        died = await pool.answer(ask("die"))
        return died, await asyncio.wait_for(pool.answer(ask("work 0")), 60)

    died, again = with_pool(use)
    assert (died.kind, again.kind) == ("died", "answer")


def test_more_than_may_wait_are_refused_at_once():
    async def use(pool):
        await pool.answer(ask("work 0"))
        tasks = [asyncio.ensure_future(pool.answer(ask("work 1"))) for _ in range(10)]
        with pytest.raises(TooBusy):
            await asyncio.gather(*tasks)
        answered = [t for t in tasks if t.done() and not isinstance(t.exception(), TooBusy)]
        stated = await asyncio.gather(*tasks, return_exceptions=True)
        return answered, stated

    answered, stated = with_pool(use)
    assert answered == []  # not even one: the refusals came before the work of a second was done
    assert sum(isinstance(t, TooBusy) for t in stated) == 7
    assert [t.kind for t in stated if not isinstance(t, TooBusy)] == ["answer"] * 3


def test_a_request_over_its_time_ends():
    async def started(pool):
        """An answer, however long a busy machine takes to start the worker."""
        for _ in range(10):
            with contextlib.suppress(TooLong):
                return await pool.answer(ask("work 0"))
        return await pool.answer(ask("work 0"))

    async def use(pool):
        await started(pool)
        with pytest.raises(TooLong):
            await pool.answer(ask("work 600"))
        return await asyncio.wait_for(started(pool), 60)

    limits = ServerLimits(workers=1, waiting=2, request_s=4, stop_s=2)
    assert with_pool(use, limits).kind == "answer"


def test_requests_that_leave_while_they_wait_keep_nobody_else_waiting():
    async def use(pool):
        await pool.answer(ask("work 0"))
        working = asyncio.ensure_future(pool.answer(ask("work 0.5")))
        await asyncio.sleep(0.1)
        leaving = asyncio.ensure_future(pool.answer(ask("work 0")))
        staying = asyncio.ensure_future(pool.answer(ask("work 0")))
        await asyncio.sleep(0.1)
        working.add_done_callback(lambda _done: leaving.cancel())
        await working
        return await asyncio.wait_for(staying, 30)

    assert with_pool(use).kind == "answer"
