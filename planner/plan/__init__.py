"""The answer: a versioned, frozen Plan that survives JSON unchanged."""

from planner.plan.schema import Plan, read_plan

__all__ = ["Plan", "read_plan"]
