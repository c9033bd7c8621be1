"""What moves the cost: the plan's question as stated, and again with each input moved by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from planner.comparison import restriction
from planner.comparison.options import Progress
from planner.errors import InputError
from planner.findings.schema import WhatIf
from planner.plan.labels import choice_of
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario
from planner.scenario.task import GENERATE
from planner.solving.lookahead import Solve, expect
from planner.solving.side_questions import NotAsked

RATE = "Request rate"
RATE_FACTORS = (0.5, 0.8, 1.2, 1.5, 2.0)
_LENGTH_FACTORS = (0.8, 1.25)
_TARGET_FACTORS = (0.75, 1.5)
_PRICE_FACTORS = (0.8, 1.2)

Move = tuple[str, str, Callable[[Scenario], Scenario]]


def sensitivity(
    plan: Plan, solve: Solve, progress: Progress | None = None
) -> tuple[WhatIf | None, tuple[WhatIf, ...]]:
    """The answer as stated, and one per moved input: rate, output length, targets, prices.

    Lengths and targets are moved where the plan has one service. Raises what ``solve`` raises, other
    than InputError: a question that can no longer be stated has no cost. What was left is left out.
    """
    moves = (("As stated", "", _unmoved), *_moves(plan))
    expect(solve, questions(plan))
    answers = []
    for done, move in enumerate(moves):
        if progress is not None:
            progress(done, len(moves), f"{move[0]} {move[1]}".strip())
        with suppress(NotAsked):
            answers.append(_what_if(move, plan.scenario, solve))
    baseline = next((a for a in answers if not a.change), None)
    return baseline, tuple(a for a in answers if a is not baseline)


def questions(plan: Plan) -> Iterator[Scenario]:
    """Every question that is solved; those that cannot be stated are left out."""
    yield plan.scenario
    for _, _, moved in _moves(plan):
        with suppress(InputError):
            yield moved(plan.scenario)


def _what_if(move: Move, question: Scenario, solve: Solve) -> WhatIf:
    name, change, moved = move
    try:
        answer = solve(moved(question))
    except NotAsked:
        raise
    except InputError:
        return WhatIf(name, change, None, None, ())
    totals = answer.totals
    return WhatIf(
        name,
        change,
        totals.usd_per_hour if totals else None,
        totals.gpus_rented if totals else None,
        choice_of(answer),
    )


def _unmoved(scenario: Scenario) -> Scenario:
    return scenario


def _moves(plan: Plan) -> Iterator[Move]:
    scenario = plan.scenario
    rate = sum(s.rate for s in scenario.services)
    for factor in RATE_FACTORS:
        change = f"{_percent(factor)} ({rate * factor:g}/s)"
        yield RATE, change, partial(restriction.with_rate, rate_qps=rate * factor)
    if len(scenario.services) == 1:
        yield from _moves_of_one_service(scenario)
    for gpu in dict.fromkeys(n.gpu for n in plan.nodes):
        for factor in _PRICE_FACTORS:
            move = partial(restriction.with_price_factor, factor=factor, of=gpu)
            yield f"Price of {gpu}", _percent(factor), move


def _moves_of_one_service(scenario: Scenario) -> Iterator[Move]:
    (service,) = scenario.services
    output = service.output_tokens.mean
    if output is not None and service.task == GENERATE and not service.classes:
        for factor in _LENGTH_FACTORS:
            tokens = output * factor
            if tokens >= 1:
                move = partial(restriction.with_output_tokens, tokens=tokens)
                yield "Output length", f"{_percent(factor)} ({tokens:g} tokens)", move
    for metric in ("ttft", "tpot") if service.task == GENERATE else ("e2e",):
        target = service.slo.target(metric)
        if target is not None:
            for factor in _TARGET_FACTORS:
                limit_s = target.seconds * factor
                move = partial(restriction.with_target, metric=metric, limit_s=limit_s)
                yield f"{metric.upper()} target", f"{_percent(factor)} ({limit_s:g} s)", move


def _percent(factor: float) -> str:
    return f"{100 * (factor - 1):+.0f} %"
