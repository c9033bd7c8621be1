"""What a search may split: prefill and decode into pools of their own, with a KV link between them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from planner.scenario.fields import (
    Degrees,
    Positive,
    Seconds,
    SomeNames,
    StrictDocument,
    as_tuple,
    omit_defaults,
    some,
)

MOST_REPLICAS = 16  # of one pool in a unit
MOST_RATIOS = 64
_RATIO = re.compile(r"^([1-9][0-9]?)\s*[pP]?\s*[:+]?\s*([1-9][0-9]?)\s*[dD]?$")
_EVERY = tuple(
    f"{p}P{d}D" for p in range(1, 5) for d in range(1, 5) if math.gcd(p, d) == 1
)  # a common factor only makes the unit larger


def _ratio(value: object) -> str:
    """``2P3D``, whatever separates the two; a bare 2:3 is a number to YAML."""
    text = value if isinstance(value, str) else ""
    match = _RATIO.match(text)
    if match is None or not re.search(r"[pPdD:]", text):
        raise ValueError(
            "write a ratio of prefill to decode replicas as 2P3D (YAML reads a bare 2:3 as a number)"
        )
    prefill, decode = int(match[1]), int(match[2])
    if max(prefill, decode) > MOST_REPLICAS:
        raise ValueError(f"a pool of a unit has at most {MOST_REPLICAS} replicas")
    return f"{prefill}P{decode}D"


def _few(ratios: tuple[str, ...]) -> tuple[str, ...]:
    if len(ratios) > MOST_RATIOS:
        raise ValueError(f"at most {MOST_RATIOS} ratios may be tried, found {len(ratios)}")
    return tuple(dict.fromkeys(ratios))


Ratios = Annotated[
    tuple[Annotated[str, BeforeValidator(_ratio)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(some),
    AfterValidator(_few),
]
Places = Annotated[
    tuple[Literal["node", "zone"], ...], BeforeValidator(as_tuple), AfterValidator(some)
]


class KvLinkChoice(StrictDocument):
    """The network link that a prompt's KV cache takes from its prefill to its decode replica.

    ``gb_s``: GB/s of one GPU (null: the catalog's link within a node, its network share across nodes);
    ``latency``: from the last byte until the decode replica may schedule the prompt.
    """

    gb_s: Positive | None = None
    latency: Seconds = 0.005


class Disaggregation(StrictDocument):
    """Deployments whose prompts and answers run on replicas of their own, in one failure domain.

    ``ratios``: replicas of each pool in one unit, ``2P3D`` for two that prefill and three that decode
    (default: every ratio of up to four to four). ``within``: a unit is within one node, or its
    replicas anywhere in one zone. ``prefill_tensor_parallel``, ``decode_tensor_parallel``: instead of
    ``tensor_parallel``. ``prefill_gpus``, ``decode_gpus``: instead of ``gpus``; where either is given, the
    pools of a unit may run on two GPU types of one vendor, in one region of one provider, as far as the
    engine's KV connector allows it. ``colocated``: whether replicas that do both are tried as well.
    """

    ratios: Ratios = _EVERY
    within: Places = ("node", "zone")
    prefill_tensor_parallel: Degrees | None = None
    decode_tensor_parallel: Degrees | None = None
    prefill_gpus: SomeNames | None = None
    decode_gpus: SomeNames | None = None
    kv_link: KvLinkChoice = KvLinkChoice()
    colocated: bool = True

    @property
    def mixes_gpus(self) -> bool:
        """Whether the pools of a unit may run on two GPU types."""
        return self.prefill_gpus is not None or self.decode_gpus is not None

    _written = omit_defaults("prefill_gpus", "decode_gpus")

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """(prefill, decode) replicas of each ratio."""
        pairs = (ratio.rstrip("D").split("P") for ratio in self.ratios)
        return tuple((int(p), int(d)) for p, d in pairs)


def requested(value: object) -> object:
    """``true`` asks for disaggregation as it is by default, ``false`` for none."""
    if isinstance(value, bool):
        return {} if value else None
    return value
