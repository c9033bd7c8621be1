"""The question: a strict, frozen Scenario, and how it is read from YAML."""

from planner.scenario.lengths import Lengths
from planner.scenario.schema import Scenario, Service

__all__ = ["Lengths", "Scenario", "Service"]
