"""How much less of a simulated fleet would do: the largest multiple of its planned rate that it holds.

The closed form takes arrivals as split at random and caches as lost sooner than a router that looks loses
them; a fleet that was sized by it may be far too large. What fewer replicas would get is tried from one
replica fewer on. A small fleet doubles that number while the targets hold, as often as ``MAX_TRIALS``. In a
large one steps of one to eight would not come to an end within the rounds of the loop (316 replicas where
about 120 hold): brief simulations say how far it looks well, and full ones are halved towards how far it
holds. How many replicas of a kind were too few is remembered, so that the rounds come to an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from planner.serving.simulation.service_simulation import SimulatedService
from planner.solving.assured_simulation import keeps_up, simulate_assured
from planner.solving.near_winners import NearWinners, looks_well
from planner.solving.request_streams import Stream

MAX_TRIALS = 4
LARGE_FLEET = 64  # replicas of one service


class SimulatedAtPlan(Protocol):
    """A stream and its simulation at the planned load."""

    @property
    def stream(self) -> Stream: ...

    @property
    def check(self) -> SimulatedService: ...


def largest_scale(replayed: SimulatedAtPlan, near: NearWinners) -> float:
    """The largest tried multiple of the planned rate at which every target still holds."""
    replicas = replayed.stream.replicas

    def scale(fewer: int) -> float:
        return replicas / (replicas - fewer)

    def looks(fewer: int) -> bool:
        return _may_hold(replayed, near, scale(fewer))

    def holds(fewer: int) -> bool:
        return _holds_at(replayed, near, scale(fewer))

    if replicas > LARGE_FLEET:
        kinds = tuple(replayed.stream.placed)

        def holds_or_noted(fewer: int) -> bool:
            held = holds(fewer)
            if not held:
                _note(near, kinds, replicas - fewer)
            return held

        too_many = max(1, replicas - near.too_few.get(kinds, 0))
        return scale(_most_fewer(too_many, looks, holds_or_noted))
    held, fewer = 0, 1
    for _ in range(MAX_TRIALS):
        if fewer >= replicas or not (looks(fewer) and holds(fewer)):
            break
        held, fewer = fewer, 2 * fewer
    return scale(held)


def _most_fewer(too_many: int, looks: Callable[[int], bool], holds: Callable[[int], bool]) -> int:
    """How many fewer replicas hold: doubled while it looks well, halved, and then halved in full.

    too_many: so many fewer are known to miss a target, or none would be left.
    """
    well, ill = 0, too_many
    while max(1, 2 * well) < ill == too_many:
        at = max(1, 2 * well)
        if looks(at):
            well = at
        else:
            ill = at
    well = _halved(looks, well, ill)
    return well if not well or holds(well) else _halved(holds, 0, well)


def _halved(works: Callable[[int], bool], good: int, bad: int) -> int:
    """The largest number known to work, within an eighth of one that does not: the next round goes on."""
    while bad - good > max(1, good // 8):
        at = (good + bad) // 2
        if works(at):
            good = at
        else:
            bad = at
    return good


def remember_too_few(replayed: SimulatedAtPlan, near: NearWinners) -> None:
    """Keep that so many replicas of these kinds missed a target at the planned load."""
    _note(near, tuple(replayed.stream.placed), replayed.stream.replicas)


def _note(near: NearWinners, kinds: tuple[str, ...], replicas: int) -> None:
    near.too_few[kinds] = max(near.too_few.get(kinds, 0), replicas)


def _may_hold(replayed: SimulatedAtPlan, near: NearWinners, scale: float) -> bool:
    """Whether a multiple of the planned rate is worth a simulation in full."""
    stream = replayed.stream
    placed = tuple(stream.placed.values())
    return keeps_up(stream.service, placed, scale, stream.lengths) and looks_well(
        stream, near.effort, near.simulate, scale
    )


def _holds_at(replayed: SimulatedAtPlan, near: NearWinners, scale: float) -> bool:
    """Whether every target holds at a multiple of the planned rate, as much worse as is assured against."""
    stream = replayed.stream
    trial = simulate_assured(
        stream.service,
        tuple(stream.placed.values()),
        window=replayed.check.window,
        rate_scale=scale,
        seed=near.effort.seed,
        lengths=stream.lengths,
        simulate=near.simulate,
    )
    return trial.holds
