"""The events of a portfolio's stream, typed, and their form in the log: integers and text only.

A portfolio's stream is ``control/<portfolio>``; the envelopes of one symbol are in ``control/<portfolio>/<symbol>``. Names are
percent-encoded in them, so that a slash in a symbol stays its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from portfolio_platform.control.model import AllocationDecision, Envelope, Headroom, PortfolioIntent
from portfolio_platform.control.state import Fill, Instrument
from portfolio_platform.control.terms import Facts, Limits, Order


def stream_of(portfolio: str, symbol: str | None = None) -> str:
    """Return the name of a portfolio's stream, or of one of its symbols."""
    whole = f"control/{quote(portfolio, safe='')}"
    return whole if symbol is None else f"{whole}/{quote(symbol, safe='')}"


class PortfolioOpened(NamedTuple):
    """The control plane takes charge of a portfolio; fills before ``since`` are history and need no reservation."""

    at: int
    since: int
    currency: str
    digits: int
    live: bool


class InstrumentsStated(NamedTuple):
    """Symbols that are known from now on, and the groups of each."""

    at: int
    instruments: tuple[tuple[str, Instrument], ...]


class PolicyAdopted(NamedTuple):
    """The limits of a policy hold from now on."""

    at: int
    limits: Limits


class Stated(NamedTuple):
    """A position in a session's facts: signed quantity in units of 1e-18, risk and exposure in minor units."""

    strategy: str
    symbol: str
    quantity: int
    risk: int
    exposure: int
    template: str
    playbook: str


class FactsStated(NamedTuple):
    """What the monitor says of a session's end: the portfolio, its positions, the buckets of symbols.

    ``adjusted`` are the symbols that were split since the session before: their quantities are not those of the fills.
    """

    at: int
    facts: Facts
    positions: tuple[Stated, ...]
    buckets: tuple[tuple[str, str], ...]
    adjusted: tuple[str, ...] = ()


class AllocationDecided(NamedTuple):
    """An intent and its answer; what was granted is reserved from here on."""

    at: int
    intent: PortfolioIntent
    decision: AllocationDecision


class FillRecorded(NamedTuple):
    """A fill of the ledger."""

    at: int
    fill: Fill


class ReservationEnded(NamedTuple):
    """A reservation is given up: cancelled, or expired on the clock."""

    at: int
    intent_id: str
    expired: bool
    by: str
    reason: str


class OrderGiven(NamedTuple):
    """The terms change until an end."""

    at: int
    order: Order


class OrderEnded(NamedTuple):
    """What an order changed returns to what it was: its time is over, or somebody ended it."""

    at: int
    order_id: str
    expired: bool
    by: str
    reason: str


class RiskOffReleased(NamedTuple):
    """A person lets a live portfolio out of risk-off; the drawdown diagnostic reads it."""

    at: int
    by: str
    reason: str


class SymbolEnlisted(NamedTuple):
    """A symbol's workflow wants envelopes from now on, or no more."""

    at: int
    symbol: str
    active: bool


class EnvelopesIssued(NamedTuple):
    """These symbols were told their limits; each envelope is an event of its symbol's stream."""

    at: int
    symbols: tuple[str, ...]
    reason: str


class Noticed(NamedTuple):
    """Something that the events should not have contained; it changes nothing, and is an alert.

    ``what`` is ``overfill``, ``unreserved_fill``, ``quantity_drift``, ``fill_disputed``,
    ``intent_conflict`` or ``plan_conflict`` (a plan of the orchestrator wants more than the envelope allows).
    """

    at: int
    what: str
    strategy: str
    symbol: str
    subject: str
    expected: str
    found: str


Event: TypeAlias = (
    PortfolioOpened
    | InstrumentsStated
    | PolicyAdopted
    | FactsStated
    | AllocationDecided
    | FillRecorded
    | ReservationEnded
    | OrderGiven
    | OrderEnded
    | RiskOffReleased
    | SymbolEnlisted
    | EnvelopesIssued
    | Noticed
)

NAMES: dict[type[Any], str] = {
    PortfolioOpened: "control_opened",
    InstrumentsStated: "instruments_stated",
    PolicyAdopted: "policy_adopted",
    FactsStated: "facts_stated",
    AllocationDecided: "allocation_decided",
    FillRecorded: "fill_recorded",
    ReservationEnded: "reservation_ended",
    OrderGiven: "order_given",
    OrderEnded: "order_ended",
    RiskOffReleased: "risk_off_released",
    SymbolEnlisted: "symbol_enlisted",
    EnvelopesIssued: "envelopes_issued",
    Noticed: "control_noticed",
}
DECIDED = NAMES[AllocationDecided]
ENVELOPE_ISSUED = "envelope_issued"
"""The type of the event with which a symbol is told its limits."""


def encode(event: Event) -> dict[str, object]:
    """Return an event's data as the log holds it: JSON without floats; quantities of 1e-18 as text, for they exceed 64 bits."""
    return _ENCODERS[type(event)](event)


def decode(name: str, data: Mapping[str, Any], *, brief: bool = False) -> Event:
    """Return the event behind a type and its data, the inverse of `encode`; ``brief`` leaves out the headrooms of decisions.

    Raises:
        KeyError: the type is none of a portfolio's stream, or a field is missing.
    """
    if brief and name == DECIDED:
        return _decode_decided(data, brief=True)
    return _DECODERS[name](data)


def encode_envelope(envelope: Envelope) -> dict[str, object]:
    """Return an envelope as the log and the API hold it."""
    return envelope._asdict()


def decode_envelope(data: Mapping[str, Any]) -> Envelope:
    """Return the envelope behind its data."""
    return Envelope(**data)


def encode_decision(decision: AllocationDecision) -> dict[str, object]:
    """Return a decision's data without what its intent says; each headroom is a list in the order of `Headroom`'s fields."""
    plain: dict[str, object] = {name: decision[place] for name, place in _DECIDED}
    plain["headrooms"] = [list(room) for room in decision.headrooms]
    return plain


def decode_decision(data: Mapping[str, Any], intent: PortfolioIntent, *, brief: bool = False) -> AllocationDecision:
    """Return the decision behind its data and its intent; ``brief`` leaves the headrooms out, which a state does not need."""
    rooms = () if brief else tuple([Headroom._make(room) for room in data["headrooms"]])
    said = (intent.intent_id, data["portfolio"], intent.strategy, intent.symbol, data["code"], intent.requested_risk)
    made = (
        *said,
        data["scaled_risk"],
        data["approved_risk"],
        data["approved_notional"],
        tuple(data["reasons"]),
        rooms,
        *_after_rooms(data),
    )
    return _new(AllocationDecision, made)


_INTENT = PortfolioIntent._fields
_DECISION = AllocationDecision._fields
_DECIDED = [(name, place) for place, name in enumerate(_DECISION) if name not in ("intent_id", "strategy", "symbol", "requested_risk")]
_intent_of = itemgetter(*_INTENT)
_after_rooms = itemgetter(*_DECISION[_DECISION.index("headrooms") + 1 :])
_new = tuple.__new__
"""Makes a named tuple from all of its fields, in half the time of calling its class; only where every decision is read."""
_FILL = Fill._fields
_LIMITS = tuple(one.name for one in fields(Limits))


def _encode_plain(event: Any) -> dict[str, object]:
    return dict(event._asdict())


def _encode_instruments(event: InstrumentsStated) -> dict[str, object]:
    return {"at": event.at, "instruments": [[symbol, list(groups)] for symbol, groups in event.instruments]}


def _encode_limits(event: PolicyAdopted) -> dict[str, object]:
    return {"at": event.at, "limits": {name: getattr(event.limits, name) for name in _LIMITS}}


def _decode_limits(data: Mapping[str, Any]) -> PolicyAdopted:
    limits = dict(data["limits"])
    limits["caps"] = tuple((basis, rule, share) for basis, rule, share in limits["caps"])
    limits["sizes"] = tuple((mode, share) for mode, share in limits["sizes"])
    return PolicyAdopted(data["at"], Limits(**limits))


def _encode_facts(event: FactsStated) -> dict[str, object]:
    return {
        "at": event.at,
        "facts": event.facts._asdict(),
        "positions": [(*one[:2], str(one.quantity), *one[3:]) for one in event.positions],
        "buckets": event.buckets,
        **({"adjusted": event.adjusted} if event.adjusted else {}),
    }


def _decode_facts(data: Mapping[str, Any]) -> FactsStated:
    positions = tuple(Stated(one[0], one[1], int(one[2]), *one[3:]) for one in data["positions"])
    buckets = tuple((symbol, bucket) for symbol, bucket in data["buckets"])
    return FactsStated(data["at"], Facts(**data["facts"]), positions, buckets, tuple(data.get("adjusted", ())))


def _encode_decided(event: AllocationDecided) -> dict[str, object]:
    return {"at": event.at, "intent": dict(zip(_INTENT, event.intent, strict=True)), "decision": encode_decision(event.decision)}


def _decode_decided(data: Mapping[str, Any], *, brief: bool = False) -> AllocationDecided:
    intent = _new(PortfolioIntent, _intent_of(data["intent"]))
    return _new(AllocationDecided, (data["at"], intent, decode_decision(data["decision"], intent, brief=brief)))


def _encode_fill(event: FillRecorded) -> dict[str, object]:
    return {"at": event.at, "fill": {**event.fill._asdict(), "quantity": str(event.fill.quantity)}}


def _decode_fill(data: Mapping[str, Any]) -> FillRecorded:
    fill = data["fill"]
    return FillRecorded(data["at"], Fill._make([fill[name] for name in _FILL])._replace(quantity=int(fill["quantity"])))


_ENCODERS: dict[type[Any], Callable[[Any], dict[str, object]]] = {
    **dict.fromkeys(NAMES, _encode_plain),
    PolicyAdopted: _encode_limits,
    InstrumentsStated: _encode_instruments,
    FactsStated: _encode_facts,
    AllocationDecided: _encode_decided,
    FillRecorded: _encode_fill,
    OrderGiven: lambda event: {"at": event.at, "order": event.order._asdict()},
}

_DECODERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "control_opened": lambda data: PortfolioOpened(**data),
    "instruments_stated": lambda data: InstrumentsStated(
        data["at"], tuple((symbol, Instrument(*groups)) for symbol, groups in data["instruments"])
    ),
    "policy_adopted": _decode_limits,
    "facts_stated": _decode_facts,
    "allocation_decided": _decode_decided,
    "fill_recorded": _decode_fill,
    "reservation_ended": lambda data: ReservationEnded(**data),
    "order_given": lambda data: OrderGiven(data["at"], Order(**data["order"])),
    "order_ended": lambda data: OrderEnded(**data),
    "risk_off_released": lambda data: RiskOffReleased(**data),
    "symbol_enlisted": lambda data: SymbolEnlisted(**data),
    "envelopes_issued": lambda data: EnvelopesIssued(data["at"], tuple(data["symbols"]), data["reason"]),
    "control_noticed": lambda data: Noticed(**data),
}
