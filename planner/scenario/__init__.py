"""The question: a strict, frozen Scenario, and how it is read from YAML."""

from planner.scenario.schema import Lengths, Scenario, Service

__all__ = ["Lengths", "Scenario", "Service"]
