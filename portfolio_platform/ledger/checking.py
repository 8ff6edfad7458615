"""Reading the ledger's tables and checking that the accounting's identities hold on all of them."""

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.ledger.identities import IdentityResult, cash_identity, nav_identity, pnl_identity


def check_identities(home: Home) -> dict[str, IdentityResult]:
    """Return how each identity (cash, nav, pnl) went over every session that is built."""
    cash = home.lake.read(derived.CASH_BALANCES)
    equity = home.lake.read(derived.PORTFOLIO_EQUITY)
    snapshots = home.lake.read(derived.LEDGER_SNAPSHOTS)
    return {
        "cash": cash_identity(cash),
        "nav": nav_identity(equity, cash, snapshots),
        "pnl": pnl_identity(equity, cash, snapshots),
    }
