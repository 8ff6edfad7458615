"""What there is to say about a portfolio of the ledger that a plan sees otherwise than its fills tell it."""

from collections.abc import Iterable

from portfolio_platform.desk.lots import Netted
from portfolio_platform.orchestrator.amounts import money
from portfolio_platform.orchestrator.model import Finding


def short_position(one: Netted, value: int, digits: int, base: str) -> Finding:
    """Return that a short position is taken off the cash."""
    text = f"{one.symbol} is held short ({one.short:f}): its {money(value, digits)} {base} is taken off the cash, as if it was bought back"
    return Finding(
        code="short_position", severity="warning", subject=one.symbol, message=text, remedy="no plan trades it; look after it by hand"
    )


def opposed_strategies(one: Netted) -> Finding:
    """Return that strategies hold against each other."""
    text = f"strategies hold {one.opposed:f} of {one.symbol} against each other; the account holds the difference, and a plan trades that"
    return Finding(code="opposed_strategies", severity="info", subject=one.symbol, message=text)


def several_accounts(names: Iterable[str]) -> Finding:
    """Return that several accounts are planned as one."""
    text = f"the ledger's fills name several accounts ({', '.join(names)}); they are planned as one"
    return Finding(code="several_accounts", severity="warning", subject="accounts", message=text, remedy="give a file of each (--snapshot)")
