"""Explaining: from any id down to the rows under it, and the same answer a year later."""
