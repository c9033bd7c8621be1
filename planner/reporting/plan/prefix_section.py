"""The prefix cache of services with conversations: what it spares, and what that depends on."""

from __future__ import annotations

from collections.abc import Iterator

from planner.plan.prefix_hits import PrefixHits
from planner.plan.schema import ServicePlan
from planner.reporting import rounding
from planner.reporting.document import Block, Column, Paragraph, Quantity, Section, Table

KEPT = {True: "held", False: "missed", None: ""}


def prefix_section(services: tuple[ServicePlan, ...]) -> Section:
    """Hit shares at the planned load and in the cases beside it; nothing without conversations."""
    talks = tuple(s for s in services if s.prefix_hits is not None)
    if not talks:
        return Section("prefix", "Prefix cache", ())
    columns = (
        Column("service", "Service", optional=True),
        Column("case", "Case"),
        Column("share", "Hit share", Quantity.SHARE),
        Column("targets", "Targets"),
    )
    rows = tuple(row for s in talks for row in _rows(s))
    blocks: list[Block] = [Table("prefix", "Prompt tokens found in the cache", columns, rows)]
    for s in talks:
        assert s.prefix_hits is not None
        blocks.append(Paragraph(hits_text(s.prefix_hits)))
    return Section("prefix", "Prefix cache", tuple(blocks))


def _rows(service: ServicePlan) -> Iterator[tuple[str, str, float, str]]:
    hits = service.prefix_hits
    assert hits is not None
    yield service.name, "as planned", hits.share, ""
    for case in hits.cases:
        yield service.name, case.changed, case.share, KEPT[case.holds]


def hits_text(hits: PrefixHits) -> str:
    """The hit share in one sentence, with what bounds it."""
    source = "simulated" if hits.method == "simulated" else "from the closed form"
    return (
        f"{rounding.share(hits.share)} of the prompt tokens are found in the prefix cache ({source}); "
        f"{rounding.share(hits.possible)} would be by caches that forget nothing."
    )
