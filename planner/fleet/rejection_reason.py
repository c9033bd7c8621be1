"""Why deployments are rejected, as plans group and print them."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """What a rejected deployment shares with others; its own numbers are in its rejection."""

    NOT_PERMITTED = "precision below the checkpoint's own"
    ILLEGAL = "the layout does not divide the model"
    NO_PRICE = "no offer has the GPU"
    NO_DRAFT = "no such draft is available"
    NOT_OFFERED = "no offer with enough linked GPUs"
    NO_NETWORK = "its hosts share no network"
    UNSUPPORTED = "would not launch"
    NO_MEMORY = "does not fit in memory"
    NO_LONGEST = "longest request does not fit"
    TOO_SLOW = "misses a latency target at any rate"
    TOO_LONG = "requests exceed the context"
    NO_LINK = "no KV link between the pools is known"
    NO_HANDOVER = "the KV cache cannot be handed over between these GPUs"
    NO_GAIN = "a smaller unit of these pools has the same capacity"

    @classmethod
    def _missing_(cls, value: object) -> RejectionReason | None:
        """The reason that earlier versions worded otherwise, as plans of theirs still do."""
        return _FORMER.get(value) if isinstance(value, str) else None


_FORMER = {
    "layout cannot be cut that way": RejectionReason.ILLEGAL,
    "nothing can draft that way": RejectionReason.NO_DRAFT,
    "a smaller unit of these pools holds as much": RejectionReason.NO_GAIN,
}
