"""What a broker is to the rest of the platform, and the one that there is: orders on paper, held against bars."""

from typing import Protocol

from portfolio_platform.broker.model import Bar, BarClosed, Cancel, Event, Input, Order, Place, Replace
from portfolio_platform.broker.state import BrokerState, Working, state_bytes, state_of
from portfolio_platform.broker.step import step
from portfolio_platform.broker.terms import BrokerTerms


class Broker(Protocol):
    """Takes orders and says what became of them. Every method answers with the events that it caused; each is safe to repeat."""

    def place(self, order: Order, at: int) -> tuple[Event, ...]:
        """Place an order; its client order id makes a repetition harmless."""
        ...

    def cancel(self, client_order_id: str, at: int, reason: str = "asked") -> tuple[Event, ...]:
        """Cancel what is unfilled of an order."""
        ...

    def replace(
        self, client_order_id: str, at: int, *, quantity: int | None = None, price: int | None = None, expires_at: int | None = None
    ) -> tuple[Event, ...]:
        """Change what is unfilled of an order."""
        ...

    def on_bar(self, bar: Bar) -> tuple[Event, ...]:
        """Hold the resting orders of a symbol against its newly closed bar."""
        ...

    def resting(self, symbol: str | None = None) -> tuple[Working, ...]:
        """Return the open orders of a symbol, or of all."""
        ...


class PaperBroker:
    """A `Broker` on paper: `step` over a state that it keeps.

    Attributes:
        terms: what trading costs and what goes wrong.
        state: everything else, immutable; keep `state_bytes` of it, and begin from there again.
    """

    def __init__(self, terms: BrokerTerms, state: BrokerState) -> None:
        """Begin at a state."""
        self.terms = terms
        self.state = state

    @classmethod
    def resumed(cls, terms: BrokerTerms, content: bytes) -> "PaperBroker":
        """Return a broker that goes on from the canonical bytes of a state."""
        return cls(terms, state_of(content))

    def place(self, order: Order, at: int) -> tuple[Event, ...]:
        """Place an order."""
        return self.take(Place(at, order))

    def cancel(self, client_order_id: str, at: int, reason: str = "asked") -> tuple[Event, ...]:
        """Cancel what is unfilled of an order."""
        return self.take(Cancel(at, client_order_id, reason))

    def replace(
        self, client_order_id: str, at: int, *, quantity: int | None = None, price: int | None = None, expires_at: int | None = None
    ) -> tuple[Event, ...]:
        """Change what is unfilled of an order."""
        return self.take(Replace(at, client_order_id, quantity, price, expires_at))

    def on_bar(self, bar: Bar) -> tuple[Event, ...]:
        """Hold the resting orders of a symbol against its newly closed bar."""
        return self.take(BarClosed(bar))

    def resting(self, symbol: str | None = None) -> tuple[Working, ...]:
        """Return the open orders of a symbol, or of all."""
        return self.state.open_orders(symbol)

    def take(self, given: Input) -> tuple[Event, ...]:
        """Take any input."""
        self.state, events = step(self.terms, self.state, given)
        return events

    def content(self) -> bytes:
        """Return the canonical bytes of the state."""
        return state_bytes(self.state)
