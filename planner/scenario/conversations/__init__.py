"""Conversations as a workload: the fields of the document, and what goes together with them."""
