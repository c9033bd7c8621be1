"""What each route does, in a worker: the functions of the Python API on the request's scenario."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from planner.accuracy.points import read_points
from planner.accuracy.validation import validate
from planner.comparison.differences import diff
from planner.comparison.options import compare
from planner.comparison.restriction import among, axes_of
from planner.comparison.sweeps import axis_named, read_values, sweep
from planner.derivation.derive import beside, derive
from planner.errors import InputError, PlannerError
from planner.findings.gather import gather
from planner.findings.latency_curves import latency_curves
from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting.accuracy.accuracy_tables import validation_document
from planner.reporting.studies.comparison_document import comparison_document, verdict
from planner.reporting.tables.memory_tables import model_document, model_mapping
from planner.scenario.reader import shipped_scenarios
from planner.scenario.schema import Scenario
from planner.sizing.model_memory import OTHER_LAYOUT, SizingLayout, model_memory
from planner.solving.lookahead import Solve
from planner.solving.options import SolveOptions
from planner.web import requests as requested
from planner.web.answers import difference_answer, explanation_answer, plan_answer, sweep_answer
from planner.web.document_json import document_json
from planner.web.exports import launch_archive, report
from planner.web.plans import read_plan_data, with_plain_price_file
from planner.web.problems import Json, all_problems, problem_of, read_question
from planner.web.uploads import known_model, uploaded, without
from planner.web.worker import Progress, WorkerState


def handle(state: WorkerState, request: requested.Request, progress: Progress) -> Json:
    """The answer to any request. Raises PlannerError for what its sender can mend."""
    with uploaded(request.files, state.limits) as folder:
        try:
            answer = _answer(state, request, folder, progress)
        except PlannerError as error:
            error.where = None if error.where is None else str(without(folder, error.where))
            error.what = str(without(folder, error.what))
            error.found = without(folder, error.found)
            raise
        return {key: without(folder, value) for key, value in answer.items()}


def _answer(
    state: WorkerState, request: requested.Request, folder: Path, progress: Progress
) -> Json:
    match request:
        case requested.CheckRequest():
            catalog = state.session.catalog
            found = all_problems(request.scenario, request.files, folder, catalog)
            return {"problems": [problem_of(e) for e in found]}
        case requested.SolveRequest():
            return _solve(state, request, folder, progress)
        case requested.CompareRequest():
            return _compare(state, request, folder, progress)
        case requested.SweepRequest():
            return _sweep(state, request, folder, progress)
        case requested.ExplainRequest():
            return _explain(state, request, folder, progress)
        case requested.DifferenceRequest():
            return _difference(state, request, folder)
        case requested.MemoryRequest():
            return _memory(state, request)
        case requested.AccuracyRequest():
            return _accuracy(state, request, folder)
        case requested.ExportRequest():
            return _export(state, request, folder)
    raise InputError("no such request", found=type(request).__name__)


@contextmanager
def _in_field(name: str) -> Iterator[None]:
    """Errors within are about this field of the request, whatever the command line calls it."""
    try:
        yield
    except InputError as error:
        error.where = name
        raise


def _question(state: WorkerState, request: requested.ScenarioRequest, folder: Path) -> Scenario:
    return read_question(request.scenario, request.files, folder, state.session.catalog)


def _solver(state: WorkerState, folder: Path, options: SolveOptions, progress: Progress) -> Solve:
    """Solves variants of one question, candidates sized once for all of them."""
    session = state.session.with_options(options)
    return partial(session.solve, base=folder, sized=state.sized(), progress=progress)


def _plan_in(
    state: WorkerState,
    request: requested.Request,
    data: requested.PlanData,
    where: str,
    folder: Path,
) -> Plan:
    return read_plan_data(data, where, request.files, folder, state.session.catalog)


def _solve(
    state: WorkerState, request: requested.SolveRequest, folder: Path, progress: Progress
) -> Json:
    session = state.session
    scenario = among(_question(state, request, folder), request.among, session.catalog)
    since = None
    if request.since is not None:
        since = _plan_in(state, request, request.since, "since", folder)
    options = SolveOptions(
        verify=request.verify,
        time_limit_s=request.time_limit_s,
        seed=request.seed,
        rivals=request.rivals,
        explain=request.detail != "quick",
    )
    plan = _solver(state, folder, options, progress)(scenario)
    progress("describing the plan")
    if request.detail == "quick":
        curves = latency_curves(plan, session.catalog, session.factors)
        return plan_answer(Findings(plan, curves=curves), since)
    variants = None
    if request.detail == "report":
        brief = replace(options, verify="none", rivals=0, explain=False, ranges=False)
        variants = _solver(state, folder, brief, progress)
    return plan_answer(gather(plan, session.catalog, session.factors, variants), since)


def _compare(
    state: WorkerState, request: requested.CompareRequest, folder: Path, progress: Progress
) -> Json:
    with _in_field("vary"):
        axes = axes_of(f"{axis}={','.join(values)}" for axis, values in request.vary.items())
    scenario = _question(state, request, folder)
    options = SolveOptions(verify=request.verify, rivals=0)
    found = compare(
        scenario,
        axes,
        _solver(state, folder, options, progress),
        lambda done, total, label: progress(f"{done + 1}/{total} {label}"),
        check=state.session.check,
    )
    return {
        "verdict": verdict(found),
        "winner": dict(found.winner.choice) if found.winner else None,
        "document": document_json(comparison_document(found)),
    }


def _sweep(
    state: WorkerState, request: requested.SweepRequest, folder: Path, progress: Progress
) -> Json:
    steps = min(request.steps, state.limits.points)
    with _in_field("axis"):
        axis = axis_named(request.axis, request.price_of)
    with _in_field("low"):
        values = read_values(axis, f"{request.low}..{request.high}", steps)
    options = SolveOptions(verify="none", rivals=0, explain=False, ranges=False)
    swept = sweep(
        _question(state, request, folder),
        axis,
        values,
        _solver(state, folder, options, lambda _message: None),
        refinements=request.refinements,
        progress=lambda done, total, label: progress(f"{done + 1}/{total} {label}"),
    )
    return sweep_answer(swept)


def _explain(
    state: WorkerState, request: requested.ExplainRequest, folder: Path, progress: Progress
) -> Json:
    scenario = _question(state, request, folder)
    solve = _solver(state, folder, SolveOptions(request.verify, rivals=0), progress)
    plan = solve(scenario)
    shipped = shipped_scenarios()
    others = (
        state.session.read(shipped[name]) for name in plan.scenario.compare_with if name in shipped
    )
    return explanation_answer(derive(plan, state.session.catalog), map(beside, map(solve, others)))


def _difference(state: WorkerState, request: requested.DifferenceRequest, folder: Path) -> Json:
    old = _plan_in(state, request, request.old, "old", folder)
    new = _plan_in(state, request, request.new, "new", folder)
    return difference_answer(diff(old, new))


def _memory(state: WorkerState, request: requested.MemoryRequest) -> Json:
    catalog = state.session.catalog
    with _in_field("model"):
        if not known_model(request.model, {}, catalog):
            raise InputError("unknown model", found=request.model)
        model = catalog.model(request.model)
    with _in_field("engine"):
        catalog.engine(request.engine)
    with _in_field("kv_cache"):
        catalog.kv_format(request.kv_cache)
    with _in_field("weights"):
        if request.weights != "native":
            catalog.weight_format(request.weights)
    layout = None
    if request.gpu is not None:
        with _in_field("gpu"):
            gpu = catalog.gpu(request.gpu)
        layout = SizingLayout(
            gpu=gpu,
            engine=request.engine,
            tensor_parallel=request.tensor_parallel,
            pipeline_parallel=request.pipeline_parallel,
        )
    try:
        result = model_memory(
            catalog,
            model,
            weights=request.weights,
            kv_cache=request.kv_cache,
            layout=layout,
            context_tokens=request.context_tokens,
            concurrency=request.concurrency,
        )
    except InputError as error:
        if error.action == OTHER_LAYOUT:  # of which a request has two
            error.action = "change tensor_parallel or pipeline_parallel"
        raise
    return {"document": document_json(model_document(result)), "memory": model_mapping(result)}


def _accuracy(state: WorkerState, request: requested.AccuracyRequest, folder: Path) -> Json:
    session = state.session
    if request.points not in request.files:
        raise InputError(
            "the points are a file uploaded with the request",
            where="points",
            found=request.points,
            allowed=", ".join(request.files) or "no file was uploaded",
        )
    table = read_points(folder / request.points)
    for point in table.points:
        if not known_model(point.model, {}, session.catalog):
            raise InputError("unknown model", where=request.points, found=point.model)
    result = validate(table, session.catalog, session.factors, request.level)
    return {"document": document_json(validation_document(result))}


def _export(state: WorkerState, request: requested.ExportRequest, folder: Path) -> Json:
    session = state.session
    plan = _plan_in(state, request, request.plan, "plan", folder)
    if request.style == "launch":
        return {"content": launch_archive(plan, session.catalog, request.target)}
    found = gather(plan, session.catalog, session.factors)
    findings = replace(found, plan=with_plain_price_file(plan))
    return {"content": report(findings, request.style, request.table)}
