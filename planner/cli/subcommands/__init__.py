"""Commands under a command: planner memory fits, planner catalog prices."""
