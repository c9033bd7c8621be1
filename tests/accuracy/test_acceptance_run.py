"""A load test of one replica against the limits of a plan."""

import json

import pytest

from planner.accuracy.acceptance_run import (
    RequestedRun,
    faults,
    judged,
    must_be_model,
    must_have_lengths,
    points_of,
    together,
)
from planner.accuracy.bench.files import Setting, read_bench_file
from planner.errors import InputError

LADDER = (
    RequestedRun(0.5, 1.5, {"ttft_p99": 2.0, "tpot_mean": 0.05}),
    RequestedRun(1.0, 3.0, {"ttft_p99": 2.0, "tpot_mean": 0.06}),
)


def result(tmp_path, rate, **changed):
    """A file of ``vllm bench serve`` at a rate [requests/s]."""
    path = tmp_path / f"rung-{rate}.json"
    text = {
        "backend": "openai",
        "model_id": "m",
        "completed": 1000,
        "total_input_tokens": 1_000_000,
        "total_output_tokens": 500_000,
        "request_rate": rate,
        "max_concurrency": 512,
        "mean_ttft_ms": 400.0,
        "mean_tpot_ms": 45.0,
        "p99_ttft_ms": 1500.0,
        "p99_tpot_ms": 70.0,
        **changed,
    }
    path.write_text(json.dumps(text))
    (run,) = read_bench_file(path)
    return run


def test_a_result_at_a_rate_keeps_its_rate_and_percentiles(tmp_path):
    run = result(tmp_path, 3.0)
    assert run.rate_qps == 3.0
    assert run.percentiles_s == {"ttft_p99": 1.5, "tpot_p99": 0.07}
    assert result(tmp_path, "inf").rate_qps == 0


def test_a_run_within_every_limit_passes(tmp_path):
    verdicts = judged(LADDER, [result(tmp_path, 3.0)])
    assert [(v.share, v.statistic) for v in verdicts] == [(1.0, "ttft_p99"), (1.0, "tpot_mean")]
    assert all(v.passes for v in verdicts)


def test_one_statistic_over_its_limit_fails(tmp_path):
    runs = [result(tmp_path, 1.5), result(tmp_path, 3.0, mean_tpot_ms=61.0)]
    failed = [(v.share, v.statistic) for v in judged(LADDER, runs) if not v.passes]
    assert failed == [(1.0, "tpot_mean")]


def test_a_statistic_that_was_not_recorded_fails(tmp_path):
    (missing,) = (
        v for v in judged(LADDER, [result(tmp_path, 3.0, p99_ttft_ms=None)]) if not v.passes
    )
    assert (missing.statistic, missing.measured_s) == ("ttft_p99", None)


def test_the_run_at_the_planned_rate_is_needed(tmp_path):
    with pytest.raises(InputError, match="planned rate is missing"):
        judged(LADDER, [result(tmp_path, 1.5)])


@pytest.mark.parametrize("rate", [2.0, "inf"])
def test_a_run_at_another_rate_is_refused(tmp_path, rate):
    with pytest.raises(InputError, match="not in the acceptance test"):
        judged(LADDER, [result(tmp_path, rate)])


def test_requests_that_failed_are_a_fault(tmp_path):
    (fault,) = faults(LADDER, [result(tmp_path, 3.0, completed=900, failed=601)])
    assert "601 of 1501 requests failed" in fault
    (fault,) = faults(LADDER, [result(tmp_path, 3.0, num_prompts=1200)])
    assert "200 of 1200 requests failed" in fault


@pytest.mark.parametrize(("took_s", "kept"), [(333.0, True), (355.0, True), (500.0, False)])
def test_a_rate_that_was_not_sent_is_a_fault(tmp_path, took_s, kept):
    """1,000 requests at 3/s take 333 s, and the last of them 23 s more."""
    found = faults(LADDER, [result(tmp_path, 3.0, duration=took_s)])
    assert (not found) == kept
    assert kept or "sent at 2.1/s, not 3/s" in found[0]


def test_a_run_of_another_model_is_refused(tmp_path):
    runs = [result(tmp_path, 3.0)]
    must_be_model(runs, "org/M")
    with pytest.raises(InputError, match="another model"):
        must_be_model(runs, "org/other")


def expects(prompt, output):
    return [RequestedRun(1.0, 3.0, {}, prompt_tokens=prompt, output_tokens=output)]


def test_requests_of_other_lengths_are_refused(tmp_path):
    runs = [result(tmp_path, 3.0)]
    must_have_lengths(expects(1000, 500), runs)
    with pytest.raises(InputError, match="outputs have another length"):
        must_have_lengths(expects(1000, 250), runs)


def test_a_run_at_a_rate_is_the_closed_loop_with_as_many_in_flight(tmp_path):
    """Little's law: 3/s x (0.4 s + 499 x 45 ms) = 68.6 requests in flight."""
    setting = Setting("h100-sxm-80gb", "vllm", "fp8", model="m")
    (point,) = points_of([result(tmp_path, 3.0)], setting, "test")
    assert point.concurrency == 69


CLASSES = (
    RequestedRun(1.0, 3.0, {"ttft_p99": 2.0, "tpot_mean": 0.06}, "chat", 1000, 500),
    RequestedRun(1.0, 1.0, {"tpot_mean": 0.06}, "digest", 8000, 1000),
)


def of_classes(tmp_path, **chat):
    (tmp_path / "chat").mkdir()
    long = {"total_input_tokens": 8_000_000, "total_output_tokens": 1_000_000, "mean_tpot_ms": 55.0}
    return [
        result(tmp_path / "chat", 3.0, request_class="chat", **chat),
        result(tmp_path, 1.0, request_class="digest", **long),
    ]


def test_every_class_has_limits_and_lengths_of_its_own(tmp_path):
    runs = of_classes(tmp_path, p99_ttft_ms=2500.0)
    must_have_lengths(CLASSES, runs)
    found = {v.statistic: v.passes for v in judged(CLASSES, runs)}
    assert found == {
        "chat/ttft_p99": False,
        "chat/tpot_mean": True,
        "digest/tpot_mean": True,
    }
    with pytest.raises(InputError, match="outputs of class 'digest' have another length"):
        must_have_lengths((CLASSES[0], RequestedRun(1.0, 1.0, {}, "digest", 8000, 500)), runs)


def test_a_class_that_was_not_sent_or_not_named_is_asked_for(tmp_path):
    chat, digest = of_classes(tmp_path)
    with pytest.raises(InputError, match="is missing") as raised:
        judged(CLASSES, [chat])
    assert raised.value.allowed == "digest at 1 requests/s"
    with pytest.raises(InputError, match="does not say which class") as raised:
        judged(CLASSES, [digest, result(tmp_path, 3.0)])
    assert raised.value.allowed == "chat, digest"
    half = RequestedRun(0.5, 1.5, {}, "chat"), RequestedRun(0.5, 0.5, {}, "digest")
    alone = result(tmp_path, 1.5, request_class="chat")
    with pytest.raises(InputError, match="a class's run is missing"):
        judged((*half, *CLASSES), [chat, digest, alone])


def test_classes_at_once_are_one_run_of_the_mix(tmp_path):
    (whole,) = together(CLASSES, of_classes(tmp_path))
    assert whole.rate_qps == 4.0
    assert (whole.prompt_tokens, whole.output_tokens) == (2750, 625)
    tokens = 3 * 499, 1 * 999
    assert whole.tpot_ms == pytest.approx((45 * tokens[0] + 55 * tokens[1]) / sum(tokens))
