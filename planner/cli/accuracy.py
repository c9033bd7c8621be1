"""``planner accuracy``: how far the latency model is from measured points."""

from __future__ import annotations

from pathlib import Path

import click

from planner.cli.shared.measured import read_measured, setting_of, setting_options
from planner.cli.shared.numbers import FiniteRange
from planner.cli.shared.options import catalog_options
from planner.cli.shared.output_options import result_options
from planner.cli.shared.paths import PIPED_FILE
from planner.cli.shared.progress import counting, progress, say_stopped
from planner.reporting.output import Output

NOTHING_USABLE = 2


@click.command(name="accuracy")
@click.argument("points", type=PIPED_FILE)
@result_options("table", "json", "md")
@click.option(
    "--level",
    type=FiniteRange(0.1, 0.99),
    default=0.8,
    show_default=True,
    help="Level of the prediction intervals.",
)
@setting_options
@catalog_options
def command(
    points: str,
    output: Output,
    level: float,
    catalogs: str | None,
    calibration: str | None,
    **given: object,
) -> int:
    """Predict each measured run of POINTS, the way it was measured.

    POINTS is a table (CSV), or a result file (.json, .jsonl, .yaml, or a printed table in .txt) of
    vllm bench serve, SGLang bench_serving, GuideLLM, genai-perf, AIPerf, inference-perf,
    llm-optimizer, InferenceX or llm-d-benchmark, which needs --gpu, --engine and --weights.

    Columns of a table: model (catalog name, alias or config.json), gpu, engine, weights, tensor_parallel,
    prompt_tokens, output_tokens, concurrency, and what was measured: ttft_ms and tpot_ms (means),
    ttft_p50_ms, tpot_p99_ms, itl_p99_ms, e2e_p99_s, makespan_s, output_tokens_per_s,
    tokens_per_s_per_gpu (prompt and output). The names of engines and load generators are understood
    too (tp_size, isl, osl, max_concurrency, enforce_eager, gpu_memory_utilization, median_ttft_ms). Others
    are optional and blank where not recorded; a column that is not read is named:

    \b
      engine_version, measured_on, kv_cache, data_parallel, expert_parallel, pipeline_parallel, gpus
      load (closed, open, offline), rate, requests, length_spread, lengths_file
      max_num_seqs, max_num_batched_tokens, memory_fraction, max_model_len, eager,
      graphs_max_batch, graph_padding
      speculative (mtp:3), acceptance
      prefill_workers, prefill_tensor_parallel, prefill_expert_parallel, prefill_attention_dp,
      prefill_gpus, and decode_* likewise

    A closed loop has concurrency requests in flight, all sent at the start; an open loop sends at a
    rate; offline sends all requests at once. A closed loop with the lengths of a benchmark suite
    (1024 + 1024, 1024 + 8192, 8192 + 1024 tokens: InferenceX) is simulated as its recipes launch
    engines, where the row states no settings. Intervals are of the step: a row is played again with steps
    as quick and as slow as their evidence allows, through its queue. Prints mean and median absolute
    percentage error, bias, rank correlation and interval coverage by measured quantity and by model, GPU,
    engine and weights, and the worst points; JSON rows carry predicted_<column> and an interval for every
    measured column. Exit codes:
    0 at least one row was predicted, 2 none was or the file cannot be read, 4 catalog error.

    \b
    Examples:
      planner accuracy measured.csv
      planner accuracy measured.csv --format json -o errors.json
      planner accuracy run.json --gpu l40s --engine vllm --weights fp8
    """
    from planner.accuracy.validation import validate
    from planner.catalog.store import load_catalog
    from planner.errors import in_one_line
    from planner.performance.factors import load_calibration
    from planner.reporting.accuracy.accuracy_tables import validation_document, validation_json
    from planner.reporting.deliver import write_document

    table = read_measured(Path(points), setting_of(given))
    catalog = load_catalog(catalogs)
    factors = load_calibration(catalog, calibration)
    with progress() as report:
        result = validate(table, catalog, factors, level, counting(report), keeps=True)
    for row in result.failures:
        click.echo(f"{points}:{row.row.line}: {in_one_line(row.error or '')}", err=True)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    document = validation_document(result)
    write_document(document, output, data=lambda: validation_json(result))
    if result.stopped:
        return say_stopped()
    return 0 if result.summary else NOTHING_USABLE
