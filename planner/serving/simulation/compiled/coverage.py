"""What the compiled core covers; everything else goes through the Python loop.

The core knows requests with lengths and arrival times, every scheduler, constant prefix shares, routing,
queue limits, replicas that start and stop, closed loops, and prefill pools that hand over to decode pools.
It does not know prompt block ids (``prefix_cache``). A field that is added to requests, limits, groups or
routing keeps a run out of the core wherever it is set, until it is listed here as known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import ClassVar, Protocol

from planner.scenario.schema import Routing
from planner.serving.simulation.compiled.library import MOST_WINDOWS
from planner.serving.simulation.replica import Composer, Replica
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.schedulers.chunked_prefill import ChunkedPrefill
from planner.serving.simulation.schedulers.no_evict import NoEvict
from planner.serving.simulation.schedulers.prefill_first import PrefillFirst
from planner.serving.simulation.schedulers.priority_queue import PriorityReplica
from planner.serving.simulation.timed_replica import TimedReplica

SCHEDULERS: dict[type[Composer], int] = {ChunkedPrefill: 0, PrefillFirst: 1, NoEvict: 2}
POLICIES = {
    "round-robin": 0,
    "random": 1,
    "least-loaded": 2,
    "prefix-aware": 2,
}  # without block ids
MOST_PROMPT_AND_OUTPUT = 2**31  # products of two lengths stay whole numbers

REQUESTS = frozenset(
    {
        "arrival_s",
        "prompt_tokens",
        "output_tokens",
        "block_tokens",
        "calls",
        "classes",
        "levels",
    }
)
GROUP = frozenset({"steps", "limits", "replicas", "weight", "ready_s", "retire_s", "decode"})
DECODE_POOL = frozenset({"group", "link_gb_s", "link_latency_s", "units"})
ROUTING = frozenset({"policy", "max_queue", "start_up"})
LIMITS = frozenset(
    {
        "scheduler",
        "max_num_seqs",
        "max_num_batched_tokens",
        "kv_pool_bytes",
        "kv_block_tokens",
        "kv_block_bytes",
        "windows",
        "state_bytes",
        "draft_tokens",
        "tokens_per_step",
        "chunked",
        "ranks",
        "prefix_caching",
    }
)


class _Record(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


def covers(
    groups: Iterable[SimulatedGroup],
    requests: Requests,
    routing: Routing,
    replicas: Iterable[TimedReplica],
) -> bool:
    """Whether the core gives what the Python loop would."""
    pools = [g.decode for g in groups if g.decode is not None]
    parts = [*groups, *(p.group for p in pools)]
    return (
        _knows(requests, REQUESTS)
        and routing.model_fields_set <= ROUTING
        and all(_knows(g, GROUP) and _knows(g.limits, LIMITS) for g in parts)
        and all(_knows(p, DECODE_POOL) for p in pools)
        and all(g.replicas > 0 and len(g.limits.windows) <= MOST_WINDOWS for g in parts)
        and int((requests.prompt_tokens + requests.output_tokens).max()) < MOST_PROMPT_AND_OUTPUT
        and all(
            type(r) is TimedReplica
            and type(r.core) in (Replica, PriorityReplica)
            and r.core.cache is None
            and type(r.core.composer) in SCHEDULERS
            for r in replicas
        )
    )


def _knows(record: _Record, known: frozenset[str]) -> bool:
    """Whether every field outside ``known`` is at its default."""
    return all(f.name in known or _at_default(record, f) for f in fields(record))


def _at_default(record: _Record, field: Field[object]) -> bool:
    value: object = getattr(record, field.name)
    if field.default_factory is not MISSING:
        return bool(value == field.default_factory())
    if field.default is None:
        return value is None
    return field.default is not MISSING and bool(value == field.default)
