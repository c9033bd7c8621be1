"""The rows about memory: weights, KV cache, GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from planner.catalog.model import LatentAttention, RecurrentMixer, SoftmaxAttention
from planner.derivation.question import DerivationInputs
from planner.derivation.rows import DerivationRow, DerivationStep
from planner.derivation.textbook import up_to_tens
from planner.plan.replica_group import ReplicaGroup
from planner.sizing.precision import weight_bytes, weights_for
from planner.units import GB

BF16_BYTES = 2.0  # of one value, the textbook format


def weights(q: DerivationInputs) -> DerivationRow:
    """Parameters times bytes, against every tensor in its stored format."""
    book = ", ".join(f"{n.upper()} {q.textbook.weights_bytes(n) / GB:.0f} GB" for n in q.formats)
    look_up = q.catalog.weight_format
    exact = ", ".join(
        f"{n.upper()} {weight_bytes(q.model, weights_for(q.model, n, look_up)) / GB:.1f} GB"
        for n in q.formats
    )
    note = f"the checkpoint is natively {weights_for(q.model, 'native', look_up).name}"
    if q.parameters.mtp:
        note += f"; {q.parameters.mtp / 1e9:.1f} billion more in MTP modules"
    return DerivationRow(
        "Weights",
        DerivationStep("P x bytes", f"P = {q.textbook.parameters / 1e9:g} billion", book),
        DerivationStep(
            "sum over tensors of values x stored bytes",
            f"P = {q.parameters.total:,}, active {q.parameters.active:,}",
            exact,
            note,
        ),
    )


def kv_per_token(q: DerivationInputs) -> DerivationRow:
    """The architecture's own formula; MLA is distinguished from GQA, and its replication named."""
    mixers = [
        x.mixer for x in q.model.layers if isinstance(x.mixer, (SoftmaxAttention, LatentAttention))
    ]
    mixer = mixers[0] if mixers else None
    note = ""
    if isinstance(mixer, LatentAttention):
        formula = "L x (kv_lora_rank + qk_rope_head_dim) x 2 B"
        numbers = f"L = {len(mixers)}, ({mixer.kv_lora_rank} + {mixer.qk_rope_head_dim})"
        gqa = 2 * len(mixers) * mixer.heads * mixer.v_head_dim * 2
        note = f"MLA, not the GQA formula, which would give {gqa:,} B"
    elif mixer is not None:
        formula = "2 x L x kv_heads x head_dim x 2 B"
        numbers = f"L = {len(mixers)}, {mixer.kv_heads} x {mixer.head_dim}, K and V"
    else:
        formula, numbers = "no attention layers", f"L = {len(q.model.layers)}"
    result = f"{q.textbook.kv_token_bytes:,.0f} B"
    others = dict.fromkeys(g.kv_cache for g in q.groups if g.kv_cache != "bf16")
    planned = {g.kv_cache: _stored_bytes(q, g) for g in q.groups}
    stored = [f"the plan keeps it in {name}: {planned[name]:,.0f} B" for name in others]
    remark = (
        f"every rank of TP{q.copies} stores the same latent: {q.copies} copies of each token"
        if q.copies > 1
        else "; ".join(filter(None, (note, *stored, *_not_growing(q))))
    )
    return DerivationRow(
        "KV cache per token",
        DerivationStep(formula, numbers, result, note),
        DerivationStep(formula, numbers, result, remark),
    )


def _not_growing(q: DerivationInputs) -> Iterator[str]:
    """What the formula leaves out: layers that stop at a window, and those that keep a state."""
    layers = len(q.model.layers)
    windows = Counter(
        x.mixer.window
        for x in q.model.layers
        if isinstance(x.mixer, SoftmaxAttention) and x.mixer.window is not None
    )
    for window, count in sorted(windows.items()):
        yield f"{count} of {layers} layers stop growing at {window:,} tokens"
    states = sum(isinstance(x.mixer, RecurrentMixer) for x in q.model.layers)
    if states:
        yield f"{states} of {layers} layers keep a constant state instead"


def kv_per_request(q: DerivationInputs) -> DerivationRow:
    """A whole request from the first moment, against a cache that grows."""
    t = q.textbook
    prompt = q.lengths.mean_prompt
    grown = (t.kv_token_bytes * prompt / 1e6, t.kv_token_bytes * q.tokens / 1e6)
    return DerivationRow(
        "KV cache per request",
        DerivationStep(
            "(prompt + output) x per token",
            f"{q.tokens:,.0f} tokens x {t.kv_token_kb:,.0f} KB",
            f"{t.kv_request_bytes / 1e6:,.0f} MB",
        ),
        DerivationStep(
            "grows from prompt to prompt + output",
            f"{prompt:,.0f} to {q.tokens:,.0f} tokens",
            f"{grown[0]:,.0f} to {grown[1]:,.1f} MB",
        ),
    )


def _stored_bytes(q: DerivationInputs, group: ReplicaGroup) -> float:
    """A token's cache in the format that a group keeps it in [B]."""
    value = q.catalog.kv_format(group.kv_cache).bytes_per_value
    return q.textbook.kv_token_bytes * value / BF16_BYTES


def kv_pool(q: DerivationInputs) -> DerivationRow:
    """KV cache of everything in flight."""
    t = q.textbook
    book = DerivationStep(
        "per request x in flight",
        f"{t.kv_request_bytes / 1e6:,.0f} MB x {t.in_flight:,.0f}",
        f"{t.kv_bytes / GB:,.1f} GB",
    )
    if not q.groups:
        return DerivationRow("KV cache in total", book, None)
    pool = sum(g.kv_pool_tokens * g.replicas for g in q.groups)
    held = sum(g.kv_used_share * g.kv_pool_tokens * g.replicas for g in q.groups)
    stored = sum(
        g.kv_used_share * g.kv_pool_tokens * g.replicas * _stored_bytes(q, g) for g in q.groups
    )
    formats = " and ".join(dict.fromkeys(g.kv_cache for g in q.groups))
    honest = DerivationStep(
        "tokens in the cache at the planned load",
        f"{held:,.0f} of {pool:,.0f} tokens",
        f"{stored / GB:,.1f} GB in {formats}",
    )
    return DerivationRow("KV cache in total", book, honest)


def total(q: DerivationInputs) -> DerivationRow:
    """The sum the textbook buys GPUs for."""
    given = q.service.assumptions
    each = given.textbook_overhead_gb_per_gpu
    results = (
        f"{n.upper()} about {up_to_tens(q.textbook.total_bytes(n) / GB):.0f} GB" for n in q.formats
    )
    other = f"other = {given.textbook_overhead_gb:g} GB" + (f" + {each:g} GB a GPU" if each else "")
    return DerivationRow(
        "Memory in total",
        DerivationStep("weights + KV cache + other", other, ", ".join(results)),
        None,
    )


def gpus(q: DerivationInputs) -> Iterator[DerivationRow]:
    """How many GPUs memory asks for, or what the given ones leave for the KV cache."""
    for name in q.formats:
        yield _given_gpus(q, name) if q.gpus else _gpus_by_memory(q, name)


def _gpus_by_memory(q: DerivationInputs, name: str) -> DerivationRow:
    fits = []
    for gpu in (named.gpu for named in q.reference):
        count = q.textbook.gpus(name, q.gpu_bytes(gpu))
        fits.append(f"{count}x {gpu} TP={count} ({count * q.gpu_bytes(gpu) / GB:g} GB)")
    book = DerivationStep(
        "smallest power of two that fits it",
        f"{q.textbook.total_bytes(name) / GB:,.1f} GB",
        "; ".join(fits),
    )
    return DerivationRow(f"GPUs by memory, {name.upper()}", book, None)


def _given_gpus(q: DerivationInputs, name: str) -> DerivationRow:
    t, memory = q.textbook, q.gpu_bytes(q.gpu)
    left = q.gpus * memory - t.weights_bytes(name) - t.overhead_bytes
    book = DerivationStep(
        "GPUs x memory - weights - other",
        f"{q.gpus}x {memory / GB:g} = {q.gpus * memory / GB:g} GB, "
        f"- {t.weights_bytes(name) / GB:,.0f} - {t.overhead_bytes / GB:g}",
        f"{left / GB:,.0f} GB left for KV" if left > 0 else "does not fit",
    )
    honest = None
    if left > 0 and q.copies > 1:
        distinct = left / q.copies
        honest = DerivationStep(
            "MLA KV is replicated on every TP rank",
            f"{left / GB:,.0f} GB / {q.copies}",
            f"{distinct / GB:,.0f} GB distinct, {distinct / t.kv_token_bytes:,.0f} tokens",
            f"not {left / t.kv_token_bytes / 1e6:,.2f} million tokens, unless attention DP or "
            "context parallelism shards the cache",
        )
    return DerivationRow(f"{q.gpus}x {q.gpu}, {name.upper()}", book, honest)
