"""How the replicas of a plan draft tokens: a table where any does."""

from __future__ import annotations

from planner.plan.schema import ServicePlan
from planner.reporting.document import Column, Quantity, Table


def drafts_table(services: tuple[ServicePlan, ...]) -> tuple[Table, ...]:
    """What drafts, how much is accepted, what it holds of a GPU; nothing where nothing drafts."""
    columns = (
        Column("service", "Service", optional=True),
        Column("layout", "Replica"),
        Column("method", "Method"),
        Column("draft", "Draft", optional=True),
        Column("draft_tokens", "Drafted a step", Quantity.COUNT),
        Column("acceptance", "Accepted", Quantity.SHARE),
        Column("tokens_per_step", "Tokens a step", Quantity.NUMBER),
        Column("weights_bytes", "Draft weights a GPU", Quantity.BYTES),
        Column("kv_bytes_per_token", "Draft KV a token [B]", Quantity.NUMBER),
        Column("evidence", "Acceptance is"),
        Column("source", "Source"),
    )
    rows = tuple(
        (
            s.name,
            g.name,
            d.method,
            d.checkpoint,
            d.draft_tokens,
            d.acceptance,
            d.tokens_per_step,
            d.weights_bytes,
            d.kv_bytes_per_token,
            d.evidence.value,
            d.source,
        )
        for s in services
        for g in s.replica_groups
        if (d := g.speculation) is not None
    )
    return (Table("drafts", "Speculative decoding", columns, rows),) if rows else ()
