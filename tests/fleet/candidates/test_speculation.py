"""Ways to draft as part of a search: what drafts, how much is accepted, and when it is turned off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.errors import InputError
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.speculation import Drafting, NoDraft, acceptance, draftings
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.scenario.schema import Service
from planner.scenario.search.fields import Search
from planner.scenario.search.speculation import Speculation
from planner.sizing.batch_limits import batch_limits
from planner.sizing.drafts import draft_weight_bytes
from planner.sizing.memory import memory_layout
from planner.solving.build_problem import tie_tpot_s

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
LLAMA, DEEPSEEK = "meta-llama/Llama-3.3-70B-Instruct", "deepseek-ai/DeepSeek-R1"
DRAFT = "yuhuili/EAGLE3-LLaMA3.3-Instruct-70B"


def offer(gpu: str) -> Offer:
    return Offer("p", "r", f"8x{gpu}", gpu, 8, Term.ON_DEMAND, 1.0, "2026-01-01", "list")


def way(model: str = LLAMA, engine: str = "vllm", **text: object) -> Drafting | NoDraft | None:
    (found,) = draftings(
        (Speculation.model_validate(text),), CATALOG.model(model), CATALOG.engine(engine), CATALOG
    )
    return found


def drafting(model: str = LLAMA, engine: str = "vllm", **text: object) -> Drafting:
    found = way(model, engine, **text)
    assert isinstance(found, Drafting)
    return found


def deployed(found: Drafting | None, engine: str = "vllm", model: str = LLAMA) -> Deployment:
    settings = EngineSettings(
        draft_tokens=found.tokens if found else 0, draft_acceptance=found.acceptance if found else 0
    )
    return Deployment(
        CATALOG.model(model),
        CATALOG.gpu("h200-sxm-141gb"),
        CATALOG.engine(engine),
        8,
        CATALOG.weight_format("fp8" if model == LLAMA else "fp8_block"),
        CATALOG.kv_format("bf16"),
        settings=settings,
        draft=found.draft if found else None,
    )


def tried(speculative: object, model: str = LLAMA, **more: object) -> CandidateSet:
    service = Service.model_validate(
        {
            "model": model,
            "rate": 2.0,
            "prompt_tokens": 1000,
            "output_tokens": 300,
            "slo": {"ttft_p99": "4s", "tpot_p99": "40ms"},
            "allow_lower_precision": True,
            "search": {
                "gpus": ["h100-sxm-80gb"],
                "tensor_parallel": [4],
                "weights": ["fp8"],
                "kv_cache": ["bf16"],
                "speculative": speculative,
                **more,
            },
        }
    )
    return enumerate_candidates(service, CATALOG, (offer("h100-sxm-80gb"),), CALIBRATION)


def test_a_published_acceptance_is_measured_and_another_length_is_not() -> None:
    found = drafting(method="eagle3", tokens=4)
    assert found.draft.checkpoint == DRAFT
    assert found.draft.evidence is Evidence.MEASURED
    assert 2.0 < 1 + sum(found.acceptance**i for i in range(1, 5)) < 3.5
    other = drafting(method="eagle3", tokens=5)
    assert other.draft.evidence is Evidence.CALIBRATED
    assert other.acceptance == pytest.approx(found.acceptance)


def test_a_stated_or_a_prior_acceptance_is_assumed() -> None:
    stated = drafting(method="eagle3", acceptance=0.5)
    assert (stated.acceptance, stated.draft.evidence) == (0.5, Evidence.ASSUMED)
    assert drafting(method="ngram").draft.evidence is Evidence.ASSUMED
    other = drafting("XiaomiMiMo/MiMo-7B-Base", method="mtp")
    assert other.draft.evidence is Evidence.ASSUMED
    assert "other models" in other.draft.source
    assert (other.tokens, other.draft.model) == (3, None)


def test_a_figure_of_several_models_is_each_one_s() -> None:
    found = drafting(DEEPSEEK, method="mtp", tokens=2)  # published as DeepSeek-V3 / R1
    assert found.draft.evidence is Evidence.MEASURED


def test_the_text_decides_and_an_unknown_one_is_refused() -> None:
    model = CATALOG.model(LLAMA)
    coding = Speculation(method="eagle3", workload="humaneval")
    plain = Speculation(method="eagle3")
    assert (
        acceptance(coding, "eagle3", model, 4, CATALOG)[0]
        > acceptance(plain, "eagle3", model, 4, CATALOG)[0]
    )
    with pytest.raises(InputError, match="no accepted length") as refused:
        acceptance(Speculation(method="eagle3", workload="poems"), "eagle3", model, 4, CATALOG)
    assert "humaneval" in str(refused.value.allowed)


@pytest.mark.parametrize(
    ("model", "engine", "text", "why"),
    [
        (LLAMA, "vllm", {"method": "mtp"}, "no prediction layers"),
        ("Qwen/Qwen2.5-7B-Instruct", "vllm", {"method": "eagle3"}, "no EAGLE-3 draft"),
    ],
)
def test_what_cannot_draft_says_why(model: str, engine: str, text: dict, why: str) -> None:
    found = way(model, engine, **text)
    assert isinstance(found, NoDraft)
    assert why in found.detail


def test_a_draft_holds_weights_and_cache_beside_the_model() -> None:
    plain, drafts = deployed(None), deployed(drafting(method="eagle3", tokens=3))
    held, alone = memory_layout(drafts), memory_layout(plain)
    assert held.weights_bytes - alone.weights_bytes == draft_weight_bytes(drafts) > 0
    own = held.kv.growing_bytes_per_token - alone.kv.growing_bytes_per_token
    assert own == 2 * 8 / 8 * 128 * 2  # one layer of 8 KV heads over TP8, BF16
    assert held.kv_pool_tokens < alone.kv_pool_tokens
    assert sum(held.parts_bytes().values()) == pytest.approx(held.total_bytes)


def test_prediction_layers_are_loaded_for_mtp_and_for_nothing_else() -> None:
    plain = deployed(None, model=DEEPSEEK)
    mtp = deployed(drafting(DEEPSEEK, method="mtp"), model=DEEPSEEK)
    ngram = deployed(drafting(DEEPSEEK, method="ngram"), model=DEEPSEEK)
    weights = [memory_layout(d).weights_bytes for d in (plain, mtp, ngram)]
    assert weights[1] > 1.01 * weights[0]
    assert weights[2] == weights[0]
    cache = [memory_layout(d).kv.growing_bytes_per_token for d in (plain, mtp, ngram)]
    assert cache[1] == pytest.approx(cache[0] * 62 / 61)
    assert cache[2] == cache[0]


def test_drafts_cost_time_that_pays_in_small_batches_alone() -> None:
    """With graphs of every batch: beyond the captured ones both wait for their launches."""

    def captured(way: Drafting | None) -> Deployment:
        deployment = deployed(way)
        settings = replace(deployment.settings, graphs_max_batch=2048)
        return replace(deployment, settings=settings)

    plain = step_model(captured(None), CALIBRATION)
    drafting_at = captured(drafting(method="eagle3", tokens=3))
    drafts = step_model(drafting_at, CALIBRATION)

    def per_token(sequences: float) -> tuple[float, float]:
        batch = StepBatch(sequences, 1000.0 * sequences, sampled_tokens=sequences)
        times = drafts.step_times(batch)
        assert float(times.total_s) == pytest.approx(float(drafts.step_seconds(batch)))
        gain = drafting_at.settings.tokens_per_step
        return float(plain.step_seconds(batch)), float(times.total_s) / gain

    alone, with_drafts = per_token(1.0)
    assert with_drafts < 0.7 * alone
    alone, with_drafts = per_token(1024.0)
    assert with_drafts > alone


def test_a_larger_draft_costs_more_than_a_head() -> None:
    batch = StepBatch(8.0, 8000.0, sampled_tokens=8.0)
    seconds = [
        float(step_model(deployed(drafting(**text)), CALIBRATION).step_seconds(batch))
        for text in (
            {"method": "ngram", "tokens": 3},
            {"method": "eagle3", "tokens": 3},
            {"method": "draft", "draft": "meta-llama/Llama-3.1-8B-Instruct", "tokens": 3},
        )
    ]
    assert seconds == sorted(seconds)
    assert seconds[2] > 1.3 * seconds[1]


def test_sglang_runs_48_requests_with_any_draft() -> None:
    for text in ({"method": "eagle3"}, {"method": "ngram"}):
        assert (
            batch_limits(deployed(drafting(engine="sglang", **text), "sglang")).max_num_seqs == 48
        )


def test_every_number_of_tokens_is_a_candidate_and_none_is_one_too() -> None:
    found = tried(["none", "mtp", {"method": "eagle3", "tokens": [2, 4]}])
    labels = [c.label.rpartition("fp8/bf16")[2].strip() for c in found.candidates]
    assert labels == ["", "eagle3:2", "eagle3:4"]
    assert [r.detail for r in found.rejections if r.reason == RejectionReason.NO_DRAFT] == [
        f"{LLAMA} has no prediction layers to draft with"
    ]
    plain, two, _ = found.candidates
    assert plain.evidence.rank <= two.evidence.rank


def test_pipeline_stages_do_not_draft() -> None:
    found = tried(["eagle3"], pipeline_parallel=[2])
    assert not found.candidates
    assert any(
        "pipeline" in r.detail for r in found.rejections if r.reason == RejectionReason.NO_DRAFT
    )


def test_an_assumed_acceptance_decides_no_tie() -> None:
    plain, assumed = tried(["none", {"method": "ngram", "acceptance": 0.9}]).candidates
    assert tie_tpot_s(plain) == plain.capacity.tpot_mean_s
    expected = assumed.capacity.tpot_mean_s * assumed.deployment.settings.tokens_per_step
    assert tie_tpot_s(assumed) == pytest.approx(expected)


def test_drafts_are_stated_in_one_place() -> None:
    with pytest.raises(ValueError, match="not both"):
        Search.model_validate({"speculative": ["mtp"], "settings": {"draft_tokens": 3}})
