"""What is held: fills come in, stops stand, exits go out, and a trade ends when the ledger says flat.

Nothing here asks an envelope, a judge or an operator's block: what is held may always be left. Exits carry ``reduces``, so that one too
many goes no further than flat. The protective orders stay where they are while an exit at the market works: there is no moment without a
stop; they are cancelled once the position is flat.
"""

from portfolio_platform.broker.model import Kind, Order
from portfolio_platform.broker.placing import EXIT
from portfolio_platform.instruments.exits import sign_of, trailed
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.model import FillReported, OrderEnded, Plan, ReplaceOrder
from portfolio_platform.instruments.settling import finish, settle
from portfolio_platform.instruments.state import Position, Purpose, Resting
from portfolio_platform.instruments.triggers import bars_of

PROTECTIVE: tuple[Purpose, ...] = ("stop", "target")
"""What the broker places with each fill of an entry."""


def filled(flow: Flow, event: FillReported) -> None:
    """Take a fill in, whatever state this is; one that is known changes nothing."""
    if event.quantity <= 0 or not flow.is_new(f"fill:{event.execution_id}"):
        return
    sign = 1 if event.side == "buy" else -1
    order = flow.resting(event.order_id)
    if order is not None:
        order = order._replace(filled=order.filled + event.quantity)
        ended = order.left <= 0 or (order.purpose != "entry" and event.left <= 0)
        if ended:
            flow.drop(order.order_id)
        else:
            flow.keep(order)
    purpose = purpose_of(flow, event.order_id)
    entering = purpose == "entry" and sign == sign_of(flow.setup.direction)
    if flow.state.position is None:
        _opened(flow, event, sign, purpose, entering)
    elif (
        purpose is None or (purpose == "entry") != entering or (purpose in ("stop", "target") and sign == sign_of(flow.position.direction))
    ):
        _unasked(flow, f"fill {event.execution_id} of {event.order_id} is of no order of this trade")
    _booked(flow, event, sign, purpose, entering)
    if entering:
        _protected(flow, event)
    elif purpose is None:
        _stray(flow, event, sign)
    _after_fill(flow, purpose)


def order_ended(flow: Flow, event: OrderEnded) -> None:
    """Take in that an order ended unfilled or half filled; one that is not known changes nothing but what is remembered."""
    order = flow.resting(event.order_id)
    if order is None:
        if purpose_of(flow, event.order_id) in PROTECTIVE:
            # its end is told before the fill that it was born of
            flow.is_new(f"ended:{event.order_id}")
        return
    flow.drop(event.order_id)
    if event.outcome in ("rejected", "failed"):
        flow.note(f"order_{event.outcome}", f"{order.purpose} {event.order_id}: {event.reason}")
    position = flow.state.position
    if order.purpose == "entry":
        setup = flow.state.setup
        if setup is not None and setup.entry_id == event.order_id:
            flow.release(setup.intent_id, f"the entry was {event.outcome}")
            if position is None:
                flow.became(setup.intent_id, f"entry {event.outcome}: {event.reason}")
        settle(flow, "entry_ended")
        return
    if position is None or not position.quantity:
        return
    if order.purpose == "exit":
        if order.cancelled:
            leave(flow)
        return
    if flow.state.phase == "position_open":
        secured(flow)
        if order.purpose == "target":
            _aimed(flow)


def purpose_of(flow: Flow, order_id: str) -> Purpose | None:
    """Return what an order is for, by its id, which begins with that of its trade; None where it is of no order of this trade."""
    state = flow.state
    base = state.position.trade_id if state.position is not None else state.setup.setup_id if state.setup is not None else ""
    if not base or not order_id.startswith(f"{base}:"):
        return None
    name = order_id[len(base) + 1 :]
    if name == "entry":
        return "entry" if state.setup is not None and state.setup.ordered else None
    if name.startswith((f"entry{EXIT}stop", "stop-")):
        return "stop"
    if name.startswith((f"entry{EXIT}target", "target-")):
        return "target"
    return "exit" if name.startswith("exit-") else None


def leave(flow: Flow) -> None:
    """See to it that an exit at the market works for all that is held."""
    position = flow.state.position
    if position is None or not position.quantity:
        return
    sign = -1 if position.quantity > 0 else 1
    for one in flow.of_purpose("exit"):
        if one.sign != sign:
            flow.cancel(one, "it would enlarge what is held")
    working = sum(one.left for one in flow.of_purpose("exit") if one.sign == sign and not one.cancelled)
    missing = abs(position.quantity) - working
    if missing > 0:
        _own_exit(flow, "exit", "market", missing, 0)


def emergency(flow: Flow, why: str) -> None:
    """Flatten: cancel what is unfilled of the entry, leave what is held, and wait for the ledger. An armed setup is dropped."""
    state = flow.state
    rests = flow.cancel_entries(why)
    if state.phase in ("thesis_armed", "position_open") and (state.position is not None or rests):
        flow.move("safety")
        flow.state = flow.state._replace(flattening=why)
    if flow.state.phase == "flattening":
        if flow.state.position is not None:
            flow.state = flow.state._replace(position=flow.position._replace(closing="flatten"))
        leave(flow)


def held(flow: Flow, plan: Plan | None) -> None:
    """Look after what is held at a close: time exit, lost stops, the trail."""
    position = flow.position._replace(bars=flow.position.bars + 1)
    flow.state = flow.state._replace(position=position)
    overdue(flow)
    if flow.state.position is None or not position.quantity or position.contract is None:
        return
    if not position.closing and position.bars >= position.contract.bars:
        flow.state = flow.state._replace(position=position._replace(closing="time"))
        flow.cancel_entries("the time of the position is over")
    if flow.position.closing:
        leave(flow)
        return
    secured(flow)
    if plan is not None and not flow.position.closing:
        _tightened(flow, plan)


def overdue(flow: Flow) -> None:
    """Cancel orders that have rested for too long; give up waiting for the end of an entry that was cancelled long ago."""
    now, terms = flow.state.candles, flow.terms
    for one in flow.of_purpose("entry", "exit"):
        age = now - one.candle
        if one.purpose == "entry" and one.cancelled and age >= terms.entry_bars:
            flow.drop(one.order_id)
            flow.note(
                "unanswered", f"nothing was heard of the cancelling of {one.order_id} over {age} closes; a fill of it would be flattened"
            )
            settle(flow, "entry_ended")
        elif one.purpose == "entry" and age >= terms.entry_bars:
            flow.cancel(one, f"unfilled after {age} closes")
        elif one.purpose == "exit" and age >= terms.exit_bars:
            flow.cancel(one, f"no exit after {age} closes")
            flow.drop(one.order_id)
            flow.note("unanswered", f"{one.order_id} did nothing over {age} closes; another takes its place")


def secured(flow: Flow) -> None:
    """Place a stop again for what none covers; after too many attempts, leave at the market."""
    position = flow.position
    if position.contract is None or position.closing or not position.quantity:
        return
    covered = sum(one.left for one in flow.of_purpose("stop") if not one.cancelled)
    missing = abs(position.quantity) - covered
    if missing <= 0:
        return
    if position.resecured >= flow.terms.resecure:
        flow.note("no_stop", f"no stop stands for {missing}: the position is closed at the market")
        flow.state = flow.state._replace(position=position._replace(closing="stop"))
        flow.cancel_entries("no stop stands")
        leave(flow)
        return
    flow.state = flow.state._replace(position=position._replace(resecured=position.resecured + 1))
    _own_exit(flow, "stop", "stop", missing, position.stop)


def _aimed(flow: Flow) -> None:
    """Place the target again for what none covers; after too many attempts it stays without one, under its stop and its time."""
    position = flow.position
    if position.contract is None or not position.contract.target or position.closing or position.resecured >= flow.terms.resecure:
        return
    missing = abs(position.quantity) - sum(one.left for one in flow.of_purpose("target") if not one.cancelled)
    if missing > 0:
        flow.state = flow.state._replace(position=position._replace(resecured=position.resecured + 1))
        _own_exit(flow, "target", "target", missing, position.contract.target)


def _tightened(flow: Flow, plan: Plan) -> None:
    position = flow.position
    bars = bars_of(flow.state.windows, flow.config.timeframes[0])
    stop = trailed(plan.trail, position, bars, flow.terms.tick)
    if stop != position.stop:
        flow.state = flow.state._replace(position=position._replace(stop=stop))
    sign = sign_of(position.direction)
    for one in flow.of_purpose("stop"):
        if (stop - one.price) * sign > 0 and not one.cancelled:
            flow.keep(one._replace(price=stop))
            flow.say(ReplaceOrder(flow.at, one.order_id, stop))


def _opened(flow: Flow, event: FillReported, sign: int, purpose: Purpose | None, entering: bool) -> None:
    """Begin a position with its first fill: of the entry under its contract, or of something else, which is closed at once."""
    setup = flow.state.setup
    if setup is not None and purpose is not None and setup.contract is not None:
        position = Position(setup.setup_id, setup.direction, setup.contract, setup.contract.stop, opened_at=event.at)
    else:
        if setup is not None:
            flow.cancel_entries("a fill came that nobody asked for")
            if setup.asked or setup.ordered:
                flow.release(setup.intent_id, "a fill came that nobody asked for")
            flow.state = flow.state._replace(setup=None)
        position = Position(flow.next_id(), "long" if sign > 0 else "short", None, 0, opened_at=event.at)
    flow.state = flow.state._replace(position=position)
    if entering:
        if flow.state.phase == "thesis_armed":
            flow.move("entry_filled")
    else:
        _unasked(flow, f"fill {event.execution_id} of {event.order_id} came without a position that it belongs to")


def _unasked(flow: Flow, text: str) -> None:
    flow.count(unexpected_fills=1)
    flow.note("unexpected_fill", text)
    if flow.state.phase != "flattening":
        flow.move("unexpected_fill")
        flow.state = flow.state._replace(flattening="a fill that nobody asked for")
    flow.cancel_entries("a fill came that nobody asked for")
    flow.state = flow.state._replace(position=flow.position._replace(closing="flatten"))


def _booked(flow: Flow, event: FillReported, sign: int, purpose: Purpose | None, entering: bool) -> None:
    position = flow.position
    value = event.price * event.quantity
    after = position._replace(quantity=position.quantity + sign * event.quantity, fees=position.fees + event.fee)
    if sign == sign_of(position.direction):
        after = after._replace(entered=position.entered + event.quantity, entry_value=position.entry_value + value)
    else:
        after = after._replace(
            left=position.left + event.quantity,
            exit_value=position.exit_value + value,
            last_exit=purpose if purpose is not None else "exit",
        )
    flow.state = flow.state._replace(position=after)
    if entering and position.left and not position.closing:
        # the trade was being left already when more of its entry came: that goes out too
        flow.state = flow.state._replace(position=after._replace(closing="stop" if position.last_exit == "stop" else "flatten"))
    if after.quantity * sign_of(after.direction) < 0 and flow.state.phase != "flattening":
        flow.note("beyond_flat", f"fill {event.execution_id} of {event.order_id} went beyond flat by {abs(after.quantity)}")
        flow.move("unexpected_fill")
        flow.state = flow.state._replace(flattening="a fill went beyond flat", position=after._replace(closing="flatten"))


def _protected(flow: Flow, event: FillReported) -> None:
    """Note the exits that the broker placed with a fill of the entry: its own rule for their ids is followed."""
    position, setup = flow.position, flow.setup
    contract = position.contract
    if contract is None:
        return
    first, sign, seen = position.entered == event.quantity, -sign_of(position.direction), flow.state.seen
    for purpose in PROTECTIVE:
        price = contract.stop if purpose == "stop" else contract.target
        if not price:
            continue
        name = f"{setup.entry_id}{EXIT}{purpose}"
        known, full = flow.resting(name), name if first else f"{name}@{event.at}"
        if known is not None:
            flow.keep(known._replace(quantity=known.quantity + event.quantity))
        elif f"ended:{full}" not in seen:
            flow.keep(Resting(full, purpose, sign, event.quantity, price=price, candle=flow.state.candles))
        if event.at < position.opened_at or f"ended:{name}" in seen:
            # fills were told in another order than they happened, so that the names are not sure: all of them are cancelled in the end
            for other in (name, f"{name}@{event.at}", f"{name}@{position.opened_at}"):
                if flow.resting(other) is None:
                    flow.keep(Resting(other, purpose, sign, 0, price=price, candle=flow.state.candles))


def _stray(flow: Flow, event: FillReported, sign: int) -> None:
    """Note the exits that the broker placed with a fill of an entry that was given up: they are cancelled once all is flat."""
    own = f"{flow.config.portfolio}:{flow.config.symbol}:"
    if not (event.order_id.startswith(own) and event.order_id.endswith(":entry")):
        return
    for purpose in PROTECTIVE:
        first = f"{event.order_id}{EXIT}{purpose}"
        # which of the two the broker took depends on what became of earlier ones; cancelling one that is not there is harmless
        for name in (first, f"{first}@{event.at}"):
            flow.drop(name)
            flow.keep(Resting(name, purpose, -sign, event.quantity, candle=flow.state.candles))


def _after_fill(flow: Flow, purpose: Purpose | None) -> None:
    position = flow.position
    if purpose != "entry":
        flow.cancel_entries("the position is being left")
    if flow.state.phase == "flattening" and not position.closing:
        flow.state = flow.state._replace(position=position._replace(closing="flatten"))
    if flow.position.closing:
        leave(flow)
    if not position.quantity:
        if flow.of_purpose("entry"):
            return
        finish(flow)


def _own_exit(flow: Flow, purpose: Purpose, kind: Kind, quantity: int, price: int) -> None:
    """Place an exit of the workflow's own."""
    position, config = flow.position, flow.config
    number = position.attempts + 1
    flow.state = flow.state._replace(position=position._replace(attempts=number))
    bars = bars_of(flow.state.windows, config.timeframes[0])
    decision = price or (bars[-1].close if bars else 0)
    order = Order(
        client_order_id=f"{position.trade_id}:{purpose}-{number}",
        account=config.account,
        symbol=config.symbol,
        side="sell" if position.quantity > 0 else "buy",
        kind=kind,
        quantity=quantity,
        decided_at=flow.at,
        price=price,
        reduces=True,
        # what somebody else's fill left may be no whole lots, and is left all the same
        lot=1 if quantity % config.lot else config.lot,
        labels=flow.labels(decision, f"{position.closing or 'stop'}"),
    )
    flow.place(order, purpose)
