"""How memory results are presented: each as a document for people and a mapping for machines."""

from __future__ import annotations

from planner.reporting import rounding
from planner.reporting.document import (
    Code,
    Column,
    Document,
    Items,
    Quantity,
    Section,
    Table,
)
from planner.reporting.names import MEMORY_PARTS, WHOLE_GPU
from planner.sizing.layout import MemoryLayout
from planner.sizing.model_memory import ModelMemory
from planner.sizing.parameters import ParameterCount
from planner.units import GB, GIB


def model_document(
    result: ModelMemory, launch: tuple[str, ...] = (), before: tuple[str, ...] = ()
) -> Document:
    """``planner memory --model``: the model, one GPU's memory, and what it holds.

    ``launch``: the lines of the command that the sizing assumes; ``before``: what to know before it is run.
    """
    parameters = result.parameters
    sections = [
        Section("model", "Model", (_model_table(result),)),
        Section("kv", "KV cache", (_kv_table(result),)),
    ]
    if result.layout is not None:
        sections.append(Section("gpu", "Memory of one GPU", (_partition_table(result),)))
    sections.append(Section("holds", "What it holds", (_holds_table(result),)))
    if launch or before:
        blocks = (*((Items(before),) if before else ()), *((Code(launch),) if launch else ()))
        sections.append(Section("launch", "Launch", blocks))
    sections.append(_notes(_remarks(result) + _reasons(result)))
    active = (
        "" if parameters.active == parameters.total else f", {_billions(parameters.active)} active"
    )
    return Document(
        title=f"{result.model.name} ({result.model.architecture})",
        headline=f"{_counted(parameters)}{active}; {_both(result.weights_bytes + result.vision_bytes)} of "
        f"weights in {result.weights}; {_verdict(result)}",
        sections=tuple(sections),
    )


def model_mapping(
    result: ModelMemory, launch: tuple[str, ...] = (), before: tuple[str, ...] = ()
) -> dict[str, object]:
    """The JSON of ``planner memory --model``; sizes in bytes."""
    parameters = result.parameters
    return {
        "model": result.model.name,
        "architecture": result.model.architecture,
        "parameters": {
            "total": parameters.total,
            "active": parameters.active,
            "mtp": parameters.mtp,
            "vision": parameters.vision,
        },
        "weights": result.weights,
        "kv_cache": result.kv_cache,
        "kv_bytes_per_token": {
            **result.kv_bytes_per_token,
            "selected": result.kv_bytes_per_token.get(
                result.kv_cache, result.kv_bytes_per_token["bf16"]
            ),
            "growing_beyond_windows": result.kv_growing_bytes_per_token,
        },
        "state_bytes_per_sequence": result.state_bytes_per_sequence,
        "memory": _memory_mapping(result),
        "notes": [*_remarks(result)],
        **({"launch": list(launch)} if launch else {}),
        **({"launch_notes": list(before)} if before else {}),
    }


def partition_mapping(layout: MemoryLayout) -> dict[str, object]:
    """A memory layout as bytes by part, per GPU, with what the pool holds."""
    return {
        **{f"{part}_bytes": size for part, size in layout.parts_bytes().items()},
        "total_bytes": layout.total_bytes,
        "kv_pool_tokens": layout.kv_pool_tokens,
        "fits": layout.fits,
        "reasons": list(layout.reasons),
    }


def _counted(parameters: ParameterCount) -> str:
    """All parameters that are loaded without drafting, and how many of them encode images or sound."""
    everything = f"{_billions(parameters.total + parameters.vision)} parameters"
    return everything + (
        f" ({_billions(parameters.vision)} of them an encoder)" if parameters.vision else ""
    )


def _model_table(result: ModelMemory) -> Table:
    parameters = result.parameters
    rows: list[tuple[str, int, float | str]] = [
        ("language model", parameters.total, result.weights_bytes / GIB),
    ]
    if parameters.active != parameters.total:
        rows.append(("  of it active per token", parameters.active, " "))
    if parameters.vision:
        rows.append(
            (
                "vision or audio encoder",
                parameters.vision,
                result.vision_bytes / GIB,
            )
        )
    if parameters.mtp:
        rows.append(("multi-token prediction layers", parameters.mtp, " "))
    return Table(
        "parameters",
        f"Parameters, and weights in {result.weights}",
        (
            Column("part", "part"),
            Column("parameters", "parameters", Quantity.COUNT),
            Column("gib", "GiB", Quantity.HUNDREDTHS),
        ),
        tuple(rows),
    )


def _kv_table(result: ModelMemory) -> Table:
    note = ""
    if result.kv_growing_bytes_per_token < result.kv_bytes_per_token.get(result.kv_cache, 0.0):
        note = f"Beyond its windows a sequence grows by {result.kv_growing_bytes_per_token:,.0f} B a token."
    if result.state_bytes_per_sequence:
        note += (
            f" Each sequence also holds {result.state_bytes_per_sequence / GIB:.3f} GiB of state."
        )
    columns = tuple(
        Column(name, f"{name}{' *' if name == result.kv_cache else ''}", Quantity.COUNT)
        for name in result.kv_bytes_per_token
    )
    return Table(
        "kv_bytes_per_token",
        "KV cache, bytes per token over all layers (* chosen)",
        columns,
        (tuple(result.kv_bytes_per_token.values()),),
        note.strip(),
    )


def _partition_table(result: ModelMemory) -> Table:
    layout, deployment = result.layout, result.deployment
    assert layout is not None
    assert deployment is not None
    rows = [
        (MEMORY_PARTS[part], size / GIB, size / layout.total_bytes)
        for part, size in layout.parts_bytes().items()
    ]
    rows.append((WHOLE_GPU, layout.total_bytes / GIB, 1.0))
    return Table(
        "partition",
        f"Memory of each GPU: {deployment.label}",
        (
            Column("part", "part"),
            Column("gib", "GiB", Quantity.HUNDREDTHS),
            Column("share", "share", Quantity.SHARE),
        ),
        tuple(rows),
        f"{deployment.engine.name} {deployment.engine.version}, memory fraction "
        f"{rounding.significant(result.memory_fraction)} ({deployment.engine.memory_budget}).",
    )


def _holds_table(result: ModelMemory) -> Table:
    requested = f"{result.concurrency:,} x {result.context_tokens:,} tokens"
    where = "on each GPU" if result.layout is not None else "in all"
    rows: list[tuple[str, str]] = [
        (f"KV cache of {requested}, {where}", f"{rounding.fixed(result.kv_needed_bytes / GIB)} GiB")
    ]
    if result.layout is None:
        total = result.weights_bytes + result.vision_bytes + result.kv_needed_bytes
        rows.append(("weights and KV cache", f"{rounding.fixed(total / GIB)} GiB"))
    else:
        free = result.layout.kv_pool_bytes - result.kv_needed_bytes
        rows += [
            ("pool left after it, on each GPU", f"{rounding.fixed(free / GIB)} GiB"),
            ("tokens in the replica's pool", rounding.count(result.layout.kv_pool_tokens)),
            ("longest context of one sequence", rounding.count(result.longest_context_tokens)),
            (
                f"one request of {result.context_tokens:,} tokens, as the engine admits it",
                f"{rounding.fixed(result.layout.reserved_bytes(result.context_tokens) / GIB)} GiB",
            ),
            (f"sequences of {result.context_tokens:,} tokens", _sequences(result)),
        ]
    return Table(
        "holds",
        "What it holds",
        (Column("what", "what"), Column("value", "value", Quantity.NUMBER)),
        tuple(rows),
    )


def _sequences(result: ModelMemory) -> str:
    """Whole sequences, and below ten the fraction that an engine prints."""
    held = result.sequences_held
    return (
        rounding.count(result.max_sequences) if held is None or held >= 10 else rounding.fixed(held)
    )


def _memory_mapping(result: ModelMemory) -> dict[str, object]:
    requested = {
        "context_tokens": result.context_tokens,
        "concurrency": result.concurrency,
        "kv_needed_bytes": result.kv_needed_bytes,
    }
    layout, deployment = result.layout, result.deployment
    if layout is None or deployment is None:
        total = result.weights_bytes + result.vision_bytes + result.kv_needed_bytes
        return {
            "weights_bytes": result.weights_bytes,
            "vision_bytes": result.vision_bytes,
            **requested,
            "total_bytes": total,
        }
    return {
        "gpu": deployment.gpu.name,
        "gpus": deployment.gpus,
        "engine": deployment.engine.name,
        "engine_version": deployment.engine.version,
        "tensor_parallel": deployment.tensor_parallel,
        "pipeline_parallel": deployment.pipeline_parallel,
        "data_parallel": deployment.data_parallel,
        "memory_fraction": result.memory_fraction,
        **partition_mapping(layout),
        **requested,
        "free_bytes": layout.kv_pool_bytes - result.kv_needed_bytes,
        "holds": result.holds,
        "serves": result.serves,
        "longest_context_tokens": result.longest_context_tokens,
        "request_bytes": layout.reserved_bytes(result.context_tokens),
        "max_sequences": result.max_sequences,
        "sequences_held": result.sequences_held,
    }


def _verdict(result: ModelMemory) -> str:
    if result.layout is None or result.deployment is None:
        requested = f"{_both(result.kv_needed_bytes)} of KV cache requested"
        return f"{requested}, but {result.beyond_context}" if result.beyond_context else requested
    requested = f"{result.concurrency:,} x {result.context_tokens:,} tokens"
    where = f"{result.deployment.gpus}x {result.deployment.gpu.name}"
    if not result.layout.fits:
        return f"does not fit on {where}"
    if result.refusals:
        return f"{where}: {result.refusals[0]}"
    if result.beyond_context:
        return f"{where}: {result.beyond_context}"
    return f"{where} {'holds' if result.holds else 'does not hold'} {requested}"


def _remarks(result: ModelMemory) -> tuple[str, ...]:
    """What stands in the way first, then what is approximate."""
    beyond = (
        (f"{result.beyond_context}: engines refuse a longer context unless overridden",)
        if result.beyond_context
        else ()
    )
    return result.refusals + beyond + result.warnings


def _reasons(result: ModelMemory) -> tuple[str, ...]:
    return (
        () if result.layout is None else tuple(f"does not fit: {r}" for r in result.layout.reasons)
    )


def _notes(lines: tuple[str, ...]) -> Section:
    return Section("notes", "Notes", (Items(lines),) if lines else ())


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:.2f} billion"


def _both(size_bytes: float) -> str:
    return f"{size_bytes / GB:,.2f} GB ({size_bytes / GIB:,.2f} GiB)"
