"""The search of a service: layouts, formats and engine settings that may be tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from planner.scenario.fields import (
    AllOrNames,
    AutoOrDegrees,
    Degrees,
    Share,
    Size,
    SomeNames,
    StrictDocument,
    field_error,
    omit_defaults,
)
from planner.scenario.search.disaggregation import Disaggregation, requested
from planner.scenario.search.kv_offload import KvOffload
from planner.scenario.search.speculation import NONE, Speculative


class Settings(StrictDocument):
    """Engine settings a scenario may pin; anything left out is the engine version's default.

    ``kv_offload``: host memory and disk for KV blocks, with engines that have it.
    ``decode_context_parallel``: over how many of the tensor-parallel ranks with the same KV heads the
    tokens of each context are divided, with engines that have it.
    """

    memory_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_num_seqs: Annotated[int, Field(ge=1)] | None = None
    max_num_batched_tokens: Annotated[int, Field(ge=1)] | None = None
    max_model_len_tokens: Annotated[int, Field(ge=1)] | None = None
    prefix_caching: bool | None = None
    draft_tokens: Annotated[int, Field(ge=0, le=16)] = 0
    draft_acceptance: Share = 0.0
    kv_offload: KvOffload | None = None
    decode_context_parallel: Annotated[int, Field(ge=1, le=1024)] = 1

    _written = omit_defaults("kv_offload", "decode_context_parallel")


class Search(StrictDocument):
    """What may be tried. ``gpus: all`` means every GPU the price list offers.

    ``pipeline_parallel``, ``data_parallel``, ``expert_parallel``: ``auto`` means the layouts that suit
    the model (``planner.fleet.candidates.layouts``). ``weights``: ``native`` is the checkpoint's own
    format.

    ``disaggregation``: also deployments with prefill and decode on replicas of their own (``true`` for
    the defaults). ``spanning_nodes``: nodes that the attention-DP ranks of one replica may fill
    together, with all-to-all between them over the network; a TP group stays in one node.

    ``reserved_memory``: GPU memory that other processes hold on every GPU, ``4GiB``.

    ``speculative``: ways to draft tokens, each tried; with ``none`` among them speculation is turned
    off where it does not pay.
    """

    gpus: AllOrNames = "all"
    engines: SomeNames = ("vllm",)
    tensor_parallel: Degrees = (1, 2, 4, 8)
    pipeline_parallel: AutoOrDegrees = "auto"
    data_parallel: AutoOrDegrees = "auto"
    expert_parallel: AutoOrDegrees = "auto"
    weights: SomeNames = ("native", "bf16", "fp8", "int4")
    kv_cache: SomeNames = ("bf16", "fp8")
    settings: Settings = Settings()
    disaggregation: Annotated[Disaggregation | None, BeforeValidator(requested)] = None
    spanning_nodes: Annotated[int, Field(ge=1, le=64)] = 1
    speculative: Speculative = (NONE,)
    reserved_memory: Size = 0.0

    @model_validator(mode="after")
    def _drafts_in_one_place(self) -> Search:
        if self.settings.draft_tokens and self.speculative != (NONE,):
            raise field_error(
                "speculative",
                self.settings.draft_tokens,
                "give speculative, or settings.draft_tokens, not both",
            )
        return self

    _written = omit_defaults("disaggregation", "spanning_nodes", "speculative", "reserved_memory")
