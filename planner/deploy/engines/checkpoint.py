"""Which checkpoint is loaded, and what an engine is given about the precision of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from planner.catalog.checkpoints import near_checkpoints
from planner.catalog.store import Catalog
from planner.deploy.engines.dialect import Dialect
from planner.deployment import Deployment
from planner.errors import InputError
from planner.scenario.schema import Service

UNQUANTISED = ("bf16", "fp16", "fp32")


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """``quantization`` and ``dtype`` are None where the checkpoint's own config says them."""

    checkpoint: str
    quantization: str | None = None
    dtype: str | None = None
    warning: str = ""


def weights_to_load(
    service: Service,
    deployment: Deployment,
    dialect: Dialect,
    catalog: Catalog,
    checkpoint: str | None,
) -> LoadedWeights:
    """The checkpoint of a service, and how the engine gets the plan's precision from it.

    ``checkpoint``: given by hand, or the public one that the plan names; it speaks for itself. Otherwise
    the engine casts or quantises at load what it can; where it would refuse a checkpoint in another
    format, ``warning`` says so. Raises InputError where it would start with other weights than the
    plan's, or where no checkpoint is named.
    """
    if checkpoint is not None:
        return LoadedWeights(checkpoint)
    model, weights = deployment.model, deployment.weights.name
    own = own_checkpoint(service, catalog)
    if own is None:
        raise InputError(
            "the scenario describes the model's shape and names no checkpoint to load",
            where=f"service {service.name!r}",
            action=f"name one: --checkpoint {service.name}=REPOSITORY",
        )
    dtype = dialect.dtype(weights)
    if weights == model.native_weights:
        return LoadedWeights(own, dtype=dtype)
    plain = model.native_weights in UNQUANTISED
    if plain and dtype is not None:
        return LoadedWeights(own, dtype=dtype)
    vendor = deployment.gpu.vendor
    requested, kept = (
        dialect.weights(weights, vendor),
        dialect.weights(model.native_weights, vendor),
    )
    if requested is None or not requested.value:
        raise _needs_checkpoint(service, own, deployment, dialect, catalog)
    as_it_is = requested.checkpoint == "any" or (kept is not None and requested.value == kept.value)
    if not plain and as_it_is:  # the engine would load the quantised checkpoint and not refuse it
        raise _needs_checkpoint(service, own, deployment, dialect, catalog)
    if requested.checkpoint == "any":
        return LoadedWeights(own, requested.value)
    return LoadedWeights(
        own,
        requested.value,
        warning=f"service {service.name!r}: {weights} weights need a checkpoint in that format, and {own} "
        f"is {model.native_weights}; no public one is known, so quantise it yourself: {dialect.engine} "
        f"will refuse to start until you name it: --checkpoint {service.name}=REPOSITORY",
    )


def own_checkpoint(service: Service, catalog: Catalog) -> str | None:
    """The repository that was requested, the folder of a model given by path, or None.

    A checkpoint that shares its config with the catalog's own name is loaded under its own.
    """
    requested = service.model
    return named_checkpoint(requested, catalog) if isinstance(requested, str) else None


def named_checkpoint(requested: str, catalog: Catalog) -> str:
    """The repository of a name of the catalog, or the folder of a model given by path."""
    if requested.lower() in {n.lower() for entry in catalog.model_index() for n in entry.names}:
        return catalog.model(requested).requested_as(requested)
    path = Path(requested).expanduser()
    folder = path.parent if path.suffix == ".json" else path
    return str(folder.resolve())


def _needs_checkpoint(
    service: Service, own: str, deployment: Deployment, dialect: Dialect, catalog: Catalog
) -> InputError:
    weights, native = deployment.weights.name, deployment.model.native_weights
    near = near_checkpoints(catalog.root, own, weights)
    return InputError(
        f"{dialect.engine} {dialect.version} does not make {weights} weights of a {native} checkpoint",
        where=f"service {service.name!r}",
        found=own,
        action=f"the catalog knows no public {weights} checkpoint: "
        + "".join(f"plan with weights {name} ({checkpoint}), or " for name, checkpoint in near)
        + f"make one, and name it: --checkpoint {service.name}=REPOSITORY",
    )
