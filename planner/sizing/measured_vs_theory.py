"""A measured footprint beside theory: what the weights should take, and what the rest may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.formats import WeightFormat
from planner.catalog.model import ModelSpec
from planner.errors import InputError
from planner.sizing.parameters import count_parameters
from planner.sizing.precision import weight_bytes
from planner.sizing.rules_of_thumb import mib_to_gib
from planner.units import GIB, MIB


@dataclass(frozen=True, slots=True)
class OverheadPoint:
    """Memory beside the weights at one sequence length, as measured; ``mib_per_token`` of it."""

    tokens: int
    overhead_gib: float

    @property
    def mib_per_token(self) -> float:
        """Overhead per token [MiB]."""
        return self.overhead_gib * GIB / MIB / self.tokens


@dataclass(frozen=True, slots=True)
class MeasuredVsTheory:
    """Measured weights against a stated and the exact theory [GiB].

    ``stated_gib``: the theory the user compares with (None: none); ``slope_mib_per_token`` and
    ``fixed_gib``: the least-squares line through the overhead points; ``driver_gib``: what the driver
    reported, and ``unexplained_gib`` what it leaves after weights and the longest point's overhead.
    """

    parameters: int
    exact_gib: float
    stated_gib: float | None
    measured_gib: float | None
    points: tuple[OverheadPoint, ...]
    slope_mib_per_token: float | None
    fixed_gib: float | None
    driver_gib: float | None
    notes: tuple[str, ...]

    @property
    def over_stated(self) -> float | None:
        """Measured over stated theory, minus one."""
        return _ratio(self.measured_gib, self.stated_gib)

    @property
    def over_exact(self) -> float | None:
        """Measured over the exact weights, minus one."""
        return _ratio(self.measured_gib, self.exact_gib)

    @property
    def unexplained_gib(self) -> float | None:
        """Driver-reported memory less weights and the largest measured overhead [GiB]."""
        if self.driver_gib is None or self.measured_gib is None:
            return None
        return (
            self.driver_gib
            - self.measured_gib
            - max((p.overhead_gib for p in self.points), default=0)
        )


def compare_with_measurement(
    model: ModelSpec,
    weights: WeightFormat,
    *,
    measured_gib: float | None = None,
    stated_gib: float | None = None,
    overhead_gib: Mapping[int, float] | None = None,
    driver_mib: float | None = None,
) -> MeasuredVsTheory:
    """Set a user's figures beside the exact size of a model's weights.

    Raises InputError for figures that cannot be (not positive, tokens below 1).
    measured_gib, stated_gib, overhead_gib: as the user found, reckoned and allows for [GiB]; driver_mib:
    of ``nvidia-smi`` [MiB].
    """
    points = tuple(OverheadPoint(t, g) for t, g in sorted((overhead_gib or {}).items()))
    for name, value in (
        ("measured weights", measured_gib),
        ("stated theory", stated_gib),
        ("driver memory", driver_mib),
        *((f"overhead at {p.tokens} tokens", p.overhead_gib) for p in points),
    ):
        if value is not None and not 0 < value < 1e9:
            raise InputError(f"{name} must be a positive size", found=value)
    if any(p.tokens < 1 for p in points):
        raise InputError("an overhead point needs at least one token", found=points[0].tokens)
    slope, fixed = _line(points)
    exact = weight_bytes(model, weights) / GIB
    return MeasuredVsTheory(
        parameters=count_parameters(model).total,
        exact_gib=exact,
        stated_gib=stated_gib,
        measured_gib=measured_gib,
        points=points,
        slope_mib_per_token=slope,
        fixed_gib=fixed,
        driver_gib=None if driver_mib is None else mib_to_gib(driver_mib),
        notes=tuple(_notes(exact, stated_gib, measured_gib, weights)),
    )


def _notes(
    exact: float, stated: float | None, measured: float | None, weights: WeightFormat
) -> list[str]:
    notes = []
    if stated is not None and abs(stated / exact - 1) > 0.005:
        implied = stated * GIB * 8 / weights.bits / 1e9
        notes.append(
            f"the stated theory is {100 * (stated / exact - 1):+.1f} % from the exact weights: in GiB it "
            f"stands for {implied:.2f} billion parameters"
        )
    if measured is not None and measured < exact * 0.999:
        notes.append(
            f"the measurement is below the exact weights by {exact - measured:.3f} GiB: not all of the "
            "model was counted, so its ratio to any theory is no overhead factor"
        )
    return notes


def _line(points: tuple[OverheadPoint, ...]) -> tuple[float | None, float | None]:
    """Least-squares slope [MiB per token] and intercept [GiB]; None with fewer than two points."""
    if len(points) < 2:
        return None, None
    mean_tokens = sum(p.tokens for p in points) / len(points)
    mean_gib = sum(p.overhead_gib for p in points) / len(points)
    spread = sum((p.tokens - mean_tokens) ** 2 for p in points)
    slope = sum((p.tokens - mean_tokens) * (p.overhead_gib - mean_gib) for p in points) / spread
    return slope * GIB / MIB, mean_gib - slope * mean_tokens


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / base - 1
