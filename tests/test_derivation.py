"""The two walkthroughs, figure by figure, with textbook rounding where the textbook rounds."""

import math
from functools import cache

import pytest

from planner.api import explain
from planner.derivation.derive import derive
from planner.derivation.textbook import rounded_parameters, whole_gigabytes


@pytest.fixture(scope="module")
def rows(catalog):
    """Rows of a scenario's derivation by topic; each scenario is solved once."""

    @cache
    def of(name):
        explained = explain(name, catalogs=catalog, verify="none")
        (derivation,) = explained.derivations
        return {r.topic: r for r in derivation.rows}, derivation.verdict, explained

    return of


def test_llama_textbook_column(rows):
    row, verdict, _ = rows("llama70b_qps50")
    assert row["Weights"].textbook.result == "BF16 140 GB, FP8 70 GB, INT4 35 GB"
    assert row["KV cache per token"].textbook.result == "327,680 B"
    assert row["KV cache per request"].textbook.result == "490 MB"
    assert row["Requests in flight"].textbook.result == "150 requests"
    assert row["KV cache in total"].textbook.result == "73.5 GB"
    assert row["Memory in total"].textbook.result.startswith("BF16 about 220 GB, FP8 about 150 GB")
    bf16 = row["GPUs by memory, BF16"].textbook.result
    assert "4x h100-sxm-80gb TP=4 (320 GB)" in bf16
    assert "4x a100-sxm-80gb TP=4 (320 GB)" in bf16
    assert "2x h100-sxm-80gb TP=2 (160 GB)" in row["GPUs by memory, FP8"].textbook.result
    assert "4 GPUs cannot serve it whatever their memory" in verdict


def test_llama_honest_column(rows):
    row, _, _ = rows("llama70b_qps50")
    assert row["Weights"].honest.numbers == "P = 70,553,706,496, active 70,553,706,496"
    assert "up to 52 s and 2,595 in flight" in row["Requests in flight"].honest.note
    assert "6 ms a token" in row["Requests in flight"].textbook.note
    compute = row["Arithmetic the demand needs"].honest
    assert compute.result == "10.6 PFLOP/s"
    assert compute.note.startswith("10.7 H100s at 100 % of BF16 peak; 10.4 when the embedding")


def test_deepseek_int4_on_eight_h100(rows):
    row, verdict, explained = rows("deepseek_v3_8xh100_int4")
    assert row["Weights"].textbook.result == "INT4 336 GB"
    kv = row["KV cache per token"]
    assert kv.textbook.result == "70,272 B"
    assert "not the GQA formula" in kv.textbook.note
    eight = row["8x h100-sxm-80gb, INT4"]
    assert eight.textbook.numbers == "8x 80 = 640 GB, - 336 - 24"
    assert eight.textbook.result == "280 GB left for KV"
    assert eight.honest.result == "35 GB distinct, 498,065 tokens"
    assert "not 3.98 million tokens" in eight.honest.note
    assert "one latent per token" in verdict
    assert "natively fp8_block" in row["Weights"].honest.note
    assert [b.scenario for b in explained.beside] == [
        "deepseek_v3_8xh200_fp8",
        "deepseek_v3_16xh100_fp8",
    ]
    assert all(b.gpus for b in explained.beside)


def test_deepseek_bf16_does_not_fit_sixteen_h100(rows):
    row, verdict, explained = rows("deepseek_v3_16xh100_bf16")
    assert row["Weights"].textbook.result == "BF16 1342 GB"
    assert row["16x h100-sxm-80gb, BF16"].textbook.result == "does not fit"
    assert row["16x h100-sxm-80gb, BF16"].textbook.numbers.startswith("16x 80 = 1280 GB")
    assert "1,342 GB and 16 GPUs have 1,280 GB" in verdict
    assert explained.exit_code == 3


def test_deepseek_bf16_fits_thirty_two_h100(rows):
    row, _, explained = rows("deepseek_v3_32xh100_bf16")
    assert row["32x h100-sxm-80gb, BF16"].textbook.numbers.startswith("32x 80 = 2560 GB")
    assert explained.exit_code == 0


def test_every_shipped_plan_can_be_derived(catalog, shipped_plan):
    plan = shipped_plan("gpt_oss_120b")
    (derivation,) = derive(plan, catalog)
    assert all(r.textbook or r.honest for r in derivation.rows)


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (70_553_706_496, 70e9),
        (671_026_404_352, 671e9),
        (7_615_616_512, 7.6e9),
        (72_706_203_648, 72e9),
    ],
)
def test_rounded_parameters(exact, rounded):
    assert rounded_parameters(exact) == rounded


def test_textbook_rounding():
    assert whole_gigabytes(335.5e9) == 336e9
    assert whole_gigabytes(3.8e9) == 3.8e9


@pytest.mark.parametrize("name", ["fleet_growth", "fleet_short_stock"])
def test_replicas_follow_from_what_they_really_get(name, catalog, shipped_plan):
    plan = shipped_plan(name)
    for service, derivation in zip(plan.services, derive(plan, catalog), strict=True):
        (group,) = service.replica_groups
        row = {r.topic: r.honest for r in derivation.rows}
        flight = row["Requests in flight"]
        assert flight.numbers.startswith(f"{group.routed_qps:.4g}/s")
        assert ("at its busiest" in flight.numbers) == (name == "fleet_growth")
        needed = math.ceil(group.routed_qps / group.capacity_qps - 1e-6)
        spare = group.replicas - needed
        kept = f" and {spare} to spare" if spare else ""
        assert row["Replicas needed"].numbers.endswith(f"-> {needed}{kept}")


def test_layers_that_stop_growing_are_reported(rows):
    row, _, _ = rows("gpt_oss_120b")
    assert row["KV cache per token"].honest.note == "18 of 36 layers stop growing at 128 tokens"


def test_the_parts_of_a_step_are_those_of_the_plan(rows, shipped_plan):
    row, _, _ = rows("llama70b_qps50")
    (service,) = shipped_plan("llama70b_qps50").services
    (group,) = service.replica_groups
    speed = row["Speed of one replica"].honest
    assert f"weights {1e3 * group.step.weights_s:.1f}, " in speed.numbers
    assert speed.result == f"{1e3 * group.step.total_s:.1f} ms a step"
    assert speed.note.endswith("limited by tpot_p99")
