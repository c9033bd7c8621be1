"""Reading a ``config.json``: every value checked, one clear error for what is missing or absurd."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import cast

from planner.errors import InputError, nearest

LARGEST = 100_000_000
MOST_LAYERS = 1_000
MOST_EXPERTS = 16_384
SPELLING = 0.85  # how similar a present field must be to replace a missing one


class ConfigFields:
    """A checked view of a configuration mapping; every failure is an InputError naming ``where``.

    ``assumed``: the keys whose values are defaults, since the file does not give them; of several names
    of one field, one that the file gives comes before those.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        where: str,
        path: str = "",
        assumed: frozenset[str] = frozenset(),
    ) -> None:
        self.values = values
        self.where = where
        self.path = path
        self.assumed = assumed

    def error(self, key: str, what: str, found: object, allowed: str) -> InputError:
        """An error about ``key``, ready to raise."""
        shown = repr(found) if isinstance(found, str) else found
        return InputError(
            f"field {self.path}{key!s}: {what}", where=self.where, found=shown, allowed=allowed
        )

    def has(self, key: str) -> bool:
        """Whether ``key`` is there and not null."""
        return self.values.get(key) is not None

    def count(
        self,
        *keys: str,
        default: int | None = None,
        minimum: int = 1,
        maximum: int = LARGEST,
    ) -> int:
        """The first of ``keys`` that is set, as an integer within bounds; else ``default``."""
        for key in sorted(keys, key=self.assumed.__contains__):
            value = self.values.get(key)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            allowed = f"a whole number from {minimum} to {maximum}"
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.error(key, "is not a whole number", value, allowed)
            if not minimum <= value <= maximum:
                raise self.error(key, "is out of range", value, allowed)
            return value
        if default is None:
            raise self._missing(keys)
        return default

    def layer_count(self, *keys: str) -> int:
        """How many layers, bounded so that no file can ask for an endless model."""
        return self.count(*(keys or ("num_hidden_layers",)), maximum=MOST_LAYERS)

    def expert_count(self, *keys: str, default: int | None = None) -> int:
        """How many routed experts; 0 means a dense model where ``default`` is 0."""
        minimum = 1 if default is None else 0
        return self.count(*keys, default=default, minimum=minimum, maximum=MOST_EXPERTS)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number of at least zero."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise self._missing((key,))
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, "is not a number", value, "a number")
        if not math.isfinite(value) or value < 0:
            raise self.error(key, "is out of range", value, "a finite number of at least 0")
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "is not true or false", value, "true or false")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, "is not a text", value, "a text")
        return value

    def items(self, key: str, length: int | None = None) -> Sequence[object] | None:
        """A list, of ``length`` entries where that is given; None when absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.error(key, "is not a list", value, "a list")
        if length is not None and len(value) < length:
            raise self.error(key, f"has {len(value)} entries", len(value), f"{length} entries")
        return value if length is None else value[:length]

    def indices(self, *keys: str) -> set[int]:
        """The first of ``keys`` that lists layer numbers, as a set; empty when none is there."""
        for key in keys:
            listed = self.items(key)
            if listed is None:
                continue
            numbers = {v for v in listed if isinstance(v, int) and not isinstance(v, bool)}
            if any(isinstance(v, bool) or not isinstance(v, int) for v in listed):
                raise self.error(key, "lists something else than layer numbers", listed, "numbers")
            return numbers
        return set()

    def section(self, key: str) -> ConfigFields | None:
        """A nested mapping; None when absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.error(key, "is not a mapping", value, "a mapping")
        return ConfigFields(value, self.where, f"{self.path}{key}.")

    def section_at(self, path: str) -> ConfigFields | None:
        """The section at a dotted path; None where a part is absent."""
        found: ConfigFields | None = self
        for part in path.split("."):
            if found is None:
                return None
            found = found.section(part) if isinstance(found.values.get(part), Mapping) else None
        return found

    def override(self, values: Mapping[str, object]) -> ConfigFields:
        """The same fields, with ``values`` in front of them."""
        merged = ChainMap(cast(dict[str, object], values), cast(dict[str, object], self.values))
        return ConfigFields(merged, self.where, self.path, self.assumed - values.keys())

    def with_defaults(self, values: Mapping[str, object]) -> ConfigFields:
        """The same fields, with ``values`` behind them for what the file leaves out."""
        merged = ChainMap(cast(dict[str, object], self.values), cast(dict[str, object], values))
        assumed = self.assumed | (values.keys() - self.values.keys())
        return ConfigFields(merged, self.where, self.path, assumed)

    def divides(self, small_key: str, small: int, large_key: str, large: int) -> None:
        """Raise unless ``small`` divides ``large``."""
        if large % small:
            raise self.error(
                large_key,
                f"is not a multiple of {small_key} ({small})",
                large,
                f"a multiple of {small}",
            )

    def _missing(self, keys: Sequence[str]) -> InputError:
        others = [str(x) for x in self.values if x not in keys]
        hints = [h for k in keys if (h := nearest(k, others, cutoff=SPELLING))]
        return InputError(
            f"field {self.path}{keys[0]} is missing",
            where=self.where,
            allowed=" or ".join(keys) if len(keys) > 1 else None,
            action=hints[0] if hints else None,
        )
