"""A plan derived step by step, beside the textbook sizing by memory alone."""
