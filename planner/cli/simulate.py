"""``planner simulate``: simulate a plan under load and print its percentiles."""

from __future__ import annotations

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.numbers import FiniteRange, duration, warn_of_seconds
from planner.cli.shared.options import catalog_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.paths import OUTPUT_FILE, PIPED_FILE
from planner.cli.shared.progress import progress
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.units import parse_duration_s

MISSED = 3


def _scaling(
    _ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[float, int], ...]:
    """(seconds, replicas) from ``10m:6``."""
    events = []
    for value in values:
        time, _, count = value.rpartition(":")
        try:
            events.append((parse_duration_s(time), int(count)))
        except ValueError:
            raise click.BadParameter(
                f"expected TIME:REPLICAS, found {value!r}", param=param
            ) from None
        warn_of_seconds(time, param.opts[0])
        if events[-1][1] < 1:
            raise click.BadParameter("at least one replica must remain", param=param)
    return tuple(events)


@click.command(name="simulate")
@click.argument("scenario", type=SCENARIO)
@set_option
@click.option("--plan", type=click.Path(dir_okay=False), help="A plan written by planner solve.")
@click.option(
    "--trace",
    type=PIPED_FILE,
    metavar="TRACE",
    help="Simulate this trace's requests at their own times instead.",
)
@click.option(
    "--kv-pool-tokens",
    type=FiniteRange(min=1),
    help="With --trace: a replica's KV pool as its engine printed it, instead of the predicted one.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=100_000),
    help="Closed loop: keep this many requests in flight per service, as load tests do.",
)
@click.option("--duration", callback=duration, help="Measured time, e.g. 30m (default: by need).")
@click.option(
    "--rate-scale",
    type=FiniteRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Arrivals this many times as fast.",
)
@click.option(
    "--replications",
    type=click.IntRange(min=1, max=100),
    default=1,
    show_default=True,
    help="Independent runs, pooled.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
@click.option(
    "--scale",
    "scaling",
    multiple=True,
    metavar="TIME:REPLICAS",
    callback=_scaling,
    help="From TIME on have REPLICAS; new ones serve after the engine's start-up.",
)
@click.option(
    "--requests",
    "requests_file",
    type=OUTPUT_FILE,
    help="Write every request to this .csv or .parquet file.",
)
@click.option(
    "--series",
    "series_file",
    type=OUTPUT_FILE,
    help="Write the fleet over time to this .csv or .parquet file.",
)
@catalog_options
@document_options("percentiles")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    plan: str | None,
    trace: str | None,
    kv_pool_tokens: float | None,
    concurrency: int | None,
    duration: float | None,
    rate_scale: float,
    replications: int,
    seed: int,
    scaling: tuple[tuple[float, int], ...],
    requests_file: str | None,
    series_file: str | None,
    catalogs: str | None,
    calibration: str | None,
    output: Output,
) -> int:
    """Simulate the plan of SCENARIO request by request and compare its percentiles with the targets.

    Without --plan the scenario is solved first (closed form); with it the plan's fleet meets SCENARIO's
    load and targets, which may differ from those it was planned for. Exit codes: 0 every target holds,
    2 invalid input, 3 a target is missed or the rate cannot be held.

    \b
    Examples:
      planner simulate llama70b_qps50
      planner simulate mine.yaml --plan plan.json --rate-scale 1.2 --duration 30m
      planner simulate mine.yaml --trace trace.csv --requests requests.csv
    """
    from planner.reporting.deliver import write_document
    from planner.reporting.listing import table_format, write_table
    from planner.reporting.tables.simulation_tables import (
        requests_table,
        series_table,
        simulation_data,
        simulation_document,
    )
    from planner.serving.simulation.service_simulation import Scaling
    from planner.session import Session
    from planner.solving.options import SolveOptions
    from planner.verification.simulate import Overload, SimulationSettings, simulate_plan, under

    for wanted in filter(None, (requests_file, series_file)):
        table_format(wanted)
    session = Session.open(catalogs, calibration, SolveOptions(verify="none", seed=seed), changes)
    answer = session.plan_of(plan or scenario)
    if plan is not None:
        answer = under(answer, session.read(scenario))
    how = SimulationSettings(
        trace=trace,
        kv_pool_tokens=kv_pool_tokens,
        concurrency=concurrency,
        duration_s=duration,
        rate_scale=rate_scale,
        replications=replications,
        seed=seed,
        scaling=tuple(Scaling(at_s, count) for at_s, count in scaling),
    )
    try:
        with progress("simulating") as report:
            checks = simulate_plan(
                answer,
                how,
                session.catalog,
                session.factors,
                lambda simulated: report(f"simulating: {simulated:,} requests"),
            )
    except Overload as overload:
        click.echo(f"cannot be held: {overload}", err=True)
        return MISSED
    for file, make in ((requests_file, requests_table), (series_file, series_table)):
        if file:
            write_table(make(checks), file)
    write_document(
        simulation_document(checks),
        output,
        data=lambda: simulation_data(checks),
    )
    return 0 if all(c.holds for c in checks.values()) else MISSED
