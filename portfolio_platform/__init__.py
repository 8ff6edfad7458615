"""A portfolio monitor for systematic traders: ledger, diagnostics, reports, decisions."""

__version__ = "0.2.0"
