"""Layers that carry a state: Mamba, gated delta rule, lightning and Kimi delta attention."""
