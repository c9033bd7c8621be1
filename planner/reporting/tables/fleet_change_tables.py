"""How the way from the running fleet to a plan is presented."""

from __future__ import annotations

from collections.abc import Sequence

from planner.importing.changes import FleetChange
from planner.reporting.document import Column, Document, Section, Table, rows_of
from planner.units import counted


def fleet_change_document(changes: Sequence[FleetChange]) -> Document:
    """``planner import --plan``: what to start, stop and change."""
    differing = sum(1 for change in changes if change.mark != "=")
    headline = (
        "the running fleet is the plan's"
        if not differing
        else f"{counted(differing, 'difference')} between the running fleet and the plan"
    )
    columns = (
        Column("mark", ""),
        Column("service", "Service"),
        Column("what", "What"),
        Column("running", "Running"),
        Column("planned", "Planned"),
    )
    note = "+ start, - stop, ~ change, = stays."
    table = Table("changes", "What to change", columns, rows_of(changes, columns), note)
    return Document("fleet", headline, (Section("changes", "What to change", (table,)),))
