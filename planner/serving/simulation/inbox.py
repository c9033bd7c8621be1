"""Requests on their way into a replica: what waits between a client's send and the scheduler's queue.

Engines can be launched to look for new requests less often than every step, or to hold prompts back
until several can be computed in one step; both lengthen TTFT and spare decode steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.serving.simulation.sequence import ScheduledStep

ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True)
class Intake:
    """When an engine takes in the requests that arrive while it decodes.

    poll_steps: decode steps between two looks at its inbox; after a step with prompts it looks at once
    (SGLang ``--scheduler-recv-interval``). gather_steps: decode steps for which prompts are held back at
    most; they are let in earlier once ``gather_prompts`` wait, or once they and the decodes have
    ``gather_tokens`` tokens (TensorRT-LLM ``batch_wait_timeout_iters`` and ``attention_dp_config``).
    """

    poll_steps: int = 1
    gather_steps: int = 0
    gather_tokens: int = ENDLESS
    gather_prompts: int = ENDLESS


EVERY_STEP = Intake()


class Inbox:
    """Requests between their client and the scheduler, in order of arrival."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._travelling: list[list[int]] = []
        self._held: list[int] = []
        self._tokens = 0
        self._since_look = 0
        self._waited = 0

    def post(self, index: int, tokens: int, steps: int) -> None:
        """A request of ``tokens`` prompt tokens reaches the engine after ``steps`` more steps."""
        self._travelling.append([index, tokens, steps])

    @property
    def gathers(self) -> bool:
        """Whether prompts are held back for one another, so that ranks prefill what was let in."""
        return self._intake.gather_steps > 0

    @property
    def patience(self) -> int:
        """Decode steps that may pass before a request could be let in."""
        if not self._travelling and not self._held:
            return ENDLESS
        if any(left > 0 for _, _, left in self._travelling):
            return 1
        look = self._intake.poll_steps - self._since_look if self._travelling else ENDLESS
        wait = self._intake.gather_steps - self._waited if self._held else ENDLESS
        return max(1, min(look, wait))

    def after(self, step: ScheduledStep, decoding: int) -> list[int]:
        """The requests that the scheduler sees after ``step``, with ``decoding`` sequences running."""
        looks = self._looks_after(step)
        arrived, later = [], []
        for entry in self._travelling:
            if looks and entry[2] <= 0:
                arrived.append(entry)
            else:
                later.append([entry[0], entry[1], entry[2] - step.steps])
        self._travelling = later
        self._held += [index for index, _, _ in arrived]
        self._tokens += sum(tokens for _, tokens, _ in arrived)
        return [] if self._holds(step, decoding) else self._let_in()

    def everything(self) -> list[int]:
        """All requests: an engine with nothing to do takes them at once."""
        self._held += [index for index, _, _ in self._travelling]
        self._travelling = []
        return self._let_in()

    def _looks_after(self, step: ScheduledStep) -> bool:
        """Whether the engine looks for requests after this step."""
        self._since_look += step.steps
        if not step.prefill and self._since_look < self._intake.poll_steps:
            return False
        self._since_look = 0 if step.prefill else self._since_look % self._intake.poll_steps
        return True

    def _holds(self, step: ScheduledStep, decoding: int) -> bool:
        """Whether prompts are held back for another step."""
        intake = self._intake
        if not self._held or not intake.gather_steps or not decoding:
            return False
        enough = len(self._held) >= intake.gather_prompts
        if enough or self._tokens + decoding >= intake.gather_tokens:
            return False
        self._waited += step.steps
        return self._waited <= intake.gather_steps

    def _let_in(self) -> list[int]:
        found, self._held = self._held, []
        self._tokens = self._waited = 0
        return found
