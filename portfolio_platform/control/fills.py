"""What one fill does: which reservation it may take from, what it puts at risk, and what becomes of the position. Pure."""

from immutables import Map

from portfolio_platform.control.state import ControlState, Fill, Key, Position, Reservation


def behind(state: ControlState, fill: Fill) -> Reservation | None:
    """Return the reservation that a fill may take from: that of its intent, in its symbol, on its side, of its strategy if it says one."""
    found = state.reservations.get(fill.intent_id)
    if found is None or found.symbol != fill.symbol or (found.side == "long") != (fill.quantity > 0):
        return None
    return found if fill.strategy in ("", found.strategy) else None


def priced(state: ControlState, fill: Fill) -> Fill:
    """Return a fill with its risk: its own, else all that is left of its reservation, else the whole exposure.

    Template and playbook are those of the reservation, for its caps made room for them; the fill's own where it has none.
    """
    reservation = behind(state, fill)
    if reservation is None:
        return fill if fill.risk is not None else fill._replace(risk=fill.exposure)
    risk = fill.risk if fill.risk is not None else reservation.remaining or fill.exposure
    return fill._replace(risk=risk, template=reservation.template or fill.template, playbook=reservation.playbook or fill.playbook)


def moved(positions: "Map[Key, Position]", fill: Fill) -> "tuple[Map[Key, Position], int, int]":
    """Return the positions after a fill, and the risk and exposure of what it opened.

    What it closes takes its share of risk and exposure with it, rounded down, all of it at flat; a flip closes all and opens the rest.
    """
    key = (fill.strategy, fill.symbol)
    before = positions.get(key) or Position(0, 0, 0, fill.template, fill.playbook)
    risk = fill.risk or 0
    if before.quantity == 0 or (before.quantity > 0) == (fill.quantity > 0):
        return (
            positions.set(
                key,
                before._replace(
                    quantity=before.quantity + fill.quantity,
                    risk=before.risk + risk,
                    exposure=before.exposure + fill.exposure,
                    template=before.template or fill.template,
                    playbook=before.playbook or fill.playbook,
                ),
            ),
            risk,
            fill.exposure,
        )
    size, closing = abs(before.quantity), abs(fill.quantity)
    left = before.quantity + fill.quantity
    if closing < size:
        smaller = before._replace(
            quantity=left,
            risk=before.risk - before.risk * closing // size,
            exposure=before.exposure - before.exposure * closing // size,
        )
        return positions.set(key, smaller), 0, 0
    if left == 0:
        return positions.delete(key), 0, 0
    opened, exposure = risk * (closing - size) // closing, fill.exposure * (closing - size) // closing
    return positions.set(key, Position(left, opened, exposure, fill.template, fill.playbook)), opened, exposure
