"""The quick calculators under ``planner memory``: rules of thumb, training, nanochat, measurements."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli.shared.names import GPU, PIPED_MODEL
from planner.cli.shared.notes import note
from planner.cli.shared.numbers import POSITIVE, FiniteRange
from planner.cli.shared.output_options import catalogs_option, document_options, stacked
from planner.errors import InputError
from planner.reporting.output import Output

_NUMBER = FiniteRange(min=0, min_open=True)

_options = stacked(document_options(), catalogs_option)


@click.command(name="rule-of-thumb", short_help="the simple formula and the exact answer")
@click.option("--params", type=_NUMBER, help="Parameters, such as 7e9.")
@click.option(
    "--bytes", "size", type=_NUMBER, default=2.0, show_default=True, help="Bytes per value."
)
@click.option("--layers", type=POSITIVE, help="Layers.")
@click.option("--hidden", type=POSITIVE, help="Hidden size.")
@click.option("--seq", type=POSITIVE, default=2048, show_default=True, help="Tokens per sequence.")
@click.option("--batch", type=POSITIVE, default=1, show_default=True, help="Sequences.")
@click.option(
    "--model", type=PIPED_MODEL, help="A model whose exact size is printed for comparison."
)
@click.option("--gpu-gb", type=_NUMBER, help="A GPU's memory: walk the decision tree for it.")
@click.option("--card-gb", "former_gpu_gb", type=_NUMBER, hidden=True)
@_options
def rule_of_thumb(
    params: float | None,
    size: float,
    layers: int | None,
    hidden: int | None,
    seq: int,
    batch: int,
    model: str | None,
    gpu_gb: float | None,
    former_gpu_gb: float | None,
    output: Output,
    catalogs: str | None,
) -> None:
    """(P D + B S L 2 H D) x 1.2: weights, KV cache and 20 % on top, and the GPUs that hold it.

    \b
    Examples:
      planner memory rule-of-thumb --params 7e9 --bytes 2 --layers 32 --hidden 4096
      planner memory rule-of-thumb --model Qwen/Qwen3-8B --seq 8192 --batch 4
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.calculator_tables import quick_document, quick_mapping
    from planner.sizing.quick_answers import quick_answer

    if former_gpu_gb is not None:
        note("warning: --card-gb is now called --gpu-gb")
    catalog = load_catalog(catalogs)
    spec = None if model is None else catalog.model(model)
    if spec is None and None in (params, layers, hidden):
        raise click.UsageError("say --params, --layers and --hidden, or --model")
    answer = quick_answer(
        catalog,
        params=params,
        bytes_per_value=size,
        layers=layers,
        hidden=hidden,
        seq=seq,
        batch=batch,
        model=spec,
        gpu_gb=former_gpu_gb if gpu_gb is None else gpu_gb,
    )
    write_document(quick_document(answer), output, data=lambda: quick_mapping(answer))


@click.command(name="training", short_help="weights, gradients, optimizer states, activations")
@click.option(
    "--model",
    type=PIPED_MODEL,
    required=True,
    help="A model of the catalog, a config.json, or its folder.",
)
@click.option(
    "--method", type=click.Choice(["full", "lora", "qlora"]), default="full", show_default=True
)
@click.option("--optimizer", default="adam", show_default=True, help="adam, adamw8bit or sgd.")
@click.option("--zero", type=click.IntRange(0, 3), default=0, show_default=True, help="ZeRO stage.")
@click.option("--seq", type=POSITIVE, default=2048, show_default=True, help="Tokens per sequence.")
@click.option(
    "--batch", type=POSITIVE, default=1, show_default=True, help="Sequences per microbatch."
)
@click.option(
    "--recompute",
    type=click.Choice(["none", "selective", "full"]),
    default="selective",
    show_default=True,
    help="What the backward pass computes again.",
)
@click.option("--tp", type=POSITIVE, default=1, show_default=True, help="Tensor-parallel degree.")
@click.option("--pp", type=POSITIVE, default=1, show_default=True, help="Pipeline stages.")
@click.option("--dp", type=POSITIVE, default=1, show_default=True, help="Data-parallel ranks.")
@click.option("--lora-rank", type=POSITIVE, default=16, show_default=True, help="Adapter rank.")
@click.option(
    "--gpu", type=GPU, default="h100-sxm-80gb", show_default=True, help="The GPU to fit on."
)
@_options
def training(
    model: str,
    method: str,
    optimizer: str,
    zero: int,
    seq: int,
    batch: int,
    recompute: str,
    tp: int,
    pp: int,
    dp: int,
    lora_rank: int,
    gpu: str,
    output: Output,
    catalogs: str | None,
) -> None:
    """Training memory of each GPU, and how many GPUs it takes.

    \b
    Examples:
      planner memory training --model Qwen/Qwen3-8B --zero 3 --dp 8
      planner memory training --model Qwen/Qwen3-8B --method qlora --gpu rtx-4090
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.calculator_tables import training_document, training_mapping
    from planner.sizing.corrections import corrections
    from planner.sizing.training.activations import Recompute
    from planner.sizing.training.memory import Method, TrainingJob, training_memory

    catalog = load_catalog(catalogs)
    job = TrainingJob(
        method=Method(method),
        optimizer=optimizer,
        zero=zero,
        seq_tokens=seq,
        batch=batch,
        recompute=Recompute(recompute),
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        lora_rank=lora_rank,
    )
    spec, device = catalog.model(model), catalog.gpu(gpu)
    memory = training_memory(catalog, spec, job, device)
    notes = [*corrections(catalog, "training", method)]
    if memory.fewest_gpus is None and zero < 3:
        sharded = training_memory(catalog, spec, replace(job, zero=3), device)
        if sharded.fewest_gpus is not None:
            notes.append(f"with ZeRO 3, {sharded.fewest_gpus} of {device.name} hold it")
    stated = (spec.name, job, memory, device.name, notes)
    write_document(
        training_document(*stated),
        output,
        data=lambda: training_mapping(*stated),
    )


@click.command(name="nanochat", short_help="a nanochat model from its depth alone")
@click.option("--depth", type=POSITIVE, required=True, help="Layers; the width is 64 x depth.")
@click.option("--batch-size", type=POSITIVE, default=1, show_default=True, help="Sequences.")
@click.option("--max-seq-len", type=POSITIVE, default=1024, show_default=True, help="Tokens.")
@click.option("--dtype", default="bfloat16", show_default=True, help="bfloat16, fp16 or fp32.")
@_options
def nanochat(
    depth: int,
    batch_size: int,
    max_seq_len: int,
    dtype: str,
    output: Output,
    catalogs: str | None,
) -> None:
    """Serving memory of a nanochat model, by its own guide's arithmetic.

    \b
    Examples:
      planner memory nanochat --depth 20
      planner memory nanochat --depth 26 --max-seq-len 4096 --batch-size 4
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.calculator_tables import nanochat_document, nanochat_mapping
    from planner.sizing.quick_answers import nanochat_notes
    from planner.sizing.training.nanochat import nanochat_memory

    memory = nanochat_memory(depth, batch_size, max_seq_len, dtype)
    notes = nanochat_notes(load_catalog(catalogs), memory, max_seq_len)
    write_document(
        nanochat_document(memory, notes),
        output,
        data=lambda: nanochat_mapping(memory, notes),
    )


@click.command(name="measured-vs-theory", short_help="your measurement and the exact weights")
@click.option(
    "--model",
    type=PIPED_MODEL,
    required=True,
    help="A model of the catalog, a config.json, or its folder.",
)
@click.option("--weights", default="bf16", show_default=True, help="Weight format.")
@click.option("--measured-gib", type=_NUMBER, help="Measured weights [GiB].")
@click.option("--stated-gib", type=_NUMBER, help="The theory you compare with [GiB].")
@click.option(
    "--overhead",
    "overheads",
    multiple=True,
    metavar="TOKENS:GIB",
    help="Memory beside the weights.",
)
@click.option("--driver-mib", type=_NUMBER, help="What the driver reports [MiB].")
@_options
def measured_vs_theory(
    model: str,
    weights: str,
    measured_gib: float | None,
    stated_gib: float | None,
    overheads: tuple[str, ...],
    driver_mib: float | None,
    output: Output,
    catalogs: str | None,
) -> None:
    """Set measured memory beside the exact size of the weights.

    \b
    Examples:
      planner memory measured-vs-theory --model Qwen/Qwen3-8B --stated-gib 14.383 \\
        --measured-gib 14.883 --overhead 10:0.014 --overhead 200:0.121 --driver-mib 16808
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.calculator_tables import measured_document, measured_mapping
    from planner.sizing.measured_vs_theory import compare_with_measurement
    from planner.sizing.precision import weights_for

    catalog = load_catalog(catalogs)
    spec = catalog.model(model)
    result = compare_with_measurement(
        spec,
        weights_for(spec, weights, catalog.weight_format),
        measured_gib=measured_gib,
        stated_gib=stated_gib,
        overhead_gib=dict(_point(text) for text in overheads),
        driver_mib=driver_mib,
    )
    stated = (spec.name, result, result.notes)
    write_document(
        measured_document(*stated),
        output,
        data=lambda: measured_mapping(*stated),
    )


def _point(text: str) -> tuple[int, float]:
    tokens, _, gib = text.partition(":")
    try:
        return int(tokens), float(gib)
    except ValueError:
        raise InputError(
            "an overhead point is TOKENS:GIB", where="--overhead", found=text, allowed="10:0.014"
        ) from None
