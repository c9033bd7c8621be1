"""A plan's replicas under a rate over time: what each way to scale them costs and misses."""
