"""Stops and profit targets of what was bought, watched against bars: which was touched first, once. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from portfolio_platform.orchestrator.amounts import EXACT, plain
from portfolio_platform.orchestrator.executed import Executed


class ExitWatch(NamedTuple):
    """What is watched for a trade.

    Attributes:
        execution_id, trade_id, ticker, account: of what.
        quantity: that was bought.
        entered_at: the last of its fills; bars that opened before it do not count.
        entry_price: average.
        stop: sell at or below; None where there is none.
        targets: sell at or above each, ascending.
    """

    execution_id: str
    trade_id: str
    ticker: str
    account: str
    quantity: Decimal
    entered_at: datetime
    entry_price: Decimal
    stop: Decimal | None
    targets: tuple[Decimal, ...]

    @property
    def watch_id(self) -> str:
        """Return its identity: with other levels it is another watch of the same trade."""
        return f"{self.execution_id}:{self.trade_id}"


class PriceBar(NamedTuple):
    """A closed bar as it is watched: when it opened at the earliest, when it closed, and its prices."""

    ticker: str
    opens_at: datetime
    closed_at: datetime
    low: Decimal
    high: Decimal
    close: Decimal


class Touch(NamedTuple):
    """A stop or a target that a bar touched. ``both`` says that the bar held a target as well: counted as the stop."""

    execution_id: str
    trade_id: str
    ticker: str
    kind: Literal["stop", "target"]
    level: Decimal
    at: datetime
    low: Decimal
    high: Decimal
    close: Decimal
    both: bool = False

    @property
    def key(self) -> str:
        """Return its identity: a level of a trade is touched once."""
        return f"{self.execution_id}:{self.trade_id}:{self.kind}:{self.level:f}"


def watches_of(executed: Executed) -> tuple[ExitWatch, ...]:
    """Return what is to be watched of an execution: its purchases that have a stop or a target, the newest that was said of each."""
    found = []
    for one in executed.trades:
        own = [fill for fill in one.fills if fill.side == "buy" and fill.ticker == one.trade.ticker]
        if one.trade.side != "buy" or not own or one.price is None:
            continue
        by_time = sorted(own, key=lambda fill: (fill.at, fill.number), reverse=True)
        newest = by_time[0]
        # a further fill that says nothing takes no protection away
        stop = next((fill.stop_price for fill in by_time if fill.stop_price is not None), None)
        targets = next((tuple(sorted(fill.profit_targets)) for fill in by_time if fill.profit_targets), ())
        if stop is None and not targets:
            continue
        found.append(
            ExitWatch(
                executed.execution_id, one.trade.trade_id, one.trade.ticker, newest.account, one.filled, newest.at, one.price, stop, targets
            )
        )
    return tuple(found)


def unprotected(executed: Executed) -> tuple[str, ...]:
    """Return the purchases that have fills and no stop, by trade id."""
    protected = {watch.trade_id for watch in watches_of(executed) if watch.stop is not None}
    return tuple(
        one.trade.trade_id for one in executed.trades if one.trade.side == "buy" and one.filled and one.trade.trade_id not in protected
    )


def touches(watch: ExitWatch, bars: Iterable[PriceBar], known: Sequence[Touch] = ()) -> tuple[Touch, ...]:
    """Return what bars touch of a watch that was not touched before, in their order.

    A stop at or above the low ends the watch; targets at or below the high are touched one by one, and the last ends it. A bar that
    holds both counts as the stop, for which came first is not known. A bar that opened before the entry is passed over: its prices may
    be from before it.
    """
    gone = {(one.kind, one.level) for one in known if (one.execution_id, one.trade_id) == (watch.execution_id, watch.trade_id)}
    open_targets = [level for level in watch.targets if ("target", level) not in gone]
    if any(kind == "stop" for kind, _ in gone) or (watch.targets and not open_targets):
        return ()
    found: list[Touch] = []
    for bar in sorted((bar for bar in bars if bar.ticker == watch.ticker), key=lambda bar: bar.closed_at):
        if bar.opens_at < watch.entered_at:
            continue
        hit = [level for level in open_targets if bar.high >= level]
        if watch.stop is not None and bar.low <= watch.stop:
            found.append(_touch(watch, "stop", watch.stop, bar, both=bool(hit)))
            return tuple(found)
        for level in hit:
            found.append(_touch(watch, "target", level, bar))
            open_targets.remove(level)
        if watch.targets and not open_targets:
            break
    return tuple(found)


def _touch(watch: ExitWatch, kind: Literal["stop", "target"], level: Decimal, bar: PriceBar, *, both: bool = False) -> Touch:
    return Touch(watch.execution_id, watch.trade_id, watch.ticker, kind, level, bar.closed_at, bar.low, bar.high, bar.close, both)


class Distance(NamedTuple):
    """How far a level is from the newest price, in percent of that price, of two decimals; below zero it is passed."""

    kind: Literal["stop", "target"]
    level: Decimal
    percent: Decimal


def distances(watch: ExitWatch, price: Decimal) -> tuple[Distance, ...]:
    """Return how far stop and targets are from a price."""
    found: list[Distance] = []
    if watch.stop is not None:
        found.append(Distance("stop", watch.stop, _percent(EXACT.subtract(price, watch.stop), price)))
    return (*found, *(Distance("target", level, _percent(EXACT.subtract(level, price), price)) for level in watch.targets))


def _percent(apart: Decimal, price: Decimal) -> Decimal:
    return plain(round(EXACT.divide(EXACT.multiply(apart, Decimal(100)), price), 2))
