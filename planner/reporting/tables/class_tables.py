"""Request classes that share the replicas of a service: what they send, and the order they wait in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.plan.schema import Plan, ServicePlan
from planner.reporting.document import Column, Quantity, Table, Value
from planner.scenario.request_classes import by_priority, levels_of
from planner.scenario.schema import Service
from planner.workload.lengths import lengths_of

COLUMNS = (
    Column("service", "Service", optional=True),
    Column("request_class", "Class"),
    Column("served", "Served"),
    Column("sent", "Priority sent"),
    Column("rate_qps", "Mean rate", Quantity.QPS),
    Column("prompt_tokens", "Mean prompt", Quantity.COUNT),
    Column("output_tokens", "Mean output", Quantity.COUNT),
    Column("tokens_share", "Of all tokens", Quantity.SHARE),
)
ORDERED = (
    "Requests wait in this order within the engine, and in the order of arrival within a class; of running "
    "ones those served last are preempted where the KV pool is short."
)
ALIKE = "All classes wait alike, first come, first served: give them priorities to serve one before another."


def classes_table(plan: Plan, services: Iterable[ServicePlan]) -> Iterator[Table]:
    """One row for each class of each service; nothing where no service has any."""
    requested = {s.name: s for s in plan.scenario.services}
    shared = [s for planned in services if (s := requested[planned.name]).classes]
    if shared:
        ordered = any(by_priority(s.classes) for s in shared)
        rows = tuple(row for s in shared for row in _rows(s))
        yield Table(
            "classes",
            "Requests that share the replicas",
            COLUMNS,
            rows,
            ORDERED if ordered else ALIKE,
        )


def _rows(service: Service) -> Iterator[tuple[Value, ...]]:
    mix, levels = lengths_of(service), levels_of(service.classes)
    ordered = by_priority(service.classes)
    whole = mix.mean_prompt + mix.mean_written
    for c in service.classes:
        own, level = mix.of_class(c.name), levels[c.name]
        prompt, output = own.mean_prompt, own.mean_written
        yield (
            service.name,
            c.name,
            _place(level) if ordered else "as they come",
            str(level) if ordered else None,
            c.share * service.rate,
            prompt,
            output,
            c.share * (prompt + output) / whole,
        )


def _place(level: int) -> str:
    """``first``, ``second``, ..."""
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    return names[level]
