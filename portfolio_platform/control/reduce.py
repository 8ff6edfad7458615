"""`apply(state, event) -> state`: what each event changes. Pure; the same events give the same state, in any process."""

from collections.abc import Callable, Iterable
from typing import Any

from immutables import Map

from portfolio_platform.control.envelopes import envelope
from portfolio_platform.control.events import (
    AllocationDecided,
    EnvelopesIssued,
    Event,
    FactsStated,
    FillRecorded,
    InstrumentsStated,
    Noticed,
    OrderEnded,
    OrderGiven,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
    RiskOffReleased,
    SymbolEnlisted,
)
from portfolio_platform.control.fills import behind, moved, priced
from portfolio_platform.control.model import AllocationDecision, PortfolioIntent
from portfolio_platform.control.state import EMPTY, ControlState, Fill, Key, Position, Reservation
from portfolio_platform.control.terms import revised
from portfolio_platform.days import day_number

_new = tuple.__new__
assert ControlState._fields[:3] == ("portfolio", "version", "now"), "`apply` takes these three for the first"
REMEMBERED = 7 * 86_400_000_000_000
"""How long a fill that came before its decision is waited for."""


def apply(state: ControlState, event: Event) -> ControlState:
    """Return the state after an event.

    Raises:
        KeyError: the event is none of a portfolio's stream.
    """
    after = _APPLIED[type(event)](state, event)
    at = event.at
    # every event passes here: the first three fields anew and the rest as it is, in a fifth of the time of `_replace`
    return _new(ControlState, (after.portfolio, state.version + 1, at if at > state.now else state.now, *after[3:]))


def remaining(before: ControlState, after: ControlState, event: Event) -> dict[str, int]:
    """Return what a decision or a fill leaves of reservations where that is not what was granted, by intent id; 0 of one that is over.

    It follows from the events; the log holds it beside them, so that what was reserved can be read without replaying positions.
    """
    if type(event) is AllocationDecided:
        made = after.reservations.get(event.intent.intent_id)
        return {event.intent.intent_id: made.remaining} if made is not None and made.remaining != event.decision.approved_risk else {}
    if type(event) is not FillRecorded or before.reservations is after.reservations:
        return {}
    fill, found = event.fill, {}
    # it changes its own, and where it closes those that were begun
    for name in (fill.intent_id, *before.begun.get((fill.strategy, fill.symbol), ())):
        one, left = before.reservations.get(name), after.reservations.get(name)
        if one is not None and left is not one:
            found[name] = 0 if left is None else left.remaining
    return found


def replay(state: ControlState, events: Iterable[Event]) -> ControlState:
    """Return the state after all of the events."""
    for event in events:
        state = apply(state, event)
    return state


def _opened(state: ControlState, event: PortfolioOpened) -> ControlState:
    return state._replace(since=event.since, digits=event.digits, live=event.live)


def _instruments(state: ControlState, event: InstrumentsStated) -> ControlState:
    return summed(state._replace(instruments=state.instruments.update(dict(event.instruments))))


def _policy(state: ControlState, event: PolicyAdopted) -> ControlState:
    return state._replace(terms=revised(state.terms, limits=event.limits))


def _facts(state: ControlState, event: FactsStated) -> ControlState:
    """Take a session's positions, risks and buckets over; fills after its end are laid on top of them again.

    An older session that is restated is in the log, and moves nothing: the newest one's facts rest on it already.
    """
    if event.facts.at < state.terms.facts.at:
        return state
    positions = {
        (one.strategy, one.symbol): Position(one.quantity, one.risk, one.exposure, one.template, one.playbook) for one in event.positions
    }
    later: list[Fill] = []
    link = state.recent
    while link is not None:
        fill, rest = link
        if fill.at > event.facts.at:
            later.append(fill)
        link = rest  # type: ignore[assignment]
    held: Map[Key, Position] = Map(positions)
    recent: tuple[Fill, object] | None = None
    for fill in reversed(later):
        held = moved(held, fill)[0]
        recent = (fill, recent)
    for key, before in state.positions.items():
        now = held.get(key) if before.bucket else None
        if now is not None and not now.bucket:
            held = held.set(key, now._replace(bucket=before.bucket))
    early = Map({name: one for name, one in state.early.items() if one[1] > event.facts.at - REMEMBERED}) if state.early else state.early
    fresh = state._replace(
        terms=revised(state.terms, facts=event.facts), positions=held, buckets=Map(dict(event.buckets)), recent=recent, early=early
    )
    return summed(fresh)


def _decided(state: ControlState, event: AllocationDecided) -> ControlState:
    decision, intent = event.decision, event.intent
    if not decision.approved_risk:
        return state
    key = (intent.strategy, intent.symbol)
    sent = (intent.intent_id, *key, intent.side)
    before = state.early.get(sent)
    filled = min(before[0], decision.approved_risk) if before else 0
    remaining = decision.approved_risk - filled
    notional = decision.approved_notional or 0
    exposure = notional * remaining // decision.approved_risk
    opens = key not in state.holders
    labels = state.joined(*key, intent.side, intent.template, intent.playbook, intent.correlation_bucket)
    made = _reservation(intent, decision, remaining, exposure, labels, opens)
    day = made.day
    opened = (state.opened if day == state.day else 0) + opens
    soonest = made.expires_at if not state.next_expiry or made.expires_at < state.next_expiry else state.next_expiry
    after = state._replace(
        reservations=state.reservations.set(intent.intent_id, made),
        holders=state.holders.set(key, state.holders.get(key, 0) + 1),
        reserved_risk=state.reserved_risk + remaining,
        day=day,
        opened=opened,
        next_expiry=soonest,
        early=state.early.delete(sent) if before else state.early,
    )
    after = _begun(after, key, intent.intent_id) if filled else after
    return _added(after, state.groups(intent.symbol, *labels), remaining, exposure)


def _reservation(
    intent: PortfolioIntent, decision: AllocationDecision, remaining: int, exposure: int, labels: tuple[str, str, str], opens: bool
) -> Reservation:
    return Reservation(
        intent.strategy,
        intent.symbol,
        intent.side,
        decision.approved_risk,
        remaining,
        decision.approved_notional or 0,
        exposure,
        *labels,
        decision.expires_at,
        day_number(decision.at),
        opens,
    )


def _filled(state: ControlState, event: FillRecorded) -> ControlState:
    """Commit what a fill opens from its reservation, and take what it closes out of the active risk."""
    fill = event.fill
    key = (fill.strategy, fill.symbol)
    before = state.positions.get(key)
    fill = priced(state, fill)
    held, opened, opened_exposure = moved(state.positions, fill)
    reservation = behind(state, fill)
    if reservation is not None and reservation.bucket and key in held and not held[key].bucket:
        held = held.set(key, held[key]._replace(bucket=reservation.bucket))
    after = state._replace(positions=held, recent=(fill, state.recent))
    after = _position_changed(after, key, before, held.get(key))
    if before is None and key in held:
        after = _counted(after, key, event, new=key not in state.holders)
    if opened:
        after = _committed(after, fill, opened, opened_exposure)
    if before is not None and (key not in held or (held[key].quantity > 0) != (before.quantity > 0)):
        after = _closed(after, key, fill.intent_id if key in held else "", event.at)
    return after


def _position_changed(state: ControlState, key: Key, before: Position | None, now: Position | None) -> ControlState:
    """Take a position out of the sums as it was, and put it in as it is."""
    if before is not None:
        state = _added(state, state.groups(key[1], before.template, before.playbook, before.bucket), -before.risk, -before.exposure)
        state = state._replace(active_risk=state.active_risk - before.risk)
        if now is None:
            state = state._replace(holders=_fewer(state.holders, key))
    if now is not None:
        state = _added(state, state.groups(key[1], now.template, now.playbook, now.bucket), now.risk, now.exposure)
        state = state._replace(active_risk=state.active_risk + now.risk)
        if before is None:
            state = state._replace(holders=state.holders.set(key, state.holders.get(key, 0) + 1))
    return state


def _committed(state: ControlState, fill: Fill, opened: int, exposure: int) -> ControlState:
    """Take what a fill opened out of its reservation; what came before its decision is remembered for it."""
    reservation = behind(state, fill)
    if reservation is None:
        if not fill.intent_id or fill.at < state.since or fill.intent_id in state.reservations:
            return state
        sent = (fill.intent_id, fill.strategy, fill.symbol, "long" if fill.quantity > 0 else "short")
        earlier = state.early.get(sent, (0, 0))[0]
        return state._replace(early=state.early.set(sent, (earlier + opened, fill.at)))
    taken = min(reservation.remaining, opened)
    freed = min(reservation.exposure, exposure)
    if taken and reservation.remaining == reservation.granted:
        state = _begun(state, (reservation.strategy, reservation.symbol), fill.intent_id)
    smaller = reservation._replace(remaining=reservation.remaining - taken, exposure=reservation.exposure - freed)
    state = state._replace(reservations=state.reservations.set(fill.intent_id, smaller), reserved_risk=state.reserved_risk - taken)
    keys = state.groups(reservation.symbol, reservation.template, reservation.playbook, reservation.bucket)
    return _added(state, keys, -taken, -freed)


def _closed(state: ControlState, key: Key, but: str, at: int) -> ControlState:
    """Release what is left of the reservations behind a position that is closed; the one that closed it by a flip stays."""
    for intent_id in state.begun.get(key, ()):
        if intent_id != but:
            state = _dropped(state, intent_id, at)
    return state


def _begun(state: ControlState, key: Key, intent_id: str) -> ControlState:
    """Note that a fill has taken from a reservation: closing the position releases what is left of it."""
    return state._replace(begun=state.begun.set(key, tuple(sorted((*state.begun.get(key, ()), intent_id)))))


def _of(state: ControlState, key: Key) -> list[str]:
    """Return the intents of the reservations of a strategy in a symbol, sorted."""
    return sorted(name for name, one in state.reservations.items() if one.symbol == key[1] and one.strategy == key[0])


def _counted(state: ControlState, key: Key, event: FillRecorded, new: bool) -> ControlState:
    """Count a position that a fill opened among those of its day, unless the decision behind it was counted already.

    That decision counts for this position from here on: it gives its place back no more.
    """
    own = state.reservations.get(event.fill.intent_id)
    counted = own is not None and own.opens and (own.strategy, own.symbol) == key
    for intent_id in () if new else (event.fill.intent_id,) if counted else _of(state, key):
        if state.reservations[intent_id].opens:
            settled = state.reservations[intent_id]._replace(opens=False)
            return state._replace(reservations=state.reservations.set(intent_id, settled))
    day = day_number(event.at)
    if event.fill.at < state.since or day_number(event.fill.at) != day or day < state.day:
        return state  # it was opened on a day that is over, or before control began
    return state._replace(day=day, opened=(state.opened if day == state.day else 0) + 1)


def _ended(state: ControlState, event: ReservationEnded) -> ControlState:
    reservation = state.reservations.get(event.intent_id)
    if reservation is None:
        return state
    unused = reservation.opens and reservation.remaining == reservation.granted
    state = _dropped(state, event.intent_id, event.at)
    if not unused:
        return state
    key = (reservation.strategy, reservation.symbol)
    if key not in state.holders:
        return state._replace(opened=max(0, state.opened - 1)) if reservation.day == state.day else state
    for heir in _of(state, key) if key not in state.positions else ():  # another intent of the same position: the place is its own now
        taken_over = state.reservations[heir]._replace(opens=True, day=reservation.day)
        return state._replace(reservations=state.reservations.set(heir, taken_over))
    return state


def _dropped(state: ControlState, intent_id: str, at: int) -> ControlState:
    """Take a reservation away, with what is left of it."""
    reservation = state.reservations[intent_id]
    left = state.reservations.delete(intent_id)
    key = (reservation.strategy, reservation.symbol)
    begun = state.begun
    if reservation.remaining < reservation.granted:
        others = tuple(name for name in begun[key] if name != intent_id)
        begun = begun.set(key, others) if others else begun.delete(key)
    soonest = state.next_expiry
    soon = max(at, soonest)
    # where many end at once, the next of them need not be looked for among all that are left, each time
    if reservation.expires_at <= soon and not any(one.expires_at <= soon for one in left.values()):
        soonest = min((one.expires_at for one in left.values()), default=0)
    state = state._replace(
        reservations=left,
        begun=begun,
        holders=_fewer(state.holders, key),
        reserved_risk=state.reserved_risk - reservation.remaining,
        next_expiry=soonest,
    )
    keys = state.groups(reservation.symbol, reservation.template, reservation.playbook, reservation.bucket)
    return _added(state, keys, -reservation.remaining, -reservation.exposure)


def _order(state: ControlState, event: OrderGiven) -> ControlState:
    return state._replace(terms=revised(state.terms, orders={**state.terms.orders, event.order.order_id: event.order}))


def _order_ended(state: ControlState, event: OrderEnded) -> ControlState:
    if event.order_id not in state.terms.orders:
        return state
    orders = {name: order for name, order in state.terms.orders.items() if name != event.order_id}
    return state._replace(terms=revised(state.terms, orders=orders))


def _enlisted(state: ControlState, event: SymbolEnlisted) -> ControlState:
    if event.active:
        return state._replace(enlisted=state.enlisted.set(event.symbol, True))
    left = state.enlisted.delete(event.symbol) if event.symbol in state.enlisted else state.enlisted
    return state._replace(enlisted=left)


def _issued(state: ControlState, event: EnvelopesIssued) -> ControlState:
    told = {symbol: envelope(state, symbol, event.at) for symbol in event.symbols}
    return state._replace(issued=state.issued.update(told))


def _nothing(state: ControlState, event: RiskOffReleased | Noticed) -> ControlState:
    return state


def _added(state: ControlState, keys: tuple[Key, ...], risk: int, exposure: int) -> ControlState:
    """Add to the sums of some groups; a sum of nothing is not kept."""
    if risk:
        state = state._replace(used=_more(state.used, keys, risk))
    if exposure:
        state = state._replace(exposed=_more(state.exposed, keys, exposure))
    return state


def _more(sums: "Map[Key, int]", keys: tuple[Key, ...], amount: int) -> "Map[Key, int]":
    with sums.mutate() as changing:
        for key in keys:
            total = changing.get(key, 0) + amount
            if total:
                changing[key] = total
            else:
                changing.pop(key, None)
        summed = changing.finish()
    return summed


def _fewer(holders: "Map[Key, int]", key: Key) -> "Map[Key, int]":
    left = holders[key] - 1
    return holders.set(key, left) if left else holders.delete(key)


def summed(state: ControlState) -> ControlState:
    """Work every sum out anew from positions and reservations: groups have changed, or all positions."""
    state = state._replace(used=EMPTY, exposed=EMPTY, holders=EMPTY, active_risk=0, reserved_risk=0)
    for key, position in sorted(state.positions.items()):
        state = _position_changed(state, key, None, position)
    for _, one in sorted(state.reservations.items()):
        key = (one.strategy, one.symbol)
        state = state._replace(
            holders=state.holders.set(key, state.holders.get(key, 0) + 1), reserved_risk=state.reserved_risk + one.remaining
        )
        state = _added(state, state.groups(one.symbol, one.template, one.playbook, one.bucket), one.remaining, one.exposure)
    return state


_APPLIED: dict[type[Any], Callable[[ControlState, Any], ControlState]] = {
    PortfolioOpened: _opened,
    InstrumentsStated: _instruments,
    PolicyAdopted: _policy,
    FactsStated: _facts,
    AllocationDecided: _decided,
    FillRecorded: _filled,
    ReservationEnded: _ended,
    OrderGiven: _order,
    OrderEnded: _order_ended,
    RiskOffReleased: _nothing,
    SymbolEnlisted: _enlisted,
    EnvelopesIssued: _issued,
    Noticed: _nothing,
}
