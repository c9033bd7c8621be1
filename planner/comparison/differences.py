"""One plan against another: what was added, removed or changed, and what caused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from planner.comparison.causes import Cause, causes
from planner.plan.labels import headroom_qps, matched, rented
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan

Mark = Literal["+", "-", "~"]
Value = float | int | str | None

_TOTALS: tuple[tuple[str, str, str], ...] = (
    ("usd_per_hour", "cost per hour", "usd"),
    ("usd_per_month", "cost per month", "usd"),
    ("usd_per_year", "cost per year", "usd"),
    ("usd_per_million_tokens", "cost per million tokens", "usd"),
    ("usd_per_million_output_tokens", "cost per million output tokens", "usd"),
    ("gpus", "GPUs in use", "count"),
    ("gpus_rented", "GPUs rented", "count"),
    ("nodes", "nodes", "count"),
)
_CASH: tuple[tuple[str, str], ...] = (
    ("due_at_signature_usd", "due at signature"),
    ("upfront_usd", "paid upfront"),
    ("horizon_usd", "paid by the horizon"),
    ("owed_after_usd", "owed after the horizon"),
    ("paid_ahead_usd", "paid ahead for later"),
)
_LATENCIES = ("ttft_p50_s", "ttft_p99_s", "tpot_p50_s", "tpot_p99_s", "e2e_p99_s")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference; ``quantity`` names how its values are written."""

    mark: Mark
    subject: str
    name: str
    old: Value
    new: Value
    quantity: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs between plan ``old`` and plan ``new``."""

    old: Plan
    new: Plan
    changes: tuple[Change, ...]
    causes: tuple[Cause, ...]

    @property
    def increase(self) -> float | None:
        """The relative change of the cost per hour; None when either plan has no cost."""
        if self.old.totals is None or self.new.totals is None or not self.old.totals.usd_per_hour:
            return None
        return self.new.totals.usd_per_hour / self.old.totals.usd_per_hour - 1

    def increased(self, limit: float) -> tuple[str, ...]:
        """What rose by more than ``limit`` (0.05: 5 %): the cost per hour, what is paid upfront.

        A plan that was lost counts as an increase.
        """
        if self.new.totals is None:
            return ("the cost per hour",) if self.old.totals is not None else ()
        cost = self.increase is not None and self.increase > limit + 1e-9
        before, after = self.old.cash, self.new.cash
        ahead = (
            before is not None
            and after is not None
            and after.upfront_usd > before.upfront_usd * (1 + limit + 1e-9)
        )
        named = (("the cost per hour", cost), ("what is paid upfront", ahead))
        return tuple(name for name, rose in named if rose)


def diff(old: Plan, new: Plan) -> Difference:
    """Compare two plans; equal plans, whatever their runs, give no changes.

    The only service of one is the only service of the other, whatever their names.
    """
    old = paired(old, new)
    changes = (
        *_values("plan", {"status": old.status}, {"status": new.status}, "text"),
        *_totals(old, new),
        *_services(old, new),
        *_nodes(old, new),
        *_lines("assumption", old.assumptions, new.assumptions),
        *_lines("warning", old.warnings, new.warnings),
    )
    return Difference(old, new, changes, tuple(causes(old, new)))


def paired(old: Plan, new: Plan) -> Plan:
    """The old plan with its only service called as the only service of the new one."""
    mine, other = old.scenario.services, new.scenario.services
    if not len(mine) == len(other) == 1 or mine[0].name == other[0].name:
        return old
    name = {"name": other[0].name}
    scenario = old.scenario.model_copy(update={"services": (mine[0].model_copy(update=name),)})
    services = tuple(s.model_copy(update=name) for s in old.services)
    return old.model_copy(update={"scenario": scenario, "services": services})


def _totals(old: Plan, new: Plan) -> Iterator[Change]:
    for field, name, quantity in _TOTALS:
        yield from _values(
            "total",
            {name: getattr(old.totals, field) if old.totals else None},
            {name: getattr(new.totals, field) if new.totals else None},
            quantity,
        )
    for field, name in _CASH:
        yield from _values(
            "cash",
            {name: getattr(old.cash, field)} if old.cash else {},
            {name: getattr(new.cash, field)} if new.cash else {},
            "usd",
        )


def _services(old: Plan, new: Plan) -> Iterator[Change]:
    before, after = ({s.name: s for s in plan.services} for plan in (old, new))
    for name, a, b in matched(before, after):
        subject = f"service {name}"
        if a is None or b is None:
            costs = [{"cost per hour": s.usd_per_hour} if s else {} for s in (a, b)]
            yield from _values(subject, costs[0], costs[1], "usd")
        else:
            yield from _service(subject, a, b)
        yield from _groups(subject, a.replica_groups if a else (), b.replica_groups if b else ())


def _service(subject: str, a: ServicePlan, b: ServicePlan) -> Iterator[Change]:
    for name, quantity in (
        ("rate_qps", "qps"),
        ("served_qps", "qps"),
        ("headroom_qps", "qps"),
        ("usd_per_hour", "usd"),
    ):
        title = "cost per hour" if name == "usd_per_hour" else name.removesuffix("_qps")
        read = headroom_qps if name == "headroom_qps" else attrgetter(name)
        yield from _values(subject, {title: read(a)}, {title: read(b)}, quantity)
    yield from _values(subject, {"model": a.model}, {"model": b.model}, "text")
    yield from _values(f"{subject} target", a.targets, b.targets, "seconds")


def _groups(
    subject: str, old: tuple[ReplicaGroup, ...], new: tuple[ReplicaGroup, ...]
) -> Iterator[Change]:
    before, after = ({g.name: g for g in groups} for groups in (old, new))
    for name, a, b in matched(before, after):
        replicas = [{"replicas": g.replicas} if g else {} for g in (a, b)]
        yield from _values(f"{subject}, {name}", replicas[0], replicas[1], "count")
        if a is not None and b is not None:
            yield from _values(
                f"{subject}, {name}",
                {"capacity per replica": a.capacity_qps},
                {"capacity per replica": b.capacity_qps},
                "qps",
            )
            for field in _LATENCIES:
                metric, percentile = field.removesuffix("_s").split("_")
                title = f"{metric.upper()} {percentile}"
                yield from _values(
                    f"{subject}, {name}",
                    {title: getattr(a.predicted, field)},
                    {title: getattr(b.predicted, field)},
                    "seconds",
                )
            yield from _values(
                f"{subject}, {name}", {"evidence": a.evidence}, {"evidence": b.evidence}, "text"
            )


def _nodes(old: Plan, new: Plan) -> Iterator[Change]:
    before, after = ({n.name: n for n in rented(plan)} for plan in (old, new))
    for name, a, b in matched(before, after):
        counts = [{"nodes": n.count} if n else {} for n in (a, b)]
        yield from _values(name, counts[0], counts[1], "count")
        if a is not None and b is not None:
            yield from _values(
                name,
                {"price per node-hour": a.usd_per_hour_each},
                {"price per node-hour": b.usd_per_hour_each},
                "usd",
            )


def _lines(subject: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    for text in old:
        if text not in new:
            yield Change("-", subject, "", text, None, "text")
    for text in new:
        if text not in old:
            yield Change("+", subject, "", None, text, "text")


def _values(
    subject: str, old: Mapping[str, Value], new: Mapping[str, Value], quantity: str
) -> Iterator[Change]:
    for name, a, b in matched(old, new):
        if a != b:
            mark: Mark = "~" if a is not None and b is not None else "+" if a is None else "-"
            yield Change(mark, subject, name, a, b, quantity)
