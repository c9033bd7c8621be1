"""What every scenario document has in common: strict, frozen, finite; and the types of its fields."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from planner.catalog.offer import Term
from planner.units import parse_duration_s, parse_size_bytes


class StrictDocument(BaseModel):
    """The base of every scenario document: strict types, no unknown keys, frozen, finite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True
    )


def omit_defaults(*fields: str) -> Callable[..., dict[str, object]]:
    """How a document is written: those fields, or all, are left out while they have their defaults.

    A field that came later leaves what is written without it as it was.
    """

    def written(self: BaseModel, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        known = type(self).model_fields
        usual = {
            name: known[name].get_default(call_default_factory=True, validated_data={})
            for name in fields or known
        }
        text: dict[str, object] = write(self)
        return {
            name: value
            for name, value in text.items()
            if name not in usual or getattr(self, name) != usual[name]
        }

    return model_serializer(mode="wrap")(written)


def term_name(name: str) -> str:
    """The name that offers have of a term: ``12-month`` is ``1-year``; a name of no term stays as it is."""
    term = Term.named(name)
    return name if term is None else term.value


def term_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each term once, by the name that offers have."""
    return tuple(dict.fromkeys(map(term_name, names)))


def by_term(figures: dict[str, float]) -> dict[str, float]:
    """Figures by the names that offers have; what is no term (a GPU, a provider) stays as it is."""
    return {term_name(name): figure for name, figure in figures.items()}


def as_tuple(value: object) -> object:
    """A list as a tuple, one name as a tuple of it; anything else as it is, for the type to judge."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def field_error(
    field: str, found: object, message: str, action: str | None = None
) -> PydanticCustomError:
    """A complaint about one ``field`` of the document that is being checked as a whole.

    ``action``: what to do about it, where the message does not say it.
    """
    said = {"said": message, "field": field, "found": found, "action": action}
    return PydanticCustomError("field", "{said}", said)


def number_as_mean(value: object) -> object:
    """A number alone is the mean of a distribution."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"mean": float(value)}
    return value


def with_probabilities(value: object, of: str) -> object:
    """A distribution with the keys of its ``quantiles`` as numbers; ``of``: what they map to, in words."""
    if not isinstance(value, dict) or not isinstance(value.get("quantiles"), dict):
        return value
    quantiles = {_probability(key, of): x for key, x in value["quantiles"].items()}
    return {**value, "quantiles": quantiles}


def _probability(key: str | float, of: str) -> float:
    try:
        return float(key)
    except (TypeError, ValueError):
        raise ValueError(f"quantiles map a probability to {of}, found {key!r}") from None


def check_quantiles(quantiles: Mapping[float, float]) -> None:
    """Raise ValueError for fewer than two keys, keys that are no probabilities, or values that fall."""
    points = sorted(quantiles.items())
    if len(points) < 2 or not all(0 <= q <= 1 for q, _ in points):
        raise ValueError("quantiles need at least two probabilities between 0 and 1")
    if any(a[1] > b[1] for a, b in itertools.pairwise(points)):
        raise ValueError("quantiles must not decrease")


def some(value: tuple[object, ...] | str) -> tuple[object, ...] | str:
    """Refuse an empty list where nothing could be chosen from it."""
    if not value:
        raise ValueError("the list is empty: name at least one, or leave the field out")
    return value


Seconds = Annotated[float, BeforeValidator(parse_duration_s), PlainSerializer(lambda v: v)]
Size = Annotated[float, BeforeValidator(parse_size_bytes), PlainSerializer(lambda v: v)]
Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
SomeNames = Annotated[Names, AfterValidator(some)]
Degrees = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(some),
]
AUTO: Literal["auto"] = "auto"
AutoOrDegrees = Annotated[Literal["auto"] | Degrees, Field(union_mode="left_to_right")]
AllOrNames = Annotated[
    Literal["all"] | Names, Field(union_mode="left_to_right"), AfterValidator(some)
]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
