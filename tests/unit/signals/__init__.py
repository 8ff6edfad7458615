"""Tests of the signal ledger."""
