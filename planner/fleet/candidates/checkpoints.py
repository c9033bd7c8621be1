"""Where the weights of a deployment come from: the checkpoint requested, another, or none that is public."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalog.checkpoints import made_at_load, public_checkpoint
from planner.catalog.store import Catalog
from planner.deployment import Deployment

PLAIN_BITS = 16


@dataclass(frozen=True, slots=True)
class WeightsOrigin:
    """``checkpoint``: another public one to load; None: the model's own, or none that is known.

    ``yourself``: the weights are quantised, and no checkpoint has them.
    """

    checkpoint: str | None = None
    yourself: bool = False


def weights_origin(deployment: Deployment, requested_as: str, catalog: Catalog) -> WeightsOrigin:
    """Where the weights come from in the format of ``deployment``.

    The checkpoint ``asked_as`` serves in its own format, and where the engine casts or quantises a
    16-bit one at load. Otherwise it takes a checkpoint in that format.
    """
    model, weights = deployment.model, deployment.weights
    native = catalog.weight_format(model.native_weights)
    if weights.name == native.name:
        return WeightsOrigin()
    if native.bits >= PLAIN_BITS and (
        weights.bits >= PLAIN_BITS or made_at_load(catalog.root, deployment.engine, weights.name)
    ):
        return WeightsOrigin()
    known = public_checkpoint(catalog.root, requested_as, weights.name)
    return WeightsOrigin(known, yourself=known is None and weights.bits < PLAIN_BITS)
