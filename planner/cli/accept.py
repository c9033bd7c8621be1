"""``planner accept``: a load test of one replica, held against the plan and solved with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.shared.options import catalog_options
from planner.cli.shared.paths import PIPED_FILE

if TYPE_CHECKING:
    from planner.accuracy.acceptance_run import Judged
    from planner.accuracy.bench.files import BenchResult, Setting
    from planner.plan.acceptance import AcceptanceTest
    from planner.plan.schema import Plan

FAILED = 3


@click.command(name="accept")
@click.argument("results", nargs=-1, type=PIPED_FILE)
@click.option(
    "--plan",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The plan's JSON file, or - for stdin.",
)
@click.option("--service", help="Service under test, where the plan has several.")
@click.option(
    "--replica", help="Replica under test by its name, where the service has several kinds."
)
@click.option(
    "--solve/--no-solve",
    "again",
    default=True,
    show_default=True,
    help="Solve the scenario again with what was measured.",
)
@click.option(
    "--save-calibration",
    type=click.Path(dir_okay=False),
    help="Keep the factors fitted to the results, for --calibration.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How the verdict is written.",
)
@catalog_options
def command(
    results: tuple[str, ...],
    plan: str,
    service: str | None,
    replica: str | None,
    again: bool,
    save_calibration: str | None,
    style: str,
    catalogs: str | None,
    calibration: str | None,
) -> int:
    """Compare RESULTS, files of the plan's acceptance test, with its limits.

    Without RESULTS the commands of every test are printed: run them against one replica, those of request
    classes at the same time. With them every
    statistic is compared with its limit, requests that failed or were not sent at the planned rate fail
    the test, and the scenario is solved again with the step times that were measured. Exit codes: 0
    passed or printed, 2 invalid input, 3 a limit is exceeded, a statistic is missing or a run is not what
    the plan asked for, 4 catalog error.

    \b
    Examples:
      planner accept --plan plan.json
      planner accept rung-1.json rung-2.json rung-3.json --plan plan.json
      planner accept rung-3.json --plan plan.json --save-calibration mine.yaml
    """
    from planner.accuracy.acceptance_run import (
        RequestedRun,
        faults,
        judged,
        must_be_model,
        must_have_lengths,
        together,
    )
    from planner.accuracy.bench.files import read_bench_file
    from planner.plan.schema import read_plan
    from planner.reporting.files import as_json, send
    from planner.reporting.plan.acceptance_text import solved_again_line, test_lines, verdict_lines
    from planner.scenario.task import GENERATE

    answer = read_plan(plan)
    tests = _tests(answer, service, replica)
    if not results and style != "json":
        several = len(answer.acceptance) > 1
        texts = ("\n".join(test_lines(test, several=several)) for test in tests)
        click.echo("\n\n".join(texts))
        return 0
    test = _only(tests, answer)
    if not results:
        send(as_json(test.model_dump(mode="json")), None)
        return 0
    runs = [run for path in results for run in read_bench_file(Path(path))]
    must_be_model(runs, test.model)
    requested = [
        RequestedRun(
            r.share,
            r.rate_qps,
            r.limits_s,
            r.request_class,
            r.prompt_tokens or test.prompt_tokens,
            r.output_tokens or test.output_tokens,
        )
        for r in test.rungs
    ]
    must_have_lengths(requested, runs)
    verdicts, wrong = judged(requested, runs), faults(requested, runs)
    passes = not wrong and all(v.passes for v in verdicts)
    resolved = None
    pools = any(s.name == test.service and s.task != GENERATE for s in answer.scenario.services)
    if again and pools:
        click.echo(
            "note: not solved again: no factor is fitted to prompts that are pooled", err=True
        )
    elif again:
        whole = together(requested, runs)
        resolved = _solved_again(
            answer, test, whole, Path(plan).parent, catalogs, calibration, save_calibration
        )
    if style == "json":
        send(as_json(_verdict(verdicts, wrong, passes, resolved)), None)
    else:
        click.echo("\n".join(verdict_lines(verdicts, wrong)))
        if resolved is not None:
            click.echo(solved_again_line(answer, resolved))
    return 0 if passes else FAILED


def _tests(plan: Plan, service: str | None, replica: str | None) -> list[AcceptanceTest]:
    """The tests of the service and replica that were named; InputError where there is none."""
    from planner.errors import InputError

    tests = [
        t for t in plan.acceptance if service in (None, t.service) and replica in (None, t.replica)
    ]
    if plan.totals is None:
        raise InputError("the plan has no fleet: there is nothing to test", found=plan.status)
    if not tests:
        raise InputError(
            "the plan has no such acceptance test",
            allowed=_known(plan) or "none: solve the scenario again with this version",
            action="name it with --service and --replica",
        )
    return tests


def _only(tests: list[AcceptanceTest], plan: Plan) -> AcceptanceTest:
    """The one test that results are of; InputError where several are left."""
    from planner.errors import InputError

    if len(tests) > 1:
        raise InputError(
            "which replica was tested?",
            allowed=_known(plan),
            action="name it with --service and --replica",
        )
    return tests[0]


def _known(plan: Plan) -> str:
    return "; ".join(f"{t.service}: {t.replica}" for t in plan.acceptance)


def _solved_again(
    plan: Plan,
    test: AcceptanceTest,
    runs: Sequence[BenchResult],
    base: Path,
    catalogs: str | None,
    calibration: str | None,
    keep: str | None,
) -> Plan:
    """The scenario solved with factors fitted to the runs over those in force."""
    import tempfile
    from datetime import UTC, datetime

    from planner.accuracy.acceptance_run import points_of
    from planner.accuracy.own_fit import fit_own
    from planner.performance.calibration_files import dump_fitted
    from planner.reporting.files import write_file
    from planner.session import Session
    from planner.solving.options import SolveOptions

    session = Session.open(catalogs, calibration)
    points = points_of(runs, _setting(plan, test), "acceptance test")
    fit = fit_own(points, session.catalog, session.factors, datetime.now(UTC).date().isoformat())
    options = SolveOptions(
        verify=plan.verification.method, rivals=0, explain=False, as_of=plan.provenance.as_of
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(keep) if keep else Path(folder) / "measured.yaml"
        write_file(str(file), dump_fitted(fit.file))
        measured = Session.open(session.catalog, file, options)
        return measured.solve(plan.scenario, base=base)


def _setting(plan: Plan, test: AcceptanceTest) -> Setting:
    """What the plan says of the replica under test, which result files leave out."""
    from planner.accuracy.bench.files import Setting

    group = next(
        g
        for s in plan.services
        if s.name == test.service
        for g in s.replica_groups
        if g.name == test.replica
    )
    model = next(s.model for s in plan.services if s.name == test.service)
    return Setting(
        gpu=group.gpu,
        engine=group.engine,
        weights=group.weights,
        tensor_parallel=group.tensor_parallel,
        data_parallel=group.data_parallel,
        expert_parallel=group.expert_parallel,
        model=model,
        engine_version=group.engine_version,
        kv_cache=group.kv_cache,
    )


def _verdict(
    verdicts: Sequence[Judged], wrong: Sequence[str], passes: bool, resolved: Plan | None
) -> dict[str, object]:
    """What JSON says of it."""
    totals = resolved.totals if resolved else None
    return {
        "passes": passes,
        "faults": list(wrong),
        "limits": [{**asdict(v), "passes": v.passes} for v in verdicts],
        "solved_again": None
        if resolved is None
        else {
            "status": resolved.status,
            "gpus": totals.gpus_rented if totals else None,
            "usd_per_hour": totals.usd_per_hour if totals else None,
        },
    }
