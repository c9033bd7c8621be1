"""Exact parameter counts of every catalog model a published count exists for."""

import csv
import json
from pathlib import Path

import pytest

from planner.catalog.inline_model import parse_inline
from planner.catalog.model_config import parse_config
from planner.catalog.store import load_catalog
from planner.sizing.parameters import count_parameters, model_tensors

REFERENCE = Path(__file__).parents[1] / "reference"
CATALOG = load_catalog()


def rows(name):
    with (REFERENCE / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows("model_parameters.csv"), ids=lambda row: row["name"])
def test_counts_equal_the_reference(row):
    count = count_parameters(CATALOG.model(row["name"]))
    assert count.total == int(row["total"])
    if row["active"]:
        assert count.active == int(row["active"])
    if row["mtp"]:
        assert count.mtp == int(row["mtp"])
    if row["vision"]:
        assert count.vision == int(row["vision"])


@pytest.mark.parametrize("row", rows("model_parameters_published.csv"), ids=lambda row: row["name"])
def test_counts_equal_the_checkpoints(row):
    count = count_parameters(CATALOG.model(row["name"]))
    assert count.total + count.vision == int(row["total_with_vision"])


DEFAULTS = json.loads((REFERENCE / "architecture_defaults.json").read_text())


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_counts_equal_the_model_classes(architecture):
    """The default configuration of each class, counted by Hugging Face transformers 5.23."""
    case = DEFAULTS[architecture]
    count = count_parameters(parse_config(case["config"], architecture, "config.json"))
    assert count.total + count.vision == case["total_with_vision"]


def test_the_reference_covers_what_can_be_counted():
    assert len(rows("model_parameters.csv")) >= 129


def test_every_catalog_model_has_layers_and_classes_that_add_up():
    for name in CATALOG.model_names():
        model = CATALOG.model(name)
        count = count_parameters(model)
        assert (
            count.total
            == sum(count.by_class.values())
            == sum(tensor.values for tensor in model_tensors(model))
        )
        assert 0 < count.active <= count.total
        assert model.layers


@pytest.mark.parametrize(
    ("name", "active_billions"),
    [
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 3.9),
        ("openai/gpt-oss-20b", 4.2),
        ("zai-org/GLM-4.5-Air", 13.4),
        ("moonshotai/Kimi-K2-Instruct", 32.9),
        ("zai-org/GLM-5.3-Flash", 17.4),
    ],
)
def test_active_parameters_match_the_names_of_the_models(name, active_billions):
    count = count_parameters(CATALOG.model(name))
    assert count.active / 1e9 == pytest.approx(active_billions, rel=0.02)


def test_an_inline_model_counts_like_its_checkpoint():
    inline = parse_inline(
        {
            "layers": 61,
            "hidden": 7168,
            "heads": 128,
            "intermediate": 18432,
            "vocab": 129280,
            "experts": 256,
            "experts_per_token": 8,
            "expert_width": 2048,
            "shared_expert_width": 2048,
            "dense_layers": 3,
            "mla": {
                "q_lora_rank": 1536,
                "kv_lora_rank": 512,
                "qk_nope_head_dim": 128,
                "qk_rope_head_dim": 64,
                "v_head_dim": 128,
            },
        },
        "scenario.yaml",
    )
    published = count_parameters(CATALOG.model("deepseek-ai/DeepSeek-V3"))
    count = count_parameters(inline)
    assert (count.total, count.active) == (published.total, published.active)
