"""`step(terms, state, event) -> (state, commands)`: the sequential loop of `v8.0.3`, steps 1 to 8, over approved trades.

What belongs here: which event leads to which step. The rules are in `loop_checks`, what a trade's execution changes in `loop_trades`, and
what a decision changes in `loop_decisions`. Pure: no broker, no store, no clock; the same events give the same commands.
"""

from collections import deque
from collections.abc import Iterable

from portfolio_platform.broker.interface import Broker
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.loop_checks import LoopTerms, share_of
from portfolio_platform.orchestrator.loop_decisions import decided, overdue
from portfolio_platform.orchestrator.loop_flow import Flow
from portfolio_platform.orchestrator.loop_model import (
    CancelOrder,
    Command,
    Decided,
    LoopEvent,
    LoopState,
    Overdue,
    PlaceOrder,
    Priced,
    Progress,
    RefreshReported,
    Reported,
    Started,
)
from portfolio_platform.orchestrator.loop_trades import looked_after, reported
from portfolio_platform.orchestrator.refresh import RefreshKind, Verdict, assess, verdict


def step(terms: LoopTerms, state: LoopState, event: LoopEvent) -> tuple[LoopState, tuple[Command, ...]]:
    """Return the state after an event, and what is to be done. An event that comes twice changes nothing the second time.

    Raises:
        WrongUse: the queue is empty, holds a trade twice, or is not in the order of approval.
        DataProblem: the figures are of a time after now.
    """
    flow = Flow(terms, state, event.at)
    if isinstance(event, Started):
        _start(flow, event)
    elif not state.execution_id:
        return state, ()
    elif isinstance(event, Reported):
        reported(flow, event.event)
    elif isinstance(event, RefreshReported):
        _refreshed(flow, event)
    elif isinstance(event, Decided):
        decided(flow, event.answered)
    elif isinstance(event, Overdue):
        overdue(flow, event.escalation_id)
    elif isinstance(event, Priced):
        flow.state = state._replace(prices=state.prices.set(event.symbol, event.price))
        return flow.state, ()
    if not flow.state.ended_at:
        looked_after(flow)
        _refresh_looked_after(flow)
        _advance(flow)
    return flow.state, tuple(flow.commands)


def replay(terms: LoopTerms, events: Iterable[LoopEvent], state: LoopState | None = None) -> LoopState:
    """Return the state after all events."""
    current = LoopState() if state is None else state
    for event in events:
        current = step(terms, current, event)[0]
    return current


def drive(terms: LoopTerms, state: LoopState, broker: Broker, event: LoopEvent) -> tuple[LoopState, tuple[Command, ...], list[LoopEvent]]:
    """Let an event and all that the broker answers to its commands run through the loop.

    Returns:
        The state, the commands that are not for the broker, and every event that the loop took, to be kept and replayed.
    """
    waiting: deque[LoopEvent] = deque([event])
    outward: list[Command] = []
    taken: list[LoopEvent] = []
    while waiting:
        one = waiting.popleft()
        taken.append(one)
        state, commands = step(terms, state, one)
        for command in commands:
            if isinstance(command, PlaceOrder):
                waiting += [Reported(command.at, said) for said in broker.place(command.order, command.at)]
            elif isinstance(command, CancelOrder):
                waiting += [Reported(command.at, said) for said in broker.cancel(command.client_order_id, command.at, command.reason)]
            else:
                outward.append(command)
    return state, tuple(outward), taken


def _start(flow: Flow, event: Started) -> None:
    """Steps 3A and 3B: the queue as it was approved, and the context."""
    if flow.state.execution_id:
        if flow.state.execution_id != event.execution_id:
            raise WrongUse(f"execution {flow.state.execution_id} is under way; finish it before {event.execution_id} begins")
        return
    if not event.trades:
        raise WrongUse(f"execution {event.execution_id}: the queue of approved trades is empty; approve some first")
    names = [one.trade_id for one in event.trades]
    if len(set(names)) != len(names):
        raise WrongUse(f"execution {event.execution_id}: a trade is in the queue twice; keep one of each trade_id")
    for before, after in zip(event.trades, event.trades[1:], strict=False):
        if after.approved_at < before.approved_at:
            raise WrongUse(
                f"execution {event.execution_id}: {after.trade_id} was approved before {before.trade_id} and stands behind it; "
                "the queue is executed in the order of approval"
            )
    if event.figures.value <= 0:
        raise WrongUse(f"execution {event.execution_id}: the portfolio's value is {event.figures.value}; it must be above 0")
    flow.state = LoopState(
        execution_id=event.execution_id,
        portfolio=event.portfolio,
        started_at=event.at,
        buffer_start=share_of(event.figures.cash, event.figures.value),
        figures=event.figures,
        approved=event.approved,
        trades=tuple(Progress(one) for one in event.trades),
    )


def _refreshed(flow: Flow, event: RefreshReported) -> None:
    """Take new figures over; figures that are not current themselves are a refresh that failed."""
    refreshing = flow.state.refreshing
    if refreshing is None or refreshing.answer is not None or refreshing.request.request_id != event.answer.request_id:
        return
    answer = event.answer
    figures = answer.figures
    if figures is not None and assess(figures.at, flow.at, flow.terms.days, flow.terms.refresh).refresh is not None:
        answer = answer._replace(figures=None, failure="it brought figures that are stale themselves")
    if figures is not None and figures.value <= 0:
        answer = answer._replace(figures=None, failure="it brought a portfolio without value")
    if answer.figures is None:
        flow.state = flow.state._replace(refreshing=refreshing._replace(answer=answer))
        flow.flag("refresh_failed", refreshing.request.request_id, answer.failure)
        return
    flow.state = flow.state._replace(figures=answer.figures, refreshing=None, accepted=0)
    flow.settle_stale("fresh figures came", "rule:refresh")


def _refresh_looked_after(flow: Flow) -> None:
    """Escalate a refresh that takes too long, or failed, once; an order at the broker goes on meanwhile."""
    refreshing = flow.state.refreshing
    if refreshing is None or verdict(refreshing, flow.at, flow.terms.refresh) is not Verdict.ESCALATE:
        return
    flow.escalate_delay(refreshing)


def _advance(flow: Flow) -> None:
    """Do what is next, where nothing is awaited: refresh, validate, place the next trade, or finish."""
    state = flow.state
    if not state.execution_id or state.ended_at or state.in_flight is not None:
        return
    if state.stopping:
        flow.finish()
        return
    if state.waiting:
        return
    if not state.remaining:
        flow.finish()
        return
    if _data_may_be_used(flow) and flow.validated():
        flow.place_next()


def _data_may_be_used(flow: Flow) -> bool:
    """Steps 1 and 2C: say whether the figures may be used, and ask for others where they may not."""
    state, terms = flow.state, flow.terms
    fresh = assess(state.figures.at, flow.at, terms.days, terms.refresh)
    if fresh.refresh is None:
        return True
    if state.accepted and state.accepted == state.figures.at:
        return True
    refreshing = state.refreshing
    if refreshing is None or (refreshing.request.kind is not fresh.refresh and fresh.refresh is RefreshKind.FULL):
        flow.ask_refresh(fresh)
        return False
    if verdict(refreshing, flow.at, terms.refresh) is not Verdict.PROCEED_WITH_CAVEAT:
        return False
    flow.caveat_of_age()
    return True
