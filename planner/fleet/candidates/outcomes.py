"""How deployments fared under one question, kept between runs (``planner.cache_folder``).

A question is all that a service requires of a replica with the load it brings; its outcomes are
rows of plain numbers by deployment. What only a chosen candidate needs (its memory, its step model, its
latencies at capacity) is worked out again when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from planner import cache_folder
from planner.catalog.formats import WeightFormat
from planner.deployment import Deployment, Draft, EngineSettings
from planner.fleet.candidates.cuts import GpuCut

KIND = "sized"

Row = list[object]


class OutcomeStore:
    """The outcomes of every question of one session. ``namespace``: catalog, factors and program."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._questions: dict[str, Outcomes] = {}

    def of(self, required: str, load: bytes, model: str) -> Outcomes:
        """The outcomes of one question, those of earlier runs among them; ``model``: all of it, hashed."""
        key = cache_folder.key_of((self._namespace, required, load, model))
        if key not in self._questions:
            self._questions[key] = Outcomes(key)
        return self._questions[key]

    def save(self) -> None:
        """Keep what is new for later runs."""
        for outcomes in self._questions.values():
            outcomes.save()


class Outcomes:
    """Rows by deployment under one question, those of earlier runs among them."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._rows = _read(key)
        self._new: dict[str, Row] = {}

    def find(self, name: str) -> Row | None:
        """The row of a layout by ``outcome_name``; None where it was not tried."""
        return self._rows.get(name)

    def keep(self, name: str, row: Row) -> None:
        """Take the row of a deployment that was tried now."""
        self._rows[name] = self._new[name] = row

    def save(self) -> None:
        """Write new rows beside those that another process wrote meanwhile."""
        if self._new:
            cache_folder.save(KIND, self._key, {**_read(self._key), **self._new})
            self._new = {}


def _read(key: str) -> dict[str, Row]:
    document = cache_folder.load(KIND, key)
    if not isinstance(document, dict):
        return {}
    return {str(name): row for name, row in document.items() if isinstance(row, list)}


def outcome_name(layout: str, room: tuple[int, int, bool]) -> str:
    """A layout by its ``layout_text``, with the nodes it may take (``node_room``)."""
    node, spanning, joined = room
    return f"{layout}|{node}|{spanning}{'' if joined else '|apart'}"


def layout_text(whole: Deployment, cut: GpuCut) -> str:
    """What distinguishes one deployment of a model from another."""
    d = whole
    parts = (
        d.gpu.name,
        d.gpu.driver_memory_mib,
        d.gpu.cuda_visible_gib,
        d.gpu.reserved_gib,
        d.gpu.offered_network_gb_s,
        cut.share,
        cut.profile,
        d.engine.name,
        d.engine.version,
        d.engine.defaults_of,
        d.degrees,
        _format_text(d.weights),
        d.kv_cache.name,
        _settings_text(d.settings),
        _draft_text(d.draft),
    )
    return "|".join(map(str, parts))


@lru_cache(maxsize=256)
def _format_text(weights: WeightFormat) -> str:
    held = (sorted(weights.keeps), weights.overrides, weights.expert_padding)
    return f"{weights.name} {cache_folder.key_of((repr(weights.bits), repr(held)))[:16]}"


@lru_cache(maxsize=256)
def _settings_text(settings: EngineSettings) -> str:
    return repr(settings)


@lru_cache(maxsize=256)
def _draft_text(draft: Draft | None) -> str:
    """All of a draft, its shapes among it, as a short hash; "" where nothing drafts."""
    return "" if draft is None else cache_folder.key_of((repr(draft),))[:16]


class Later(Mapping[str, float]):
    """Numbers by name that are worked out when first read."""

    def __init__(self, make: Callable[[], Mapping[str, float]]) -> None:
        self._make = make
        self._made: Mapping[str, float] | None = None

    def _values(self) -> Mapping[str, float]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: str) -> float:
        return self._values()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())
