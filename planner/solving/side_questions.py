"""What is asked beside a plan: one question after another, in the time that there is for all of them.

Fleets that were not chosen, other engines, each input moved by itself: any of them may take as long as the
plan's own question. What there is no time for is left, and named (``left``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from planner.errors import InputError
from planner.solving.options import Progress, SolveOptions

Answer = TypeVar("Answer")
LEFT = "left for lack of time"


class NotAsked(InputError):
    """A question that there was no time for: nothing is known of its answer."""


def silent(_message: str) -> None:
    """Progress that nobody looks at."""


@dataclass
class SideQuestions:
    """Asks questions until the time of ``effort`` is used up.

    ``left``: those that were not asked, or not answered when the run was stopped (``stopped``);
    ``asked``: how many were; ``doing``: what they are asked for.
    """

    effort: SolveOptions
    progress: Progress = silent
    doing: str = ""
    left: list[str] = field(default_factory=list)
    asked: int = 0
    stopped: bool = False

    def ask(self, name: str, find: Callable[[], Answer], otherwise: Answer) -> Answer:
        """What ``find`` finds; ``otherwise`` where there is no time for it.

        Ctrl-C ends all questions where the effort keeps what is finished.
        """
        if not self.may_ask(name):
            return otherwise
        try:
            return find()
        except KeyboardInterrupt:
            self.stop(name)
            return otherwise

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked."""
        return self.stopped or self.effort.is_over

    def may_ask(self, name: str) -> bool:
        """Whether there is time for another question; it is left where there is none."""
        if self.is_over:
            self.left.append(name)
            return False
        self.progress(f"{self.doing}{name}{self.time_text()}")
        self.asked += 1
        return True

    def stop(self, name: str) -> None:
        """Leave this question and all that follow; raises KeyboardInterrupt where nothing is kept."""
        if not self.effort.keeps:
            raise KeyboardInterrupt
        self.stopped = True
        self.left.append(name)

    def time_text(self) -> str:
        """What is left of the time, for a person that waits."""
        seconds = self.effort.until - time.monotonic()
        if math.isinf(seconds):
            return ""
        return f", at most {max(seconds, 0):.0f} s left"
