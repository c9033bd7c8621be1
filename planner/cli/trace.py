"""``planner trace``: what a request trace is like."""

from __future__ import annotations

import click

from planner.cli.shared.output_options import result_options
from planner.cli.shared.paths import PIPED_FILE
from planner.reporting.output import Output


class TraceGroup(click.Group):
    """Says how a file is described where one stands in place of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse what is no command."""
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(
                f"no such command {args[0]!r}; a file is described by: planner trace describe FILE"
            )
        return super().resolve_command(ctx, args)


@click.group(name="trace", cls=TraceGroup)
def command() -> None:
    """Look at request traces: Azure, BurstGPT, Mooncake, Bailian, records of AIPerf and inference-perf,
    OpenTelemetry's GenAI spans, engine request logs, or arrival_s,prompt_tokens,output_tokens (and
    conversation_id); CSV, JSON, JSON lines or Parquet.

    \b
    Examples:
      planner trace describe azure_code_2023
    """


@command.command(name="describe", short_help="rates, burstiness, lengths, prefix reuse")
@click.argument("file", type=PIPED_FILE)
@result_options("table", "json", "md", "csv", table="lengths")
def describe(file: str, output: Output) -> int:
    """Describe FILE: a path, or the name of a shipped excerpt.

    Prints the peak rates in windows of 1, 10 and 60 s, the burstiness, the quantiles of prompt and
    output lengths, the share of prompt tokens that repeat, and what the file's times were read as.
    Exit code 2 for a bad trace.

    \b
    Examples:
      planner trace describe azure_code_2023
      planner trace describe trace.jsonl --format json
    """
    from planner.reporting.deliver import write_document
    from planner.reporting.tables.trace_tables import trace_data, trace_document
    from planner.workload.trace import read_trace
    from planner.workload.trace_statistics import describe as statistics_of

    statistics = statistics_of(read_trace(file))
    write_document(
        trace_document(statistics),
        output,
        data=lambda: trace_data(statistics),
    )
    return 0
