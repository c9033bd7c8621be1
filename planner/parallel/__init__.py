"""Many solves at once: worker processes, looking ahead, and stopping on request."""
