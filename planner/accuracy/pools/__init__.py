"""Disaggregated runs: what recipes launch two pools with, and the pace of the one that prefills."""
