"""How policies that scale a fleet are presented side by side."""

from __future__ import annotations

from planner.autoscaling.comparing import PolicyComparison
from planner.reporting import rounding as say
from planner.reporting.document import Column, Document, Quantity, Section, Table


def replay_document(comparison: PolicyComparison) -> Document:
    """``planner replay``: GPU-hours and misses of each policy."""
    static = comparison.results["static"]
    columns = (
        Column("policy", "Policy"),
        Column("gpu_hours", "GPU-hours", Quantity.NUMBER),
        Column("over_static", "over static", Quantity.CHANGE),
        Column("miss_share", "Misses", Quantity.SHARE),
        Column("mean_replicas", "Mean replicas", Quantity.NUMBER),
        Column("most_replicas", "Most", Quantity.COUNT),
        Column("starts", "Starts", Quantity.COUNT),
    )
    rows = tuple(
        (
            name,
            one.gpu_hours,
            one.gpu_hours / static.gpu_hours - 1 if static.gpu_hours else None,
            one.miss_share,
            one.mean_replicas,
            one.most_replicas,
            one.starts,
        )
        for name, one in comparison.results.items()
    )
    note = (
        f"{comparison.series} over {say.significant(static.hours)} h, times "
        f"{say.significant(comparison.scale)} to the service's mean rate. A miss arrives while more "
        "requests wait than still start within the TTFT target. Requests are a fluid: bursts shorter "
        "than a window of the series are not in it."
    )
    table = Table("policies", "Policies", columns, rows, note)
    headline = f"{comparison.service}: {len(rows)} ways to scale its replicas"
    return Document(comparison.service, headline, (Section("policies", "Policies", (table,)),))
