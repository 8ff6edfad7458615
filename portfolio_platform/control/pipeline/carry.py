"""Approved recommendations of the book become orders of the control plane, and orders whose recommendation is over are ended.

What an order changes and what the book says of its recommendation are written in one transaction, so that neither is ever
without the other. Where an order sets a cap on gross exposure, intents have to state their notional from then on: those that do
not are refused as invalid, with that reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from portfolio_platform.book import recommendations as book
from portfolio_platform.book.recommendations import Recommendation
from portfolio_platform.control.batch import Batch
from portfolio_platform.control.events import OrderEnded, OrderGiven, stream_of
from portfolio_platform.control.log import driven_by_bars, opened_portfolios
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.terms import Order, parts
from portfolio_platform.days import end_of_day_ns, nanoseconds
from portfolio_platform.home import Home
from portfolio_platform.monitor.recommendations.model import CapAdjustment, PortfolioRecommendationEvent

BY = "rule:control-plane"
"""Who applies what was approved."""
COUNTS = {"position_count": "positions", "new_positions": "new_positions"}
NO_FACTS = "its portfolio has no facts yet, so that there is no equity to work amounts out from"
OVER = "its last day is over"


@dataclass(frozen=True)
class Applied:
    """A recommendation that was applied now, and the commands that it became, in words."""

    recommendation: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """An approved recommendation that was not applied, and why."""

    recommendation: str
    because: str


@dataclass(frozen=True)
class Carried:
    """What carrying over did: recommendations that were applied, orders that were ended, and what was left alone."""

    applied: tuple[Applied, ...] = ()
    ended: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()


def orders_of(recommendation: Recommendation, state: ControlState) -> tuple[Order, ...]:
    """Return the orders that a recommendation becomes, with amounts worked out from the newest facts. Pure.

    A cap on heat is a fraction of equity, on risk; the others are on gross exposure: fractions of equity, those of template and
    playbook of gross exposure, of equity where nothing is held, for a share of nothing would forbid everything. Counts are counts.
    Permission to open again (`force_flatten_only` to 0) is no order: what forbade it ends with its own recommendation.

    Args:
        recommendation: an approved one, as the book has it.
        state: of its portfolio.
    """
    event = PortfolioRecommendationEvent.from_text(recommendation.content.decode())
    begins = nanoseconds(datetime.fromisoformat(recommendation.decided_at)) if recommendation.decided_at else state.now
    until = end_of_day_ns(date.fromisoformat(recommendation.expires))

    def order(name: str, kind: str) -> Order:
        reason = event.reason or recommendation.reason
        given = (f"{recommendation.id}/{name}", kind, "recommendation", recommendation.decided_by, reason, begins, until)
        return Order(*given, recommendation=recommendation.id)

    found = [] if event.mode == "normal" else [order("mode", "mode")._replace(mode=event.mode)]
    for item in event.adjustments:
        name = f"{item.kind}:{item.scope}" if item.scope else item.kind
        if item.kind == "force_flatten_only":
            found += [order(name, "flatten")] if item.after else []
        else:
            found.append(_cap(order(name, "cap"), item, state))
    return tuple(found)


def _cap(order: Order, item: CapAdjustment, state: ControlState) -> Order:
    facts = state.terms.facts
    capped = order._replace(scope=item.scope, tightens=item.direction == "tighten", equity=facts.equity)
    if item.kind in COUNTS:
        return capped._replace(rule=COUNTS[item.kind], basis="count", amount=int(item.after))
    share = parts(item.after)
    whole = facts.gross if item.unit == "fraction of gross" and facts.gross > 0 else facts.equity
    basis = "risk" if item.kind == "heat" else "exposure"
    return capped._replace(rule=item.kind, basis=basis, amount=max(0, whole) * share // 1_000_000, share=share)


def command_of(order: Order) -> str:
    """Return the name of the command that an order is: `set_portfolio_mode`, `tighten_cohort_cap`, `reduce_max_new_positions` ..."""
    if order.kind == "mode":
        return "set_portfolio_mode"
    if order.kind == "flatten":
        return "force_flatten_only"
    if order.basis == "count":
        return f"{'reduce' if order.tightens else 'raise'}_max_{order.rule}"
    return f"{'tighten' if order.tightens else 'set'}_{order.rule}_cap"


def words_of(order: Order) -> str:
    """Return an order as a command with its terms, such as ``tighten_cohort_cap(cohort='alts', cap_exposure_abs=1200000)``."""
    said: list[str]
    if order.kind == "mode":
        said = [order.mode]
    elif order.kind == "flatten":
        said = ["true"]
    elif order.basis == "count":
        said = [str(order.amount)]
    else:
        said = [*([f"{order.rule}={order.scope!r}"] if order.scope else []), f"cap_{order.basis}_abs={order.amount}"]
    return f"{command_of(order)}({', '.join(said)})"


def carry(home: Home, *, plane: ControlPlane | None = None, only: str | None = None) -> Carried:
    """Apply what was approved since, and end the orders of what is over; a second time it finds nothing to do.

    Args:
        home: whose book.
        plane: the control plane of this process; a new one where None.
        only: one portfolio only; every one but those that a paper run drives where None.

    Raises:
        StoreProblem: the book cannot be written; then neither orders nor recommendations changed.
    """
    plane = plane or ControlPlane(home.book, home.clock)
    with home.book.reading() as connection:
        opened = [name for name in opened_portfolios(connection) if only in (None, name)]
        waiting = {one.portfolio for one in book.listed(connection, only, states=("approved",))}
        others = driven_by_bars(connection, {*opened, *waiting}) if only is None else frozenset[str]()
        opened, waiting = [name for name in opened if name not in others], waiting - others
    done = Carried()
    for portfolio in opened:
        if portfolio in waiting or _orders(plane.get_portfolio_state(portfolio)):
            done = _joined(done, _carried(home, plane, portfolio))
    unopened = [Left(name, "its portfolio is not under control; `feed` opens it") for name in _ids(home, waiting - set(opened))]
    return _joined(done, Carried(left=tuple(unopened)))


def _ids(home: Home, portfolios: Iterable[str]) -> list[str]:
    with home.book.reading() as connection:
        return [one.id for name in sorted(portfolios) for one in book.listed(connection, name, ("approved",))]


def _joined(one: Carried, other: Carried) -> Carried:
    return Carried(one.applied + other.applied, one.ended + other.ended, one.left + other.left)


def _orders(state: ControlState) -> list[Order]:
    """Return the orders in force that recommendations gave."""
    return [order for _, order in sorted(state.terms.orders.items()) if order.source == "recommendation"]


def _carried(home: Home, plane: ControlPlane, portfolio: str) -> Carried:
    """Bring one portfolio's orders and recommendations to each other, in one transaction; symbols are told once, at its end."""
    with plane.working(portfolio) as (batch, connection):
        applied, left = _apply(batch, connection, book.listed(connection, portfolio, ("approved",)), home.clock.now())
        ended = _end(batch, connection)
        if applied or ended:
            batch.tell(reason="recommendation")
    return Carried(tuple(applied), tuple(ended), tuple(left))


def _apply(batch: Batch, connection: Connection, approved: Sequence[Recommendation], at: datetime) -> tuple[list[Applied], list[Left]]:
    applied, left = [], []
    for one in approved:
        if end_of_day_ns(date.fromisoformat(one.expires)) <= batch.now:
            left.append(Left(one.id, OVER))
            continue
        if not batch.state.terms.facts.at:
            left.append(Left(one.id, NO_FACTS))
            continue
        orders = orders_of(one, batch.state)
        keys = [order_key(batch.state.portfolio, order) for order in orders]
        for order, key in zip(orders, keys, strict=True):
            batch.put(OrderGiven(batch.now, order), key)
        said = tuple(words_of(order) for order in orders)
        reason = f"as {', '.join(said)}" if said else "it asks for nothing that an order could change"
        book.apply(connection, one.id, by=BY, reason=reason, commands=keys, at=at)
        applied.append(Applied(one.id, said))
    return applied, left


def _end(batch: Batch, connection: Connection) -> list[str]:
    """End the orders whose recommendation does not hold any more: superseded, withdrawn, rejected or expired."""
    ended = []
    states: dict[str, Recommendation] = {}
    for order in _orders(batch.state):
        name = order.recommendation
        one = states[name] = states.get(name) or book.by_id(connection, name)
        if one.state in book.OVER:
            batch.put(OrderEnded(batch.now, order.order_id, False, one.decided_by, one.reason or one.state))
            ended.append(order.order_id)
    return ended


def order_key(portfolio: str, order: Order) -> str:
    """Return the identity of an order in the log, which is that of the command in the book."""
    return f"order/{stream_of(portfolio, order.order_id)}"
