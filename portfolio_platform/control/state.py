"""The state of one portfolio's control plane: immutable, a function of its events alone."""

from typing import NamedTuple

from immutables import Map

from portfolio_platform.control.model import Envelope
from portfolio_platform.control.terms import Terms

Key = tuple[str, str]
"""A strategy and a symbol: one position; or a rule and a group: one sum."""

EMPTY: "Map[Key, int]" = Map()


class Instrument(NamedTuple):
    """What groups a symbol belongs to."""

    cohort: str = ""
    sector: str = ""


class Position(NamedTuple):
    """An open position.

    Attributes:
        quantity: signed, in units of 1e-18; negative is short.
        risk: active risk to its stop, minor units, at least 0.
        exposure: gross exposure, minor units.
        template: of the trade that opened it.
        playbook: of the trade that opened it.
        bucket: of the intent behind it, for a symbol that the newest facts put in none.
    """

    quantity: int
    risk: int
    exposure: int
    template: str
    playbook: str
    bucket: str = ""


class Reservation(NamedTuple):
    """Risk that was granted and has not come back as a fill yet.

    Attributes:
        strategy: whose.
        symbol: in what.
        side: ``long`` or ``short``.
        granted: risk as decided, minor units.
        remaining: what of it is still reserved.
        notional: exposure as decided, minor units.
        exposure: what of it is still reserved.
        template: of the intent, or of the position that it adds to.
        playbook: of the intent, or of the position that it adds to.
        bucket: of the intent, or of the position that it adds to.
        expires_at: nanoseconds UTC.
        day: number of the UTC day of the decision, or of the one whose place it took over.
        opens: whether it counted as a new position of its day, and none was opened yet.
    """

    strategy: str
    symbol: str
    side: str
    granted: int
    remaining: int
    notional: int
    exposure: int
    template: str
    playbook: str
    bucket: str
    expires_at: int
    day: int
    opens: bool


class Fill(NamedTuple):
    """A fill as the control plane sees it.

    Attributes:
        execution_id: of the ledger.
        at: nanoseconds UTC.
        strategy: whose.
        symbol: in what.
        quantity: signed, in units of 1e-18.
        exposure: gross exposure of the filled quantity, minor units.
        risk: loss at its stop for the filled quantity, minor units; None where it has no stop.
        intent_id: the intent behind it; empty where none is known.
        template: of the trade.
        playbook: of the trade.
    """

    execution_id: str
    at: int
    strategy: str
    symbol: str
    quantity: int
    exposure: int
    risk: int | None
    intent_id: str = ""
    template: str = ""
    playbook: str = ""


class ControlState(NamedTuple):
    """Everything that a decision depends on.

    Attributes:
        portfolio: whose.
        version: how many events of its stream it has seen.
        now: the latest time that any of them bore, nanoseconds UTC.
        since: from when on the control plane is in charge; fills before it need no reservation.
        digits: minor units of the currency: 2 for cents.
        live: whether real money is behind it.
        terms: limits, mode, orders, facts.
        instruments: the known symbols and their groups.
        buckets: the correlation bucket of symbols.
        positions: open positions by strategy and symbol.
        reservations: by intent id.
        used: risk by rule and group, active and reserved; ``("heat", "")`` is the portfolio's.
        exposed: gross exposure by rule and group, active and reserved.
        active_risk: of all positions, minor units.
        reserved_risk: of all reservations, minor units.
        holders: how many positions and reservations each (strategy, symbol) has.
        begun: the intents whose reservation a fill has taken from, by strategy and symbol, sorted.
        day: the UTC day on which new positions were last counted.
        opened: how many were opened on it.
        early: risk of fills that came before their decision and the newest one's time, by intent id, strategy, symbol and side.
        recent: fills after the newest facts, newest first, as a linked list.
        issued: the newest envelope of each active symbol.
        enlisted: symbols with a workflow that wants envelopes.
        next_expiry: no reservation expires before this, nanoseconds UTC; 0 where there is none.
    """

    portfolio: str
    version: int = 0
    now: int = 0
    since: int = 0
    digits: int = 2
    live: bool = False
    terms: Terms = Terms()
    instruments: "Map[str, Instrument]" = Map()
    buckets: "Map[str, str]" = Map()
    positions: "Map[Key, Position]" = Map()
    reservations: "Map[str, Reservation]" = Map()
    used: "Map[Key, int]" = EMPTY
    exposed: "Map[Key, int]" = EMPTY
    active_risk: int = 0
    reserved_risk: int = 0
    holders: "Map[Key, int]" = EMPTY
    begun: "Map[Key, tuple[str, ...]]" = Map()
    day: int = 0
    opened: int = 0
    early: "Map[tuple[str, str, str, str], tuple[int, int]]" = Map()
    recent: tuple[Fill, object] | None = None
    issued: "Map[str, Envelope]" = Map()
    enlisted: "Map[str, bool]" = Map()
    next_expiry: int = 0

    def groups(self, symbol: str, template: str, playbook: str, bucket: str) -> tuple[Key, ...]:
        """Return the sums that a position in these belongs to, in the order of the rules; a group without a name has none."""
        instrument = self.instruments.get(symbol) or Instrument()
        named = (
            ("cohort", instrument.cohort),
            ("sector", instrument.sector),
            ("template", template),
            ("playbook", playbook),
            ("bucket", self.buckets.get(symbol) or bucket),
        )
        return (("heat", ""), ("symbol", symbol), *[key for key in named if key[1]])

    def joined(self, strategy: str, symbol: str, side: str, template: str, playbook: str, bucket: str) -> tuple[str, str, str]:
        """Return template, playbook and bucket that new risk will count for: those of the position that it adds to, else its own."""
        held = self.positions.get((strategy, symbol))
        if held is None or (held.quantity > 0) != (side == "long"):
            return template, playbook, bucket
        return held.template or template, held.playbook or playbook, held.bucket or bucket

    @property
    def active_symbols(self) -> list[str]:
        """Return the symbols that want an envelope: held, reserved, or with a workflow; sorted."""
        return sorted({key[1] for key in self.holders} | set(self.enlisted))
