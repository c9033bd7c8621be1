"""What is known of deployments whatever the rate, targets, prices, stock or budget are.

Step models, refusals and steady states are kept by deployment and load; whole candidates by what a
service requires of them. One ``Known`` belongs to one catalog and one calibration, so that
solving again with another target, price or stock sizes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from planner.deployment import Deployment
from planner.performance.factors import Calibration
from planner.performance.model import CalibratedStepModel, step_model
from planner.serving.closed_form.rate_states import RateStates
from planner.workload.lengths import JointLengths

MOST_STATES = 1024  # about 100 kB each
TRIED_PER_STATE = 4
MOST_DEPLOYMENTS = 4096

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Refusal = tuple[str, str, float | None]


class Kept(Generic[Key, Value]):
    """Values by key, the latest ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def of(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value kept under ``key``, or a new one."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
        return value


class Known:
    """The stores of one session.

    ``refusals``: the first check that rules a deployment out, None where none does; ``states``: of a
    replica by deployment and load, ``most_states`` at once; ``tried``: candidates and rejections by what a
    service requires.
    """

    def __init__(self, most_states: int = MOST_STATES) -> None:
        self.refusals: Kept[tuple[Hashable, ...], Refusal | None] = Kept(MOST_DEPLOYMENTS)
        self.states: Kept[tuple[Hashable, ...], RateStates] = Kept(most_states)
        self.tried: Kept[tuple[Hashable, ...], object] = Kept(TRIED_PER_STATE * most_states)
        self._steps: Kept[Deployment, CalibratedStepModel] = Kept(MOST_DEPLOYMENTS)

    def steps(self, deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
        """The deployment's step model under the session's calibration."""
        return self._steps.of(deployment, lambda: step_model(deployment, calibration))


def digest(lengths: JointLengths) -> bytes:
    """A short name of a length distribution, equal where all its pairs and what they repeat are."""
    pairs = hashlib.blake2b(lengths.prompt.tobytes(), digest_size=16)
    pairs.update(lengths.output.tobytes())
    if lengths.reuse is not None:
        pairs.update(lengths.reuse.fingerprint)
    return pairs.digest()
