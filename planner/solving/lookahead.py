"""Solving ahead: what will be needed next is solved by other processes meanwhile.

A caller that knows its next questions says so with ``expect``; asking for one then waits for no more
than is missing, and while it waits, the caller's own process takes the last question nobody has begun.
Answers are the same as one after another, in whatever order they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Condition

from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

Solve = Callable[[Scenario], Plan]


class SolveAhead:
    """Solve scenarios here, and expected ones by ``answer`` in ``workers``, ``at_once`` at a time.

    Where the workers are lost, everything is solved here.
    """

    def __init__(self, solve: Solve, workers: Executor, answer: Solve, at_once: int) -> None:
        self._solve = solve
        self._workers = workers
        self._answer = answer
        self._free = at_once
        self._waiting: deque[Scenario] = deque()
        self._answers: dict[str, Future[Plan]] = {}
        self._news = Condition()

    def expect(self, scenarios: Iterable[Scenario]) -> None:
        """Begin with ``scenarios``, in their order; one alone is left to the caller."""
        new = {_key(s): s for s in scenarios if _key(s) not in self._answers}
        if len(new) < 2:
            return
        with self._news:
            self._answers |= {key: Future() for key in new}
            self._waiting.extend(new.values())
            self._feed()

    def __call__(self, scenario: Scenario) -> Plan:
        """The plan; raises what solving it raises."""
        answer = self._answers.get(_key(scenario))
        if answer is None:
            return self._solve(scenario)
        while not answer.done():
            with self._news:
                if not self._waiting:
                    self._news.wait_for(lambda: answer.done() or self._waiting)
                    continue
                mine = self._waiting.pop()
            _settle(self._answers[_key(mine)], partial(self._solve, mine))
        return answer.result()

    def _feed(self) -> None:
        """Give the workers as much as they take at once; the lock is held."""
        while self._waiting and self._free:
            scenario = self._waiting.popleft()
            try:
                begun = self._workers.submit(self._answer, scenario)
            except RuntimeError:  # the workers are lost, or were asked to stop
                self._waiting.appendleft(scenario)
                self._free = 0
                return
            self._free -= 1
            begun.add_done_callback(partial(self._came, scenario))

    def _came(self, scenario: Scenario, begun: Future[Plan]) -> None:
        with self._news:
            if isinstance(begun.exception(), RuntimeError):
                self._waiting.append(scenario)
            else:
                _settle(self._answers[_key(scenario)], begun.result)
                self._free += 1
                self._feed()
            self._news.notify_all()


def expect(solve: Solve, scenarios: Iterable[Scenario]) -> None:
    """Say what ``solve`` will be called with, where it can work ahead."""
    if isinstance(solve, SolveAhead):
        solve.expect(scenarios)


def _settle(answer: Future[Plan], find: Callable[[], Plan]) -> None:
    try:
        answer.set_result(find())
    except Exception as error:
        answer.set_exception(error)


def _key(scenario: Scenario) -> str:
    return scenario.model_dump_json()
