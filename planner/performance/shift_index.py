"""A factor's shifts by the levels they look at; each combination of those levels is added up once."""

from __future__ import annotations

from collections.abc import Mapping

When = tuple[tuple[str, str], ...]
Levels = tuple[str | None, ...]


class ShiftIndex:
    """The position of one factor for any levels: its prior's, and every shift that holds there.

    Few of a deployment's levels shift a factor, so that many deployments share a position.
    """

    def __init__(self, origin: float, shifts: Mapping[When, float]) -> None:
        self._origin = origin
        self._by_keys: dict[tuple[str, ...], dict[Levels, tuple[int, float]]] = {}
        for place, (when, amount) in enumerate(shifts.items()):
            keys = tuple(key for key, _ in when)
            wanted = tuple(level for _, level in when)
            self._by_keys.setdefault(keys, {})[wanted] = (place, amount)
        self._keys = tuple(dict.fromkeys(key for keys in self._by_keys for key in keys))
        self._known: dict[Levels, float] = {}

    def position(self, levels: Mapping[str, str]) -> float:
        """The ``x`` of the factor, its shifts added in the order they were given."""
        at = tuple(map(levels.get, self._keys))
        if at not in self._known:
            self._known[at] = self._added_up(levels)
        return self._known[at]

    def _added_up(self, levels: Mapping[str, str]) -> float:
        x = self._origin
        found = (by.get(tuple(map(levels.get, keys))) for keys, by in self._by_keys.items())
        for _, amount in sorted(hit for hit in found if hit is not None):
            x += amount
        return x
