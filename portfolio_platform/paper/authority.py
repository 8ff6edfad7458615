"""Who grants risk in a paper run: the control plane's own rules, or somebody who says yes to everything, for comparison.

Both work in memory on one portfolio and leave what they did as events to be written with everything else of the session.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from portfolio_platform.book.events import NewEvent
from portfolio_platform.control import log
from portfolio_platform.control.batch import Batch, Known, policy_changed
from portfolio_platform.control.events import (
    NAMES,
    FactsStated,
    InstrumentsStated,
    Noticed,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
    SymbolEnlisted,
)
from portfolio_platform.control.model import APPROVED_FULL, MILLION, AllocationDecision, Envelope, PortfolioIntent
from portfolio_platform.control.plane import content_of
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.state import ControlState, Fill, Instrument
from portfolio_platform.control.terms import LAST, Limits
from portfolio_platform.days import NANOSECONDS_PER_DAY, format_timestamp
from portfolio_platform.paper.model import Finding

NOTHING_KNOWN = Known({}, {})
GAPPED = "overfill"


class Standing(NamedTuple):
    """What a display and a session's record say of the authority; money in minor units."""

    mode: str
    reserved: int
    active: int


class Authority(Protocol):
    """Decides what workflows may risk. Every call has a time, and times never fall.

    Attributes:
        pending: events to be written with the session.
    """

    pending: list[NewEvent]

    def caught_up(self, connection: Connection) -> None:
        """Take in what others wrote since: orders of operators, recommendations that were applied."""
        ...

    def opened(self, at: int, limits: Limits, instruments: Sequence[tuple[str, Instrument]], currency: str, digits: int) -> None:
        """Take charge of the portfolio, under these limits."""
        ...

    def decide(self, intent: PortfolioIntent, at: int) -> AllocationDecision:
        """Answer an intent; what is granted is reserved."""
        ...

    def release(self, intent_id: str, reason: str, at: int) -> None:
        """Give a reservation up."""
        ...

    def heard_at(self, fill: Fill, at: int) -> int:
        """Return when a fill counts that is known at a time: a bar's fill is known at its close, and may have happened before."""
        ...

    def fill(self, fill: Fill, at: int) -> None:
        """Take a fill into active risk."""
        ...

    def enlist(self, symbol: str, active: bool, at: int) -> None:
        """Let a symbol have envelopes from now on, or no more."""
        ...

    def state_facts(self, facts: FactsStated, at: int) -> None:
        """Take a session's facts over."""
        ...

    def tell(self, at: int, *, everybody: bool = False) -> None:
        """Issue the envelopes that are due."""
        ...

    def envelope(self, symbol: str) -> Envelope | None:
        """Return the newest envelope of a symbol."""
        ...

    def standing(self) -> Standing:
        """Return mode and risk as they are."""
        ...


class ControlAuthority:
    """The control plane's rules, in memory: the same decisions, events and envelopes as `control.plane.ControlPlane` writes.

    Attributes:
        state: of the portfolio, after everything that was done.
        pending: events to be written with the session.
    """

    def __init__(self, portfolio: str) -> None:
        """Begin with nothing known; `caught_up` reads the log."""
        self.state = ControlState(portfolio)
        self.pending: list[NewEvent] = []
        self._batch: Batch | None = None
        self._contents: dict[str, str] = {}

    def caught_up(self, connection: Connection) -> None:
        """Take in what others wrote since."""
        for one in log.events_after(connection, self.state.portfolio, self.state.version, brief=True):
            self.state = apply(self.state, one.event)

    def opened(self, at: int, limits: Limits, instruments: Sequence[tuple[str, Instrument]], currency: str, digits: int) -> None:
        """Take charge of the portfolio; what is known already is not said again."""
        batch = self._at(at)
        if not batch.state.version:
            batch.put(PortfolioOpened(batch.now, batch.now, currency, digits, False))
        if policy_changed(batch.state, limits):
            batch.put(PolicyAdopted(batch.now, limits))
        new = tuple(sorted((name, one) for name, one in instruments if batch.state.instruments.get(name) != one))
        if new:
            batch.put(InstrumentsStated(batch.now, new))
        self._done()

    def decide(self, intent: PortfolioIntent, at: int) -> AllocationDecision:
        """Answer an intent."""
        return self._at(at).decide(intent, NOTHING_KNOWN)[0]

    def release(self, intent_id: str, reason: str, at: int) -> None:
        """Give a reservation up; one that is over already stays so."""
        batch = self._at(at)
        found = batch.state.reservations.get(intent_id)
        if found is not None:
            batch.put(ReservationEnded(batch.now, intent_id, False, f"workflow:{found.symbol}", reason))
            batch.touch(found.strategy, found.symbol)

    def heard_at(self, fill: Fill, at: int) -> int:
        """Return a time before the end of the reservation that the fill takes from: the broker fills no order after its end."""
        found = self.state.reservations.get(fill.intent_id)
        return at if found is None or found.expires_at > at else max(self.state.now, found.expires_at - 1)

    def fill(self, fill: Fill, at: int) -> None:
        """Take a fill over."""
        self._at(at).fill(fill, NOTHING_KNOWN)

    def enlist(self, symbol: str, active: bool, at: int) -> None:
        """Let a symbol have envelopes, or no more."""
        batch = self._at(at)
        if (symbol in batch.state.enlisted) != active:
            batch.put(SymbolEnlisted(batch.now, symbol, active))
            batch.touch("", symbol)

    def state_facts(self, facts: FactsStated, at: int) -> None:
        """Take a session's facts over."""
        self._at(at).stated(facts, content_of(facts), ())

    def tell(self, at: int, *, everybody: bool = False) -> None:
        """End what is over on the clock, and issue the envelopes that are due."""
        self._at(at).tell(everybody=everybody)
        self._done()

    def envelope(self, symbol: str) -> Envelope | None:
        """Return the newest envelope of a symbol."""
        return self.state.issued.get(symbol)

    def standing(self) -> Standing:
        """Return mode and risk."""
        return Standing(self.state.terms.mode, self.state.reserved_risk, self.state.active_risk)

    def _at(self, at: int) -> Batch:
        """Return the batch of an instant; symbols are told at its end, by `tell`."""
        if self._batch is not None and self._batch.now < at:
            self._done()
        if self._batch is None:
            self._batch = Batch(self.state, at)
        return self._batch

    def _done(self) -> None:
        if self._batch is not None:
            self.state = self._batch.state
            self.pending += self._batch.pending
            self._batch = None


class OpenAuthority:
    """Says yes to everything: no caps, no modes, no reservations. Nothing of it is in the control plane's streams.

    An envelope has to be there for a workflow to size by; it holds the equity and limits nothing.

    Attributes:
        pending: always empty: what is asked and granted is in the streams of the workflows.
    """

    def __init__(self, portfolio: str, equity: int, *, follows: bool = True) -> None:
        """Begin with an equity, minor units; ``follows`` says whether it becomes that of each session's facts."""
        self.pending: list[NewEvent] = []
        self._portfolio, self._equity, self._follows = portfolio, equity, follows
        self._issued: dict[str, Envelope] = {}
        self._listed: set[str] = set()

    def restored(self, equity: int, listed: Sequence[str], told: Sequence[tuple[str, int]]) -> None:
        """Go on from an earlier process: the equity, who has envelopes, and the versions that were told."""
        self._equity = equity if self._follows else self._equity
        self._listed = set(listed)
        for symbol, version in told:
            self._issue(symbol, 0, version)

    def caught_up(self, connection: Connection) -> None:
        """Find nothing: nobody gives orders here."""
        del connection

    def opened(self, at: int, limits: Limits, instruments: Sequence[tuple[str, Instrument]], currency: str, digits: int) -> None:
        """Take note of nothing."""
        del at, limits, instruments, currency, digits

    def decide(self, intent: PortfolioIntent, at: int) -> AllocationDecision:
        """Grant what is asked."""
        flat = intent.side == "flat"
        return AllocationDecision(
            intent_id=intent.intent_id,
            portfolio=self._portfolio,
            strategy=intent.strategy,
            symbol=intent.symbol,
            code=APPROVED_FULL,
            requested_risk=intent.requested_risk,
            scaled_risk=intent.requested_risk,
            approved_risk=0 if flat else intent.requested_risk,
            approved_notional=intent.requested_notional,
            reasons=("control:off",),
            headrooms=(),
            mode="normal",
            multiplier=MILLION,
            equity=self._equity,
            facts_at=at,
            policy_hash="",
            terms_version=0,
            state_version=0,
            at=at,
            expires_at=0,
        )

    def release(self, intent_id: str, reason: str, at: int) -> None:
        """Take note of nothing: nothing is reserved."""
        del intent_id, reason, at

    def heard_at(self, fill: Fill, at: int) -> int:
        """Return the time at which it is known."""
        del fill
        return at

    def fill(self, fill: Fill, at: int) -> None:
        """Take note of nothing."""
        del fill, at

    def enlist(self, symbol: str, active: bool, at: int) -> None:
        """Let a symbol have envelopes, or no more."""
        if active:
            self._listed.add(symbol)
            self._issue(symbol, at)
        else:
            self._listed.discard(symbol)

    def state_facts(self, facts: FactsStated, at: int) -> None:
        """Follow the equity."""
        if self._follows and facts.facts.equity != self._equity:
            self._equity = max(0, facts.facts.equity)
            for symbol in sorted(self._listed):
                self._issue(symbol, at)

    def tell(self, at: int, *, everybody: bool = False) -> None:
        """Tell nothing further: an envelope without limits does not grow old."""
        del at, everybody

    def envelope(self, symbol: str) -> Envelope | None:
        """Return the newest envelope of a symbol."""
        return self._issued.get(symbol)

    def standing(self) -> Standing:
        """Return that nothing is limited."""
        return Standing("normal", 0, 0)

    def _issue(self, symbol: str, at: int, version: int | None = None) -> None:
        before = self._issued.get(symbol)
        number = version if version is not None else 1 if before is None else before.version + 1
        self._issued[symbol] = Envelope(
            portfolio=self._portfolio,
            symbol=symbol,
            version=number,
            portfolio_mode="normal",
            force_flatten_only=False,
            size_multiplier_cap=MILLION,
            symbol_max_risk=None,
            max_new_risk=self._equity,
            max_additional_positions=1_000_000,
            binding="no_limit",
            equity=self._equity,
            terms_version=0,
            issued_at=at,
            expires_at=LAST,
        )


def noticed(authority: Authority, at: int) -> list[Finding]:
    """Return what the control plane noticed among what it is about to write: things that its events should not contain.

    More risk than was granted (``overfill``) is left out: an entry at the next open may be further from its stop than the close was at
    which it was granted. That is the market's doing, and the alert about it stands.
    """
    name = NAMES[Noticed]
    found = [one.data for one in authority.pending if one.type == name and one.data["what"] != GAPPED]
    return [Finding(at, f"control_{one['what']}", f"{one['symbol']}: expected {one['expected']}, found {one['found']}") for one in found]


def hurried(authority: Authority, end: int, known: Sequence[Finding]) -> list[Finding]:
    """Return that somebody acted on the portfolio at a time far beyond a session's end, once for each such time.

    A control plane's time never falls: what it decides in the session counts as decided then. Orders of operators hold until the sessions
    are past their end, and intents are refused as too old.

    Args:
        authority: after it caught up with what others wrote.
        end: of the session to come.
        known: findings so far.
    """
    if not isinstance(authority, ControlAuthority) or authority.state.now <= end + NANOSECONDS_PER_DAY:
        return []
    text = (
        f"somebody acted on {authority.state.portfolio} at {format_timestamp(authority.state.now)}, a clock ahead of its sessions: "
        "until they are there, intents are refused as too old; act with --as-of at a session's end, and begin another portfolio to go on"
    )
    found = Finding(end, "control_ahead", text)
    return [] if any((one.what, one.text) == (found.what, found.text) for one in known) else [found]
