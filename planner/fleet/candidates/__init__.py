"""Replica layouts that could serve a service, with their capacity, and why others cannot."""
