"""Simulations are made once for equal questions, in a session and between runs, and never for others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from planner import cache_folder
from planner.catalog.store import Catalog, load_catalog
from planner.fleet.candidates.known import Known
from planner.kept_rows import KeptRows, RowStore
from planner.performance.adapters import with_adapters
from planner.performance.factors import load_calibration
from planner.performance.slowed import SlowedSteps
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario, Service
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import SimulatedService, check_service
from planner.session import Session
from planner.sizing.memory import memory_layout
from planner.solving.kept_simulations import KeptSimulations, plain, restored
from planner.solving.options import SolveOptions
from planner.workload.lengths import lengths_of

QUESTION = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 8,
    "prompt_tokens": 300,
    "output_tokens": 40,
    "slo": {"ttft_p99": 2, "tpot_p99": 0.08},
    "search": {
        "gpus": ["l40s"],
        "tensor_parallel": [1],
        "weights": ["bf16"],
        "kv_cache": ["bf16"],
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Service]:
    """The services that the simulator was asked about, in order."""
    requested: list[Service] = []

    def counted(service: Service, *rest: object, **more: object) -> SimulatedService:
        requested.append(service)
        return check_service(service, *rest, **more)

    monkeypatch.setattr("planner.solving.kept_simulations.check_service", counted)
    return requested


@pytest.fixture(scope="module")
def fleet(catalog: Catalog) -> tuple[Service, Placed]:
    calibration = load_calibration(catalog, None)
    scenario = Scenario.model_validate(QUESTION)
    plan = Session.open(catalog, options=SolveOptions(verify="none", rivals=0)).solve(scenario)
    (group,) = plan.services[0].replica_groups
    from planner.plan.rebuild import deployment_of

    deployment = deployment_of(scenario.services[0], group, catalog)
    placed = Placed(
        deployment, memory_layout(deployment), with_adapters(deployment, calibration), 2, 8.0
    )
    return scenario.services[0], placed


def solved(catalog: Catalog, **changes: object) -> Plan:
    scenario = Scenario.model_validate({**QUESTION, **changes})
    return Session.open(catalog, options=SolveOptions(rivals=0)).solve(scenario)


def said(plan: Plan) -> dict[str, object]:
    """The plan without when it was made and how long that took."""
    written = json.loads(plan.model_dump_json())
    written["provenance"].pop("run")
    return dict(written)


def test_rows_hold_every_number_of_a_simulation(fleet: tuple[Service, Placed]) -> None:
    service, placed = fleet
    check = check_service(service, [placed])
    kept = restored(json.loads(json.dumps(plain(check))))
    assert kept is not None
    for name in [
        "holds",
        "outcomes",
        "percentiles",
        "rate_qps",
        "window",
        "overloaded",
        "hit_share",
    ]:
        assert getattr(kept, name) == getattr(check, name), name


def test_a_session_simulates_equal_questions_once(
    fleet: tuple[Service, Placed], simulated: list[Service]
) -> None:
    service, placed = fleet
    check = KeptSimulations(Known())
    first, again = (check(service, [placed]) for _ in range(2))
    assert len(simulated) == 1
    assert (first.outcomes, first.percentiles) == (again.outcomes, again.percentiles)


Changed = Callable[[Service, Placed], tuple[Service, Placed, dict[str, object]]]


@pytest.mark.parametrize(
    "change",
    [
        lambda s, p: (s, replace(p, replicas=3), {}),
        lambda s, p: (s, replace(p, rate_qps=8.5), {}),
        lambda s, p: (s, p.with_steps(lambda steps: SlowedSteps(steps, 1.1)), {}),
        lambda s, p: (s, p, {"seed": 1}),
        lambda s, p: (s, p, {"rate_scale": 1.1}),
        lambda s, p: (s, p, {"percentiles": ()}),
        lambda s, p: (
            s.model_copy(update={"slo": s.slo.model_copy(update={"goodput": 0.9})}),
            p,
            {},
        ),
        lambda s, p: (
            s.model_copy(update={"routing": s.routing.model_copy(update={"policy": "random"})}),
            p,
            {},
        ),
        lambda s, p: (
            s.model_copy(
                update={"arrivals": s.arrivals.model_copy(update={"process": "gamma", "cv": 2.0})}
            ),
            p,
            {},
        ),
        lambda s, p: (s, p, {"lengths": replace(lengths_of(s), prompt=lengths_of(s).prompt + 1)}),
        lambda s, p: (
            s,
            replace(p, memory=replace(p.memory, kv_pool_bytes=p.memory.kv_pool_bytes / 2)),
            {},
        ),
        lambda s, p: (
            s,
            replace(
                p,
                deployment=replace(
                    p.deployment,
                    gpu=replace(p.deployment.gpu, memory_bandwidth_gb_s=400.0),
                ),
            ),
            {},
        ),
    ],
)
def test_whatever_decides_a_simulation_names_its_row(
    fleet: tuple[Service, Placed], simulated: list[Service], change: Changed
) -> None:
    service, placed = fleet
    check = KeptSimulations(Known())
    check(service, [placed])
    other, others, how = change(service, placed)
    check(other, [others], **how)
    assert len(simulated) == 2


def test_what_the_simulator_does_not_see_changes_nothing(
    fleet: tuple[Service, Placed], simulated: list[Service]
) -> None:
    service, placed = fleet
    check = KeptSimulations(Known())
    check(service, [placed])
    check(service.model_copy(update={"priority": 3, "assurance": None}), [placed])
    assert len(simulated) == 1


def test_step_times_of_ones_own_are_simulated_each_time(
    fleet: tuple[Service, Placed], simulated: list[Service]
) -> None:
    service, placed = fleet

    own = replace(placed, steps=_Own(placed.steps))
    check = KeptSimulations(Known())
    check(service, [own])
    check(service, [own])
    assert len(simulated) == 2


class _Own:
    """A step model that no deployment of the session has."""

    def __init__(self, steps: object) -> None:
        self._steps = steps

    def __getattr__(self, name: str) -> object:
        return getattr(self._steps, name)


@pytest.mark.usefixtures("folder")
def test_another_run_simulates_nothing_and_says_the_same(
    catalog: Catalog, simulated: list[Service]
) -> None:
    first = solved(catalog)
    made = len(simulated)
    assert made
    again = solved(catalog)
    assert len(simulated) == made
    assert said(again) == said(first)
    cheaper = solved(catalog, prices={"providers": ["runpod"]})
    assert {r.deployment for r in cheaper.verification.rounds} <= {
        r.deployment for r in first.verification.rounds
    }
    assert len(simulated) == made  # another price, the same fleet


@pytest.mark.usefixtures("folder")
def test_a_changed_catalog_file_is_another_question(
    tmp_path: Path, catalog: Catalog, simulated: list[Service]
) -> None:
    import shutil

    solved(catalog)
    made = len(simulated)
    copy = tmp_path / "catalogs"
    shutil.copytree(catalog.root, copy)
    factors = copy / "gpus.csv"
    factors.write_text(factors.read_text() + "\n")
    solved(load_catalog(copy))
    assert len(simulated) == 2 * made


def test_no_cache_keeps_nothing(
    folder: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANNER_CACHE", "off")
    solved(catalog)
    assert not folder.exists()


@pytest.mark.parametrize("rewritten", ["damaged", "other shape", "wrong types"])
def test_a_poisoned_file_is_not_believed(
    folder: Path, catalog: Catalog, simulated: list[Service], rewritten: str
) -> None:
    first = solved(catalog)
    made = len(simulated)
    (file,) = folder.glob("played-*")
    if rewritten == "damaged":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        rows = json.loads(zlib.decompress(file.read_bytes()[32:]))
        wrong = [[True], [], [], {}] if rewritten == "other shape" else [["yes"], 1, "x", None]
        text = json.dumps(dict.fromkeys(rows, wrong)).encode()
        file.write_bytes(sha256(text).digest() + zlib.compress(text))
    assert said(solved(catalog)) == said(first)
    assert len(simulated) == 2 * made


def test_writers_side_by_side_lose_no_document(folder: Path) -> None:
    def write(first: int) -> None:
        for name in range(first, first + 20):
            store = RowStore("played", "n", lasts=True)
            store.of("q").keep(str(name), [name])
            store.save()

    threads = [threading.Thread(target=write, args=(100 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = RowStore("played", "n", lasts=True).of("q")
    found = [n for k in range(4) for n in range(100 * k, 100 * k + 20) if rows.find(str(n))]
    assert found
    assert all(rows.find(str(n)) == [n] for n in found)
    assert len(list(folder.glob("*"))) == 1  # whole documents alone


def test_processes_side_by_side_agree(folder: Path) -> None:
    file = folder.parent / "question.json"
    file.write_text(json.dumps(QUESTION))
    run = (
        "import sys; from planner.session import Session; "
        "from planner.solving.options import SolveOptions; "
        "plan = Session.open(options=SolveOptions(rivals=0)).solve(sys.argv[1]); "
        "print(plan.totals.usd_per_hour, plan.services[0].replica_groups[0].predicted.ttft_p99_s)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", run, str(file)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1
    assert len(list(folder.glob("played-*"))) == 1


def test_a_document_holds_the_latest_rows_alone(folder: Path) -> None:
    rows = KeptRows("played", cache_folder.key_of("q"), lasts=True, most=3)
    for name in "abcde":
        rows.keep(name, [name])
    rows.save()
    again = KeptRows("played", cache_folder.key_of("q"), lasts=True)
    assert [n for n in "abcde" if again.find(n)] == list("cde")
    assert folder.exists()


def test_a_session_holds_the_latest_documents_alone(folder: Path) -> None:
    store = RowStore("played", "n", lasts=True, most_documents=2)
    for question in "abc":
        store.of(question).keep("row", [question])
    assert len(list(folder.glob("played-*"))) == 1  # the first was written as it went
    assert store.of("a").find("row") == ["a"]


def test_what_was_simulated_is_there_when_stopped_work_is_taken_up(
    folder: Path, simulated: list[Service]
) -> None:
    class Stopped(Exception):
        pass

    def stop(message: str) -> None:
        if simulated:
            raise Stopped(message)

    question = Scenario.model_validate({"services": [{"name": "chat", **QUESTION}]})
    options = SolveOptions(verify="simulate", rivals=0)
    with pytest.raises(Stopped):
        Session.open(options=options).solve(question, progress=stop)
    assert simulated
    assert Session.open(options=options).solve(question).status == "optimal"
    in_two_runs = len(simulated)
    simulated.clear()
    Session.open(options=replace(options, seed=1)).solve(question)  # another seed: all of them anew
    assert len(simulated) == in_two_runs
    assert folder.is_dir()


def test_a_long_simulation_is_on_disk_before_its_run_ends(
    folder: Path, fleet: tuple[Service, Placed], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, placed = fleet
    monkeypatch.setattr("planner.solving.kept_simulations.LONG_S", -1.0)
    KeptSimulations(Known(namespace="data"))(service, [placed])
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written
