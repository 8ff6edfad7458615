"""What one event does to a workflow, while it does it: the state as it becomes, and the commands so far.

What belongs here: how orders, asks, notices and transitions are recorded. Which of them happens is decided in the modules around.
"""

from portfolio_platform.broker.model import Labels, Order
from portfolio_platform.instruments.model import (
    CancelOrder,
    Enlist,
    InstrumentCommand,
    InstrumentConfig,
    PlaceOrder,
    ReleaseAllocation,
)
from portfolio_platform.instruments.state import (
    KEPT,
    NOTED,
    REMEMBERED,
    Asked,
    InstrumentState,
    Notice,
    Position,
    Purpose,
    Resting,
    Setup,
    WorkflowTerms,
)
from portfolio_platform.instruments.transitions import AFTER


class Flow:
    """One event at work.

    Attributes:
        terms: of the workflow.
        state: as it becomes.
        at: time of the event.
        commands: so far, in their order.
    """

    def __init__(self, terms: WorkflowTerms, state: InstrumentState, at: int) -> None:
        self.terms, self.at = terms, at
        self.state = state if at <= state.now else state._replace(now=at)
        self.commands: list[InstrumentCommand] = []

    @property
    def config(self) -> InstrumentConfig:
        """Return what the workflow was started with."""
        assert self.state.config is not None
        return self.state.config

    @property
    def setup(self) -> Setup:
        """Return the setup; only where there is one."""
        assert self.state.setup is not None
        return self.state.setup

    @property
    def position(self) -> Position:
        """Return the position; only where there is one."""
        assert self.state.position is not None
        return self.state.position

    def move(self, cause: str) -> None:
        """Go where the table of transitions leads from here."""
        self.state = self.state._replace(phase=AFTER[self.state.phase, cause])

    def say(self, command: InstrumentCommand) -> None:
        """Ask for something."""
        self.commands.append(command)

    def count(self, **more: int) -> None:
        """Add to the totals."""
        totals = self.state.totals
        self.state = self.state._replace(totals=totals._replace(**{name: getattr(totals, name) + by for name, by in more.items()}))

    def note(self, kind: str, text: str) -> None:
        """Leave a notice."""
        self.state = self.state._replace(notices=(*self.state.notices, Notice(self.at, kind, text))[-NOTED:])

    def is_new(self, identity: str) -> bool:
        """Say whether something comes for the first time, and remember it."""
        if identity in self.state.seen:
            return False
        self.state = self.state._replace(seen=(*self.state.seen, identity)[-REMEMBERED:])
        return True

    def next_id(self) -> str:
        """Return the next setup's id; ids are not used twice in the life of a stream."""
        number = self.state.setups + 1
        self.state = self.state._replace(setups=number)
        return f"{self.config.portfolio}:{self.config.symbol}:{number}"

    # --- orders

    def resting(self, order_id: str) -> Resting | None:
        """Return an order that has not ended as far as is known."""
        return next((one for one in self.state.orders if one.order_id == order_id), None)

    def of_purpose(self, *purposes: Purpose) -> tuple[Resting, ...]:
        """Return the orders of some purposes."""
        return tuple(one for one in self.state.orders if one.purpose in purposes)

    def keep(self, order: Resting) -> None:
        """Put an order among the resting ones, or in the place of what was known of it."""
        others = tuple(one for one in self.state.orders if one.order_id != order.order_id)
        self.state = self.state._replace(orders=(*others, order))

    def drop(self, order_id: str) -> None:
        """Take an order from the resting ones."""
        self.state = self.state._replace(orders=tuple(one for one in self.state.orders if one.order_id != order_id))

    def place(self, order: Order, purpose: Purpose) -> None:
        """Place an order."""
        self.keep(Resting(order.client_order_id, purpose, order.sign, order.quantity, price=order.price, candle=self.state.candles))
        self.say(PlaceOrder(self.at, order))

    def cancel(self, order: Resting, reason: str) -> None:
        """Ask for an order's cancelling, once."""
        if not order.cancelled:
            self.keep(order._replace(cancelled=True, candle=self.state.candles))
            self.say(CancelOrder(self.at, order.order_id, reason))

    def cancel_entries(self, reason: str) -> bool:
        """Ask for the cancelling of what is unfilled of the entry; say whether there is such an order."""
        entries = self.of_purpose("entry")
        for one in entries:
            self.cancel(one, reason)
        return bool(entries)

    def labels(self, decision_price: int, trigger_id: str) -> Labels:
        """Return what the ledger is told of an order of the trade at hand."""
        state, config = self.state, self.config
        setup, plan, position = state.setup, state.plan, state.position
        contract = setup.contract if setup is not None else None
        stop = position.stop if position is not None else contract.stop if contract is not None else 0
        return Labels(
            portfolio=config.portfolio,
            strategy=config.strategy,
            signal_id=setup.signal_id if setup is not None else "",
            intent_id=setup.intent_id if setup is not None else "",
            template=plan.template if plan is not None and setup is not None else "",
            playbook=plan.playbook if plan is not None and setup is not None else "",
            trigger_id=trigger_id,
            currency=config.currency,
            decision_price=decision_price,
            stop_price=stop,
            target_price=contract.target if contract is not None else 0,
            multiplier=config.multiplier,
        )

    # --- what was asked and what it got

    def record(self, ask: Asked) -> None:
        """Keep an ask, or what is known of it now."""
        others = tuple(one for one in self.state.asks if one.intent_id != ask.intent_id)
        self.state = self.state._replace(asks=(*others, ask)[-KEPT:])

    def ask_of(self, intent_id: str) -> Asked | None:
        """Return an ask that is still kept."""
        return next((one for one in reversed(self.state.asks) if one.intent_id == intent_id), None)

    def became(self, intent_id: str, what: str) -> None:
        """Record what the workflow made of an answer, or of none."""
        ask = self.ask_of(intent_id)
        if ask is not None:
            self.record(ask._replace(became=what))

    def release(self, intent_id: str, reason: str) -> None:
        """Give a reservation up."""
        self.say(ReleaseAllocation(self.at, intent_id, reason))

    def enlist(self, active: bool) -> None:
        """Say that envelopes are wanted, or no more, where that is not so already: wishes alternate, the first wants them."""
        number = self.state.totals.enlistments
        if active == (number % 2 == 0):
            self.count(enlistments=1)
            self.say(Enlist(self.at, active, number + 1))

    # --- the end of a setup

    def spend(self, cause: str) -> None:
        """End a setup: back to rest, and no thesis before the plan's cooldown is over."""
        bars = self.state.plan.cooldown_bars if self.state.plan is not None else 0
        newest = self.state.windows[0].bars[-1:]
        # the candle of the bar in which a fill ended the trade is still to come, and is no bar after it
        bars += 1 if newest and newest[0].ts < self.at else 0
        self.move(cause)
        self.state = self.state._replace(setup=None, position=None, flattening="", cooldown_until=self.state.candles + bars)
