"""What a person's answer changes in the loop (step 3D): go on, with conditions or without, defer, or halt."""

from collections.abc import Callable

from portfolio_platform.orchestrator.escalation import Answered, Change, Escalation, Trigger
from portfolio_platform.orchestrator.loop_flow import STALE, Flow
from portfolio_platform.orchestrator.loop_model import Alert, CancelOrder, Progress

STATUS = {"defer": "deferred", "halt": "halted"}


def decided(flow: Flow, answered: Answered) -> None:
    """Take an answer, once; one to something that is not asked is logged and changes nothing."""
    state = flow.state
    asked = state.escalation(answered.escalation_id)
    if answered.escalation_id in state.answers:
        if state.answers[answered.escalation_id] != answered:
            flow.flag("answer_ignored", answered.escalation_id, f"{answered.by}: it has an answer already")
        return
    if asked is None:
        flow.flag("answer_ignored", answered.escalation_id, f"{answered.by}: there is no such escalation")
        return
    flow.state = state._replace(
        answers=state.answers.set(answered.escalation_id, answered),
        waiting=tuple(one for one in state.waiting if one != answered.escalation_id),
    )
    if flow.state.ended_at:
        flow.flag("answer_late", answered.escalation_id, f"{answered.by}: the execution is over; a new one has to be approved")
        return
    for condition in answered.conditions:
        flow.caveat(condition)
    if answered.answer == "approve":
        _approved(flow, asked, answered)
    else:
        _refused(flow, asked, answered)


def overdue(flow: Flow, escalation_id: str) -> None:
    """An escalation's time was over without an answer: an alert, and nothing else; what waited goes on waiting."""
    asked = flow.state.escalation(escalation_id)
    if asked is None or escalation_id in flow.state.answers or escalation_id in flow.state.overdue:
        return
    flow.state = flow.state._replace(overdue=(*flow.state.overdue, escalation_id))
    text = f"{asked.routing} has not answered within {asked.sla_minutes} minutes: {asked.request}"
    flow.commands.append(Alert(flow.at, "escalation_expired", escalation_id, text))


def _approved(flow: Flow, asked: Escalation, answered: Answered) -> None:
    for change in answered.changes:
        _change(flow, change)
    if asked.trigger in STALE:
        flow.state = flow.state._replace(accepted=flow.state.figures.at)
        flow.caveat_of_age()
        flow.settle_stale(answered.reason, answered.by)
    elif asked.trigger == Trigger.NO_FILL.value:
        place = flow.state.in_flight
        if place is not None:
            flow.put(place, flow.state.trades[place]._replace(waited_from=flow.at))
    elif asked.trigger == Trigger.EXECUTION_FAILED.value:
        _again(flow, asked.subject)
    # what was halted is pending again; where something else is still asked, nothing is placed before that is answered
    trades = tuple(one._replace(status="pending") if one.status == "halted" else one for one in flow.state.trades)
    flow.state = flow.state._replace(trades=trades)


def _refused(flow: Flow, asked: Escalation, answered: Answered) -> None:
    """Defer or halt: the one trade where it is about one that failed or found no fill and is deferred, else all that remain."""
    status = STATUS[answered.answer]
    if asked.trigger in STALE and answered.answer == "defer":
        # to wait for the refresh: the figures are not accepted, and the loop goes on when others come; one that failed is asked for again
        refreshing = flow.state.refreshing
        if refreshing is not None and refreshing.answer is not None:
            flow.state = flow.state._replace(refreshing=None)
        return
    if asked.trigger == Trigger.EXECUTION_FAILED.value and answered.answer == "defer":
        _each(flow, lambda one: one.trade.trade_id == asked.subject and one.status == "execution_failed", status)
        return
    if asked.trigger == Trigger.NO_FILL.value:
        _cancel(flow, status)
        if answered.answer == "defer":
            return
    flow.state = flow.state._replace(stopping=status)
    flow.hold_remaining(status)


def _cancel(flow: Flow, status: str) -> None:
    place = flow.state.in_flight
    if place is not None:
        progress = flow.state.trades[place]
        flow.put(place, progress._replace(cancelling=status))
        flow.commands.append(CancelOrder(flow.at, progress.order_id, f"{status} by decision"))


def _again(flow: Flow, trade_id: str) -> None:
    """Put a trade that failed at the end of the queue, once more; a trade whose exit failed was executed and stays so."""
    for place, one in enumerate(flow.state.trades):
        if one.trade.trade_id == trade_id and one.status == "execution_failed":
            if one.filled:
                flow.flag("change_ignored", trade_id, "it was filled after all and is not placed again")
                return
            rest = [*flow.state.trades[:place], *flow.state.trades[place + 1 :]]
            flow.state = flow.state._replace(
                trades=(*rest, one._replace(status="pending", order_id="", note="")),
                exits=flow.state.exits.update({name: at - 1 for name, at in flow.state.exits.items() if at > place}),
            )
            return


def _change(flow: Flow, change: Change) -> None:
    """Change a trade that is not at the broker: drop it, make it smaller, or move it to another account."""
    for place, one in enumerate(flow.state.trades):
        if one.trade.trade_id != change.trade_id:
            continue
        if one.status not in ("pending", "halted", "execution_failed"):
            flow.flag("change_ignored", change.trade_id, f"it is {one.status} and cannot be changed")
            return
        if change.drop:
            flow.put(place, one._replace(status="dropped"))
            return
        flow.put(place, _changed(flow, one, change))
        return
    flow.flag("change_ignored", change.trade_id, "there is no such trade in the queue")


def _changed(flow: Flow, progress: Progress, change: Change) -> Progress:
    trade = progress.trade
    quantity = trade.quantity if change.quantity is None else change.quantity
    if quantity <= 0 or quantity > trade.quantity or quantity % trade.lot:
        flow.flag("change_ignored", trade.trade_id, f"quantity {quantity} is no whole number of lots up to what was approved")
        quantity = trade.quantity
    size = trade.size * quantity // trade.quantity
    account = trade.account if change.account is None else change.account
    return progress._replace(trade=trade._replace(quantity=quantity, size=size, account=account))


def _each(flow: Flow, chosen: Callable[[Progress], bool], status: str) -> None:
    trades = tuple(one._replace(status=status) if chosen(one) else one for one in flow.state.trades)
    flow.state = flow.state._replace(trades=trades)
