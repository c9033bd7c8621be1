"""Solving ahead: what will be needed next is solved by other processes meanwhile.

A caller that knows its next questions says so with ``expect``; asking for one then waits for no more
than is missing, and while it waits, the caller's own process takes the last question nobody has begun.
Answers are the same as one after another, in whatever order they come.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Condition

from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

Solve = Callable[[Scenario], Plan]


class Ahead(ABC):
    """Solves scenarios, and starts early on those announced to it."""

    @abstractmethod
    def expect(self, scenarios: Iterable[Scenario]) -> None:
        """Begin with ``scenarios``."""

    @abstractmethod
    def stop(self) -> None:
        """Begin with nothing more: nothing will be asked."""

    @abstractmethod
    def __call__(self, scenario: Scenario) -> Plan:
        """The plan; raises what solving it raises."""


class SolveAhead(Ahead):
    """Solve scenarios here, and expected ones by ``answer`` in ``workers``, ``at_once`` at a time.

    Where the workers are lost, everything is solved here; so it is until what is expected would take longer
    than ``worth_s`` [s], by the processor time of scenarios solved so far: a worker begins by loading
    everything again.
    """

    def __init__(
        self, solve: Solve, workers: Executor, answer: Solve, at_once: int, worth_s: float = 0.0
    ) -> None:
        self._solve = solve
        self._workers = workers
        self._answer = answer
        self._free = at_once
        self._waiting: deque[Scenario] = deque()
        self._answers: dict[str, Future[Plan]] = {}
        self._news = Condition()
        self._worth_s = worth_s
        self._times_s: list[float] = []  # of scenarios solved here
        self._begun = worth_s <= 0
        self.stopped = False

    def expect(self, scenarios: Iterable[Scenario]) -> None:
        """Begin with ``scenarios``, in their order; one alone is left to the caller."""
        new = {_key(s): s for s in scenarios if _key(s) not in self._answers}
        if len(new) < 2:
            return
        with self._news:
            self._answers |= {key: Future() for key in new}
            self._waiting.extend(new.values())
            self._feed()

    def stop(self) -> None:
        """Begin with nothing more."""
        with self._news:
            self.stopped = True
            self._waiting.clear()

    def __call__(self, scenario: Scenario) -> Plan:
        """The plan; raises what solving it raises."""
        answer = self._answers.get(_key(scenario))
        if answer is None:
            return self._solve(scenario)
        while not answer.done():
            with self._news:
                self._feed()
                if not self._waiting:
                    self._news.wait_for(lambda: answer.done() or self._waiting)
                    continue
                mine = self._waiting.pop() if self._begun else self._taken(scenario)
            started = time.process_time()
            _settle(self._answers[_key(mine)], partial(self._solve, mine))
            self._times_s.append(time.process_time() - started)
        return answer.result()

    def _taken(self, scenario: Scenario) -> Scenario:
        """The very scenario that is asked for, which nobody else begins; the lock is held."""
        key = _key(scenario)
        mine = next(s for s in self._waiting if _key(s) == key)
        self._waiting.remove(mine)
        return mine

    def _is_worth_it(self) -> bool:
        """Whether what is left takes long enough for workers; once it did, they go on."""
        if not self._begun and self._times_s:
            each = sum(self._times_s) / len(self._times_s)
            self._begun = each * len(self._waiting) > self._worth_s
        return self._begun

    def _feed(self) -> None:
        """Give the workers as much as they take at once, where they are worth it; the lock is held."""
        if not self._is_worth_it():
            return
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
    if isinstance(solve, Ahead):
        solve.expect(scenarios)


def _settle(answer: Future[Plan], find: Callable[[], Plan]) -> None:
    try:
        answer.set_result(find())
    except Exception as error:
        answer.set_exception(error)


def _key(scenario: Scenario) -> str:
    return scenario.model_dump_json()
