"""The decision: candidates, the integer program, what the solver proved, and why not."""
