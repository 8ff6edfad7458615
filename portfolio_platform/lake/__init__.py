"""The lake: what happened, and what follows from it, as Delta tables."""
