"""The question: what a person asks, as strict, frozen documents.

Scenario > Service > model, rate, lengths, SLO, search; prices and limits belong to the scenario.
Unknown keys are errors, numbers are finite, text is never taken for a number. ``reader``
turns a YAML file into one of these and adds file and line to every complaint.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from planner.scenario.calls import MOST_PROMPTS, as_prompts, check_calls, prompts_cv
from planner.scenario.conversations.fields import Conversations
from planner.scenario.conversations.rules import as_turns, check_conversations
from planner.scenario.fields import (
    AllOrNames,
    Names,
    Positive,
    Seconds,
    SomeNames,
    StrictDocument,
    as_tuple,
    by_term,
    field_error,
    omit_defaults,
    term_names,
)
from planner.scenario.fleet import (
    DEFAULT_ASSURANCE,
    Assurance,
    Buckets,
    Carbon,
    Existing,
    Failures,
    Horizon,
    Load,
    Migration,
    Quota,
    Serve,
    Sharing,
    Spot,
    assured,
)
from planner.scenario.job import REPLACED, Job, with_job, without_replaced
from planner.scenario.lengths import LengthSpec
from planner.scenario.lora import Lora
from planner.scenario.money import Extras, Ownership
from planner.scenario.renames import FIELDS, ROUTING_FIELDS, renamed, with_new_names
from planner.scenario.request_classes import RequestClass, check_classes, with_classes
from planner.scenario.search.fields import Search
from planner.scenario.slo import Slo
from planner.scenario.task import GENERATE, Task, check_task, with_one_pass
from planner.units import parse_rate_qps

MAX_RATE_QPS = 1e7  # beyond any service on earth, and well within exact arithmetic
Rate = Annotated[float, Field(gt=0, le=MAX_RATE_QPS), BeforeValidator(parse_rate_qps)]


class Arrivals(StrictDocument):
    """How requests arrive at one service, with the CV of interarrival times.

    ``process``: poisson (CV 1), gamma or weibull (CV as given), constant (CV 0).
    """

    process: Literal["poisson", "gamma", "weibull", "constant"] = "poisson"
    cv: Annotated[float, Field(ge=0, le=50)] = 1.0

    @model_validator(mode="after")
    def _cv_fits_the_process(self) -> Arrivals:
        if self.process == "poisson" and self.cv != 1:
            raise ValueError("a poisson process has cv 1; give process: gamma or weibull with a cv")
        if self.process == "constant" and self.cv not in (0.0, 1.0):
            raise ValueError(
                f"a constant process has a CV of its own, found cv {self.cv:g}: "
                "give process gamma or weibull with it"
            )
        return self


class Prices(StrictDocument):
    """Which offers count. Government regions only when ``regions`` names them.

    ``terms``: on-demand, spot, 1-year, 3-year, N-month (1 to 36), capacity-block. ``tiers``:
    hyperscaler, cloud, marketplace; offers that say no tier always count, and no replica is spread over
    the hosts of a marketplace, which share no network. ``confidence``: the least a price may have; a
    plan names the cheapest fleet of all tiers and confidences beside its own. ``file``: a price list of
    one's own, with the columns of ``catalogs/README.md``; it replaces the catalog's.
    ``factors``: multiplies prices by GPU, provider, term, or "all"; a negotiated discount of 20 % at
    one provider is ``{acme: 0.8}``. ``discounts``: the same as the share taken off, ``{acme: 0.2}``.
    ``max_vendors``: how many providers may be paid; nodes that run today do not count.
    """

    terms: Annotated[SomeNames, AfterValidator(term_names)] = ("on-demand",)
    providers: AllOrNames = "all"
    regions: AllOrNames = "all"
    tiers: SomeNames = ("hyperscaler", "cloud")
    confidence: Literal["high", "medium", "low"] = "medium"
    file: str | None = None
    factors: Annotated[dict[str, Positive], AfterValidator(by_term)] = Field(default_factory=dict)
    discounts: Annotated[
        dict[str, Annotated[float, Field(ge=0, lt=1)]], AfterValidator(by_term)
    ] = Field(default_factory=dict)
    max_vendors: Annotated[int, Field(ge=1)] | None = None

    _written = omit_defaults("discounts", "max_vendors")


class Limits(StrictDocument):
    """What must not be exceeded; ``stock`` caps GPUs by type, ``quotas`` by any of their attributes.

    ``max_power_kw``: of the rented and own nodes at full load, as whole servers, without PUE: what the
    catalog states of one, else as many times the GPUs' own limits as the median of those it states.
    """

    max_gpus: Annotated[int, Field(ge=1)] | None = None
    max_cost_usd_per_hour: Positive | None = None
    max_power_kw: Positive | None = None
    stock: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    quotas: Annotated[tuple[Quota, ...], BeforeValidator(as_tuple)] = ()
    carbon: Carbon | None = None

    @property
    def on_power(self) -> bool:
        """Whether anything limits what nodes draw."""
        return self.max_power_kw is not None or self.carbon is not None


class Assumptions(StrictDocument):
    """What the tool cannot know; every one is printed with the plan.

    ``response_time``, ``textbook_overhead_gb`` (for the whole deployment) and
    ``textbook_overhead_gb_per_gpu``: used by the textbook sizing alone [s, GB].
    ``prefix_hit_share``: share of prompt tokens already in the prefix cache.
    """

    response_time: Seconds = 3.0
    textbook_overhead_gb: Annotated[float, Field(ge=0)] = 5.0
    textbook_overhead_gb_per_gpu: Annotated[float, Field(ge=0)] = 0.0
    prefix_hit_share: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Routing(StrictDocument):
    """How requests reach the replicas, and what happens when a queue is long.

    ``policy``: round-robin, random, least-loaded (fewest requests in flight) or prefix-aware (most
    cached prompt blocks, then least loaded). ``max_queue``: requests that may wait at one replica;
    what comes beyond is shed (null: none is). ``start_up``: seconds a new replica needs before it
    serves (null: the engine's own).
    """

    policy: Literal["round-robin", "random", "least-loaded", "prefix-aware"] = "least-loaded"
    max_queue: Annotated[int, Field(ge=1)] | None = None
    start_up: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, value: object) -> object:
        return with_new_names(value, ROUTING_FIELDS)


class Service(StrictDocument):
    """One model under one workload with its targets.

    ``task``: generate, or what prompts are pooled into: embed, rerank, classify. Those write nothing:
    ``output_tokens`` is left out, ``slo`` has ``e2e`` targets alone, and ``prompt_tokens`` are of one
    text, or of one pair of query and document.
    ``rate``: mean requests per second (``20/s``, ``1200/min`` and ``100k/day`` too); with ``conversations``
    also ``2 conversations/s``, which counts as their turns.
    ``allow_lower_precision``: permits weights or KV cache below the checkpoint's own precision.
    ``priority``: the higher is served first where ``serve`` says so.
    ``max_deployments``: how many kinds of replica may share the service; left out, one, and one more for
    each GPU type of which ``existing`` or ``limits.stock`` has a number.
    ``length_correlation``: between prompt and output lengths (of their normal scores); request
    traces bring their own pairs.
    ``prompts_per_call``: where prompts are pooled, how many of them a client sends at once to be answered
    together, such as the documents of a query; ``rate`` counts prompts, ``40 calls/s`` as that many each;
    ``arrivals`` are of calls, and ``slo`` holds for the whole call, its last prompt included.
    ``job``: so many requests within a window, in place of ``rate``, ``slo``, ``load`` and ``arrivals``.
    ``lora``: adapters of the model, of which each request names one.
    ``conversations``: requests are turns of sessions that resend their history; the share of prompt
    tokens that the prefix cache holds is then simulated, and a result.
    ``classes``: kinds of requests that share the replicas, with lengths and targets of their own, in place
    of the service's ``slo``.
    """

    name: str = "service"
    model: str | dict[str, Any]  # a name, or a foreign config.json, which its reader checks
    task: Task = GENERATE
    rate: Rate
    prompt_tokens: LengthSpec
    output_tokens: LengthSpec
    length_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.0
    slo: Slo
    prompts_per_call: Annotated[int, Field(ge=1, le=MOST_PROMPTS)] = 1
    arrivals: Arrivals = Arrivals()
    routing: Routing = Routing()
    search: Search = Search()
    allow_lower_precision: bool = False
    assumptions: Assumptions = Assumptions()
    priority: Annotated[int, Field(ge=0)] = 0
    max_deployments: Annotated[int, Field(ge=1)] | None = None
    load: Load | None = None
    buckets: Buckets | None = None
    assurance: Annotated[Assurance | None, BeforeValidator(assured)] = DEFAULT_ASSURANCE
    job: Job | None = None
    lora: Lora | None = None
    conversations: Conversations | None = None
    classes: Annotated[tuple[RequestClass, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, value: object) -> object:
        named = with_new_names(value, FIELDS)
        return with_classes(as_turns(as_prompts(with_job(with_one_pass(named)))))

    @model_validator(mode="after")
    def _classes_agree(self) -> Service:
        if self.classes:
            others = {
                "task": self.task != GENERATE,
                "job": self.job is not None,
                "buckets": self.buckets is not None,
                "conversations": self.conversations is not None,
                "search.disaggregation": self.search.disaggregation is not None,
            }
            check_classes(self.classes, self.slo, others)
        return self

    @model_validator(mode="after")
    def _goes_with_conversations(self) -> Service:
        if self.conversations is not None:
            check_conversations(
                self.conversations,
                self.prompt_tokens,
                others={
                    "task": self.task != GENERATE,
                    "job": self.job is not None,
                    "buckets": self.buckets is not None,
                    "search.disaggregation": self.search.disaggregation is not None,
                    "assumptions.prefix_hit_share": self.assumptions.prefix_hit_share > 0,
                    "length_correlation": self.length_correlation != 0,
                },
            )
        return self

    @model_validator(mode="after")
    def _fits_its_task(self) -> Service:
        check_task(self)
        generates = {f"task: {GENERATE}": self.task == GENERATE, "job": self.job is not None}
        check_calls(self.prompts_per_call, generates)
        if self.job is not None and self.buckets is not None:
            message = "a job is sized as a whole: leave buckets out"
            raise field_error("buckets", None, message)
        if self.job is not None and self.search.disaggregation is not None:
            message = "a job has no target that pools would hold: leave search.disaggregation out"
            raise field_error("search", "search.disaggregation", message)
        settings, buckets = self.search.settings, self.buckets
        divides = settings.decode_context_parallel > 1
        if divides and (self.task != GENERATE or self.search.disaggregation is not None):
            name = "search.settings.decode_context_parallel"
            message = f"contexts are divided on replicas that both read and write: leave {name} out"
            raise field_error("search", name, message)
        if self.task == GENERATE:
            return self
        refused = (
            ("search", "search.disaggregation", self.search.disaggregation is not None),
            ("search", "search.settings.draft_tokens", settings.draft_tokens > 0),
            ("buckets", "buckets.output_tokens", buckets is not None and buckets.output_tokens),
        )
        for field, name, given in refused:
            if given:
                message = f"task {self.task} decodes nothing: leave {name} out"
                raise field_error(field, name, message)
        return self

    @model_validator(mode="after")
    def _hits_need_a_prefix_cache(self) -> Service:
        if self.assumptions.prefix_hit_share > 0 and self.search.settings.prefix_caching is False:
            message = (
                f"no prompt token is found in a cache that is off: found prefix_hit_share "
                f"{self.assumptions.prefix_hit_share:g} with search.settings.prefix_caching false; "
                "leave one of them out"
            )
            raise field_error("assumptions", self.assumptions.prefix_hit_share, message)
        return self

    @property
    def prompts_cv(self) -> float:
        """CV of the times between single prompts, as one replica is sized for: at least 1."""
        return prompts_cv(self.arrivals.cv, self.prompts_per_call)

    def rate_change(self, rate_qps: float) -> dict[str, object]:
        """The fields that make its mean rate ``rate_qps`` [requests/s]; of a job its requests a day."""
        if self.job is None:
            return {"rate": rate_qps}
        return {"rate": rate_qps, "job": self.job.at_rate(rate_qps)}

    @model_serializer(mode="wrap")
    def _as_its_task_reads(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """A service that generates at a rate reads as it always did.

        One that pools has no output tokens, and a job nothing that follows from it.
        """
        written: dict[str, object] = write(self)
        written.pop("task" if self.task == GENERATE else "output_tokens", None)
        for name in ("job",) if self.job is None else REPLACED:
            written.pop(name, None)
        for name in ("lora", "conversations"):
            if written.get(name) is None:
                written.pop(name, None)
        if self.prompts_per_call == 1:
            written.pop("prompts_per_call", None)
        for name in ("prompt_tokens", "output_tokens") if self.classes else ("classes",):
            written.pop(name, None)
        return written


class Scenario(StrictDocument):
    """One file: one or more services, how prices are taken, and what limits hold.

    ``serve``: "all", or "by-priority" where stock may be short: the highest priority first, and what
    is not served is reported. ``compare_with``: other scenarios that ``planner explain``
    solves for comparison.
    """

    name: str = "scenario"
    description: str = ""
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=500)]
    prices: Prices = Prices()
    limits: Limits = Limits()
    serve: Serve = "all"
    horizon: Horizon = Horizon()
    failures: Failures = Failures()
    spot: Spot = Spot()
    existing: Annotated[tuple[Existing, ...], BeforeValidator(as_tuple)] = ()
    migration: Migration = Migration()
    sharing: Sharing = Sharing()
    compare_with: Names = ()
    ownership: Ownership | None = None
    extras: Extras | None = None
    _notes: tuple[str, ...] = PrivateAttr(())

    _written = omit_defaults("ownership", "extras")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed as its file was read; no part of the question."""
        return self._notes

    def noting(self, notes: tuple[str, ...]) -> Scenario:
        """The same question with ``notes`` on how its file was read."""
        noted = self.model_copy()
        noted._notes = notes
        return noted

    @model_validator(mode="before")
    @classmethod
    def _flat_is_one_service(cls, value: object) -> object:
        """A flat file is a fleet of one: service keys move into ``services[0]``."""
        if not isinstance(value, dict):
            return value
        stated = renamed(value, FIELDS)
        own = set(cls.model_fields) - {"services"}
        if "services" in stated:
            shared = {k: stated[k] for k in stated if k in Service.model_fields and k not in own}
            services = stated["services"]
            if isinstance(services, list):
                services = tuple(services)
            if not isinstance(services, tuple) or any(isinstance(s, str) for s in services):
                message = "services must be a list, each entry with its own model, rate, ..."
                raise field_error("services", services, message)
            if all(isinstance(s, dict) for s in services):
                services = tuple(
                    {"name": f"service-{i + 1}", **without_replaced(s, shared), **s}
                    for i, s in enumerate(services)
                )
            rest = {k: v for k, v in stated.items() if k not in shared}
            return {**rest, "services": services}
        flat = {k: v for k, v in stated.items() if k not in own}
        rest = {k: v for k, v in stated.items() if k in own}
        flat.setdefault("name", stated.get("name", "service"))
        return {**rest, "services": (flat,)}

    @model_validator(mode="after")
    def _names_are_unique(self) -> Scenario:
        names = [s.name for s in self.services]
        double = sorted({n for n in names if names.count(n) > 1})
        if double:
            raise field_error("services", None, f"two services share the name {double[0]!r}")
        return self
