"""What falls due after an execution (v8.0.3 STEP 8): a calendar rule over trading days, and what has been done of it. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from portfolio_platform.days import to_date, to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.profile import Due

DueKind = Literal["daily_allocation", "weekly_rebalancing", "stop_tracking", "quarterly_thesis", "next_review"]
KINDS: dict[DueKind, str] = {
    "daily_allocation": "Check sector allocations and cash buffer",
    "weekly_rebalancing": "Review the balance of the portfolio against its targets",
    "stop_tracking": "Check stops and profit targets at the broker against those recorded",
    "quarterly_thesis": "Validate the thesis of what was bought",
    "next_review": "Review the execution that is finished",
}
ONCE: frozenset[DueKind] = frozenset({"next_review"})


class Done(NamedTuple):
    """A person did an item: when, and who."""

    item_id: str
    on: date
    by: str
    note: str = ""


class Anchor(NamedTuple):
    """An execution that is over, from which items are counted: its id, the day it ended, and whether it bought anything."""

    execution_id: str
    on: date
    bought: bool
    protected: bool = False


class DueItem(NamedTuple):
    """An item on a day.

    Attributes:
        item_id: unique in its portfolio: execution, kind and day.
        kind: what.
        execution_id: the execution that it is counted from.
        due_on: a trading day.
        title: in words.
    """

    item_id: str
    kind: DueKind
    execution_id: str
    due_on: date
    title: str

    def is_due(self, today: date) -> bool:
        """Say whether its day has come."""
        return self.due_on <= today


class Sessions(NamedTuple):
    """Trading days as day numbers, ascending, over the whole span that is asked about."""

    days: tuple[int, ...]

    def after(self, day: date, count: int) -> date:
        """Return the trading day that is so many after a day."""
        place = bisect_right(self.days, to_number(day)) + count - 1
        return self._at(place, day)

    def on_or_after(self, day: date) -> date:
        """Return a day if it is a trading day, else the next that is."""
        return self._at(bisect_left(self.days, to_number(day)), day)

    def _at(self, place: int, day: date) -> date:
        if not 0 <= place < len(self.days):
            raise WrongUse(f"the calendar of trading days does not reach as far as {day}; give it more days")
        return to_date(self.days[place])


def due_on(kind: DueKind, since: date, sessions: Sessions, rules: Due) -> date:
    """Return the trading day on which an item falls due that was done, or began, on a day.

    Daily items and the stops by sessions; the week's and the quarter's by the calendar, moved on to the next trading day. The first
    review of an execution is with the first item of all.
    """
    if kind == "daily_allocation":
        return sessions.after(since, rules.allocation_sessions)
    if kind == "stop_tracking":
        return sessions.after(since, rules.stops_sessions)
    if kind == "weekly_rebalancing":
        return sessions.on_or_after(since + timedelta(days=rules.rebalancing_days))
    if kind == "quarterly_thesis":
        return sessions.on_or_after(months_after(since, rules.thesis_months))
    regular: tuple[DueKind, ...] = ("daily_allocation", "weekly_rebalancing", "stop_tracking", "quarterly_thesis")
    return min(due_on(other, since, sessions, rules) for other in regular)


def months_after(day: date, months: int) -> date:
    """Return the day so many months later; the last of its month where that month is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    first_of_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), first_of_next - timedelta(days=1))


def items(anchors: Sequence[Anchor], done: Sequence[Done], sessions: Sessions, rules: Due) -> tuple[DueItem, ...]:
    """Return every item that is open, by day: one of each kind; what was missed is not multiplied.

    Allocation, balance and stops are looked at for the portfolio: they count from its newest execution. A thesis is validated for each
    execution that bought, and each execution is reviewed once. Done, an item is counted on from the day that it was done.
    """
    finished = {one.item_id: one for one in done}
    ordered = sorted(anchors, key=lambda one: (one.on, one.execution_id))
    found: list[DueItem] = []
    for place, anchor in enumerate(ordered):
        newest = place == len(ordered) - 1
        kinds: list[DueKind] = ["next_review"]
        kinds += ["daily_allocation", "weekly_rebalancing"] if newest else []
        kinds += ["stop_tracking"] if newest and any(one.protected for one in ordered) else []
        kinds += ["quarterly_thesis"] if anchor.bought else []
        for kind in kinds:
            item = _open(kind, anchor, finished, sessions, rules)
            if item is not None:
                found.append(item)
    return tuple(sorted(found, key=lambda item: (item.due_on, list(KINDS).index(item.kind), item.execution_id)))


def _open(kind: DueKind, anchor: Anchor, finished: dict[str, Done], sessions: Sessions, rules: Due) -> DueItem | None:
    since = anchor.on
    while True:
        day = due_on(kind, since, sessions, rules)
        item = DueItem(f"{anchor.execution_id}:{kind}:{day}", kind, anchor.execution_id, day, KINDS[kind])
        over = finished.get(item.item_id)
        if over is None:
            return item
        if kind in ONCE:
            return None
        since = max(over.on, day)
