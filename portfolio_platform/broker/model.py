"""What a broker is given and what it says: orders, bars, and the events about them.

Prices and quantities are integers in units of 1e-18, money is an integer of minor units, time is nanoseconds UTC, shares are parts per
million. No float is in any of these.
"""

from typing import Literal, NamedTuple, TypeAlias

Side = Literal["buy", "sell"]
Kind = Literal["market", "limit", "stop", "target"]
KINDS: tuple[Kind, ...] = ("market", "limit", "stop", "target")
OrderState = Literal["new", "accepted", "partially_filled", "filled", "cancelled", "rejected", "expired"]
OPEN_STATES: frozenset[OrderState] = frozenset({"new", "accepted", "partially_filled"})
"""An order in one of these may still change; the other states are final."""
UNIT = 10**18
"""One share, or one unit of currency in a price."""


class Labels(NamedTuple):
    """What the ledger is told of a trade; a broker only carries it.

    Attributes:
        portfolio: whose.
        strategy: who acts; positions are held by account, strategy and symbol.
        signal_id: the signal behind it.
        intent_id: the intent behind it.
        template: of the trade.
        playbook: of the trade.
        trigger_id: the trigger that fired.
        purpose: ``policy`` or ``research``.
        currency: of price and fee; empty for the instrument's.
        decision_price: price at the decision; 0 where it is not said.
        stop_price: protective stop in force; 0 where there is none.
        target_price: profit target in force; 0 where there is none.
        multiplier: notional of one unit at price 1.
    """

    portfolio: str = "main"
    strategy: str = "default"
    signal_id: str = ""
    intent_id: str = ""
    template: str = ""
    playbook: str = ""
    trigger_id: str = ""
    purpose: str = "policy"
    currency: str = ""
    decision_price: int = 0
    stop_price: int = 0
    target_price: int = 0
    multiplier: int = UNIT


class Order(NamedTuple):
    """An order as it is placed.

    Attributes:
        client_order_id: the client's own id; placed again with the same content it changes nothing.
        account: where.
        symbol: in what.
        side: ``buy`` or ``sell``.
        kind: ``market``; ``limit`` (at its price or better); ``stop`` (at the market once its price is touched); ``target`` (a limit
            that takes a profit).
        quantity: how much, positive.
        decided_at: when it was decided; no bar that opened before it fills the order.
        price: of a limit, stop or target.
        expires_at: when it ends unfilled; 0 for good till cancelled.
        group: orders of one group share one quantity, that of the largest; what one fills the others have no longer.
        lot: partial fills are whole multiples of this.
        reduces: never goes beyond flat, and is cancelled where there is nothing to reduce.
        exit_stop: with each fill a stop at this price is placed for what was filled; 0 for none.
        exit_target: with each fill a target at this price is placed for what was filled; 0 for none.
        labels: what the ledger is told.
    """

    client_order_id: str
    account: str
    symbol: str
    side: Side
    kind: Kind
    quantity: int
    decided_at: int
    price: int = 0
    expires_at: int = 0
    group: str = ""
    lot: int = 1
    reduces: bool = False
    exit_stop: int = 0
    exit_target: int = 0
    labels: Labels = Labels()

    @property
    def sign(self) -> int:
        """Return 1 for a purchase and -1 for a sale."""
        return 1 if self.side == "buy" else -1


class Bar(NamedTuple):
    """A closed bar.

    Attributes:
        symbol: of what.
        opens_at: when it opened. Where that is not known, the close of the bar before, which is never too late.
        ts: when it closed.
        open: first price.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: units traded; None where it is not known, and then nothing limits a fill.
    """

    symbol: str
    opens_at: int
    ts: int
    open: int
    high: int
    low: int
    close: int
    volume: int | None = None


class Place(NamedTuple):
    """Place an order."""

    at: int
    order: Order


class Cancel(NamedTuple):
    """Cancel what is unfilled of an order."""

    at: int
    client_order_id: str
    reason: str = "asked"


class Replace(NamedTuple):
    """Change what is unfilled of an order; None leaves a field. No bar that opened before ``at`` sees the change."""

    at: int
    client_order_id: str
    quantity: int | None = None
    price: int | None = None
    expires_at: int | None = None


class BarClosed(NamedTuple):
    """A bar closed; the orders of its symbol are held against it."""

    bar: Bar


class CashMoved(NamedTuple):
    """Money came into an account, or left it; the same id moves it once."""

    at: int
    move_id: str
    account: str
    amount: int


Input: TypeAlias = Place | Cancel | Replace | BarClosed | CashMoved


class Changed(NamedTuple):
    """An order went from one state to another without a fill."""

    at: int
    client_order_id: str
    symbol: str
    before: OrderState
    after: OrderState
    reason: str = ""


class Filled(NamedTuple):
    """An execution.

    Attributes:
        at: the close of the bar: nobody could know of it earlier.
        execution_id: unique; an order has at most one in a bar.
        client_order_id: of the order.
        account: where.
        symbol: in what.
        side: ``buy`` or ``sell``.
        quantity: how much, positive.
        price: of one unit, slippage included.
        reference: price before slippage: the bar's open, or the order's own.
        fee: minor units.
        notional: price times quantity times multiplier, minor units.
        before: the order's state before.
        after: ``partially_filled`` or ``filled``.
        left: what is unfilled after it.
        phase: ``open`` where it happened at the bar's first price, ``range`` where inside the bar.
        ambiguous: a stop whose bar held its target too; counted as the stop.
        decided_at: of the order.
        labels: of the order.
    """

    at: int
    execution_id: str
    client_order_id: str
    account: str
    symbol: str
    side: Side
    quantity: int
    price: int
    reference: int
    fee: int
    notional: int
    before: OrderState
    after: OrderState
    left: int
    phase: Literal["open", "range"]
    ambiguous: bool
    decided_at: int
    labels: Labels


class Failed(NamedTuple):
    """The broker could not be reached: the order is not there, and may be placed again under its id."""

    at: int
    client_order_id: str
    symbol: str
    reason: str


class Replaced(NamedTuple):
    """An order rests with another quantity, price or end."""

    at: int
    client_order_id: str
    symbol: str
    quantity: int
    price: int
    expires_at: int


class Ignored(NamedTuple):
    """An input that changes nothing and should not have come: ``subject`` is an order, a bar or a move."""

    at: int
    subject: str
    reason: str


Event: TypeAlias = Changed | Filled | Failed | Replaced | Ignored
