"""A fleet under an autoscaler: what it observes, when it acts, what that costs and misses."""
