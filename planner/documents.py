"""What every scenario document has in common: strict, frozen, finite; and the types of its fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from planner.units import parse_duration_s


class Document(BaseModel):
    """The base of every scenario document: strict types, no unknown keys, frozen, finite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True
    )


def as_tuple(value: Any) -> Any:
    """A list as a tuple, one name as a tuple of it; anything else as it is, for the type to judge."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Seconds = Annotated[float, BeforeValidator(parse_duration_s), PlainSerializer(lambda v: v)]
Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
Degrees = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], BeforeValidator(as_tuple)]
AllOrNames = Annotated[Literal["all"] | Names, Field(union_mode="left_to_right")]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
