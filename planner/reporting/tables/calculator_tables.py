"""Quick calculators: the rule's own answer, the exact one beside it, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from planner.reporting import rounding
from planner.reporting.document import (
    Cell,
    Column,
    Document,
    Items,
    Quantity,
    Section,
    Table,
)
from planner.sizing.measured_vs_theory import MeasuredVsTheory
from planner.sizing.quick_answers import QuickAnswer, QuickPool
from planner.sizing.rules_of_thumb import BUFFER, BYTES_PER_PARAMETER, weights_gb
from planner.sizing.training.memory import TrainingJob, TrainingMemory
from planner.sizing.training.nanochat import NanochatMemory
from planner.units import GB, GIB, counted


def quick_document(answer: QuickAnswer) -> Document:
    """``planner memory rule-of-thumb``: the formula's parts, beside the exact ones where known."""
    gpus = answer.gpus or ("none of the list holds it on one GPU",)
    tree = tuple(f"{s.question} {'yes' if s.holds else 'no'}: {s.advice}" for s in answer.steps)
    pool = (_pool_table(answer.pool),) if answer.pool else ()
    return Document(
        title="Rule of thumb",
        headline=(
            f"{rounding.fixed(answer.estimate.total_gb)} GB for {answer.params / 1e9:.2f} billion "
            "parameters"
        ),
        sections=(
            Section("rule", "Rule", (_estimate_table(answer),)),
            Section("precision", "By precision", (_precision_table(answer.params),)),
            Section("cards", "GPUs it fits on", (Items(gpus),)),
            Section("pool", "KV pool", pool),
            Section("tree", "Decision tree", (Items(tree),) if tree else ()),
            _notes(answer.notes),
        ),
    )


def quick_mapping(answer: QuickAnswer) -> dict[str, object]:
    """The JSON of ``planner memory rule-of-thumb``; sizes in GB (1e9 bytes)."""
    return {
        "params": answer.params,
        "weights_gb": answer.estimate.weights_gb,
        "kv_gb": answer.estimate.kv_gb,
        "total_gb": answer.estimate.total_gb,
        "cards": list(answer.gpus),
        "by_precision_gb": {
            name: {
                "plain": weights_gb(answer.params, size),
                "with_redundancy": weights_gb(answer.params, size, BUFFER),
            }
            for name, size in BYTES_PER_PARAMETER.items()
        },
        "exact": None if answer.exact is None else dict(answer.exact),
        "pool": None if answer.pool is None else asdict(answer.pool),
        "decision_tree": [
            {"question": s.question, "holds": s.holds, "advice": s.advice} for s in answer.steps
        ],
        "notes": list(answer.notes),
    }


def _estimate_table(answer: QuickAnswer) -> Table:
    exact = answer.exact or {}
    estimate = answer.estimate
    rows = [
        ("weights", estimate.weights_gb, exact.get("weights_gb")),
        ("KV cache", estimate.kv_gb, exact.get("kv_gb")),
        (
            "with 20 % on top",
            estimate.total_gb,
            exact.get("total_gb"),
        ),
    ]
    columns = [Column("part", "part"), Column("rule", "rule [GB]", Quantity.HUNDREDTHS)]
    if exact:
        columns.append(Column("exact", "exact [GB]", Quantity.HUNDREDTHS))
    formula = "(P D + B S L 2 H D) x 1.2"
    return Table("rule", formula, tuple(columns), tuple(row[: len(columns)] for row in rows))


def _precision_table(params: float) -> Table:
    return Table(
        "precision",
        "Weights by precision",
        (
            Column("precision", "precision"),
            Column("plain", "weights [GB]", Quantity.HUNDREDTHS),
            Column("redundant", f"x {BUFFER:g} [GB]", Quantity.HUNDREDTHS),
        ),
        tuple(
            (
                name,
                weights_gb(params, size),
                weights_gb(params, size, BUFFER),
            )
            for name, size in BYTES_PER_PARAMETER.items()
        ),
    )


def _pool_table(pool: QuickPool) -> Table:
    return Table(
        "pool",
        "KV pool: GPU x 0.9 - weights - 2 GB",
        (
            Column("pool", "pool [GB]", Quantity.HUNDREDTHS),
            Column("bytes_per_token", "B a token", Quantity.COUNT),
            Column("tokens", "tokens", Quantity.COUNT),
            Column("sequences", "sequences", Quantity.COUNT),
        ),
        ((pool.pool_gb, pool.bytes_per_token, pool.tokens, pool.sequences),),
    )


def nanochat_document(memory: NanochatMemory, notes: Sequence[str]) -> Document:
    """``planner memory nanochat``."""
    rows = tuple((name.replace("_", " "), size) for name, size in memory.in_gb().items())
    table = Table(
        "nanochat",
        f"Serving memory of nanochat d{memory.depth}",
        (Column("part", "part"), Column("gb", "GB", Quantity.THOUSANDTHS)),
        rows,
    )
    return Document(
        title=f"nanochat d{memory.depth}",
        headline=f"{memory.parameters / 1e6:,.1f} M parameters, width {memory.width:,}; "
        f"{rounding.fixed(memory.total_bytes / GB)} GB, recommended {memory.recommended_bytes / GB:.1f} GB",
        sections=(Section("memory", "Memory", (table,)), _notes(notes)),
    )


def nanochat_mapping(memory: NanochatMemory, notes: Sequence[str]) -> dict[str, object]:
    """The JSON of ``planner memory nanochat``; sizes in GB (1e9 bytes)."""
    return {
        "depth": memory.depth,
        "width": memory.width,
        "parameters": memory.parameters,
        **{f"{name}_gb": size for name, size in memory.in_gb().items()},
        "notes": list(notes),
    }


def training_document(
    model: str, job: TrainingJob, memory: TrainingMemory, gpu: str | None, notes: Sequence[str]
) -> Document:
    """``planner memory training``: each GPU's parts, and the rules of thumb beside them."""
    fit = ""
    if gpu is not None:
        verdict = "fits" if memory.fits else "does not fit"
        enough = (
            f"{memory.fewest_gpus} of them hold it"
            if memory.fewest_gpus
            else "no number of them holds it"
        )
        fit = f"; {verdict} on {gpu}, {enough} at this TP, PP and ZeRO stage"
    return Document(
        title=f"{model}: {job.method.value} fine-tuning with {job.optimizer}",
        headline=f"{rounding.fixed(memory.total_bytes / GIB)} GiB on each of "
        f"{counted(memory.gpus, 'GPU')}{fit}",
        sections=(
            Section("parts", "Each GPU", (_training_parts(job, memory),)),
            Section("rules", "Rules", (_training_rules(job, memory),)),
            _notes(notes),
        ),
    )


def _training_parts(job: TrainingJob, memory: TrainingMemory) -> Table:
    rows = [(part, size / GIB) for part, size in memory.parts_bytes().items()]
    return Table(
        "parts",
        f"TP{job.tensor_parallel} PP{job.pipeline_parallel} DP{job.data_parallel}, "
        f"ZeRO {job.zero}, {job.batch} x {job.seq_tokens:,} tokens, recompute "
        f"{job.recompute.value}",
        (Column("part", "part"), Column("gib", "GiB", Quantity.HUNDREDTHS)),
        (*rows, ("total", memory.total_bytes / GIB)),
        f"{memory.trainable_parameters / 1e6:,.1f} M trainable parameters.",
    )


def _training_rules(job: TrainingJob, memory: TrainingMemory) -> Table:
    low, high = (rounding.fixed(gb, 0) for gb in memory.rule_of_thumb_gb)
    rule = low if low == high else f"{low} to {high}"
    published = rounding.fixed(memory.published_activations_bytes / GB, 1)
    return Table(
        "rules",
        "Beside the rules",
        (Column("what", "what"), Column("gb", "GB", Quantity.NUMBER)),
        (
            (
                f"exact, over {counted(memory.gpus, 'GPU')}",
                rounding.fixed(memory.total_bytes * memory.gpus / GB, 0),
            ),
            (f"rule of thumb for {job.method.value} fine-tuning", rule),
            ("activations by the published GPT formula, one rank", published),
        ),
    )


def training_mapping(
    model: str, job: TrainingJob, memory: TrainingMemory, gpu: str | None, notes: Sequence[str]
) -> dict[str, object]:
    """The JSON of ``planner memory training``; sizes in bytes per GPU."""
    return {
        "model": model,
        "method": job.method.value,
        "optimizer": job.optimizer,
        "zero": job.zero,
        "recompute": job.recompute.value,
        "gpus": memory.gpus,
        "trainable_parameters": memory.trainable_parameters,
        "per_gpu": {
            **{f"{part}_bytes": size for part, size in memory.parts_bytes().items()},
            "total_bytes": memory.total_bytes,
        },
        "published_activations_bytes": memory.published_activations_bytes,
        "rule_of_thumb_gb": list(memory.rule_of_thumb_gb),
        "gpu": gpu,
        "fits": memory.fits,
        "cards": memory.fewest_gpus,
        "notes": list(notes),
    }


def measured_document(model: str, result: MeasuredVsTheory, notes: Sequence[str]) -> Document:
    """``planner memory measured-vs-theory``."""
    over = f"{_percent(result.over_stated)} of stated, {_percent(result.over_exact)} of exact"
    rows: list[tuple[str, float | Cell | None, str]] = [
        ("exact weights", result.exact_gib, " "),
        ("stated theory", result.stated_gib, " "),
        ("measured weights", result.measured_gib, over),
        ("driver-reported", _known(result.driver_gib), " "),
        ("  beyond weights and overhead", _known(result.unexplained_gib), " "),
    ]
    tables = [
        Table(
            "weights",
            "Weights",
            (
                Column("what", "what"),
                Column("gib", "GiB", Quantity.THOUSANDTHS),
                Column("against", "against theory"),
            ),
            tuple(row for row in rows if row[1] is not None),
        )
    ]
    if result.points:
        fit = ""
        if result.slope_mib_per_token is not None and result.fixed_gib is not None:
            fit = (
                f"Straight line: {rounding.fixed(result.slope_mib_per_token, 3)} MiB a token and "
                f"{rounding.fixed(result.fixed_gib * 1024, 1)} MiB fixed."
            )
        tables.append(
            Table(
                "overhead",
                "Memory beside the weights",
                (
                    Column("tokens", "tokens", Quantity.COUNT),
                    Column("gib", "GiB", Quantity.THOUSANDTHS),
                    Column("mib_per_token", "MiB a token", Quantity.HUNDREDTHS),
                ),
                tuple((p.tokens, p.overhead_gib, p.mib_per_token) for p in result.points),
                fit,
            )
        )
    return Document(
        title=f"{model}: measured against theory",
        headline=f"{result.parameters:,} parameters, {rounding.fixed(result.exact_gib, 3)} GiB of weights",
        sections=(Section("weights", "Weights", tuple(tables)), _notes(notes)),
    )


def measured_mapping(
    model: str, result: MeasuredVsTheory, notes: Sequence[str]
) -> dict[str, object]:
    """The JSON of ``planner memory measured-vs-theory``; sizes in GiB."""
    return {
        "model": model,
        "parameters": result.parameters,
        "exact_gib": result.exact_gib,
        "stated_gib": result.stated_gib,
        "measured_gib": result.measured_gib,
        "measured_over_stated": result.over_stated,
        "measured_over_exact": result.over_exact,
        "driver_gib": result.driver_gib,
        "unexplained_gib": result.unexplained_gib,
        "overhead": [
            {"tokens": p.tokens, "gib": p.overhead_gib, "mib_per_token": p.mib_per_token}
            for p in result.points
        ],
        "overhead_slope_mib_per_token": result.slope_mib_per_token,
        "overhead_fixed_gib": result.fixed_gib,
        "notes": list(notes),
    }


def _known(gib: float | None) -> Cell | None:
    """To two decimals, as a driver's figure deserves."""
    return None if gib is None else Cell(gib, Quantity.HUNDREDTHS)


def _percent(ratio: float | None) -> str:
    return rounding.UNKNOWN if ratio is None else f"{100 * ratio:+.2f} %"


def _notes(lines: Sequence[str]) -> Section:
    return Section("notes", "Notes", (Items(tuple(lines)),) if lines else ())
