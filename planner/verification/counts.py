"""Whether a plan's counts are such that anything else can be checked at all."""

from __future__ import annotations

from collections.abc import Iterator

from planner.plan.schema import Plan
from planner.verification.check import Check, Verdict

FAMILY = "counts"
MOST_TOGETHER = 4096  # GPUs of one node, or along one axis of a replica
MOST = 10_000_000  # replicas, nodes or GPUs in one line of a plan: more are no fleet


def count_checks(plan: Plan) -> Iterator[Check]:
    """One failing check per count that is out of range; one that holds where none is."""
    wrong = [c for c in _counts(plan) if not c[2] <= c[1] <= c[3]]
    for where, n, least, most in wrong:
        found = (
            str(n) if abs(n) <= MOST else f"{float(n):.3g}" if abs(n) < 1e300 else "beyond 1e300"
        )
        yield Check(FAMILY, where, Verdict.FAILS, found, f"from {least} to {most:,}")
    if not wrong:
        yield Check(FAMILY, "every count is in range", Verdict.HOLDS, "yes", f"at most {MOST:,}")


def _counts(plan: Plan) -> Iterator[tuple[str, int, int, int]]:
    """(where, count, least, most) of every count."""
    for i, node in enumerate(plan.nodes):
        yield f"nodes.{i}.gpus_per_node", node.gpus_per_node, 1, MOST_TOGETHER
        yield f"nodes.{i}.count", node.count, 0, MOST
        yield f"nodes.{i}.idle_gpus", node.idle_gpus, 0, MOST
    for i, service in enumerate(plan.services):
        for j, group in enumerate(service.replica_groups):
            where = f"services.{i}.replica_groups.{j}"
            yield f"{where}.replicas", group.replicas, 1, MOST
            yield f"{where}.gpus", group.gpus, 1, MOST
            for n in group.degrees:
                yield f"{where}: parallel degree", n, 1, MOST_TOGETHER
            if group.prefill is not None:
                for n in (*group.prefill.degrees, group.prefill.replicas):
                    yield f"{where}.prefill: degree or replicas", n, 1, MOST
                yield f"{where}.prefill.decode_replicas", group.prefill.decode_replicas, 1, MOST
    for i, period in enumerate(plan.periods):
        for key, n in (*period.replicas.items(), *period.nodes.items()):
            yield f"periods.{i}: {key}", n, 0, MOST
    if plan.totals is not None:
        yield "totals.gpus", plan.totals.gpus, 0, MOST
        yield "totals.gpus_rented", plan.totals.gpus_rented, 0, MOST
        yield "totals.nodes", plan.totals.nodes, 0, MOST
