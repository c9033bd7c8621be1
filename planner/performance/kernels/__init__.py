"""Measured kernel latencies: tables per GPU and engine, and a step time made of them."""
