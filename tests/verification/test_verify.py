import json

import pytest
from click.testing import CliRunner

from planner.api import solve
from planner.catalog.store import load_catalog
from planner.cli.verify import command
from planner.errors import AmbiguousNumber
from planner.performance.factors import load_calibration
from planner.plan.schema import Plan
from planner.verification.check import Verdict
from planner.verification.verify import failures, verify

SCENARIO = """
name: small
model: meta-llama/Llama-3.1-8B-Instruct
rate: 120
prompt_tokens: 700
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1, 2], weights: [bf16], kv_cache: [bf16]}
limits: {max_gpus: 64, max_cost_usd_per_hour: 500, stock: {h100-sxm-80gb: 64}}
"""


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "small.yaml"
    path.write_text(SCENARIO)
    return solve(path, verify="none")


def checks_of(plan, catalog):
    return verify(plan, catalog, load_calibration(catalog), catalog.offers())


def tampered(plan, change):
    document = json.loads(plan.to_json())
    change(document)
    return Plan.model_validate_json(json.dumps(document))


def test_a_solved_plan_holds_in_every_check(plan, catalog):
    checks = checks_of(plan, catalog)
    assert failures(checks) == ()
    unchecked = [c for c in checks if c.verdict is Verdict.SKIPPED]
    assert {c.family for c in unchecked} == {"not verified"}
    families = {c.family for c in checks}
    assert families >= {
        "certificate", "money", "prices", "sums", "demand", "latency", "search", "limits",
        "packing", "physics", "capacity", "cash",
    }  # fmt: skip


def test_notes_on_a_scenarios_file_are_not_read_again(tmp_path, catalog):
    """A duration without a unit is noted in the plan; recomputing it does not read the file."""
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO.replace("2s", "2"))
    with pytest.warns(AmbiguousNumber):
        noted = solve(path, verify="none")
    assert "without a unit is read as" in noted.warnings[0]
    checks = checks_of(Plan.model_validate_json(noted.to_json()), catalog)
    assert failures(checks) == ()
    assert any("notes on the scenario's file" in c.statement for c in checks)


def _group(document):
    return document["services"][0]["replica_groups"][0]


def _set(path, value):
    """A change of one field, by a path from the document's top; a function of the old value."""

    def change(document):
        target = document
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value(target[path[-1]])

    return change


GROUP = ("services", 0, "replica_groups", 0)
TAMPERINGS = {
    "a cheaper price": (("nodes", 0, "usd_per_hour_each"), lambda v: v * 0.9, "prices"),
    "a node cost that is not count times price": (
        ("nodes", 0, "usd_per_hour"), lambda v: v * 0.5, "money"),
    "fewer nodes": (("nodes", 0, "count"), lambda v: v - 1, "packing"),
    "a larger node than is sold": (("nodes", 0, "gpus_per_node"), lambda v: v * 2, "prices"),
    "an offer nobody makes": (("nodes", 0, "instance_type"), lambda v: "free-gpu", "prices"),
    "a term the scenario excludes": (("nodes", 0, "term"), lambda v: "spot", "prices"),
    "a lower total": (("totals", "usd_per_hour"), lambda v: v - 1, "money"),
    "a cheaper month": (("totals", "usd_per_month"), lambda v: v * 0.99, "money"),
    "a cheaper year": (("totals", "usd_per_year"), lambda v: v * 0.99, "money"),
    "cheaper tokens": (("totals", "usd_per_million_output_tokens"), lambda v: v / 2, "money"),
    "fewer GPUs stated": (("totals", "gpus"), lambda v: v - 1, "sums"),
    "a better objective": (("objective_usd_per_hour",), lambda v: v * 0.9, "certificate"),
    "a bound above the objective": (("bound_usd_per_hour",), lambda v: v * 1.1, "certificate"),
    "an unproved bound": (("bound_usd_per_hour",), lambda v: v * 0.9, "certificate"),
    "another status": (("status",), lambda v: "infeasible", "certificate"),
    "a replica less": ((*GROUP, "replicas"), lambda v: v - 1, "demand"),
    "a higher capacity": ((*GROUP, "capacity_qps"), lambda v: v * 1.3, "capacity"),
    "a capacity beyond physics": ((*GROUP, "capacity_qps"), lambda v: v * 1000, "physics"),
    "less demand routed": ((*GROUP, "routed_qps"), lambda v: v * 0.9, "demand"),
    "less demand served": (("services", 0, "served_qps"), lambda v: v * 0.9, "demand"),
    "less demand stated": (("services", 0, "rate_qps"), lambda v: v * 0.9, "demand"),
    "more headroom": (("services", 0, "headroom_qps"), lambda v: v + 1, "demand"),
    "a looser target": (("services", 0, "targets", "ttft_p99"), lambda v: v * 2, "latency"),
    "a missed target": ((*GROUP, "predicted", "tpot_p99_s"), lambda v: 0.09, "latency"),
    "no prediction": ((*GROUP, "predicted", "ttft_p99_s"), lambda v: None, "latency"),
    "a TPOT below its floor": ((*GROUP, "predicted", "tpot_p50_s"), lambda v: 1e-5, "physics"),
    "a TTFT below its floor": ((*GROUP, "predicted", "ttft_p50_s"), lambda v: 1e-6, "physics"),
    "a context shorter than the requests": (
        (*GROUP, "settings", "max_model_len_tokens"), lambda v: 500, "physics"),
    "memory that does not sum": (
        (*GROUP, "memory", "kv_pool_bytes"), lambda v: v * 1.2, "physics"),
    "a larger GPU": ((*GROUP, "memory", "total_bytes"), lambda v: v * 1.2, "physics"),
    "a precision not permitted": ((*GROUP, "weights"), lambda v: "int4", "search"),
    "a degree not searched": ((*GROUP, "tensor_parallel"), lambda v: 8, "search"),
    "a GPU not allowed": ((*GROUP, "gpu"), lambda v: "a100-sxm-80gb", "search"),
    "a better grade": ((*GROUP, "evidence"), lambda v: "measured", "capacity"),
    "cash that is paid later": (("cash", "due_at_signature_usd"), lambda v: v + 1, "cash"),
    "less owed": (("cash", "by_month", 1), lambda v: v * 0.5, "cash"),
    "another catalog": (("provenance", "catalog_digest"), lambda v: "0" * 64, "certificate"),
    "another version": (("provenance", "planner_version"), lambda v: "0.0.1", "certificate"),
    "a budget it exceeds": (
        ("scenario", "limits", "max_cost_usd_per_hour"), lambda v: 0.5, "limits"),
    "a stock it exceeds": (("scenario", "limits", "max_gpus"), lambda v: 1, "limits"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_plan_fails(plan, catalog, name):
    path, value, family = TAMPERINGS[name]
    changed = tampered(plan, _set(path, value))
    assert changed != plan, "the tampering changed nothing"
    assert family in {c.family for c in failures(checks_of(changed, catalog))}


def test_a_plan_of_another_version_is_not_called_wrong_but_of_that_version(plan, catalog):
    """Its intervals may differ from those of this version: nothing is recomputed, and the reason is said."""
    changed = tampered(plan, _set(("provenance", "planner_version"), lambda v: "0.0.1"))
    (failed,) = failures(checks_of(changed, catalog))
    assert (failed.found, "planner solve" in failed.required) == ("version 0.0.1", True)
    made = [c for c in checks_of(changed, catalog) if c.family == "recomputed"]
    assert made[-1].verdict == "not checked"
    assert "another version" in made[-1].found


def test_the_command_lists_numbers_and_exits_by_the_verdict(plan, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    result = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert result.return_value == 0
    assert "0 fails" not in result.output
    assert f"{plan.totals.usd_per_hour:.7g}" in result.output
    path.write_text(tampered(plan, _set(("totals", "nodes"), lambda v: v + 1)).to_json())
    result = CliRunner().invoke(command, [str(path), "--failed-only"], standalone_mode=False)
    assert result.return_value == 2
    assert "fails" in result.output
    assert len(result.output.splitlines()) < 12  # what fails, and what no one can verify
    result = CliRunner().invoke(command, [str(path), "--format", "json"], standalone_mode=False)
    assert any(c["verdict"] == "fails" for c in json.loads(result.output))
