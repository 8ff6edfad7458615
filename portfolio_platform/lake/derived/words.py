"""What the declarations of derived tables share: short ways to declare a column, and the columns that many have."""

from portfolio_platform.lake.columns import Column, Kind


def number(name: str, description: str, unit: str = "currency") -> Column:
    """Declare a 64-bit float."""
    return Column(name, "number", description, unit)


def of(kind: Kind, name: str, description: str, unit: str = "") -> Column:
    """Declare a column of any kind."""
    return Column(name, kind, description, unit)


BASE, SHARE = "base currency", "fraction of equity"
DAY = of("day", "day", "UTC day; day D is (D 00:00Z, D+1 00:00Z]")
PORTFOLIO = of("text", "portfolio", "portfolio")
STRATEGY = of("text", "strategy", "strategy")
SYMBOL = of("text", "symbol", "instrument")
POSITION = (PORTFOLIO, STRATEGY, SYMBOL)
CURRENCY = of("text", "currency", "currency of the position's amounts")
TEMPLATE = of("text", "template", "strategy template")
PLAYBOOK = of("text", "playbook", "playbook")
REASON = of("text", "reason", "why figures of the row are null, empty where none is")
