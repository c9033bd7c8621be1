"""The questions of a report: asked one by one, in the time that there is for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from planner.plan.schema import Plan
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Ahead, Solve, expect
from planner.solving.side_questions import LEFT, NotAsked, SideQuestions


@dataclass
class ReportQuestions(Ahead):
    """Solves what a report asks; ``step`` is its progress, and names the question that follows.

    ``unproved``: what the solver answered without a proof in its time.
    """

    solve: Solve
    questions: SideQuestions
    unproved: list[str] = field(default_factory=list)
    _label: str = ""

    def step(self, done: int, total: int, label: str) -> None:
        """The next question is ``label``, after ``done`` of ``total`` like it."""
        self._label = label
        self.questions.doing = f"{done + 1}/{total} "

    def expect(self, scenarios: Iterable[Scenario]) -> None:
        """Solve ``scenarios`` ahead where other processes can; else they are solved as they are asked."""
        expect(self.solve, scenarios)

    def stop(self) -> None:
        """Solve nothing more ahead."""
        if isinstance(self.solve, Ahead):
            self.solve.stop()

    def __call__(self, scenario: Scenario) -> Plan:
        """The plan; raises NotAsked where there is no time for it, else what solving it raises."""
        answer = self.questions.ask(self._label, lambda: self.solve(scenario), None)
        if answer is None:
            self.stop()
            raise NotAsked(LEFT)
        if answer.status in ("feasible", "unknown"):
            self.unproved.append(self._label)
        return answer

    def notes(self) -> tuple[str, ...]:
        """What was left, and what was not proved, in sentences."""
        notes = []
        if self.questions.left:
            why = (
                "as it was stopped" if self.questions.stopped else "for lack of time (--side-limit)"
            )
            notes.append(f"Left {why}: {_named(self.questions.left)}.")
        if self.unproved:
            best = "Answered by the best that was found in its time, not proved"
            notes.append(f"{best}: {_named(self.unproved)}.")
        return tuple(notes)


def _named(labels: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(labels))
