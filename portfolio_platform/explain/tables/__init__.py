"""What the numbers of each table rest on. A module declares its tables with `explain.cells.explains`; importing all registers them."""

from portfolio_platform.explain.tables import control, facts, flags, ledger, opportunity, risk, trading, trend

__all__ = ["control", "facts", "flags", "ledger", "opportunity", "risk", "trading", "trend"]
