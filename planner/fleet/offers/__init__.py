"""Offers a scenario admits, and the nodes they come as."""
