"""The fields of a scenario by the document that holds them, and which one an unknown word means."""

from __future__ import annotations

from functools import cache

from pydantic import BaseModel

from planner.errors import closest
from planner.scenario.conversations.fields import Conversations, ThinkTime, Turns
from planner.scenario.fleet import (
    Assurance,
    Buckets,
    Carbon,
    Existing,
    Failures,
    Horizon,
    Load,
    Migration,
    Quota,
    Sharing,
    Spot,
)
from planner.scenario.job import Job
from planner.scenario.lengths import Lengths
from planner.scenario.lora import Lora
from planner.scenario.money import Egress, Extras, Ownership, Storage, Support
from planner.scenario.renames import FIELDS
from planner.scenario.schema import (
    Arrivals,
    Assumptions,
    Limits,
    Prices,
    Routing,
    Scenario,
    Service,
)
from planner.scenario.search.disaggregation import Disaggregation, KvLinkChoice
from planner.scenario.search.fields import Search, Settings
from planner.scenario.search.kv_offload import KvOffload
from planner.scenario.search.speculation import Speculation
from planner.scenario.synonyms import MEANS

_DOCUMENTS: dict[str, type[BaseModel]] = {
    "search": Search,
    "prices": Prices,
    "limits": Limits,
    "assumptions": Assumptions,
    "arrivals": Arrivals,
    "routing": Routing,
    "feeding": Routing,
    "settings": Settings,
    "prompt_tokens": Lengths,
    "output_tokens": Lengths,
    "quotas": Quota,
    "carbon": Carbon,
    "load": Load,
    "assurance": Assurance,
    "conversations": Conversations,
    "turns": Turns,
    "think_time": ThinkTime,
    "growth": Lengths,
    "kv_offload": KvOffload,
    "buckets": Buckets,
    "horizon": Horizon,
    "failures": Failures,
    "spot": Spot,
    "existing": Existing,
    "migration": Migration,
    "sharing": Sharing,
    "ownership": Ownership,
    "extras": Extras,
    "egress": Egress,
    "storage": Storage,
    "support": Support,
    "disaggregation": Disaggregation,
    "kv_link": KvLinkChoice,
    "job": Job,
    "lora": Lora,
    "speculative": Speculation,
    "services": Service,
}
_PARENTS = {
    "settings": "search.settings",
    "disaggregation": "search.disaggregation",
    "kv_link": "search.disaggregation.kv_link",
    "speculative": "search.speculative",
    "quotas": "limits.quotas",
    "carbon": "limits.carbon",
    "kv_offload": "search.settings.kv_offload",
    "turns": "conversations.turns",
    "think_time": "conversations.think_time",
    "growth": "conversations.growth",
}
_SLO = ("ttft_p99", "tpot_p99", "ttft_p50", "tpot_p50", "itl_p99", "e2e_p99", "goodput")
_NOT_SUGGESTED = ("services", *FIELDS)  # lists of documents, and old names


def fields_of(parent: str) -> list[str]:
    """The fields of the document under ``parent``; "" is the top of the file."""
    if parent == "slo":
        return list(_SLO)
    document = _DOCUMENTS.get(parent)
    if document is not None:
        return list(document.model_fields)
    return [*Service.model_fields, *(f for f in Scenario.model_fields if f != "name")]


def suggestion(name: str, parent: str) -> str | None:
    """The field that an unknown ``name`` under ``parent`` means; dotted where it is another document's.

    In turn: a field that is very like it here, a word that means the same, a field of that very name
    elsewhere, and the nearest here.
    """
    here = fields_of(parent)
    word = name.lower().replace("-", "_")
    very_like = closest(word, here, cutoff=0.8)
    if very_like is not None:
        return very_like
    meant = MEANS.get(word) or _elsewhere().get(word)
    if meant is not None:
        path, _, last = meant.rpartition(".")
        return last if path == path_of(parent) or (not path and last in here) else meant
    return closest(word, here)


def path_of(parent: str) -> str:
    """The dotted path of the document under ``parent``."""
    return _PARENTS.get(parent, parent)


def dotted_fields() -> list[str]:
    """Every field that holds a value, dotted from the top of a scenario with one service."""
    tops = [f for f in fields_of("") if f not in _NOT_SUGGESTED and f not in _DOCUMENTS]
    inner = [f"slo.{f}" for f in _SLO]
    for parent, document in _DOCUMENTS.items():
        if parent not in (*_NOT_SUGGESTED, "quotas", "existing"):
            inner += [
                f"{path_of(parent)}.{f}" for f in document.model_fields if f not in _DOCUMENTS
            ]
    return [*tops, *inner]


@cache
def _elsewhere() -> dict[str, str]:
    """Fields whose name is in one document only, with their dotted path."""
    found: dict[str, set[str]] = {}
    for dotted in (*dotted_fields(), *fields_of("")):
        found.setdefault(dotted.rpartition(".")[2], set()).add(dotted)
    return {name: next(iter(paths)) for name, paths in found.items() if len(paths) == 1}
