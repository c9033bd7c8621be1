"""Commands about a fleet that runs: planner import, planner autoscale."""
