"""Intervals are of the step: a run is played with its steps off, and the queue does the rest."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.accuracy.conditions import setup_of
from planner.accuracy.measures import TPOT, TTFT, Measure
from planner.accuracy.playback import Playback
from planner.accuracy.point import LoadKind, MeasuredPoint, PoolLayout
from planner.accuracy.step_error import (
    Beyond,
    Off,
    beyond_steps,
    digest_of_inputs,
    errors,
    intervals,
    read_measure_errors,
)
from planner.accuracy.validation import PointPrediction, Predictor
from planner.catalog.store import load_catalog
from planner.cli.accuracy import command
from planner.performance.factors import load_calibration
from planner.performance.model import step_model

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
PREDICTOR = Predictor(CATALOG, CALIBRATION)
LEVEL = 0.8
P99 = Measure("tpot", 99.0)
SPAN, RATE = Measure("makespan_s"), Measure("output_tokens_per_s")
CLOSED = MeasuredPoint(
    "meta-llama/Llama-3.1-70B", "h200-sxm-141gb", "vllm", "fp8", 1, 1024, 1024, 64, 300.0, 20.0
)
POOLS = MeasuredPoint(
    "deepseek-ai/DeepSeek-R1",
    "gb200",
    "tensorrt-llm",
    "nvfp4",
    1,
    1024,
    1024,
    256,
    data_parallel=8,
    expert_parallel=8,
    prefill=PoolLayout(2, 1, 4, 4),
    others=((P99, 0.02),),
)


def residual(point: MeasuredPoint, kind: str, level: float = LEVEL) -> tuple[float, float]:
    steps = step_model(setup_of(point, CATALOG, CALIBRATION).deployment, CALIBRATION)
    low, high = steps.residuals.ends("ttft" if kind == "ttft" else "tpot", steps.distance, level)
    return math.exp(low), math.exp(high)


def span(prediction: PointPrediction, measure: Measure) -> tuple[float, float]:
    value, around = prediction.values[measure], prediction.intervals[measure]
    return around.low / value, around.high / value


def open_loop(rate: float) -> MeasuredPoint:
    return replace(
        CLOSED,
        load=LoadKind.OPEN,
        concurrency=0,
        rate_qps=rate,
        ttft_ms=math.nan,
        tpot_ms=math.nan,
        others=((P99, 0.1), (TTFT, 1.0), (TPOT, 0.05)),
    )


@pytest.mark.parametrize("concurrency", [1, 16, 256])
def test_a_closed_loop_takes_as_many_times_as_long_as_its_steps(concurrency: int) -> None:
    point = replace(CLOSED, concurrency=concurrency)
    found = PREDICTOR.predict(point)
    assert span(found, TPOT) == pytest.approx(residual(point, "tpot"), rel=1e-9)
    assert span(found, TTFT) == pytest.approx(residual(point, "ttft"), rel=1e-9)


def test_a_queue_turns_slow_steps_into_slower_tokens() -> None:
    """Near the highest rate, a few percent of a step are many times as much of a p99."""
    idle, busy = (PREDICTOR.predict(open_loop(rate)) for rate in (0.1, 2.1))
    slow = residual(CLOSED, "tpot")[1]
    assert span(idle, P99)[1] == pytest.approx(slow, rel=0.05)
    assert span(busy, P99)[1] > 1.4 * slow
    assert span(busy, TTFT)[1] > span(idle, TTFT)[1]


def test_the_upper_end_is_the_run_played_with_slow_steps() -> None:
    point = open_loop(1.7)
    setup = setup_of(point, CATALOG, CALIBRATION)
    steps = step_model(setup.deployment, CALIBRATION)
    slow = residual(point, "tpot")[1]
    played = Playback().outcome(setup, point, steps, off=Off(slow, slow)).value(P99)
    found = PREDICTOR.predict(point).intervals[P99]
    assert found.high == pytest.approx(played, rel=1e-9)
    assert played > slow * PREDICTOR.predict(point).values[P99]


def test_totals_of_an_offline_run_are_off_as_its_steps_are() -> None:
    point = replace(
        CLOSED,
        load=LoadKind.OFFLINE,
        requests=200,
        ttft_ms=math.nan,
        tpot_ms=math.nan,
        others=((SPAN, 100.0), (RATE, 1000.0)),
    )
    found = PREDICTOR.predict(point)
    low, high = residual(point, "tpot")
    assert span(found, SPAN) == pytest.approx((low, high), rel=0.01)
    assert span(found, RATE) == pytest.approx((1 / high, 1 / low), rel=0.01)


@pytest.mark.parametrize("measure", [P99, TTFT, RATE, Measure("itl", 99.0), Measure("e2e", 50.0)])
@pytest.mark.parametrize("load", list(LoadKind))
def test_an_interval_holds_its_prediction_and_grows_with_its_level(
    measure: Measure, load: LoadKind
) -> None:
    point = replace(
        CLOSED, load=load, rate_qps=1.5, requests=150, concurrency=32, others=((measure, 1.0),)
    )
    narrow, wide = (
        Predictor(CATALOG, CALIBRATION, level).predict(point).intervals[measure]
        for level in (0.5, 0.95)
    )
    value = PREDICTOR.predict(point).values[measure]
    assert narrow.low <= value <= narrow.high
    assert wide.low <= value < wide.high
    if measure.metric != "itl":  # a percentile of gaps jumps from one kind of gap to the next
        assert wide.low <= narrow.low
        assert narrow.high <= wide.high


def test_each_pool_has_an_error_of_its_own() -> None:
    setup = setup_of(POOLS, CATALOG, CALIBRATION)
    assert setup.prefill is not None
    decode = step_model(setup.deployment, CALIBRATION)
    prefill = replace(step_model(setup.prefill, CALIBRATION), distance="unmeasured")
    first, own = errors(decode, prefill, 0.0, LEVEL)
    assert first[1].steps == 1.0
    assert own[1].prefill_steps == 1.0
    assert first[1].prefill_steps == pytest.approx(math.exp(0.45))
    assert own[1].steps == pytest.approx(
        math.exp(decode.residuals.ends("tpot", decode.distance, LEVEL)[1])
    )


def test_errors_that_have_nothing_to_do_with_each_other_add_up_in_squares() -> None:
    both = [(Off(steps=0.5), Off(steps=2.0)), (Off(tokens=2.0), Off(tokens=0.5))]
    found = intervals(
        {TPOT: 1.0}, lambda off: {TPOT: off.steps / off.tokens}, both, Beyond((), LEVEL)
    )[TPOT]
    assert found.high == pytest.approx(2 ** math.sqrt(2))
    assert found.low == pytest.approx(2 ** -math.sqrt(2))


def test_tokens_of_a_step_that_nobody_recorded_widen_the_interval() -> None:
    assumed = replace(POOLS, prefill=None, data_parallel=4, expert_parallel=4, speculative="mtp")
    known = replace(assumed, draft_tokens=3, acceptance=2.5)
    steps_alone = Predictor(CATALOG, CALIBRATION, steps_alone=True)
    wide, narrow = (span(steps_alone.predict(point), P99) for point in (assumed, known))
    assert wide[1] > 1.05 * narrow[1]
    assert wide[0] < narrow[0]


FOLDER = CATALOG.root / "calibration"
ERRORS = read_measure_errors(FOLDER)


def test_what_lies_beyond_steps_was_measured_with_the_shipped_fits() -> None:
    """The table was once two refits old: `python -m benchmarks.measure_errors` writes it."""
    assert {row.made_from for row in ERRORS} == {digest_of_inputs(FOLDER)}


def test_medians_of_one_pool_are_known_as_well_as_their_steps_and_tails_are_not() -> None:
    """Beyond the steps: how cold a server was, for the slowest requests of a closed loop.

    Tails of TPOT and of whole requests lie within the interval of their steps (88 and 85 % of runs at 80 %).
    """
    found = beyond_steps(ERRORS, CLOSED, LEVEL)
    for measure in (TPOT, TTFT, Measure("ttft", 50.0), RATE, Measure("e2e", 50.0)):
        assert found.ends(measure) == (0.0, 0.0)
    for metric in ("ttft", "itl"):
        assert max(found.ends(Measure(metric, 99.0))) > 0.1


@pytest.mark.parametrize("load", [LoadKind.OPEN, LoadKind.OFFLINE])
def test_nothing_is_added_where_nothing_was_measured(load: LoadKind) -> None:
    found = beyond_steps(ERRORS, replace(POOLS, load=load), LEVEL)
    assert found.rows == ()
    assert found.ends(P99) == (0.0, 0.0)


def test_what_lies_beyond_the_steps_grows_with_the_level_and_turns_with_the_measure() -> None:
    narrow, wide = (beyond_steps(ERRORS, POOLS, level) for level in (0.5, 0.95))
    for measure in (P99, Measure("ttft", 50.0), RATE):
        assert all(a <= b for a, b in zip(narrow.ends(measure), wide.ends(measure), strict=True))
        assert max(wide.ends(measure)) > max(narrow.ends(measure))
    assert wide.ends(SPAN) == wide.ends(RATE)[::-1]


def test_every_row_of_what_was_measured_stands_on_several_groups() -> None:
    assert len({(r.pools, r.drafts, r.metric, r.tail) for r in ERRORS}) == len(ERRORS) > 15
    assert all(row.groups >= 8 and row.runs >= 50 for row in ERRORS)
    assert all(max(row.up, row.down) >= 0.05 for row in ERRORS)


def test_steps_alone_draw_narrower_intervals() -> None:
    alone = Predictor(CATALOG, CALIBRATION, steps_alone=True)
    own, narrow = (predictor.predict(POOLS) for predictor in (PREDICTOR, alone))
    assert own.values == narrow.values
    assert span(own, P99)[1] > span(narrow, P99)[1]


def test_json_has_an_interval_for_every_measured_column(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(
        "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,load,rate,requests,"
        "ttft_p50_ms,tpot_p99_ms,itl_p99_ms,e2e_p99_s,makespan_s,output_tokens_per_s,tokens_per_s_per_gpu\n"
        "meta-llama/Llama-3.1-70B,h200-sxm-141gb,vllm,fp8,1,1024,512,open,1,200,"
        "150,30,40,20,210,480,1400\n"
    )
    run = CliRunner().invoke(command, [str(path), "--format", "json"], standalone_mode=False)
    text = json.loads(run.stdout)
    (row,) = text["rows"]
    names = [name.removeprefix("predicted_") for name in row if name.startswith("predicted_")]
    assert len(names) == 9
    for name in names:
        low, high = row["interval"][name]
        assert low <= row[f"predicted_{name}"] <= high, name
    covered = [values["coverage"] for values in text["summary"]["measures"].values()]
    assert all(share in (0.0, 1.0) for share in covered)
