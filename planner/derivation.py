"""A plan derived step by step, beside the textbook sizing by memory alone.

Each row pairs what the textbook computes (weights, KV cache and a guessed response time, rounded as
the textbook rounds) with what the latency targets really need. Nothing here is solved again: the
honest side reads the plan and the rooms it came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.catalog.model import LatentAttention, ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.fleet.candidates import service_model
from planner.performance.guard import floors
from planner.plan import Plan, ServicePlan
from planner.scenario import Service
from planner.serving.lengths import lengths_of
from planner.sizing.kv_cache import kv_bytes_per_token
from planner.sizing.parameters import ParameterCount, count_parameters
from planner.sizing.precision import weight_bytes, weights_for
from planner.units import GB, TERA

REFERENCE_GPUS = ("h100-sxm-80gb", "a100-sxm-80gb")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a derivation: formula, the numbers put in, the result, and a remark."""

    formula: str
    numbers: str
    result: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One topic, told both ways; a side is None where that way of sizing says nothing."""

    topic: str
    textbook: Step | None
    honest: Step | None


@dataclass(frozen=True, slots=True)
class Derivation:
    """The whole derivation of one service, and in a sentence why the two columns differ."""

    service: str
    model: str
    rows: tuple[Row, ...]
    verdict: str


def derive(plan: Plan, catalog: Catalog) -> tuple[Derivation, ...]:
    """Derive every service of ``plan``."""
    by_name = {s.name: s for s in plan.services}
    return tuple(
        _Derivation(service, by_name.get(service.name), plan, catalog).derivation()
        for service in plan.scenario.services
    )


def textbook_parameters(total: int) -> int:
    """Round a parameter count as textbooks do: whole billions from ten up, else one decimal, cut off.

    70,553,706,496 becomes 70e9 and 671,026,404,352 becomes 671e9; 7,615,616,512 becomes 7.6e9.
    """
    unit = 10**9 if total >= 10**10 else 10**8
    return total // unit * unit


def textbook_gigabytes(size_bytes: float) -> float:
    """Round bytes as textbooks do: whole GB from ten up, half upwards, so 335.5 GB is 336 GB [B]."""
    return math.floor(size_bytes / GB + 0.5) * GB if size_bytes >= 10 * GB else size_bytes


def textbook_kilobytes(size_bytes: float) -> float:
    """Cut bytes to whole kilobytes, as the textbook writes 327,680 B as 327 KB [B]."""
    return math.floor(size_bytes / 1e3) * 1e3


class _Derivation:
    """The shared numbers of one service's rows."""

    def __init__(
        self, service: Service, answer: ServicePlan | None, plan: Plan, catalog: Catalog
    ) -> None:
        self.service = service
        self.answer = answer
        self.plan = plan
        self.catalog = catalog
        self.model: ModelSpec = service_model(service, catalog)
        self.count: ParameterCount = count_parameters(self.model)
        self.lengths = lengths_of(service)
        self.prompt = self.lengths.mean_prompt
        self.output = self.lengths.mean_output
        self.tokens = self.prompt + self.output
        self.bf16 = catalog.weight_format("bf16")
        self.kv_token = kv_bytes_per_token(self.model, catalog.kv_format("bf16"))
        self.per_request = _cut(textbook_kilobytes(self.kv_token) * self.tokens, digits=3)
        self.in_flight = service.rate * service.assumptions.response_time
        self.kv_total = self.per_request * self.in_flight
        self.overhead = service.assumptions.textbook_overhead_gb * GB
        self.overhead_each = service.assumptions.textbook_overhead_gb_per_gpu * GB

    def derivation(self) -> Derivation:
        """Every row and the verdict."""
        rows = (
            self.weights(),
            self.kv_per_token(),
            self.kv_per_request(),
            self.concurrency(),
            self.kv_pool(),
            self.total(),
            *self.cards(),
            self.compute(),
            self.chosen(),
        )
        return Derivation(self.service.name, self.model.name, rows, self.verdict())

    # -- memory ---------------------------------------------------------------------------------

    def weights(self) -> Row:
        nominal = textbook_parameters(self.count.total)
        names = self._names()
        text = ", ".join(f"{n.upper()} {self._textbook_weights(n) / GB:.0f} GB" for n in names)
        native = weights_for(self.model, "native", self.catalog.weight_format)
        exact = ", ".join(
            f"{n.upper()} "
            f"{weight_bytes(self.model, weights_for(self.model, n, self.catalog.weight_format)) / GB:.1f} GB"
            for n in names
        )
        note = f"the checkpoint is natively {native.name}"
        if self.count.mtp:
            note += f"; {self.count.mtp / 1e9:.1f} B more in MTP modules"
        return Row(
            "Weights",
            Step("P x bytes", f"P = {nominal / 1e9:g} B", text),
            Step(
                "sum over tensors of values x stored bytes",
                f"P = {self.count.total:,}, active {self.count.active:,}",
                exact,
                note,
            ),
        )

    def kv_per_token(self) -> Row:
        layer = next((x.mixer for x in self.model.layers if x.mixer is not None), None)
        if isinstance(layer, LatentAttention):
            formula = "L x (kv_lora_rank + qk_rope_head_dim) x 2 B"
            width = f"({layer.kv_lora_rank} + {layer.qk_rope_head_dim})"
            gqa = 2 * len(self.model.layers) * layer.heads * layer.v_head_dim * 2
            note = f"MLA, not the GQA formula, which would give {gqa:,} B"
        else:
            formula, note = "2 x L x kv_heads x head_dim x 2 B", ""
            width = (
                f"{getattr(layer, 'kv_heads', '-')} x {getattr(layer, 'head_dim', '-')}, K and V"
            )
        numbers = f"L = {len(self.model.layers)}, {width}"
        result = f"{self.kv_token:,.0f} B"
        replicas = self._replication()
        remark = (
            f"every rank of TP{replicas} holds the same latent: {replicas} copies of each token"
            if replicas > 1
            else note
        )
        return Row(
            "KV cache per token",
            Step(formula, numbers, result, note),
            Step(formula, numbers, result, remark),
        )

    def kv_per_request(self) -> Row:
        kilobytes = textbook_kilobytes(self.kv_token) / 1e3
        exact = self.kv_token * self.tokens
        return Row(
            "KV cache per request",
            Step(
                "(prompt + output) x per token",
                f"{self.tokens:,.0f} tokens x {kilobytes:,.0f} KB",
                f"{self.per_request / 1e6:,.0f} MB",
            ),
            Step(
                "grows from prompt to prompt + output",
                f"{self.prompt:,.0f} to {self.tokens:,.0f} tokens",
                f"{self.kv_token * self.prompt / 1e6:,.0f} to {exact / 1e6:,.1f} MB",
            ),
        )

    def concurrency(self) -> Row:
        rate, response = self.service.rate, self.service.assumptions.response_time
        textbook = Step(
            "rate x assumed response time",
            f"{rate:g}/s x {response:g} s",
            f"{self.in_flight:,.0f} requests",
            f"{response:g} s for {self.output:,.0f} tokens is "
            f"{1e3 * response / max(self.output, 1):.0f} ms a token",
        )
        ttft, tpot = self.service.slo.target("ttft"), self.service.slo.target("tpot")
        slowest = (ttft.seconds if ttft else 0.0) + (
            (self.output - 1) * tpot.seconds if tpot else 0.0
        )
        note = f"the targets allow up to {slowest:,.0f} s and {rate * slowest:,.0f} in flight"
        if not self.answer or not self.answer.replica_groups:
            return Row("Requests in flight", textbook, Step("Little's law", note, "-"))
        flight = sum(g.concurrency * g.replicas for g in self.answer.replica_groups)
        return Row(
            "Requests in flight",
            textbook,
            Step(
                "Little's law at the predicted latency",
                f"{rate:g}/s x {flight / rate:,.1f} s",
                f"{flight:,.0f} requests",
                note,
            ),
        )

    def kv_pool(self) -> Row:
        textbook = Step(
            "per request x in flight",
            f"{self.per_request / 1e6:,.0f} MB x {self.in_flight:,.0f}",
            f"{self.kv_total / GB:,.1f} GB",
        )
        if not self.answer or not self.answer.replica_groups:
            return Row("KV cache in total", textbook, None)
        used = [(g.kv_used_share, g.kv_pool_tokens, g.replicas) for g in self.answer.replica_groups]
        tokens = sum(share * pool * n for share, pool, n in used)
        pool_tokens = sum(pool * n for _, pool, n in used)
        return Row(
            "KV cache in total",
            textbook,
            Step(
                "tokens held at the planned load",
                f"{tokens:,.0f} of {pool_tokens:,.0f} tokens",
                f"{tokens * self.kv_token / GB:,.1f} GB at BF16",
            ),
        )

    def total(self) -> Row:
        names = self._names()
        results = [
            f"{n.upper()} about {_round_up(self._textbook_total(n) / GB, 10):.0f} GB" for n in names
        ]
        return Row(
            "Memory in total",
            Step(
                "weights + KV cache + other",
                f"other = {self.overhead / GB:g} GB"
                + (f" + {self.overhead_each / GB:g} GB a card" if self.overhead_each else ""),
                ", ".join(results),
            ),
            None,
        )

    def cards(self) -> tuple[Row, ...]:
        stock = self.plan.scenario.limits.stock
        if len(stock) == 1:
            (name, count), *_ = stock.items()
            return tuple(self._fixed_cards(name, count, n) for n in self._names())
        rows = []
        for name in self._names():
            fits = []
            for gpu_name in REFERENCE_GPUS:
                gpu = self.catalog.gpu(gpu_name)
                count = 1
                while self._textbook_total(name) > count * gpu.marketed_memory_gb * GB:
                    count *= 2
                pool = count * gpu.marketed_memory_gb
                fits.append(f"{count}x {gpu_name} TP={count} ({pool:g} GB)")
            rows.append(
                Row(
                    f"Cards by memory, {name.upper()}",
                    Step(
                        "smallest power of two that holds it",
                        f"{self._textbook_total(name) / GB:,.1f} GB",
                        "; ".join(fits),
                    ),
                    None,
                )
            )
        return tuple(rows)

    def _fixed_cards(self, gpu_name: str, count: int, name: str) -> Row:
        gpu = self.catalog.gpu(gpu_name)
        pool = count * gpu.marketed_memory_gb * GB
        weights = self._textbook_weights(name)
        left = pool - weights - self.overhead - self.overhead_each * count
        fits = left > 0
        result = f"{left / GB:,.0f} GB left for KV" if fits else "does not fit"
        textbook = Step(
            "cards x memory - weights - other",
            f"{count}x {gpu.marketed_memory_gb:g} = {pool / GB:g} GB, "
            f"- {weights / GB:,.0f} - {(self.overhead + self.overhead_each * count) / GB:g}",
            result,
        )
        honest = None
        copies = self._replication()
        if fits and copies > 1:
            distinct = left / copies
            honest = Step(
                "MLA KV is replicated on every TP rank",
                f"{left / GB:,.0f} GB / {copies}",
                f"{distinct / GB:,.0f} GB distinct, {distinct / self.kv_token:,.0f} tokens",
                f"not {left / self.kv_token / 1e6:,.2f} million tokens, unless attention DP or "
                "context parallelism shards the cache",
            )
        return Row(f"{count}x {gpu_name}, {name.upper()}", textbook, honest)

    # -- compute --------------------------------------------------------------------------------

    def compute(self) -> Row:
        gpu = self.catalog.gpu(REFERENCE_GPUS[0])
        peak = gpu.peak_flops("bf16")
        demand = self.service.rate * self.tokens
        simple = 2 * self.count.active * demand
        floor = floors(self._reference())
        exact = self.service.rate / floor.requests_per_s(self.prompt, self.output)
        return Row(
            "Arithmetic the demand needs",
            None,
            Step(
                "rate x tokens x 2 x active parameters",
                f"{self.service.rate:g}/s x {self.tokens:,.0f} x 2 x {self.count.active / 1e9:.2f} B",
                f"{simple / 1e3 / TERA:.1f} PFLOP/s",
                f"{simple / peak:.1f} H100s at 100 % of BF16 peak; {exact:.1f} when the embedding "
                "and unsampled heads are left out",
            ),
        )

    def chosen(self) -> Row:
        if not self.answer or not self.answer.replica_groups or self.plan.totals is None:
            why = self.plan.infeasibility.summary if self.plan.infeasibility else self.plan.status
            return Row("What really holds", None, Step("integer program", "", "no fleet", why))
        groups = self.answer.replica_groups
        return Row(
            "What really holds",
            None,
            Step(
                "cheapest replicas whose capacity covers the rate",
                "; ".join(
                    f"{self.service.rate:g}/s over {g.capacity_qps:.2f}/s each -> {g.replicas}"
                    for g in groups
                ),
                "; ".join(g.label for g in groups),
                f"{self.plan.totals.usd_per_hour:,.2f} USD/h",
            ),
        )

    def verdict(self) -> str:
        (gpu, cards), *_ = [*self.plan.scenario.limits.stock.items(), ("", 0)]
        if cards and self.answer is None:
            memory = cards * self.catalog.gpu(gpu).marketed_memory_gb
            weights = min(self._textbook_weights(n) for n in self._names()) / GB
            if weights > memory:
                return (
                    f"Both columns agree: the weights alone are {weights:,.0f} GB and {cards} cards "
                    f"have {memory:,.0f} GB. More cards or fewer bits a weight are the way out."
                )
        peak = self.catalog.gpu(REFERENCE_GPUS[0]).peak_flops("bf16")
        least = 2 * self.count.active * self.service.rate * self.tokens / peak
        if self._replication() > 1:
            return (
                "The textbook divides the KV cache over the cards, but MLA keeps one latent per "
                f"token that every TP rank holds whole: {self._replication()} cards store the same "
                "tokens, so the pool is that many times smaller than it looks."
            )
        book = sorted({self._textbook_cards(n) for n in self._names()})
        if least > book[-1]:
            asked = " to ".join(str(n) for n in {book[0]: 0, book[-1]: 0})
            response = self.service.assumptions.response_time
            return (
                f"Memory alone asks for {asked} cards, but the demand needs the arithmetic of "
                f"{least:.1f} H100s at 100 % of BF16 peak, so {book[-1]} cards cannot carry it whatever "
                f"their memory; the guess of {response:g} s a request hides it, because it assumes a "
                "speed that nobody asked for and no load disturbs."
            )
        return (
            "Memory alone says what fits; the targets decide how many requests one replica may "
            "carry, and the rate decides how many replicas that makes."
        )

    # -- shared ---------------------------------------------------------------------------------

    def _reference(self) -> Deployment:
        """One reference GPU in BF16: the yardstick of the arithmetic."""
        return Deployment(
            model=self.model,
            gpu=self.catalog.gpu(REFERENCE_GPUS[0]),
            engine=self.catalog.engine(self.service.search.engines[0]),
            tensor_parallel=1,
            weights=self.bf16,
            kv_cache=self.catalog.kv_format("bf16"),
        )

    def _names(self) -> list[str]:
        return list(dict.fromkeys(self.service.search.weights))

    def _textbook_weights(self, name: str) -> float:
        bits = self.catalog.weight_format(name).bits
        return textbook_gigabytes(textbook_parameters(self.count.total) * bits / 8)

    def _textbook_total(self, name: str) -> float:
        stock = self.plan.scenario.limits.stock
        cards = sum(stock.values()) if len(stock) == 1 else 0
        overhead = self.overhead + cards * self.overhead_each
        return self._textbook_weights(name) + self.kv_total + overhead

    def _textbook_cards(self, name: str) -> int:
        memory = self.catalog.gpu(REFERENCE_GPUS[0]).marketed_memory_gb * GB
        return 1 << math.ceil(math.log2(max(1.0, self._textbook_total(name) / memory)))

    def _replication(self) -> int:
        """How many ranks hold the same MLA latent under the searched tensor parallelism."""
        latent = any(isinstance(x.mixer, LatentAttention) for x in self.model.layers)
        return max(self.service.search.tensor_parallel) if latent else 1


def _cut(value: float, digits: int) -> float:
    """Cut ``value`` to that many significant digits: 490,500,000 to three is 490,000,000."""
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1) if value > 0 else 1.0
    return math.floor(value / unit) * unit


def _round_up(value: float, step: float) -> float:
    return math.ceil(value / step - 1e-9) * step


@dataclass(frozen=True, slots=True)
class Beside:
    """Another scenario solved for comparison: what one replica holds, GPUs rented and cost."""

    scenario: str
    answer: str
    capacity_qps: float | None
    gpus: int | None
    usd_per_hour: float | None


def beside(plan: Plan) -> Beside:
    """One line about another scenario's plan."""
    groups = [g for s in plan.services for g in s.replica_groups]
    why = plan.infeasibility.summary if plan.infeasibility else plan.status
    return Beside(
        scenario=plan.scenario.name,
        answer="; ".join(g.label for g in groups) if groups else why,
        capacity_qps=min((g.capacity_qps for g in groups), default=None),
        gpus=plan.totals.gpus_rented if plan.totals else None,
        usd_per_hour=plan.totals.usd_per_hour if plan.totals else None,
    )
