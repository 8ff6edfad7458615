"""What the broker says of a trade, and what follows: booking, step 3C's buffer, step 3E's stops and targets, step 4's quality."""

from portfolio_platform.broker.model import OPEN_STATES, Changed, Event, Failed, Filled, Ignored, Order, Replaced
from portfolio_platform.orchestrator import loop_checks as checks
from portfolio_platform.orchestrator.escalation import Trigger, Violation
from portfolio_platform.orchestrator.loop_flow import Flow
from portfolio_platform.orchestrator.loop_model import Booked, CancelOrder, LogEntry, PlaceOrder, Progress
from portfolio_platform.orchestrator.refresh import MINUTE


def reported(flow: Flow, said: Event) -> None:
    """Take what the broker said; what is of none of this execution's orders is left alone."""
    if isinstance(said, Filled):
        _filled(flow, said)
    elif isinstance(said, Failed):
        _refused(flow, said.client_order_id, said.reason)
    elif isinstance(said, Changed):
        if said.after == "rejected":
            _refused(flow, said.client_order_id, said.reason)
        elif said.after in ("cancelled", "expired"):
            _over(flow, said)
    elif isinstance(said, Ignored) and _place(flow, said.subject) is not None:
        flow.flag("broker_ignored", said.subject, said.reason)
    elif isinstance(said, Replaced) and _place(flow, said.client_order_id) is not None:
        flow.flag("order_replaced", said.client_order_id, "an order was changed at the broker")


def looked_after(flow: Flow) -> None:
    """Step 4 on the clock: without any fill it is escalated; where a part was filled, the rest is cancelled and the loop goes on."""
    place = flow.state.in_flight
    if place is None:
        return
    progress = flow.state.trades[place]
    waited = flow.at - progress.waited_from
    if waited < flow.terms.no_fill or progress.cancelling:
        return
    trade = progress.trade
    if progress.filled:
        flow.put(place, progress._replace(cancelling="partially_executed"))
        flow.commands.append(CancelOrder(flow.at, progress.order_id, "the rest was not filled in time"))
        return
    asked = any(
        one.trigger == Trigger.NO_FILL.value and one.subject == trade.trade_id and one.opened_at > progress.waited_from
        for one in flow.state.escalations
    )
    if not asked:
        text = f"{trade.trade_id}: no fill after {flow.terms.no_fill // MINUTE} minutes"
        flow.flag("no_fill", trade.trade_id, text, flow.terms.no_fill, waited)
        flow.escalate(Trigger.NO_FILL, trade.trade_id, Violation("no_fill", trade.symbol, flow.terms.no_fill, waited, "ns", text))


def _place(flow: Flow, client_order_id: str) -> int | None:
    """Return the place of the trade whose latest order this is."""
    return next((place for place, one in enumerate(flow.state.trades) if one.order_id and one.order_id == client_order_id), None)


def _filled(flow: Flow, fill: Filled) -> None:
    state = flow.state
    if fill.execution_id in state.executions:
        return
    place = _place(flow, fill.client_order_id)
    exit_of = state.exits.get(fill.client_order_id)
    owner = place if place is not None else exit_of
    if owner is None:
        return
    sign = 1 if fill.side == "buy" else -1
    booked = Booked(fill.at, -sign * fill.notional - fill.fee, state.trades[owner].trade.sector, sign * fill.notional)
    flow.state = state._replace(booked=(*state.booked, booked), executions=state.executions.set(fill.execution_id, True))
    if place is None:
        flow.flag("exit_filled", fill.client_order_id, f"{fill.side} of {fill.symbol} at its stop or target", fill.reference, fill.price)
        return
    progress = state.trades[place]
    after = progress._replace(
        filled=progress.filled + fill.quantity,
        notional=progress.notional + fill.notional,
        fees=progress.fees + fill.fee,
        executed_at=fill.at,
        paid=progress.paid + fill.price * fill.quantity,
    )
    flow.put(place, after)
    if progress.status != "submitted":
        flow.flag("late_fill", progress.trade.trade_id, f"filled though it was {progress.status}")
        _protect(flow, place, fill.quantity)
    elif fill.after not in OPEN_STATES:
        _conclude(flow, place, "executed")


def _refused(flow: Flow, client_order_id: str, reason: str) -> None:
    """A broker error, or a rejection: logged, escalated, and the loop goes on with the next trade."""
    place = _place(flow, client_order_id)
    if place is not None and flow.state.trades[place].status == "submitted":
        progress = flow.state.trades[place]
        flow.put(place, progress._replace(status="execution_failed", note=reason))
        _failed(flow, progress.trade.trade_id, progress.trade.symbol, reason)
    elif client_order_id in flow.state.exits:
        trade = flow.state.trades[flow.state.exits[client_order_id]].trade
        flow.state = flow.state._replace(exits=flow.state.exits.delete(client_order_id))
        flow.flag("unprotected", trade.trade_id, f"{client_order_id} was not taken: {reason}")
        _failed(flow, trade.trade_id, trade.symbol, f"{client_order_id}: {reason}")


def _failed(flow: Flow, trade_id: str, symbol: str, reason: str) -> None:
    flow.flag("execution_failed", trade_id, reason)
    flow.escalate(Trigger.EXECUTION_FAILED, trade_id, Violation("execution", symbol, 0, 0, "", reason))


def _over(flow: Flow, said: Changed) -> None:
    """An order ended at the broker without being filled whole."""
    place = _place(flow, said.client_order_id)
    if place is None or flow.state.trades[place].status != "submitted":
        return
    progress = flow.state.trades[place]
    if progress.filled:
        _conclude(flow, place, "partially_executed")
        return
    status = progress.cancelling or "not_filled"
    flow.put(place, progress._replace(status=status, note=said.reason))
    flow.flag(status, progress.trade.trade_id, f"the order ended without a fill: {said.reason}")


def _conclude(flow: Flow, place: int, status: str) -> None:
    """A trade is over: steps 4, 3E and 3F, then the buffer of step 3C."""
    progress = flow.state.trades[place]
    price = average(progress)
    status = "executed" if progress.filled == progress.trade.quantity else status
    for flagged in checks.quality(progress, price, flow.at, flow.terms):
        flow.flag(flagged.code, flagged.subject, flagged.text, flagged.limit, flagged.found)
    cash, value = flow.state.cash, flow.state.figures.value
    share, state = checks.share_of(cash, value), checks.buffer_state(cash, value, flow.terms)
    flow.put(place, progress._replace(status=status, buffer=share))
    _protect(flow, place, progress.filled)
    trade = progress.trade
    entry = LogEntry(
        at=progress.executed_at,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        side=trade.side,
        account=trade.account,
        sector=trade.sector,
        conviction=trade.conviction,
        price=price,
        quantity=progress.filled,
        fees=progress.fees,
        stop=trade.stop,
        targets=trade.targets,
        buffer=share,
        buffer_state=state,
    )
    flow.state = flow.state._replace(log=(*flow.state.log, entry))
    _buffer(flow, trade.trade_id, state, share)


def _buffer(flow: Flow, trade_id: str, state: str, share: int) -> None:
    """Step 3C's three branches after an execution."""
    terms = flow.terms
    if state == "healthy":
        return
    if state == "marginal":
        flow.caveat("Buffer marginal")
        if terms.look_ahead and checks.next_would_breach(flow.state, terms):
            following = flow.state.remaining[0].trade
            after = checks.share_of(flow.state.cash - checks.cost_of(following), flow.state.figures.value)
            text = f"{following.trade_id} would take the buffer below its minimum"
            flow.hold_remaining("halted")
            flow.escalate(
                Trigger.NEXT_TRADE_WOULD_BREACH, following.trade_id, Violation("buffer", "portfolio", terms.marginal, after, "ppm", text)
            )
        return
    held = bool(flow.state.remaining)
    flow.hold_remaining("halted")
    found = Violation("buffer", "portfolio", terms.marginal, share, "ppm", f"the buffer is below its minimum after {trade_id}")
    flow.escalate(Trigger.BUFFER_BREACH, trade_id, found, waits=held)


def average(progress: Progress) -> int:
    """Return the average price of a trade's fills, weighted by quantity and rounded down; 0 without a fill."""
    if not progress.filled:
        return 0
    return progress.paid // progress.filled


def _protect(flow: Flow, place: int, quantity: int) -> None:
    """Step 3E: rest a stop and the targets for what was bought; they share its quantity, so that no more is sold than was bought."""
    progress = flow.state.trades[place]
    trade = progress.trade
    if trade.side == "sell" or not quantity:
        return
    if not trade.stop:
        flow.flag("no_stop", trade.trade_id, "it was approved without a stop-loss: none is placed")
    group = f"{progress.order_id}.exits.{len(progress.exits)}"
    exits: list[Order] = []
    if trade.stop:
        exits.append(_exit(flow, progress, "stop", trade.stop, quantity, group))
    exits += [_exit(flow, progress, "target", price, part, group) for price, part in shares_of(trade.targets, quantity, trade.lot)]
    names = tuple(one.client_order_id for one in exits)
    flow.put(place, progress._replace(exits=(*progress.exits, *names)))
    flow.state = flow.state._replace(exits=flow.state.exits.update(dict.fromkeys(names, place)))
    flow.commands += [PlaceOrder(flow.at, one) for one in exits]


def shares_of(targets: tuple[int, ...], quantity: int, lot: int) -> list[tuple[int, int]]:
    """Return how much is sold at each target: even parts in whole lots, the rest at the last; a part of nothing is left out."""
    if not targets:
        return []
    even = quantity // len(targets)
    even -= even % lot
    parts = [even] * (len(targets) - 1)
    return [(price, part) for price, part in zip(targets, [*parts, quantity - sum(parts)], strict=True) if part]


def _exit(flow: Flow, progress: Progress, kind: str, price: int, quantity: int, group: str) -> Order:
    trade = progress.trade
    number = len(progress.exits)
    tail = f"{kind}.{number}.{price}"
    return Order(
        client_order_id=f"{progress.order_id}.{tail}",
        account=trade.account,
        symbol=trade.symbol,
        side="sell",
        kind="stop" if kind == "stop" else "target",
        quantity=quantity,
        decided_at=flow.at,
        price=price,
        group=group,
        reduces=True,
        labels=trade.labels._replace(decision_price=price),
    )
