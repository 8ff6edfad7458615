"""The sequential loop's words: trades, what comes in, what goes out, the state between, the report at the end.

Money is an integer of minor units, quantities and prices are in units of 1e-18, weights and buffers are parts per million, times are
nanoseconds UTC.
"""

from typing import NamedTuple, TypeAlias

from immutables import Map

from portfolio_platform.broker import model as broker
from portfolio_platform.orchestrator.escalation import Answered, Escalation
from portfolio_platform.orchestrator.refresh import Figures, RefreshAnswer, Refreshing, RefreshRequest


class LoopTrade(NamedTuple):
    """An approved trade.

    Attributes:
        trade_id: its id.
        symbol: in what.
        side: ``buy`` or ``sell``.
        account: where.
        sector: of the symbol.
        conviction: 0 to 100; None where it is not said.
        size: minor units that were approved.
        quantity: what that is at the reference price.
        reference: last known market price.
        approved_at: the queue is in this order.
        stop: price of the protective stop; 0 for none.
        targets: prices of profit targets; what was bought is shared evenly among them.
        lot: whole shares, or the part of one that the account takes.
        labels: what the ledger is told.
    """

    trade_id: str
    symbol: str
    side: broker.Side
    account: str
    sector: str
    conviction: int | None
    size: int
    quantity: int
    reference: int
    approved_at: int
    stop: int = 0
    targets: tuple[int, ...] = ()
    lot: int = 1
    labels: broker.Labels = broker.Labels()


class Flag(NamedTuple):
    """Something that is logged and shown, and stops nothing: its code, what it is about, in words, its limit and what was found."""

    at: int
    code: str
    subject: str
    text: str
    limit: int = 0
    found: int = 0


class Started(NamedTuple):
    """An execution begins: the approved queue, the portfolio's figures, and the sectors' weights at approval."""

    at: int
    execution_id: str
    portfolio: str
    figures: Figures
    trades: tuple[LoopTrade, ...]
    approved: tuple[tuple[str, int], ...]


class Ticked(NamedTuple):
    """Time went by: what hangs on it is looked at."""

    at: int


class Priced(NamedTuple):
    """A last known market price."""

    at: int
    symbol: str
    price: int


class Reported(NamedTuple):
    """The broker said something."""

    at: int
    event: broker.Event


class RefreshReported(NamedTuple):
    """A refresh came back."""

    at: int
    answer: RefreshAnswer


class Decided(NamedTuple):
    """An escalation was answered."""

    at: int
    answered: Answered


class Overdue(NamedTuple):
    """An escalation's time was over without an answer."""

    at: int
    escalation_id: str


LoopEvent: TypeAlias = Started | Ticked | Priced | Reported | RefreshReported | Decided | Overdue


class PlaceOrder(NamedTuple):
    """Have the broker take an order."""

    at: int
    order: broker.Order


class CancelOrder(NamedTuple):
    """Have the broker cancel an order."""

    at: int
    client_order_id: str
    reason: str


class AskRefresh(NamedTuple):
    """Have the portfolio's figures refreshed."""

    at: int
    request: RefreshRequest


class OpenEscalation(NamedTuple):
    """Ask a person."""

    at: int
    escalation: Escalation


class SettleEscalation(NamedTuple):
    """An escalation has no object any more: the rule that says so answers it."""

    at: int
    answered: Answered


class Alert(NamedTuple):
    """Have somebody told at once."""

    at: int
    code: str
    subject: str
    text: str


class PublishReport(NamedTuple):
    """The execution is over (step 7)."""

    at: int
    report: "ExecutionReport"


class Route(NamedTuple):
    """Send the report to a recipient (step 8), for a reason."""

    at: int
    recipient: str
    reason: str


class Schedule(NamedTuple):
    """A due item (step 8): what, and when."""

    at: int
    item: str
    due_at: int


Command: TypeAlias = PlaceOrder | CancelOrder | AskRefresh | OpenEscalation | SettleEscalation | Alert | PublishReport | Route | Schedule


class Progress(NamedTuple):
    """How far a trade is.

    Attributes:
        trade: as it stands, with the changes that a decision made.
        status: ``pending``, ``submitted``, ``executed``, ``partially_executed``, ``not_filled``, ``execution_failed``, ``halted``,
            ``deferred``, ``dropped``.
        attempt: how often it was placed.
        order_id: of the latest order.
        submitted_at: when it was placed.
        waited_from: from when the time without a fill counts: a decision to keep waiting begins it anew.
        reference: last known market price when it was placed.
        filled: quantity.
        notional: paid or received, minor units.
        fees: minor units.
        paid: sum of price times quantity, in units of 1e-36.
        executed_at: time of its last fill.
        buffer: after it.
        exits: ids of its stop and targets.
        cancelling: the status that it gets once its order is cancelled.
        note: why it failed.
    """

    trade: LoopTrade
    status: str = "pending"
    attempt: int = 0
    order_id: str = ""
    submitted_at: int = 0
    waited_from: int = 0
    reference: int = 0
    filled: int = 0
    notional: int = 0
    fees: int = 0
    paid: int = 0
    executed_at: int = 0
    buffer: int = 0
    exits: tuple[str, ...] = ()
    cancelling: str = ""
    note: str = ""


class Booked(NamedTuple):
    """What a fill did to cash and to a sector, minor units; figures taken at or after it hold it already."""

    at: int
    cash: int
    sector: str
    value: int


class LogEntry(NamedTuple):
    """A line of the execution log (step 3F)."""

    at: int
    trade_id: str
    symbol: str
    side: str
    account: str
    sector: str
    conviction: int | None
    price: int
    quantity: int
    fees: int
    stop: int
    targets: tuple[int, ...]
    buffer: int
    buffer_state: str


class Checked(NamedTuple):
    """A verification after the executions: of which sector, or of the buffer (empty); its limit, what was found, and the result."""

    subject: str
    limit: int
    found: int
    result: str


class ExecutionReport(NamedTuple):
    """What step 7 lists.

    Attributes:
        execution_id: of the execution.
        started_at: when it began.
        at: when it ended.
        log: the trades executed.
        unfilled: the others by id, with their status.
        sectors: verification of each sector.
        cash: position after all.
        buffer: verification of the buffer.
        buffer_start: at the beginning.
        flags: slippage and other notes.
        caveats: under which it went on.
        escalations: ids of all.
        next_review_at: when it is looked at again.
    """

    execution_id: str
    started_at: int
    at: int
    log: tuple[LogEntry, ...]
    unfilled: tuple[tuple[str, str], ...]
    sectors: tuple[Checked, ...]
    cash: int
    buffer: Checked
    buffer_start: int
    flags: tuple[Flag, ...]
    caveats: tuple[str, ...]
    escalations: tuple[str, ...]
    next_review_at: int


class LoopState(NamedTuple):
    """Everything that the loop's next answer depends on, beside its terms (step 3B's context).

    Attributes:
        execution_id: empty before it started.
        portfolio: whose.
        started_at: 0 before.
        buffer_start: at the beginning.
        ended_at: 0 until it is over.
        figures: the newest.
        approved: weight of each sector at approval.
        trades: in their order, with how far each is.
        booked: fills.
        executions: ids of fills that are booked.
        exits: place of the trade by id of its stop or target.
        prices: last known market prices.
        refreshing: the refresh under way; None where none is.
        refreshes: how many were asked for.
        delayed: the refresh whose delay was escalated.
        accepted: time of the figures that a decision, or a timeout, lets the execution go on with though they are not fresh.
        validated: time of the figures that steps 2A and 2B have seen.
        waiting: escalations that must be answered before another trade is placed.
        escalations: all of them, in their order.
        answers: by escalation id.
        overdue: escalations whose time was over.
        stopping: the status that the remaining trades get (``deferred`` or ``halted``); empty while the loop goes on.
        log: the execution log.
        flags: what was noticed.
        caveats: under which it goes on.
        report: at the end.
    """

    execution_id: str = ""
    portfolio: str = ""
    started_at: int = 0
    buffer_start: int = 0
    ended_at: int = 0
    figures: Figures = Figures(0, 0, 0)
    approved: tuple[tuple[str, int], ...] = ()
    trades: tuple[Progress, ...] = ()
    booked: tuple[Booked, ...] = ()
    executions: "Map[str, bool]" = Map()
    exits: "Map[str, int]" = Map()
    prices: "Map[str, int]" = Map()
    refreshing: Refreshing | None = None
    refreshes: int = 0
    delayed: str = ""
    accepted: int = 0
    validated: int = 0
    waiting: tuple[str, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    answers: "Map[str, Answered]" = Map()
    overdue: tuple[str, ...] = ()
    stopping: str = ""
    log: tuple[LogEntry, ...] = ()
    flags: tuple[Flag, ...] = ()
    caveats: tuple[str, ...] = ()
    report: ExecutionReport | None = None

    @property
    def phase(self) -> str:
        """Return ``ready``, ``completed``, ``halted`` (a decision is awaited), ``awaiting_fill``, ``refreshing`` or ``executing``."""
        if not self.execution_id:
            return "ready"
        if self.ended_at:
            return "completed"
        if self.waiting:
            return "halted"
        if self.in_flight is not None:
            return "awaiting_fill"
        return "refreshing" if self.refreshing is not None else "executing"

    @property
    def in_flight(self) -> int | None:
        """Return the place of the trade whose order is at the broker."""
        return next((place for place, one in enumerate(self.trades) if one.status == "submitted"), None)

    @property
    def remaining(self) -> tuple[Progress, ...]:
        """Return the trades that are still to be placed."""
        return tuple(one for one in self.trades if one.status == "pending")

    @property
    def cash(self) -> int:
        """Return the cash now: that of the figures and of the fills after them."""
        return self.figures.cash + sum(one.cash for one in self.booked if one.at > self.figures.at)

    def escalation(self, name: str) -> Escalation | None:
        """Return an escalation by its id."""
        return next((one for one in self.escalations if one.escalation_id == name), None)
