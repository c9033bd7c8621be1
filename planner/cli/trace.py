"""``planner trace``: what a request trace is like."""

from __future__ import annotations

import click


@click.group(name="trace", short_help="describe a request trace")
def command() -> None:
    """Look at request traces (Azure CSV, Mooncake JSONL, or arrival_s,prompt_tokens,output_tokens).

    \b
    Examples:
      planner trace describe azure_code_2023
    """


@command.command(name="describe", short_help="rates, burstiness, lengths, prefix reuse")
@click.argument("file")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "md", "csv"]),
    default="table",
    show_default=True,
)
@click.option("--table", default="lengths", show_default=True, help="Which table CSV carries.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file.")
def describe(file: str, style: str, table: str, output: str | None) -> int:
    """Describe FILE: a path, or the name of a shipped excerpt.

    Prints the peak rates in windows of 1, 10 and 60 s, the burstiness, the quantiles of prompt and
    output lengths, and the share of prompt tokens that repeat. Exit code 2 for a bad trace.

    \b
    Examples:
      planner trace describe azure_code_2023
      planner trace describe trace.jsonl --format json
    """
    from planner.reporting.deliver import write_document
    from planner.reporting.trace_tables import trace_data, trace_document
    from planner.serving.trace import read_trace
    from planner.serving.trace_statistics import describe as statistics_of

    statistics = statistics_of(read_trace(file))
    write_document(
        trace_document(statistics),
        style,
        output,
        table=table,
        data=lambda: trace_data(statistics),
    )
    return 0
