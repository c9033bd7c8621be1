"""Request classes from the scenario to launch files, through the command line."""

from __future__ import annotations

import csv
import json
import re
import shlex

import pytest

from planner.cli.main import main
from planner.plan.schema import read_plan

SCENARIO = """\
name: shared
model: meta-llama/Llama-3.1-8B-Instruct
arrivals: {process: gamma, cv: 2}
classes:
  - name: chat
    rate: 20
    priority: 1
    prompt_tokens: {mean: 600, cv: 1.0, max: 4000}
    output_tokens: {mean: 200, cv: 0.8, max: 1200}
    slo: {ttft_p99: 1s, tpot_p99: 100ms}
  - name: digest
    rate: 6
    prompt_tokens: {mean: 6000, cv: 0.5, max: 20000}
    output_tokens: {mean: 500, cv: 0.5, max: 2000}
    slo: {e2e_p95: 5m}
search:
  gpus: [h100-sxm-80gb]
  engines: [ENGINE]
  tensor_parallel: [1]
  weights: [native]
  kv_cache: [bf16]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scenario and its plan for each engine, in a folder of their own."""
    path = tmp_path_factory.mktemp("classes")
    for engine in ("vllm", "sglang"):
        (path / f"{engine}.yaml").write_text(SCENARIO.replace("ENGINE", engine), encoding="utf-8")
        plan = str(path / f"{engine}.json")
        assert main(["solve", str(path / f"{engine}.yaml"), "--format", "json", "-o", plan]) == 0
    return path


@pytest.fixture
def run(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)

    def call(*words, expected=0):
        assert main(list(words)) == expected
        out, err = capsys.readouterr()
        return out + err

    return call


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_every_target_of_every_class_holds_and_verifies(folder, run, engine):
    plan = read_plan(folder / f"{engine}.json")
    assert plan.status == "optimal"
    assert any(r.holds for r in plan.verification.rounds)
    (service,) = plan.services
    assert set(service.targets) == {"chat/ttft_p99", "chat/tpot_p99", "digest/e2e_p95"}
    for group in service.replica_groups:
        assert group.settings["priority_scheduling"] is True
        for key, seconds in service.targets.items():
            found = group.predicted.seconds(key)
            assert found is not None, key
            assert found <= seconds, key
    assert len(plan.acceptance) == 1
    text = run("verify", f"{engine}.json")
    assert "fails" not in text.replace("failures", "")


def test_a_promise_to_one_class_that_does_not_hold_is_found(folder, run, tmp_path):
    data = json.loads((folder / "vllm.json").read_text(encoding="utf-8"))
    (group,) = data["services"][0]["replica_groups"]
    group["predicted"]["others_s"]["chat/ttft_p99_s"] = 2.5
    path = tmp_path / "tampered.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "chat/ttft_p99" in run("verify", str(path), expected=2)


def test_priorities_take_no_more_and_here_fewer(run):
    text = run("compare", "vllm.yaml", "--vary", "queue=priority,first-come", "--format", "json")
    options = json.loads(text[text.index("{") :])["options"]
    cost = {o["queue"]: o["usd_per_hour"] for o in options}
    assert cost["priority"] < cost["first-come"]


def test_a_queue_is_varied_only_where_there_are_priorities(run):
    text = run("compare", "llama70b_qps50", "--vary", "queue=priority,first-come", expected=2)
    assert "no service has request classes with priorities" in text.replace("\n", " ")
    assert "unknown value" in run("compare", "vllm.yaml", "--vary", "queue=random", expected=2)


def test_the_report_has_each_class(run, folder):
    for end in ("html", "md", "xlsx"):
        run("report", "vllm.json", "-o", f"report.{end}")
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Requests that share the replicas" in text
    assert re.search(r"\| chat \| first \| 0 \| 20 req/s \|", text)
    assert re.search(r"\| digest \| second \| 1 \| 6 req/s \|", text)
    assert "| chat: TTFT p99 | 1 s |" in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Requests that share the replicas" in page
    assert "digest: E2E p95" in page
    assert (folder / "report.xlsx").stat().st_size > 10_000


def test_explain_sets_the_waits_beside_each_other(run):
    text = run("explain", "vllm.yaml", "--format", "md")
    assert re.search(r"\| Wait by class \|.*chat waits 0\.\d+ times as long", text)


def test_simulate_knows_the_class_of_every_request(run, folder):
    text = run("simulate", "vllm.yaml", "--plan", "vllm.json", "--requests", "requests.csv")
    assert "Every target holds" in text
    assert "chat: time to first" in text
    with (folder / "requests.csv").open(encoding="utf-8") as file:
        classes = [row["request_class"] for row in csv.DictReader(file)]
    assert classes.count("chat") / len(classes) == pytest.approx(20 / 26, abs=0.03)


def trace_of(folder, rows, name="recorded.csv"):
    path = folder / name
    lines = ["arrival_s,prompt_tokens,output_tokens,request_class", *rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_trace_that_says_no_class_or_another_is_refused(run, tmp_path):
    words = ("simulate", "vllm.yaml", "--plan", "vllm.json", "--trace")
    assert "does not say which class" in run(*words, "azure_code_2023", expected=2)
    wrong = trace_of(tmp_path, ["0,100,10,chat", "1,100,10,digset"])
    said = run(*words, wrong, expected=2)
    assert "recorded.csv, request 2" in said
    assert "did you mean 'digest'?" in said
    empty = trace_of(tmp_path, ["0,100,10,chat", "1,100,10,"], "empty.csv")
    assert "a request is of no class" in run(*words, empty, expected=2)
    alone = trace_of(tmp_path, ["0,100,10,chat", "1,100,10,chat"], "alone.csv")
    assert "no request of class 'digest'" in run(*words, alone, expected=2)


def test_a_trace_with_a_column_of_classes_is_simulated_by_priority(run, tmp_path):
    rows = [
        f"{k / 40:.4f},{600 if k % 4 else 6000},{200 if k % 4 else 400},{'chat' if k % 4 else 'digest'}"
        for k in range(2000)
    ]
    words = ("simulate", "vllm.yaml", "--plan", "vllm.json", "--trace", trace_of(tmp_path, rows))
    requests = tmp_path / "requests.csv"
    run(*words, "--requests", str(requests))
    with open(requests, encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    named = [row["request_class"] for row in found]
    assert named.count("chat") == 3 * named.count("digest") == 1500


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_load_test_has_a_client_for_each_class_at_once(run, folder, engine):
    text = run("accept", "--plan", f"{engine}.json")
    assert text.count("\nwait\n") == 3
    clients = [line for line in text.splitlines() if line.startswith("vllm bench serve")]
    assert len(clients) == 6
    assert all(line.endswith(" &") for line in clients)
    chat, digest = (shlex.split(line) for line in clients[-2:])

    def value(client, option):
        return client[client.index(option) + 1]

    assert value(chat, "--extra-body") == '{"priority": 0}'
    assert value(digest, "--extra-body") == '{"priority": 1}'
    assert value(chat, "--metadata") == "request_class=chat"
    tokens = [int(value(c, "--random-input-len")) for c in (chat, digest)]
    assert tokens == pytest.approx([600, 6000], rel=0.02)
    seeds = {value(shlex.split(line), "--seed") for line in clients}
    assert len(seeds) == len(clients)
    rates = [float(value(c, "--request-rate")) for c in (chat, digest)]
    assert rates[0] / rates[1] == pytest.approx(20 / 6, rel=2e-3)
    lasts = [int(value(c, "--num-prompts")) / r for c, r in zip((chat, digest), rates, strict=True)]
    assert lasts[0] == pytest.approx(lasts[1], rel=0.01)
    # bursts of CV 2, of which a replica and a class each have a random part: CV^2 - 1 shrinks by their share
    more = [1 / float(value(c, "--burstiness")) - 1 for c in (chat, digest)]
    assert more[0] / more[1] == pytest.approx(20 / 6, rel=5e-3)
    assert 0 < more[0] < 20 / 26 * 3
    assert "ttft_p99 at most 1 s" in text
    assert "e2e_p95 at most 300 s" in text.replace("5 min", "300 s")


def results_of(folder, engine, slower):
    """Files of every client at the whole planned rate, their mean TPOT ``slower`` times the limit."""
    (test,) = json.loads((folder / f"{engine}.json").read_text(encoding="utf-8"))["acceptance"]
    for rung in test["rungs"][-2:]:
        tpot_ms = 1e3 * slower * rung["limits_s"]["tpot_mean"]
        file = folder / f"{engine}-{slower}-{rung['request_class']}.json"
        file.write_text(
            json.dumps(
                {
                    "model_id": test["model"],
                    "request_class": rung["request_class"],
                    "completed": 1000,
                    "total_input_tokens": 1000 * rung["prompt_tokens"],
                    "total_output_tokens": 1000 * rung["output_tokens"],
                    "request_rate": rung["rate_qps"],
                    "max_concurrency": rung["concurrency"],
                    "mean_ttft_ms": 90.0,
                    "mean_tpot_ms": tpot_ms,
                    "p99_ttft_ms": 400.0,
                    "p99_tpot_ms": 60.0,
                    "p95_e2el_ms": 60_000.0,
                }
            ),
            encoding="utf-8",
        )
        yield str(file)


def test_each_class_is_judged_and_the_mix_solved_again(run, folder):
    good, slow = (list(results_of(folder, "vllm", s)) for s in (0.9, 1.3))
    text = run("accept", *good, "--plan", "vllm.json")
    assert text.startswith("Passed.")
    assert "chat/ttft_p99" in text
    assert "digest/e2e_p95" in text
    assert "Solved again with what was measured" in text
    verdict = json.loads(
        run("accept", *slow, "--plan", "vllm.json", "--no-solve", "--format", "json", expected=3)
    )
    failed = [limit["statistic"] for limit in verdict["limits"] if not limit["passes"]]
    assert failed == ["chat/tpot_mean", "digest/tpot_mean"]
    said = run("accept", good[0], "--plan", "vllm.json", "--no-solve", expected=2)
    assert "the run at the planned rate is missing" in said
    assert "digest at " in said


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("vllm", ["--scheduling-policy priority"]),
        ("sglang", ["--enable-priority-scheduling", "--schedule-low-priority-values-first"]),
    ],
)
def test_launch_files_order_the_queue(run, folder, engine, options):
    text = run("deploy", f"{engine}.json", "--target", engine, "-o", f"launch-{engine}")
    assert "chat 0, digest 1" in text.replace("\n", " ")
    (script,) = (folder / f"launch-{engine}").glob("*.sh")
    for option in options:
        assert option in script.read_text(encoding="utf-8")
    assert "chat 0, digest 1" in (folder / f"launch-{engine}" / "README.md").read_text("utf-8")


def test_without_priorities_no_option_is_written(run, folder):
    alike = SCENARIO.replace("ENGINE", "vllm").replace("    priority: 1\n", "")
    (folder / "alike.yaml").write_text(alike, encoding="utf-8")
    run("solve", "alike.yaml", "--format", "json", "-o", "alike.json")
    run("deploy", "alike.json", "--target", "vllm", "-o", "launch-alike")
    (script,) = (folder / "launch-alike").glob("*.sh")
    assert "--scheduling-policy" not in script.read_text(encoding="utf-8")


def test_tensorrt_llm_serves_classes_alike_and_refuses_an_order(run, folder):
    ordered = SCENARIO.replace("ENGINE", "tensorrt-llm")
    (folder / "trt.yaml").write_text(ordered, encoding="utf-8")
    assert "give the classes equal priorities" in " ".join(
        run("solve", "trt.yaml", expected=3).split()
    )
    alike = ordered.replace("    priority: 1\n", "")
    (folder / "trt-alike.yaml").write_text(alike, encoding="utf-8")
    run("solve", "trt-alike.yaml", "--brief")


@pytest.mark.parametrize(
    "change",
    [
        "failures.replicas=1",
        "assurance=none",
        "load.hourly=[1,1,1,1,1,1,2,3,4,5,5,5,5,5,5,5,4,3,2,2,1,1,1,1]",
        "search.speculative=[none,ngram]",
        "lora={adapters: 8}",
        "slo.chat/ttft_p99=3s",
        "routing.policy=round-robin",
    ],
)
def test_what_goes_with_classes(run, change):
    run("solve", "vllm.yaml", "--set", change, "--brief")


def test_a_class_without_targets_is_kept_up_with(run, folder):
    """The class served first never sees the queue of the other grow."""
    free = SCENARIO.replace("ENGINE", "vllm").replace("    slo: {e2e_p95: 5m}\n", "")
    (folder / "free.yaml").write_text(free, encoding="utf-8")
    run("solve", "free.yaml", "--format", "json", "-o", "free.json")
    (group,) = read_plan(folder / "free.json").services[0].replica_groups
    assert group.utilisation < 1
    text = run("simulate", "free.yaml", "--plan", "free.json", "--rate-scale", "1.6", expected=3)
    assert "would grow without end" in text.replace("\n", " ")


def test_an_impossible_target_of_one_class_is_named(run):
    text = " ".join(run("solve", "vllm.yaml", "--set", "slo.chat/ttft_p99=2ms", expected=3).split())
    assert "chat/ttft_p99: 2 ms" in text


def test_lengths_of_classes_are_not_swept(run):
    words = ("sweep", "vllm.yaml", "--prompt-tokens", "500..1000", "--steps", "2")
    assert "cannot be swept together" in " ".join(run(*words, expected=2).split())


def test_an_autoscaler_is_replayed(run):
    assert "within the targets" in " ".join(run("autoscale", "vllm.json").split())
