"""The fast closed form of a replica under load."""
