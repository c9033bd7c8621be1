"""A decode step outside the captured batches waits for the host to launch its layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.accuracy.conditions import setup_of
from planner.accuracy.point import LoadKind, MeasuredPoint, RunSettings
from planner.accuracy.points import read_points
from planner.accuracy.validation import Predictor
from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.performance.factors import load_calibration
from planner.performance.graphs import CapturedBatches, captured_batches
from planner.performance.model import CalibratedStepModel, step_model
from planner.performance.steps import StepBatch

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
ENGINES = ("vllm", "sglang", "tensorrt-llm")


def deployment(engine: str, gpu: str = "h100-sxm-80gb", **settings: object) -> Deployment:
    return Deployment(
        model=CATALOG.model("meta-llama/Llama-3.1-8B-Instruct"),
        gpu=CATALOG.gpu(gpu),
        engine=CATALOG.engine(engine),
        tensor_parallel=1,
        weights=CATALOG.weight_format("fp8"),
        kv_cache=CATALOG.kv_format("fp8"),
        settings=EngineSettings(**settings),
    )


def decode(sequences: float) -> StepBatch:
    return StepBatch(sequences, sequences * 500.0, sampled_tokens=sequences)


def seconds(steps: CalibratedStepModel, sequences: float) -> float:
    return float(steps.step_seconds(decode(sequences)))


@pytest.mark.parametrize("engine", ENGINES)
def test_captured_batches_take_no_launch(engine: str) -> None:
    """Equal to the digit to a step model that knows of no graphs."""
    steps = step_model(deployment(engine), CALIBRATION)
    assert steps.graphs is not None
    for sequences in (1.0, 8.0, 31.0, 64.0, 100.0, 128.0):
        assert seconds(steps, sequences) == seconds(replace(steps, graphs=None), sequences)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_beyond_the_largest_costs_its_launches(engine: str) -> None:
    steps = step_model(deployment(engine, graphs_max_batch=64), CALIBRATION)
    free = replace(steps, graphs=None)
    assert seconds(steps, 64.0) == seconds(free, 64.0)
    launch = steps.loads.layers * steps.factors.eager_layer_launch_s
    for sequences in (65.0, 200.0, 900.0):
        assert seconds(steps, sequences) > seconds(free, sequences)
        assert launch < seconds(steps, sequences) < seconds(free, sequences) + launch


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings", [{}, {"graphs_max_batch": 48}, {"eager": True}])
def test_steps_grow_with_their_batch(engine: str, settings: dict[str, object]) -> None:
    """With padding; without it a captured batch is quicker than a smaller one that is not."""
    steps = step_model(deployment(engine, **settings), CALIBRATION)
    times = [seconds(steps, float(n)) for n in (1, 16, 32, 47, 48, 49, 128, 256, 512, 513, 1024)]
    assert times == sorted(times)


def test_launches_cost_less_the_longer_the_device_works() -> None:
    steps = step_model(deployment("vllm", graphs_max_batch=32), CALIBRATION)
    free = replace(steps, graphs=None)
    more = [seconds(steps, n) - seconds(free, n) for n in (40.0, 200.0, 1000.0)]
    assert more == sorted(more, reverse=True)


def test_eager_is_no_quicker_than_any_limit() -> None:
    eager = step_model(deployment("vllm", eager=True), CALIBRATION)
    limited = step_model(deployment("vllm", graphs_max_batch=16), CALIBRATION)
    assert eager.graphs is None
    for sequences in (1.0, 16.0, 17.0, 300.0):
        assert seconds(eager, sequences) >= seconds(limited, sequences) * (1 - 1e-12)


def test_tensorrt_llm_pads_nothing_unless_it_is_told_to() -> None:
    """CudaGraphConfig: 1 to 32, 64 and 128; a plan's launch pads."""
    plain = captured_batches(CALIBRATION.graphs, deployment("tensorrt-llm", graph_padding=False))
    assert plain == CapturedBatches(32.0, (64.0, 128.0))
    padded = captured_batches(CALIBRATION.graphs, deployment("tensorrt-llm"))
    assert padded == CapturedBatches(128.0)
    more = deployment("tensorrt-llm", graph_padding=False, graphs_max_batch=300)
    found = captured_batches(CALIBRATION.graphs, more)
    assert found == CapturedBatches(32.0, (64.0, 128.0, 256.0, 300.0))


def test_what_an_engine_captures_depends_on_the_gpu() -> None:
    small, large = (
        captured_batches(CALIBRATION.graphs, deployment("sglang", gpu))
        for gpu in ("l40s", "h100-sxm-80gb")
    )
    assert small is not None
    assert large is not None
    assert small.every_to < large.every_to


@pytest.mark.parametrize(
    ("engine", "sequences"), [("vllm", 128), ("sglang", 512), ("tensorrt-llm", 512)]
)
def test_vllm_captures_tokens_and_others_requests(engine: str, sequences: int) -> None:
    """Three drafts make 4 tokens of a sequence: a graph of 512 tokens holds 128 sequences."""
    drafting = {"draft_tokens": 3, "draft_acceptance": 0.7}
    steps = step_model(deployment(engine, graphs_max_batch=512, **drafting), CALIBRATION)
    assert steps.graphs == CapturedBatches(float(sequences))
    free = replace(steps, graphs=None)
    assert seconds(steps, 128.0) == seconds(free, 128.0)
    assert (seconds(steps, 200.0) > seconds(free, 200.0)) == (engine == "vllm")


def test_sixty_four_sequences_with_three_drafts_run_256_tokens() -> None:
    """A limit of 256 tokens captures just these, one of 255 does not."""
    drafting = {"draft_tokens": 3, "draft_acceptance": 0.7}
    for limit, inside in ((256, True), (255, False)):
        steps = step_model(deployment("vllm", graphs_max_batch=limit, **drafting), CALIBRATION)
        free = replace(steps, graphs=None)
        assert (seconds(steps, 64.0) == seconds(free, 64.0)) == inside


def test_a_mean_batch_is_made_of_its_neighbours() -> None:
    found = CapturedBatches(32.0, (64.0,))
    assert [found.launched(n) for n in (32.0, 32.5, 33.0, 63.0, 63.5, 64.0, 64.25, 70.0)] == (
        pytest.approx([0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.25, 1.0])
    )
    assert np.array_equal(found.launched(np.array([8.0, 40.0, 64.0])), [0.0, 1.0, 0.0])


def test_arrays_and_single_steps_agree() -> None:
    steps = step_model(deployment("tensorrt-llm", graph_padding=False), CALIBRATION)
    batches = np.array([16.0, 40.0, 64.0, 100.0, 128.0, 200.0])
    together = steps.step_seconds(decode(batches))
    assert together == pytest.approx([seconds(steps, n) for n in batches], rel=1e-9)
    parts = steps.step_times(decode(40.0))
    assert float(parts.total_s) == pytest.approx(seconds(steps, 40.0))
    free = replace(steps, graphs=None).step_times(decode(40.0))
    assert float(parts.overhead_s) > float(free.overhead_s)


def test_recipes_capture_what_they_run_and_defaults_do_not() -> None:
    suite = MeasuredPoint(
        "meta-llama/Llama-3.1-70B", "b200-sxm-180gb", "tensorrt-llm", "nvfp4", 4, 1024, 1024, 300
    )
    assert setup_of(suite, CATALOG, CALIBRATION).captured
    other = replace(suite, prompt_tokens=3000, engine_version="1.2.0")
    setup = setup_of(other, CATALOG, CALIBRATION)
    assert not setup.captured
    assert not setup.deployment.settings.graph_padding
    predictor = Predictor(CATALOG, CALIBRATION)
    assert predictor._run(suite).steps.graphs is None
    assert predictor._run(other).steps.graphs is not None


def test_runs_of_tensorrt_llm_1_2_had_graphs_of_what_they_ran() -> None:
    """Qwen3-32B on H100: 224 in flight are as far off as 32, which every default captures."""
    table = read_points(CATALOG.root / "calibration" / "serving_points.csv")
    predictor = Predictor(CATALOG, CALIBRATION)
    off = {
        p.concurrency: predictor.predict(p).tpot_ms / p.tpot_ms
        for p in table.points
        if p.engine_version == "1.2.0rc6.post1" and p.gpu == "h100-sxm-80gb"
    }
    assert set(off) == {32, 64, 128, 224}
    assert max(off.values()) / min(off.values()) < 1.2  # 1.64 with the default sizes


def test_a_run_may_state_its_graphs() -> None:
    """200 in flight wait for launches where 128 are captured, and not where 256 are."""
    point = MeasuredPoint(
        "meta-llama/Llama-3.1-8B-Instruct",
        "h200-sxm-141gb",
        "tensorrt-llm",
        "fp8",
        1,
        500,
        500,
        200,
        100.0,
        10.0,
        engine_version="1.2.0",
        load=LoadKind.CLOSED,
    )
    predictor = Predictor(CATALOG, CALIBRATION)
    default, covered, eager = (
        predictor.predict(replace(point, settings=settings)).tpot_ms
        for settings in (
            RunSettings(),
            RunSettings(graphs_max_batch=256, graph_padding=True),
            RunSettings(eager=True),
        )
    )
    assert default > 1.02 * covered
    assert eager == pytest.approx(default, rel=0.05)
