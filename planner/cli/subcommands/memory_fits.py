"""``planner memory fits``: which GPUs hold a model, which models a GPU holds."""

from __future__ import annotations

import click

from planner.cli.shared.names import GPU, PIPED_MODEL
from planner.cli.shared.numbers import POSITIVE
from planner.cli.shared.output_options import catalogs_option, document_options, stacked
from planner.reporting.output import Output

_options = stacked(document_options("fits"), catalogs_option)


@click.command(name="fits", short_help="which GPUs hold a model, which models a GPU holds")
@click.option(
    "--model", type=PIPED_MODEL, help="A model of the catalog, a config.json, or its folder."
)
@click.option(
    "--gpu", type=GPU, help="Only this GPU; without --model, every model of the catalog on it."
)
@click.option("--mine", help='Your own GPUs: "2x rtx-3090, 1x rtx-4090".')
@click.option(
    "--count", type=click.IntRange(1, 8), help="GPUs, 1 to 8.  [default: all, or 1 by --gpu]"
)
@click.option(
    "--weights", "precisions", multiple=True, help="Weight formats.  [default: bf16 fp8 int4]"
)
@click.option("--kv-cache", default="bf16", show_default=True, help="KV cache format.")
@click.option("--engine", default="vllm", show_default=True, help="vllm, sglang or tensorrt-llm.")
@click.option(
    "--context", type=POSITIVE, default=4096, show_default=True, help="Tokens per sequence."
)
@click.option("--concurrency", type=POSITIVE, default=8, show_default=True, help="Sequences.")
@_options
def fits(
    model: str | None,
    gpu: str | None,
    mine: str | None,
    count: int | None,
    precisions: tuple[str, ...],
    kv_cache: str,
    engine: str,
    context: int,
    concurrency: int,
    output: Output,
    catalogs: str | None,
) -> None:
    """Try a model on every GPU, one to eight of it, in every precision; or every model on a GPU.

    \b
    Examples:
      planner memory fits --model Qwen/Qwen3-8B
      planner memory fits --model meta-llama/Llama-3.1-70B-Instruct --gpu h100 --context 8192
      planner memory fits --gpu l40s
      planner memory fits --model Qwen/Qwen3-32B --mine "2x rtx-3090, 1x rtx-4090"
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.fits_tables import fits_document, fits_mapping
    from planner.sizing.fits import COUNTS, PRECISIONS, gpus_that_fit, models_that_fit, question
    from planner.sizing.owned_gpus import models_on_owned, owned_that_fit, read_owned_gpus

    if model is None and gpu is None and mine is None:
        raise click.UsageError("say --model, --gpu or --mine")
    if mine is not None and (gpu is not None or count is not None):
        raise click.UsageError("--mine says which GPUs and how many: leave out --gpu and --count")
    catalog = load_catalog(catalogs)
    ask = question(
        catalog, engine=engine, kv_cache=kv_cache, context_tokens=context, concurrency=concurrency
    )
    formats = precisions or PRECISIONS
    if mine is not None:
        owned = read_owned_gpus(mine, catalog)
        if model is None:
            found = models_on_owned(catalog, ask, owned, precisions=formats)
        else:
            found = owned_that_fit(catalog, catalog.model(model), ask, owned, precisions=formats)
    elif model is None:
        counts = (count or 1,)
        found = models_that_fit(
            catalog, catalog.gpu(gpu or ""), ask, precisions=formats, counts=counts
        )
    else:
        found = gpus_that_fit(
            catalog,
            catalog.model(model),
            ask,
            precisions=formats,
            gpus=None if gpu is None else (catalog.gpu(gpu),),
            counts=COUNTS if count is None else (count,),
        )
    write_document(
        fits_document(found, ask, by_model=model is None),
        output,
        data=lambda: fits_mapping(found, ask),
    )
