"""Under load: a replica's scheduler simulated step by step, and its fast closed form."""
