"""Under load: a replica's scheduler played step by step, and its fast closed form."""
