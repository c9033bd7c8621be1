"""Capacity planning for LLM serving: the provably cheapest GPU fleet that holds its targets."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("llm-fleet-planner")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
