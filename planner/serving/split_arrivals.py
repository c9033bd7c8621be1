"""Bursts as one of several replicas sees them.

Of arrivals split at random a replica that takes the share ``p`` of a service's requests sees counts whose
variance over their mean is ``1 + p (CV^2 - 1)``, with ``CV`` that of the service's gaps: the more replicas,
the calmer each one's arrivals. A router that looks at queues does better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.scenario.calls import prompts_cv
from planner.scenario.schema import Service

LEAST_STEPS = -16  # powers of sqrt(2): smaller shares than 1/256 count as 1/256
ROUNDING = 1e-6  # in steps: what two ways to the same rate may differ by


@dataclass(frozen=True, slots=True)
class SplitArrivals:
    """Arrivals that are split over replicas.

    ``cv``: of the gaps between the service's calls; ``qps``: its lowest rate, whose few replicas take the
    largest shares [requests/s], 0 where it is not known and where it does not count; ``prompts_per_call``:
    that go to one replica together.
    """

    cv: float
    qps: float
    prompts_per_call: int

    @classmethod
    def of(cls, service: Service) -> SplitArrivals:
        """Those of a service; of a recorded series, whose hours are not read, the lowest is not known."""
        cv, load = service.arrivals.cv, service.load
        lowest = 0.0 if cv <= 1 or (load is not None and load.series is not None) else 1.0
        if load is not None and load.hourly is not None:
            lowest *= min(h for h in load.hourly if h > 0) * len(load.hourly) / sum(load.hourly)
        return cls(cv, lowest * service.rate, service.prompts_per_call)

    def calls_cv(self, replica_qps: float) -> float:
        """CV of the gaps between calls at a replica that takes at most ``replica_qps`` [requests/s].

        Shares are rounded up to powers of 1/sqrt(2), so that few processes are tabled. Arrivals no burstier
        than Poisson's stay as they are, and so do all where the lowest rate is not known.
        """
        if self.cv <= 1 or replica_qps >= self.qps:
            return self.cv
        return math.sqrt(1 + 2 ** (self._steps(replica_qps) / 2) * (self.cv**2 - 1))

    def calmer_qps(self, replica_qps: float) -> float | None:
        """The rate below which arrivals are calmer than at a replica that takes ``replica_qps`` [requests/s].

        None where they are as calm as they get.
        """
        if self.cv <= 1 or not self.qps:
            return None
        steps = min(self._steps(replica_qps), 0) - 1
        return None if steps < LEAST_STEPS else self.qps * 2 ** (steps / 2)

    def prompts_cv(self, replica_qps: float) -> float:
        """CV of the gaps between single prompts there, at least 1."""
        return prompts_cv(self.calls_cv(replica_qps), self.prompts_per_call)

    def _steps(self, replica_qps: float) -> int:
        """The share that a replica takes, as the power of sqrt(2) that it is rounded up to."""
        share = max(replica_qps / self.qps, 2 ** (LEAST_STEPS / 2))
        return math.ceil(2 * math.log2(share) - ROUNDING)


def replica_cv(service: Service, replica_qps: float) -> float:
    """CV of the gaps between prompts at a replica that takes at most ``replica_qps`` of them [requests/s]."""
    return SplitArrivals.of(service).prompts_cv(replica_qps)
