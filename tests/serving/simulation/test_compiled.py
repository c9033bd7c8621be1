"""The compiled core and the Python loop give the same numbers to the digit."""

from __future__ import annotations

import dataclasses
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.api import solve
from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation import simulator
from planner.serving.simulation.compiled import build
from planner.serving.simulation.compiled import library as library_module
from planner.serving.simulation.compiled.library import SWITCH, built_library, library
from planner.serving.simulation.replica_groups import DecodePool, SimulatedGroup
from planner.serving.simulation.requests import Requests, open_loop, open_loop_calls
from planner.serving.simulation.simulator import simulate
from planner.session import Session
from planner.solving.options import SolveOptions
from planner.verification.simulate import SimulationSettings, simulate_plan
from planner.workload.lengths import joint_lengths

built = pytest.mark.skipif(
    built_library() is None and os.environ.get("PLANNER_REQUIRE_CORE") != "1",
    reason="the compiled core is not built: make core",
)


@dataclasses.dataclass
class Affine:
    """Step times with every term of a batch, the experts' included."""

    admission_s: float = 0.0

    def step_seconds(self, b: StepBatch):
        tokens = b.decode_sequences + b.prefill_tokens
        return (
            0.008
            + 2e-5 * b.decode_sequences
            + 2e-8 * b.decode_context_tokens
            + 2e-5 * b.prefill_tokens
            + 1e-9 * b.prefill_context_tokens
            + 1e-5 * b.sampled_tokens
            + 1e-4 * np.sqrt(tokens)
            + 2e-4 * b.prefill_sequences
        )


LIMITS = st.builds(
    lambda scheduler, pool, block, state, windows, draft, whole, **more: ReplicaLimits(
        scheduler,
        kv_pool_bytes=math.inf if pool is None else pool * 2.0,
        kv_block_bytes=2.0 * block,
        kv_block_tokens=block,
        state_bytes=state,
        windows=windows,
        draft_tokens=2 if draft else 0,
        tokens_per_step=1.7 if draft else 1.0,
        chunked=scheduler is not Scheduler.NO_EVICT or not whole,
        **more,
    ),
    scheduler=st.sampled_from(list(Scheduler)),
    max_num_seqs=st.integers(1, 64),
    max_num_batched_tokens=st.integers(64, 8192),
    pool=st.sampled_from([None, 7_000, 9_000, 13_000, 40_000]),
    block=st.sampled_from([1, 16, 33, 128]),
    state=st.sampled_from([0.0, 123.7]),
    windows=st.sampled_from([(), ((500, 0.3),), ((500, 0.3), (64, 1.1))]),
    draft=st.booleans(),
    whole=st.booleans(),
    ranks=st.sampled_from([1, 1, 2, 8]),
    prefix_caching=st.booleans(),
)
ROUTINGS = st.builds(
    Routing,
    policy=st.sampled_from(["round-robin", "random", "least-loaded", "prefix-aware"]),
    max_queue=st.sampled_from([None, 1, 5]),
)
LENGTHS = joint_lengths(Lengths(mean=500, cv=1.2, max=6000), Lengths(mean=300, cv=1.0, max=2000))


@st.composite
def groups(draw):
    """A replica group that may start and stop replicas, or prefill for a decode pool."""
    count = draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["plain", "plain", "scales", "pools"]))
    more: dict[str, object] = {}
    if kind == "scales":
        more["ready_s"] = tuple(draw(st.floats(0, 8)) for _ in range(count))
        more["retire_s"] = (math.inf, *(draw(st.floats(0, 14)) for _ in range(count - 1)))
    if kind == "pools":
        answers = SimulatedGroup(Affine(0.002), draw(LIMITS), draw(st.integers(1, 4)))
        units = draw(st.integers(1, min(count, answers.replicas)))
        link = draw(st.floats(1e-6, 1e-3))
        more["decode"] = DecodePool(answers, link, draw(st.floats(0, 0.01)), units)
    steps = Affine(draw(st.sampled_from([0.0, 0.003])))
    return SimulatedGroup(steps, draw(LIMITS), count, draw(st.floats(0.1, 3)), **more)


def both(monkeypatch, *arguments, **options):
    """The same simulation by the core and by the loop."""
    with monkeypatch.context() as patch:
        patch.delenv(SWITCH, raising=False)
        compiled = simulate(*arguments, **options)
        patch.setenv(SWITCH, "0")
        return compiled, simulate(*arguments, **options)


def assert_equal(compiled, loop):
    for field in dataclasses.fields(loop):
        mine, theirs = getattr(compiled, field.name), getattr(loop, field.name)
        if field.name == "series":
            assert_equal(mine, theirs)
        elif isinstance(theirs, np.ndarray):
            assert mine.dtype == theirs.dtype, field.name
            assert mine.tobytes() == theirs.tobytes(), field.name
        else:
            assert mine == theirs, field.name


@built
@settings(deadline=None, max_examples=100)
@given(
    fleet=st.lists(groups(), min_size=1, max_size=2),
    routing=ROUTINGS,
    arrivals=st.sampled_from([{}, {"process": "constant"}, {"process": "gamma", "cv": 1.6}]),
    rate=st.sampled_from([1.0, 8.0, 40.0]),
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.0, 0.37]),
    concurrency=st.sampled_from([None, None, 1, 20]),
    backlog=st.sampled_from([50_000, 60]),
    each=st.sampled_from([1, 1, 1, 7]),
)
def test_random_services_come_out_equal(
    fleet, routing, arrivals, rate, seed, share, concurrency, backlog, each
):
    requests = open_loop(LENGTHS, Arrivals(**arrivals), rate, 20.0, seed)
    if each > 1:
        requests = open_loop_calls(LENGTHS, Arrivals(**arrivals), each, 7 * rate, 20.0, seed)
    with pytest.MonkeyPatch.context() as patch:
        assert_equal(
            *both(
                patch,
                fleet,
                requests,
                routing,
                seed=seed,
                warm_up_s=2.0,
                measured_until_s=15.0,
                prefix_hit_share=share,
                concurrency=concurrency,
                max_backlog=backlog,
            )
        )


def fleet(scheduler=Scheduler.CHUNKED_PREFILL, replicas=2):
    own = ReplicaLimits(scheduler, 64, 2048, kv_pool_bytes=80_000.0, kv_block_bytes=32.0)
    return [SimulatedGroup(Affine(), own, replicas)]


def some_requests(seconds=60.0):
    return open_loop(LENGTHS, Arrivals(), 10.0, seconds, 3)


@pytest.fixture
def loops(monkeypatch):
    """Counts the runs that go through the Python loop."""
    counted = []
    loop = simulator._Simulation._run

    def counting(self):
        counted.append(self)
        return loop(self)

    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(simulator._Simulation, "_run", counting)
    return counted


@built
def test_what_the_core_covers_does_not_enter_the_loop(loops):
    simulate(fleet(), some_requests())
    assert not loops


@built
def test_a_setting_turns_the_core_off(loops, monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    simulate(fleet(), some_requests())
    assert len(loops) == 1


@built
def test_prompt_block_ids_go_through_the_loop(loops):
    plain = some_requests()
    prefix = tuple((i % 3, 10 + i) for i in range(len(plain)))
    simulate(fleet(), dataclasses.replace(plain, prefix=prefix))
    assert len(loops) == 1


@built
def test_a_field_the_core_does_not_know_is_run_by_the_loop(loops):
    @dataclasses.dataclass(frozen=True)
    class Talks(Requests):
        pause_s: float = 0.0

    plain = some_requests()
    values = {f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)}
    simulate(fleet(), Talks(**values))
    assert not loops
    simulate(fleet(), Talks(**values, pause_s=1.0))
    assert len(loops) == 1


@built
def test_a_library_of_other_sources_is_not_used(tmp_path, monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(library_module, "source_digest", lambda: "of other sources")
    built_library.cache_clear()
    assert library() is None
    built_library.cache_clear()


def test_without_a_compiler_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "missing-compiler")
    assert build.build() == "no C compiler found"


def test_a_compiler_that_fails_is_reported_and_nothing_is_replaced(tmp_path, monkeypatch):
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CC", str(failing))
    before = build.LIBRARY.read_bytes() if build.LIBRARY.exists() else None
    assert "no such flag" in build.build()
    assert (build.LIBRARY.read_bytes() if build.LIBRARY.exists() else None) == before


@built
def test_an_error_in_a_step_model_comes_through(loops):
    class Broken(Affine):
        def step_seconds(self, b):
            raise ArithmeticError("no such step")

    with pytest.raises(ArithmeticError, match="no such step"):
        simulate([dataclasses.replace(fleet()[0], steps=Broken())], some_requests())
    assert not loops


@built
def test_an_interrupt_ends_a_run(loops):
    def interrupted(request):
        if request:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(fleet(), some_requests(300.0), progress=interrupted)


@built
def test_progress_is_reported_by_both(monkeypatch):
    seen = []
    both(monkeypatch, fleet(), some_requests(250.0), progress=seen.append)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :] == [0, 1000, 2000]


@built
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["llama70b_qps50", "gpt_oss_120b", "llama70b_disaggregated", "reasoning_long_outputs"]
)
def test_shipped_scenarios_come_out_equal(name, monkeypatch):
    session = Session.open(options=SolveOptions(verify="none"))
    plan = session.solve(name)
    how = SimulationSettings(duration_s=60.0)

    def result():
        (service,) = simulate_plan(plan, how, session.catalog, session.factors).values()
        (outcome,) = service.study.runs
        return outcome

    monkeypatch.delenv(SWITCH, raising=False)
    compiled = result()
    monkeypatch.setenv(SWITCH, "0")
    assert_equal(compiled, result())


@built
@pytest.mark.slow
def test_a_simulated_solve_gives_the_same_plan(monkeypatch):
    def plan():
        found = solve("chat_8b_small_gpus").model_dump(mode="json")
        return {key: value for key, value in found.items() if key != "provenance"}

    monkeypatch.delenv(SWITCH, raising=False)
    compiled = plan()
    monkeypatch.setenv(SWITCH, "0")
    assert compiled == plan()
