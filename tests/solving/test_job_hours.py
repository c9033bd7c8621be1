"""In which hours the work of a batch job lies, and what comes of it in a plan."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import yaml

from planner.api import solve
from planner.cli.main import main
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Resilience
from planner.fleet.program.program import solve as solve_program
from planner.scenario.job import Job
from planner.scenario.schema import Scenario
from planner.solving.job_hours import (
    AS_FOUND,
    LARGEST_FIRST,
    LARGEST_LAST,
    earliest,
    first_of_the_cheapest,
    in_order,
    level,
    windows_of,
)

CHAT = {
    "name": "chat",
    "rate": 20,
    "prompt_tokens": 1000,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
    "load": {"hourly": [1] * 8 + [6] * 12 + [1] * 4},
}
NIGHT = {
    "name": "night",
    "prompt_tokens": 2000,
    "output_tokens": 200,
    "job": {"requests": "200k", "start": 20, "within": "12h"},
}
BASE = {
    "name": "both",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "services": [CHAT, NIGHT],
    "search": {
        "gpus": ["h100-sxm-80gb"],
        "tensor_parallel": [1],
        "weights": ["bf16"],
        "kv_cache": ["bf16"],
    },
    "prices": {"providers": ["aws", "gcp"]},
}
OWN = {"existing": [{"gpu": "h100-sxm-80gb", "nodes": 1, "gpus_per_node": 4, "usd_per_hour": 3}]}


def solved(**changes):
    return solve(Scenario.model_validate({**BASE, **changes}), verify="none")


def test_windows_follow_the_clock_over_midnight():
    job = Job(requests=10, start=22, within="4h")
    assert windows_of(job, 48) == ((22, 23, 0, 1), (46, 47, 24, 25))


def test_work_is_done_as_early_as_the_replicas_can():
    even = (2.0, 2.0, 0.0, 2.0)
    assert earliest(even, [(3, 0, 1)], (5.0, 0.0, 9.0, 4.0)) == (2.0, 0.0, 0.0, 4.0)


def test_work_that_no_replica_holds_is_spread_evenly():
    assert earliest((2.0, 2.0), [(0, 1)], (1.0, 1.0)) == (2.0, 2.0)


def test_movable_work_costs_what_the_best_of_all_schedules_does():
    """Brute force: every way to place whole replicas over four hours, at the prices of each hour."""
    prices, rate, held = (5.0, 2.0, 3.0, 1.0), 6.0, 4.0
    offers = tuple(
        NodeOffer(f"o{t}", "g", 1, price, periods=(t,), max_nodes=3)
        for t, price in enumerate(prices)
    )
    kind = ReplicaKind("k", "g", 1, {"s": held})
    window = ((0, 1, 2, 3),)
    demand = Demand("s", "s", (rate,) * 4, max_kinds=1, windows=window)
    problem = Problem((demand,), (kind,), offers, period_hours=(1.0,) * 4)
    found = solve_program(problem)
    best = min(
        sum(n * p for n, p in zip(counts, prices, strict=True)) / 4
        for counts in itertools.product(range(4), repeat=4)
        if sum(counts) * held >= 4 * rate
    )
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(best)


def test_work_that_can_wait_needs_no_spare_replica():
    offer = NodeOffer("o", "g", 1, 1.0)
    kind = ReplicaKind("k", "g", 1, {"s": 4.0})
    for deferrable, replicas in ((False, 3), (True, 2)):
        demand = Demand("s", "s", (8.0,), max_kinds=1, deferrable=deferrable)
        problem = Problem((demand,), (kind,), (offer,), resilience=Resilience(replicas=1))
        assert solve_program(problem).replicas == {("k", 0): replicas}


def test_a_job_fills_what_the_day_leaves_idle_and_costs_nothing_more():
    """Four GPUs that are owned carry chat alone at the same cost as chat and the job together."""
    alone = solved(services=[CHAT], **OWN)
    both = solved(**OWN)
    assert both.totals.usd_per_hour == pytest.approx(alone.totals.usd_per_hour)
    (job,) = [s.job for s in both.services if s.job is not None]
    assert job.done_hours <= 12
    for hour, period in enumerate(both.periods):
        assert sum(period.replicas.values()) <= 4
        if 8 <= hour < 20:
            assert period.busiest_qps["night"] == 0


def test_all_the_work_is_done_and_the_plan_says_when_and_for_how_much():
    plan = solved(services=[NIGHT])
    (service,) = plan.services
    job = service.job
    each = service.replica_groups[0].capacity_qps
    done = sum(p.busiest_qps["night"] for p in plan.periods) * 3600
    assert done == pytest.approx(200_000, rel=1e-6)
    replica_hours = sum(n for p in plan.periods for n in p.replicas.values())
    assert job.gpu_hours == replica_hours == math.ceil(200_000 / each / 3600 - 1e-9)
    assert job.usd == pytest.approx(24 * plan.totals.usd_per_hour)
    assert job.usd_per_million_tokens == pytest.approx(job.usd / (200_000 * 2200 / 1e6))
    assert job.usd_per_million_output_tokens == pytest.approx(11 * job.usd_per_million_tokens)
    assert service.targets == {}


def test_a_job_beside_a_service_changes_nothing_of_what_the_service_needs():
    alone, both = solved(services=[CHAT]), solved()
    for before, after in zip(alone.periods, both.periods, strict=True):
        chat = {k: n for k, n in after.replicas.items() if k.startswith("chat")}
        assert chat == before.replicas


def test_a_job_from_the_command_line_to_launch_files(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(json.dumps({**BASE, **OWN}))
    plan = tmp_path / "plan.json"
    solving = ["solve", str(tmp_path / "s.yaml"), "--verify", "none"]
    assert main([*solving, "--format", "json", "-o", str(plan)]) == 0
    assert main(solving) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Batch job: 200,000 requests a day from 20:00, due 08:00 (next day); done by" in out
    assert "GPU-hours" in out
    assert main(["verify", str(plan), "--failed-only"]) == 0
    assert (
        main(["report", str(plan), "--quick", "--format", "md", "-o", str(tmp_path / "r.md")]) == 0
    )
    assert "## Batch jobs" in (tmp_path / "r.md").read_text()
    late = json.loads(plan.read_text())
    late["services"][1]["job"]["done_hours"] = 13
    plan.write_text(json.dumps(late))
    assert main(["verify", str(plan), "--failed-only"]) != 0
    assert "done by the deadline" in capsys.readouterr().out


def test_a_jobs_servers_run_by_the_clock_and_go_with_its_work(tmp_path):
    (tmp_path / "s.yaml").write_text(json.dumps({**BASE, **OWN}))
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    solving = ["solve", str(tmp_path / "s.yaml"), "--verify", "none", "--format", "json"]
    assert main([*solving, "-o", str(plan)]) == 0
    assert main(["deploy", str(plan), "--target", "kubernetes", "-o", str(out)]) == 0
    objects = list(yaml.safe_load_all((out / "night.group.yaml").read_text()))
    (scaled,) = [o["spec"] for o in objects if o["kind"] == "ScaledObject"]
    (server,) = [o["spec"] for o in objects if o["kind"] == "Deployment"]
    assert scaled["minReplicaCount"] == server["replicas"] == 0
    assert {t["type"] for t in scaled["triggers"]} == {"cron"}
    periods = json.loads(plan.read_text())["periods"]
    most = max(n for p in periods for k, n in p["replicas"].items() if k.startswith("night"))
    assert scaled["maxReplicaCount"] == most
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(tmp_path / "scripts")]) == 0


def test_a_job_that_cannot_be_done_says_how_much_could_and_by_when():
    """Four GPUs do what four hours allow: a sixth of the work in time, or all of it in more hours."""
    service = {k: v for k, v in NIGHT.items() if k != "job"}
    job = {"requests": "1M", "start": 20, "within": "4h"}
    stock, seller = {"stock": {"h100-sxm-80gb": 4}}, {"providers": ["aws"]}
    plan = solved(services=[{**service, "job": job}], limits=stock, prices=seller)
    assert plan.status == "infeasible"
    ways = {r.requirement: r for r in plan.infeasibility.relaxations}
    requests, within = ways["job.requests"], ways["job.within"]
    assert requests.current == "1,000,000 a day"
    fewer = float(requests.relaxed.split()[0].replace(",", ""))
    hours = int(within.relaxed.split()[0])
    assert (hours - 1) * fewer / 4 < 1e6 <= hours * fewer / 4 * 1.02


def test_a_job_of_low_priority_gets_what_the_stock_leaves():
    low = {**NIGHT, "priority": 0, "job": {"requests": "2M", "start": 20, "within": "8h"}}
    plan = solved(
        services=[{**CHAT, "priority": 1}, low],
        limits={"stock": {"h100-sxm-80gb": 4}},
        serve="by-priority",
    )
    chat, night = plan.services
    assert chat.served_qps == pytest.approx(chat.rate_qps)
    assert 0 < night.served_qps < night.rate_qps
    assert night.job.requests == pytest.approx(night.served_qps * 86_400)
    for period in plan.periods:
        assert sum(period.replicas.values()) <= 4


def test_hours_that_cost_the_same_lie_next_to_each_other():
    """Six GPUs in every other hour of the window, of which a service takes one."""
    windows = ((0, 1, 2, 3), (4, 5, 6, 7))
    gpus, others = (2, 6, 2, 6, 6, 2, 2, 2), (1, 1, 1, 1, 1, 1, 1, 1)
    first = in_order(windows, gpus, others, 10.0, LARGEST_FIRST)
    assert first == (50, 50, 10, 10, 50, 10, 10, 10)
    last = in_order(windows, gpus, others, 10.0, LARGEST_LAST)
    assert last == (10, 10, 50, 50, 10, 10, 10, 50)
    assert in_order(windows, gpus, others, 10.0, AS_FOUND) == (10, 50, 10, 50, 50, 10, 10, 10)


def test_what_is_rented_for_a_night_is_started_once():
    """The nodes beside those that stand anyway are up in hours that follow each other."""
    plan = solve("nightly_batch", verify="none")
    nodes = [sum(p.nodes.values()) for p in plan.periods]
    starts = sum(b > a for a, b in zip(nodes, nodes[1:] + nodes[:1], strict=True))
    assert starts == 1


def test_kserve_says_that_it_keeps_a_replica(tmp_path, capsys):
    plan = solved(services=[CHAT, NIGHT], **OWN)
    path = tmp_path / "plan.json"
    path.write_text(plan.model_dump_json())
    words = ["deploy", str(path), "--target", "kserve", "-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert "keeps at least one replica" in capsys.readouterr().err
    assert main([*words, "--autoscaler", "none"]) == 0


def test_level_work_takes_few_nodes_for_long_where_many_for_an_hour_cost_the_same():
    window = windows_of(Job(requests=1, within="6h"), 24)
    work = [24.0] * 6 + [0.0] * 18  # 144 GPU-hours at one request/s each
    idle = [0.0] * 24
    held = level(work, window, idle, 1.0, 8)
    assert held[:6] == (24.0,) * 6
    # two nodes for four hours and one for a fifth take as much as three for three
    assert level(work, window, idle, 1.0, 16)[:6] == (32.0,) * 6


def test_level_work_fills_what_other_services_leave():
    window = windows_of(Job(requests=1, within="4h"), 24)
    others = [8.0, 4.0, 4.0, 8.0] + [0.0] * 20
    held = level([2.0] * 4 + [0.0] * 20, window, others, 1.0, 8)
    assert held[:4] == (0.0, 4.0, 4.0, 0.0)


def test_jobs_are_levelled_before_nodes_are_rented_for_an_hour():
    jobs = [
        {
            "name": "embed",
            "task": "embed",
            "model": "Qwen/Qwen3-8B",
            "prompt_tokens": 512,
            "job": {"requests": "40M", "start": 22, "within": "8h"},
        },
        {
            "name": "evals",
            "model": "Qwen/Qwen3-32B",
            "prompt_tokens": 2000,
            "output_tokens": {"mean": 1500, "cv": 0.5, "max": 8000},
            "job": {"requests": "200k", "start": 0, "within": "6h"},
        },
    ]
    search = {"gpus": ["h100-sxm-80gb"], "tensor_parallel": [1, 2], "weights": ["bf16"]}
    prices = {"terms": ["spot"], "providers": ["together"]}
    plan = solved(services=jobs, search=search, prices=prices, spot={"pools_lost": 0})
    assert plan.totals.nodes <= 6  # 18 for an hour at the same price per hour


def test_a_job_that_stock_is_too_short_for_uses_all_of_its_window():
    night = {**NIGHT, "priority": 0, "job": {"requests": "3M", "start": 20, "within": "10h"}}
    chat = {**CHAT, "priority": 2}
    plan = solved(
        services=[chat, night],
        serve="by-priority",
        limits={"stock": {"h100-sxm-80gb": 3}},
        prices={"providers": ["massedcompute"]},
    )
    (job,) = [s.job for s in plan.services if s.job is not None]
    assert job.requests < 3e6
    assert job.done_hours > job.due_hours - 0.1


def test_the_first_of_the_cheapest_hours_is_kept_whatever_the_others_cost():
    """Dearer hours are only seen to be dearer: the choice is that of every optimum written out."""
    offer, kind = NodeOffer("o", "g", 1, 1.0), ReplicaKind("k", "g", 1, {"s": 1.0})

    def problem(rates):
        demand = Demand("s", "s", rates, max_kinds=1)
        return Problem((demand,), (kind,), (offer,), period_hours=(1.0,) * len(rates))

    for many in (
        [(3.0, 3.0), (4.0, 1.0), (1.0, 4.0), (5.0, 0.0)],
        [(2.0, 2.0), (4.0, 1.0), (1.0, 3.0)],
        [(9.0, 2.0), (4.0, 3.0), (3.0, 4.0), (8.0, 0.0)],
    ):
        usd = [math.fsum(rates) / 2 for rates in many]
        expected = next(i for i, cost in enumerate(usd) if cost <= min(usd) * 1.001)
        assert first_of_the_cheapest([problem(rates) for rates in many], None) == expected
