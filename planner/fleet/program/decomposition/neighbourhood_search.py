"""A better fleet near a known one: free a few services, or a few periods, and solve just those again.

Where a gap is requested, the solver alone often has a good bound long before it has a good fleet. The
bound stays the solver's; only the fleet improves, so nothing that was proved is lost. The next
neighbourhood grows when one was solved easily and shrinks when it was not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from planner.fleet.program.decomposition.fix_and_split import minimise_free
from planner.fleet.program.linear_program import LinearProgram, Terms, value
from planner.fleet.program.solver import SolverLimits, SolverResult, relative_gap
from planner.fleet.program.variables import Columns

FIRST_SHARE = 0.25  # of the time: the solver on the whole program
LEAST_FREE = 150  # whole columns freed at first
GROW, SHRINK = 1.3, 0.7
SECONDS = 0.5  # for one neighbourhood: many small ones do better than a few large
FINE = 0.1  # of the gap requested: how closely a neighbourhood is solved

Block = tuple[str, int]  # a service in a period
Blocks = Mapping[Block, Sequence[int]]  # the columns of each


def improve(
    program: LinearProgram,
    objective: Terms,
    blocks: Blocks,
    found: SolverResult,
    effort: SolverLimits,
    deadline: float,
) -> SolverResult:
    """``found`` with a cheaper fleet where one is near; stops at the gap requested or the deadline."""
    best = found
    rng = random.Random(effort.seed)
    free_columns = float(LEAST_FREE)
    rounds = _rounds(blocks, rng)
    while best.values is not None and best.objective is not None and best.bound is not None:
        if relative_gap(best.objective, best.bound) <= effort.gap:
            return replace(best, status="optimal")
        seconds = deadline - time.monotonic()
        if seconds <= 0.05:
            break
        chosen = next(rounds)(free_columns)
        fixed = {
            i: best.values[i]
            for block, members in blocks.items()
            if block not in chosen
            for i in members
        }
        free = [i for i in range(len(program.columns)) if i not in fixed]
        limited = replace(effort, time_limit_s=min(SECONDS, seconds), gap=effort.gap * FINE)
        outcome = minimise_free(program, objective, free, program.rows, fixed, limited)
        free_columns *= GROW if outcome.status == "optimal" else SHRINK
        free_columns = max(free_columns, 20.0)
        if outcome.values is not None:
            best = _cheaper(best, [*zip(free, outcome.values, strict=True)], objective)
    return best


def _cheaper(
    best: SolverResult, changes: list[tuple[int, float]], objective: Terms
) -> SolverResult:
    """The fleet with ``changes`` where it costs less."""
    values = list(best.values or [])
    for i, found in changes:
        values[i] = found
    reached = value(objective, values)
    if best.objective is None or reached >= best.objective - 1e-9:
        return best
    return replace(best, values=values, objective=reached, status="feasible")


def worth_it(columns: Columns, effort: SolverLimits) -> bool:
    """Whether only a gap is requested and the program has blocks enough to choose from.

    Units on two GPU types tie sites together, which the blocks do not know.
    """
    if columns.other_pools:
        return False
    whole = sum(len(members) for members in blocks_of(columns).values())
    return effort.gap > 0 and whole > 2 * LEAST_FREE


def blocks_of(columns: Columns) -> Blocks:
    """The whole columns of each service and period: what it runs, and for all periods what it picks."""
    blocks: dict[Block, list[int]] = {}
    for kind in columns.problem.kinds:
        for g in sorted(columns.services.users[kind.key])[:1]:
            for e in columns.hosts[kind.key]:
                for t in columns.problem.periods:
                    own = blocks.setdefault((g, t), [])
                    own.extend(columns.replicas[kind.key, e, t])
    return blocks


class _Chooser:
    """Picks blocks at random until about so many columns are free."""

    def __init__(self, blocks: Blocks, by: int, rng: random.Random) -> None:
        self._blocks, self._by, self._rng = blocks, by, rng

    def __call__(self, columns: float) -> set[Block]:
        names = sorted({block[self._by] for block in self._blocks}, key=str)
        self._rng.shuffle(names)
        free: set[Block] = set()
        count = 0
        for name in names:
            if count >= columns and free:
                break
            own = [b for b in self._blocks if b[self._by] == name]
            free.update(own)
            count += sum(len(self._blocks[b]) for b in own)
        return free


def _rounds(blocks: Blocks, rng: random.Random) -> Iterator[_Chooser]:
    """Services, and where there are several periods, periods in turn."""
    ways = [_Chooser(blocks, 0, rng)]
    if len({t for _, t in blocks}) > 1:
        ways.append(_Chooser(blocks, 1, rng))
    while True:
        yield from ways
