"""How to check one replica before anything is signed: what to send, and what must come back."""

from __future__ import annotations

from planner.plan.part import PlanPart
from planner.scenario.fields import omit_defaults


class Rung(PlanPart):
    """One run of a load test. ``share``: of the rate that load per replica by the plan.

    rate_qps: requests/s; concurrency: requests in flight at most, well above what is expected; limits_s:
    the most that each statistic of the run may be [s], ``ttft_p99`` or ``tpot_mean``. request_class: that
    all its requests are of, with their lengths [tokens]; the runs of all classes at one share are one test,
    made at the same time. Empty, and 0, where the service has no classes.
    """

    share: float
    rate_qps: float
    concurrency: int
    requests: int
    limits_s: dict[str, float]
    command: str
    request_class: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0

    _written = omit_defaults("request_class", "prompt_tokens", "output_tokens")


class AcceptanceTest(PlanPart):
    """The load test of one replica of a group: lengths are the scenario's means [tokens], of a whole call,
    and over all classes.

    Percentiles are held against the scenario's targets, the mean TPOT against the prediction slowed by
    the plan's margin.
    """

    service: str
    replica: str
    model: str
    prompt_tokens: int
    output_tokens: int
    rungs: tuple[Rung, ...]
