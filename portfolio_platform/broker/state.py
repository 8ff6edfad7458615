"""The state of a paper broker: an immutable value with canonical bytes, so that a run goes on after a kill as if nothing had been."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from immutables import Map

from portfolio_platform.broker.model import OPEN_STATES, Bar, Order, OrderState
from portfolio_platform.codec import from_bytes, to_bytes

Key = tuple[str, str, str]
"""Account, strategy and symbol: one position."""


class Account(NamedTuple):
    """An account: cash in minor units; a ``cash`` account neither owes money nor sells what it does not hold, a ``margin`` account may."""

    cash: int
    kind: Literal["cash", "margin"] = "margin"


class Working(NamedTuple):
    """An order as the broker has it, open or ended.

    Attributes:
        order: as it stands, replacements included.
        state: one of the order states.
        number: orders are counted as they come; of two alike the earlier is filled first.
        filled: how much of it.
        since: when it was accepted.
        ended: when it reached a final state; 0 while it is open.
        triggered: a stop whose price was touched; what is left of it is filled at the market.
        born: the bar inside which its entry was filled: before that moment the bar's prices do not count for it.
        asked: as it was first placed, where it was replaced since.
        reason: why it ended.
    """

    order: Order
    state: OrderState
    number: int
    filled: int = 0
    since: int = 0
    ended: int = 0
    triggered: bool = False
    born: int = 0
    asked: Order | None = None
    reason: str = ""

    @property
    def left(self) -> int:
        """Return what is unfilled."""
        return self.order.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Say whether it may still change."""
        return self.state in OPEN_STATES


class Group(NamedTuple):
    """Orders that share one quantity: that of the largest of them, and what they have filled of it together."""

    size: int
    filled: int = 0


class BrokerState(NamedTuple):
    """Everything that a paper broker's next answer depends on, beside its terms.

    Attributes:
        now: the latest time of any input.
        number: how many orders it has taken.
        accounts: by name.
        positions: signed quantities by account, strategy and symbol; flat ones are not kept.
        orders: by client order id, ended ones too, until `forgotten`.
        resting: ids of the open orders of each symbol, in the order in which they came.
        groups: by name.
        bars: the newest bar of each symbol.
        failures: failed attempts by client order id.
        moves: amounts by move id.
    """

    now: int = 0
    number: int = 0
    accounts: "Map[str, Account]" = Map()
    positions: "Map[Key, int]" = Map()
    orders: "Map[str, Working]" = Map()
    resting: "Map[str, tuple[str, ...]]" = Map()
    groups: "Map[str, Group]" = Map()
    bars: "Map[str, Bar]" = Map()
    failures: "Map[str, int]" = Map()
    moves: "Map[str, int]" = Map()

    def open_orders(self, symbol: str | None = None) -> tuple[Working, ...]:
        """Return the open orders of a symbol, or of all (by symbol), in the order in which they came."""
        symbols = sorted(self.resting) if symbol is None else [symbol]
        return tuple(self.orders[name] for one in symbols for name in self.resting.get(one, ()))

    def held(self, account: str, strategy: str, symbol: str) -> int:
        """Return the signed quantity of a position."""
        return self.positions.get((account, strategy, symbol), 0)


def opened(accounts: Mapping[str, Account], now: int = 0) -> BrokerState:
    """Return the state of a broker with these accounts and nothing else."""
    return BrokerState(now=now, accounts=Map(accounts))


def forgotten(state: BrokerState, before: int) -> BrokerState:
    """Return the state without the orders that ended before a time; their ids would be taken for new ones from then on."""
    over = [name for name, one in state.orders.items() if not one.is_open and one.ended < before]
    with state.orders.mutate() as changing:
        for name in over:
            del changing[name]
        orders = changing.finish()
    used = {one.order.group for one in orders.values() if one.order.group}
    groups = Map({name: group for name, group in state.groups.items() if name in used})
    return state._replace(orders=orders, groups=groups)


def state_bytes(state: BrokerState) -> bytes:
    """Return the canonical bytes of a state."""
    return to_bytes(state, BrokerState)


def state_of(content: bytes) -> BrokerState:
    """Return the state behind its canonical bytes."""
    state: BrokerState = from_bytes(content, BrokerState)
    return state
