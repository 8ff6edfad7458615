"""What an event shows that should not be: over-fills, fills that nothing was reserved for, quantities that differ. Pure.

None of it changes an answer or a sum; each finding is an event of its own, and an alert.
"""

from portfolio_platform.control.events import FactsStated, FillRecorded, Noticed
from portfolio_platform.control.fills import behind, moved, priced
from portfolio_platform.control.state import ControlState, Position

UNIT = 10**18


def of_fill(state: ControlState, event: FillRecorded) -> list[Noticed]:
    """Return what is odd about a fill, looked at before it is applied."""
    fill = event.fill
    if fill.at < state.since:
        return []
    filled = priced(state, fill)
    opened = moved(state.positions, filled)[1]
    if not opened:
        return []
    reservation = behind(state, fill)
    if reservation is None:
        expected = f"a reservation of intent {fill.intent_id}" if fill.intent_id else "an intent"
        other = state.reservations.get(fill.intent_id)
        if other is not None:
            expected += f", which is {other.side} {other.symbol} of {other.strategy or 'no strategy'}"
        return [
            Noticed(event.at, "unreserved_fill", fill.strategy, fill.symbol, fill.execution_id, expected, f"{opened} minor units of risk")
        ]
    if opened > reservation.remaining:
        left = f"at most {reservation.remaining} minor units of risk"
        return [Noticed(event.at, "overfill", fill.strategy, fill.symbol, fill.execution_id, left, f"{opened}")]
    return []


def of_facts(state: ControlState, event: FactsStated) -> list[Noticed]:
    """Return the positions whose quantity in a session's facts is not what the fills up to its end add up to."""
    if event.facts.at < state.since or not state.terms.facts.at or event.facts.at < state.terms.facts.at:
        return []
    known = dict(state.positions)
    link = state.recent
    while link is not None:  # newest first: undo what came after the session's end
        fill, rest = link
        if fill.at > event.facts.at:
            key = (fill.strategy, fill.symbol)
            held = known.get(key) or Position(0, 0, 0, "", "")
            known[key] = held._replace(quantity=held.quantity - fill.quantity)
        link = rest  # type: ignore[assignment]
    stated = {(one.strategy, one.symbol): one.quantity for one in event.positions}
    found = []
    for key in sorted({*known, *stated}):
        ours, theirs = known[key].quantity if key in known else 0, stated.get(key, 0)
        if ours != theirs and key[1] not in event.adjusted:
            found.append(Noticed(event.at, "quantity_drift", key[0], key[1], event.facts.day, _units(ours), _units(theirs)))
    return found


def _units(quantity: int) -> str:
    """Return a quantity of 1e-18 as a decimal."""
    from decimal import Context, Decimal

    return format(Decimal(quantity).scaleb(-18, Context(prec=80)).normalize(Context(prec=80)), "f")
