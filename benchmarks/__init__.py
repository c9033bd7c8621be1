"""Benchmarks: medians and ratios, printed for people, never asserted as absolute times."""
