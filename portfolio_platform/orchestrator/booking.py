"""Which strategies' positions a reported sale closes: those whose lots the plan chose, in its order. Pure.

A plan sees an account; the ledger holds positions by strategy. A sale under a strategy that does not hold the shares would leave two
positions against each other for ever, so each share is booked to who holds it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from portfolio_platform.orchestrator.amounts import less, plain
from portfolio_platform.orchestrator.executed import BookedTo, ReportedFill
from portfolio_platform.orchestrator.planned import Trade

STRATEGY = "orchestrator"
"""The strategy under which the ledger has what belongs to no other."""


def booked(fill: ReportedFill, trade: Trade | None, holders: Mapping[str, str], others: Sequence[ReportedFill]) -> ReportedFill:
    """Return a fill with what of it is booked to which strategy; a purchase, and what no lot says, is the orchestrator's own.

    Args:
        fill: the fill, or its correction.
        trade: of the plan; None for a fill beyond it.
        holders: strategies by id of the tax lot.
        others: the other fills of the trade: what they have booked is taken.
    """
    before = next((one for one in others if one.fill_id == fill.fill_id), None)
    parts: dict[str, Decimal] = {}
    left = fill.quantity
    if fill.side == "sell" and trade is not None and trade.side == "sell" and trade.ticker == fill.ticker:
        room: dict[str, Decimal] = {}
        for lot in trade.lots:
            name = holders.get(lot.lot_id, STRATEGY)
            room[name] = room.get(name, Decimal(0)) + lot.quantity
        for other in others:
            if other.fill_id == fill.fill_id or other.withdrawn:
                continue
            for part in other.booked:
                room[part.strategy] = room.get(part.strategy, Decimal(0)) - part.quantity
        for name, free in room.items():
            taken = min(left, max(Decimal(0), free))
            if taken:
                parts[name] = taken
                left = less(left, taken)
    if left:
        parts[STRATEGY] = plain(parts.get(STRATEGY, Decimal(0)) + left)
    gone = {part.strategy for part in before.booked} | set(before.unbooked) if before is not None else set()
    return fill.model_copy(
        update={
            "booked": tuple(BookedTo(strategy=name, quantity=quantity) for name, quantity in parts.items()),
            "unbooked": tuple(sorted(gone - set(parts))),
        }
    )
