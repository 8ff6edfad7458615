"""Signals: what became of them, and the record of each playbook."""
