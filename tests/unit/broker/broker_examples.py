"""Orders and bars that are easy to work by hand: minute bars, whole prices, one account."""

from typing import Any

from portfolio_platform.broker.model import UNIT, Bar, BarClosed, Labels, Order, Place
from portfolio_platform.broker.state import Account, BrokerState, opened
from portfolio_platform.broker.step import run, step
from portfolio_platform.broker.terms import BrokerTerms

MINUTE = 60_000_000_000
START = 20_000 * 86_400_000_000_000 + 15 * 60 * MINUTE
FREE = BrokerTerms()


def px(price: float | int) -> int:
    """A price in units of 1e-18."""
    return round(price * 100) * UNIT // 100


def account(cash: int = 1_000_000, kind: str = "margin") -> BrokerState:
    """A broker with one account, whose cash is given in dollars."""
    return opened({"A": Account(cash * 100, kind)}, START)  # type: ignore[arg-type]


def bar(number: int, first: float, high: float, low: float, close: float, volume: int | None = None, symbol: str = "AAA") -> Bar:
    """The bar that opens `number` minutes after the start, and closes a minute later."""
    opens = START + number * MINUTE
    return Bar(symbol, opens, opens + MINUTE, px(first), px(high), px(low), px(close), None if volume is None else volume * UNIT)


def order(name: str = "o1", side: str = "buy", kind: str = "market", shares: int = 100, **said: Any) -> Order:
    """An order decided at the start, unless it is said otherwise."""
    plain: dict[str, Any] = {"account": "A", "symbol": "AAA", "decided_at": START, "lot": UNIT, "labels": Labels(strategy="s")}
    return Order(client_order_id=name, side=side, kind=kind, quantity=shares * UNIT, **{**plain, **said})  # type: ignore[arg-type]


def place(one: Order) -> Place:
    """The input that places an order when it was decided."""
    return Place(one.decided_at, one)


def played(inputs: list[Any], terms: BrokerTerms = FREE, state: BrokerState | None = None) -> tuple[BrokerState, list[Any]]:
    """The state after orders and bars, in their order, and what happened."""
    given = [BarClosed(one) if isinstance(one, Bar) else place(one) if isinstance(one, Order) else one for one in inputs]
    return run(terms, account() if state is None else state, given)


def fills(events: list[Any]) -> list[tuple[str, str, float, float]]:
    """The fills as id, side, shares and price."""
    return [(one.client_order_id, one.side, one.quantity / UNIT, one.price / UNIT) for one in events if type(one).__name__ == "Filled"]


def changes(events: list[Any]) -> list[tuple[str, str, str]]:
    """The changes without a fill, as id, state before and after."""
    return [(one.client_order_id, one.before, one.after) for one in events if type(one).__name__ == "Changed"]


__all__ = ["FREE", "MINUTE", "START", "account", "bar", "changes", "fills", "order", "place", "played", "px", "step"]
