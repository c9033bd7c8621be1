"""The store finds names, aliases and versions, and says what is near when it does not."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog, load_catalog
from planner.errors import CatalogError, InputError


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize("name", ["h100-sxm-80gb", "H100-SXM-80GB", "h100"])
def test_gpu_is_found_by_name_alias_and_case(catalog: Catalog, name: str) -> None:
    assert catalog.gpu(name).name == "h100-sxm-80gb"


def test_unknown_gpu_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="h200-sxm-141gb") as caught:
        catalog.gpu("h200-sxm-141g")
    assert caught.value.exit_code == 2


def test_unknown_engine_lists_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="vllm, sglang, tensorrt-llm"):
        catalog.engine("llama.cpp")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("0.19.0", "0.19.0"),
        ("0.18.0", "0.17.0"),
        ("v0.12.0rc1", "0.12.0"),
        ("0.1", "0.6.6"),
        ("nightly-dev", "0.25.0"),
    ],
)
def test_engine_version_is_the_newest_not_newer(catalog: Catalog, wanted: str, found: str) -> None:
    assert catalog.engine("vllm", wanted).version == found


def test_engine_defaults_depend_on_the_gpu(catalog: Catalog) -> None:
    vllm = catalog.engine("vllm")
    assert vllm.on(catalog.gpu("h100")).max_num_batched_tokens == 8192
    assert vllm.on(catalog.gpu("a100-sxm-80gb")).max_num_batched_tokens == 2048
    assert vllm.on(catalog.gpu("l4")).max_num_seqs == 256


def test_engine_alias(catalog: Catalog) -> None:
    assert catalog.engine("trtllm", "1.0.0rc3").name == "tensorrt-llm"


def test_format_aliases(catalog: Catalog) -> None:
    assert catalog.weight_format("AWQ") == catalog.weight_format("int4")
    assert catalog.kv_format("auto") == catalog.kv_format("bf16")
    with pytest.raises(InputError, match="fp8_block"):
        catalog.weight_format("fp8_blok")


def test_digest_is_stable_and_follows_the_content(catalog: Catalog, tmp_path) -> None:
    assert catalog.digest() == load_catalog().digest()
    (tmp_path / "gpus.csv").write_text("name\n")
    before = Catalog(tmp_path).digest()
    (tmp_path / "gpus.csv").write_text("name\nx\n")
    assert Catalog(tmp_path).digest() != before


def test_missing_folder_is_a_catalog_error(tmp_path) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path / "nowhere")
    assert caught.value.exit_code == 4
