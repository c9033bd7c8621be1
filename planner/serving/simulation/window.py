"""How long a service is simulated, on which share of its fleet, and when it need not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.simulation.conversation_requests import pauses_s
from planner.serving.split_arrivals import replica_cv
from planner.workload.lengths import JointLengths, lengths_of

REQUESTS = 12_000  # measured in one check, when the targets' percentiles need no more
MOST_REQUESTS = 40_000  # simulated in one check, warm-up included; a larger fleet is cut to a slice
MOST_OF_CLASSES = 30_000  # measured in one check, so that a rare request class has its percentiles
MOST_PROMPTS_A_CALL = 50  # for which a check simulates as many calls as it would requests
MOST_OF_ALL = (
    80_000  # simulated of the smallest slice too: only replicas that cannot keep up have more
)
SMALLEST_SLICE = 4  # replicas of a group that a slice keeps at least
WARM_UP_STAYS = 2.5  # mean stays of a request until the fleet counts as steady
LEAST_STAYS = 4.0  # mean stays that the measured window spans at least
WARM_UP_PAUSES = 2.0  # between turns of a conversation, until the caches hold what they will
LEAST_PAUSES = 3.0
STEADY_SHARE = 0.9  # of the ceiling: beyond it stays grow with the length of the run
MOST_CUTS = 20  # of a rate that no cache keeps up with, by a tenth each
CLEARLY_TOO_MUCH = 1.15  # times the closed form's ceiling


@dataclass(frozen=True, slots=True)
class Window:
    """How long a simulation runs [s]: warm-up, then the measured window, then a tail of one mean stay.

    slice_share: the share of the fleet and of its rate that is simulated.
    """

    warm_up_s: float
    measured_s: float
    tail_s: float
    slice_share: float = 1.0

    @property
    def total_s(self) -> float:
        return self.warm_up_s + self.measured_s + self.tail_s

    def shortened(self, most_s: float) -> Window:
        """The window, or one of the same proportions that lasts ``most_s`` [s]."""
        part = most_s / self.total_s
        if part >= 1:
            return self
        return Window(
            part * self.warm_up_s, part * self.measured_s, part * self.tail_s, self.slice_share
        )


def window_for(
    service: Service, placed: Sequence[Placed], lengths: JointLengths, requests: int = REQUESTS
) -> Window:
    """A window that measures about ``requests`` arrivals and several stays, sliced to bounded work.

    Where prompts come in calls these are calls, as far as ``MOST_PROMPTS_A_CALL``. Of the rarest request
    class with a target nearly as many are measured as of a service without classes.
    """
    judged = {t.request_class for t in service.slo.targets}
    rarest = min((c.share for c in service.classes if c.name in judged), default=1.0)
    requests = min(round(requests / rarest), max(requests, MOST_OF_CLASSES))
    calls = min(service.prompts_per_call, MOST_PROMPTS_A_CALL)
    rate = sum(p.rate_qps for p in placed)
    stay = max(_mean_stay_s(service, p, lengths) for p in placed)
    away = pauses_s(service)
    measured = max(calls * requests / rate, LEAST_STAYS * stay, LEAST_PAUSES * away)
    warm_up = WARM_UP_STAYS * stay + WARM_UP_PAUSES * away
    total = (warm_up + measured + stay) * rate
    fewest = min(p.replicas for p in placed)
    smallest = min(1.0, SMALLEST_SLICE / fewest)
    most = calls * MOST_REQUESTS
    window = Window(warm_up, measured, stay, max(smallest, min(1.0, most / total)))
    return window.shortened(window.total_s * calls * MOST_OF_ALL / (total * window.slice_share))


def _mean_stay_s(service: Service, placed: Placed, lengths: JointLengths) -> float:
    """Mean stay of a request [s] in steady state, at most near the highest rate that has one.

    A prefix cache that loses its histories lowers that rate, so that it is looked for from above.
    """
    share = service.assumptions.prefix_hit_share
    most = STEADY_SHARE * placed.ceiling_qps(lengths, share)
    rate = min(placed.rate_qps / placed.replicas, most)
    if service.conversations is not None:
        for _ in range(MOST_CUTS):
            if placed.keeps_up(lengths, rate, replica_cv(service, rate), share):
                break
            rate *= STEADY_SHARE
    point = placed.point(lengths, service.slo, rate, replica_cv(service, rate), share)
    return max(point.concurrency / max(point.qps, 1e-9), 0.1)


def excess_rate(
    service: Service,
    placed: Sequence[Placed],
    rate_qps: float,
    lengths: JointLengths | None = None,
) -> str | None:
    """Why no simulation is needed: the rate is clearly more than the replicas can ever finish.

    Without a target on TTFT or E2E nothing in a simulation sees the queue grow: any rate over the
    closed form's ceiling is then too much. Nor do request classes: those served first do not wait for the
    others.
    """
    lengths = lengths or lengths_of(service)
    share = service.assumptions.prefix_hit_share
    most = sum(p.replicas * p.ceiling_qps(lengths, share) for p in placed)
    sees_queue = not service.classes and any(
        t.metric in ("ttft", "e2e") for t in service.slo.targets
    )
    if rate_qps <= (CLEARLY_TOO_MUCH if sees_queue else 1.0) * most:
        return None
    return (
        f"{service.name}: {rate_qps:.4g} requests/s arrive, the replicas finish at most "
        f"{most:.4g} requests/s: the queue would grow without end"
    )
