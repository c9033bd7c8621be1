"""``planner memory``: what a model takes, what fits, and whether a real start-up agrees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from planner.cli.shared.names import GPU, PIPED_MODEL
from planner.cli.shared.numbers import POSITIVE, FiniteRange
from planner.cli.shared.output_options import catalogs_option, document_options, stacked
from planner.cli.shared.paths import PIPED_FILE
from planner.cli.subcommands.memory_calculators import (
    measured_vs_theory,
    nanochat,
    rule_of_thumb,
    training,
)
from planner.cli.subcommands.memory_fits import fits

_options = stacked(document_options(), catalogs_option)


@click.group(name="memory", invoke_without_command=True)
@click.option(
    "--model",
    type=PIPED_MODEL,
    help="A model of the catalog, a config.json, the folder that holds one, or - for a piped config.",
)
@click.option("--check", "log", type=PIPED_FILE, help="Compare with an engine's start-up log.")
@click.option("--weights", help="Weight format: bf16, fp8, int4, ...  [default: the checkpoint's]")
@click.option("--kv-cache", help="KV cache format: bf16, fp8, int8, nvfp4.  [default: bf16]")
@click.option("--gpu", type=GPU, help="The GPU; without it only the model is sized.")
@click.option("--tp", type=POSITIVE, help="Tensor-parallel degree.  [default: 1]")
@click.option("--pp", type=POSITIVE, default=1, show_default=True, help="Pipeline stages.")
@click.option("--dp", type=POSITIVE, default=1, show_default=True, help="Attention-DP ranks.")
@click.option("--ep", type=POSITIVE, default=1, show_default=True, help="Expert-parallel degree.")
@click.option("--engine", help="vllm, sglang or tensorrt-llm.  [default: vllm]")
@click.option("--engine-version", help="The engine's version.  [default: the catalog's]")
@click.option(
    "--memory-fraction",
    type=FiniteRange(0, 1, min_open=True),
    help="gpu_memory_utilization, mem_fraction_static or free_gpu_memory_fraction.",
)
@click.option("--max-num-seqs", type=POSITIVE, help="Most sequences in a step.")
@click.option("--max-num-batched-tokens", type=POSITIVE, help="Most tokens in a step.")
@click.option(
    "--lora-adapters", type=click.IntRange(0), default=0, help="LoRA adapters held at once."
)
@click.option("--lora-rank", type=POSITIVE, default=16, show_default=True, help="Their rank.")
@click.option("--launch", is_flag=True, help="Print the command line that the sizing assumes.")
@click.option(
    "--context", type=POSITIVE, default=4096, show_default=True, help="Tokens per sequence."
)
@click.option("--concurrency", type=POSITIVE, default=1, show_default=True, help="Sequences.")
@_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int | None:
    """Size a model: parameters, weights, KV cache, and the memory of each GPU.

    Exit codes: 0 it fits (or no GPU was named), 2 invalid input, 3 it does not fit, or
    the engine would refuse it.

    \b
    Examples:
      planner memory --model Qwen/Qwen3-8B
      planner memory --model Qwen/Qwen3-32B --weights fp8 --gpu h100 --tp 2
      planner memory --check vllm.log --gpu h100
      planner memory --model Qwen/Qwen3-32B --gpu h100 --context 32768 --launch
      planner memory fits --model Qwen/Qwen3-8B
    """
    if ctx.invoked_subcommand is not None:
        return None
    if options["log"] is not None:
        return _check(options)
    if options["model"] is None:
        raise click.UsageError(
            "say what to size: --model NAME, --check LOG, or a command; see --help"
        )
    return _size(options)


command.add_command(fits)
command.add_command(rule_of_thumb)
command.add_command(training)
command.add_command(nanochat)
command.add_command(measured_vs_theory)


def _size(options: dict[str, Any]) -> int:
    from planner.catalog.store import load_catalog
    from planner.deployment import EngineSettings
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.memory_tables import model_document, model_mapping
    from planner.sizing.model_memory import SizingLayout, model_memory

    catalog = load_catalog(options["catalogs"])
    layout = None
    if options["gpu"] is not None:
        layout = SizingLayout(
            gpu=catalog.gpu(options["gpu"]),
            engine=options["engine"] or "vllm",
            engine_version=options["engine_version"],
            tensor_parallel=options["tp"] or 1,
            pipeline_parallel=options["pp"],
            data_parallel=options["dp"],
            expert_parallel=options["ep"],
            settings=EngineSettings(
                memory_fraction=options["memory_fraction"],
                max_num_seqs=options["max_num_seqs"],
                max_num_batched_tokens=options["max_num_batched_tokens"],
                lora_adapters=options["lora_adapters"],
                lora_rank=options["lora_rank"],
            ),
        )
    result = model_memory(
        catalog,
        catalog.model(options["model"]),
        weights=options["weights"] or "native",
        kv_cache=options["kv_cache"] or "bf16",
        layout=layout,
        context_tokens=options["context"],
        concurrency=options["concurrency"],
    )
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if options["launch"]:
        from pathlib import Path

        from planner.deploy.sized import sized_command
        from planner.standard_input import NAME

        if result.deployment is None:
            raise click.UsageError(
                "--launch needs --gpu: a command line is one engine's on one GPU"
            )
        if Path(options["model"]).stem == NAME:
            raise click.UsageError(
                "--launch needs a model that an engine finds by its name or folder"
            )
        started = sized_command(catalog, result, options["model"])
        lines, notes = started.lines, started.notes
    write_document(
        model_document(result, lines, notes),
        options["output"],
        data=lambda: model_mapping(result, lines, notes),
    )
    return 3 if result.serves is False else 0


def _check(options: dict[str, Any]) -> int:
    from pathlib import Path

    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.boot_tables import check_document, check_mapping
    from planner.sizing.boot_log.check import Overrides, check_boot_log
    from planner.sizing.boot_log.reader import read_boot_log

    log = read_boot_log(Path(options["log"]))
    catalog = load_catalog(options["catalogs"])
    given = Overrides(
        model=None if options["model"] is None else catalog.model(options["model"]),
        gpu=None if options["gpu"] is None else catalog.gpu(options["gpu"]),
        weights=options["weights"],
        kv_cache=options["kv_cache"],
        tensor_parallel=options["tp"],
        engine=options["engine"],
        engine_version=options["engine_version"],
    )
    check, output = check_boot_log(catalog, log, given), options["output"]
    write_document(
        check_document(check),
        replace(output, table=output.table or "parts"),
        data=lambda: check_mapping(check),
    )
    return 0
