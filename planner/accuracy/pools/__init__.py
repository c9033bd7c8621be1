"""Disaggregated runs: what recipes launch two pools with."""
