"""Single-field changes of a plan's document, made systematically: every value, several changes of each."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from planner.plan.schema import NOT_VERIFIED, Plan

NOTHING = 1e-6  # a number as near to 0 is rounding
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Tampering:
    """One value of a plan's document replaced by another."""

    path: Path
    value: Any

    @property
    def name(self) -> str:
        return f"{'.'.join(map(str, self.path))} = {self.value!r}"

    @property
    def recorded(self) -> bool:
        """Whether the value is one that plans mark as not verified."""
        where = ".".join(map(str, self.path))
        return any(where == p or where.startswith(f"{p}.") for p in NOT_VERIFIED)

    def of(self, plan: Plan) -> Plan | None:
        """The plan with the change; None where it is no plan any more."""
        document = copy.deepcopy(json.loads(plan.to_json()))
        place: Any = document
        for key in self.path[:-1]:
            place = place[key]
        place[self.path[-1]] = self.value
        try:
            return Plan.model_validate_json(json.dumps(document))
        except ValidationError:
            return None


def tamperings(plan: Plan) -> Iterator[Tampering]:
    """Every change of every value, in the order of the document."""
    for path, value in _leaves(json.loads(plan.to_json()), ()):
        for other in _others(value):
            yield Tampering(path, other)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*path, i))
    else:
        yield path, value


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, 2 * value + 3, -value - 1, 300_000_000, 10**29, 0 if value else 7)
    elif isinstance(value, float):
        yield from (value * 1.01 + 1e-3, value / 2 + 1, -value - 1, 1e300)
        yield 0.0 if abs(value) > NOTHING else 0.5
    elif isinstance(value, str):
        yield from ("nonsense", "")
    else:
        yield from (1, "nonsense", math.pi)


def sampled(plan: Plan, count: int, seed: int) -> list[Tampering]:
    """``count`` changes of as many different values, evenly over the document's parts.

    Values that plans mark as not verified are left out; of the scenario, which one digest protects, a
    tenth is taken.
    """
    draw = random.Random(seed)
    by_path: dict[Path, list[Tampering]] = {}
    for tampering in tamperings(plan):
        if not tampering.recorded:
            by_path.setdefault(tampering.path, []).append(tampering)
    scenario = [p for p in by_path if p[0] == "scenario"]
    rest = [p for p in by_path if p[0] != "scenario"]
    draw.shuffle(scenario)
    draw.shuffle(rest)
    few = min(len(scenario), count // 10)
    chosen = [*scenario[:few], *rest[: count - few]]
    return [draw.choice(by_path[path]) for path in chosen]
