"""``planner frontier``: what latency, resilience, assurance and limits cost around a decision."""

from __future__ import annotations

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.numbers import FiniteRange
from planner.cli.shared.options import (
    catalog_options,
    seed_option,
    side_limit_option,
    solver_option,
    time_limit_option,
    verify_option,
)
from planner.cli.shared.output_options import document_options
from planner.cli.shared.progress import progress, say_stopped
from planner.fleet.program.problem import Solver
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import Verify

ANALYSES = ("latency", "resilience", "assurance", "alternatives", "limits")


@click.command(name="frontier")
@click.argument("scenario", type=SCENARIO)
@set_option
@click.option(
    "--show",
    type=click.Choice(ANALYSES),
    multiple=True,
    help="Analyses to run; may be repeated.  [default: all]",
)
@click.option("--service", help="Service whose latency target is varied; the first by default.")
@click.option("--target", help="Latency target to vary, such as ttft_p99; the first by default.")
@click.option(
    "--range",
    "factors",
    metavar="LOW..HIGH",
    default="0.25..4",
    show_default=True,
    help="Range of the target, as factors on it.",
)
@click.option(
    "--step",
    type=FiniteRange(0.01, 0.9),
    default=0.25,
    show_default=True,
    help="Each bound is this share below what the last fleet achieved.",
)
@click.option(
    "--demand-cv",
    type=FiniteRange(0, 5),
    help="Uncertainty of the demand forecast, as a coefficient of variation.  [default: the "
    "scenario's]",
)
@click.option(
    "--tolerance",
    type=FiniteRange(0),
    default=0.5,
    show_default=True,
    help="The most an alternative may cost above the cheapest, as a share.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Alternatives to list.",
)
@verify_option("simulate")
@solver_option
@time_limit_option
@side_limit_option
@seed_option
@catalog_options
@document_options()
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    show: tuple[str, ...],
    service: str | None,
    target: str | None,
    factors: str,
    step: float,
    demand_cv: float | None,
    tolerance: float,
    count: int,
    verify: Verify,
    seed: int,
    solver: Solver,
    time_limit: float,
    side_limit: float | None,
    catalogs: str | None,
    calibration: str | None,
    output: Output,
) -> int:
    """Price the trade-offs around the cheapest fleet for SCENARIO, by solving it again and again.

    Exit codes: 0 the scenario is feasible, 2 invalid input, 3 infeasible, 5 no proof in time.

    \b
    Examples:
      planner frontier llama70b_qps50 --show latency --target tpot_p99
      planner frontier llama70b_qps50 --show resilience --show limits
      planner frontier llama70b_qps50 --show assurance --demand-cv 0.1
    """
    from planner.comparison.deciding import Decider
    from planner.comparison.frontiers import FrontierQuestions, explore
    from planner.comparison.latency_bounds import read_factors
    from planner.fleet.sized_before import SizedBefore
    from planner.reporting.deliver import write_document
    from planner.reporting.studies.frontier_document import frontier_document
    from planner.session import Session
    from planner.solving.options import SolveOptions

    options = SolveOptions(
        verify, solver, time_limit, seed=seed, side_limit_s=side_limit, keeps=True
    )
    session = Session.open(catalogs, calibration, options, changes)
    question = session.read(scenario)
    decider = Decider(
        session.catalog, SizedBefore(session.catalog, session.factors, session.known), options
    )
    with progress() as report:
        found = explore(
            decider,
            question,
            FrontierQuestions(
                show or ANALYSES,
                service=service,
                target=target,
                factors=read_factors(factors),
                step_share=step,
                demand_cv=demand_cv,
                tolerance=tolerance,
                count=count,
            ),
            report,
        )
    session.known.save()
    document = frontier_document(found)
    write_document(
        document,
        output,
        data=lambda: {
            "scenario": question.name,
            **{key: each.records() for key, each in document.tables().items()},
            **({"left": list(found.left)} if found.left else {}),
        },
    )
    if found.stopped:
        return say_stopped(", ".join(found.left))
    status = found.decided.solution.status
    return {"optimal": 0, "infeasible": 3}.get(status, 5)
