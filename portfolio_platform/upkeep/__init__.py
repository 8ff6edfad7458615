"""Keeping a home alive: its backup, its restoration somewhere else, and its way to a newer version of the code."""
