"""What the numbers of each table rest on. A module declares its tables with `explain.cells.explains`; importing all registers them."""

from portfolio_platform.explain.tables import facts, flags, ledger, opportunity, risk, trading, trend

__all__ = ["facts", "flags", "ledger", "opportunity", "risk", "trading", "trend"]
