"""Everything about executions that hangs on the clock or on new bars, in one call that is safe to repeat at any time."""

from dataclasses import dataclass

from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log, notices
from portfolio_platform.desk.due import alert_due
from portfolio_platform.desk.escalations import expire_escalations, portfolios_in
from portfolio_platform.desk.execution import follow
from portfolio_platform.desk.execution_files import bring_fills
from portfolio_platform.desk.executions import executions
from portfolio_platform.desk.exits import watch_exits
from portfolio_platform.desk.paper_execution import bring_paper_fills
from portfolio_platform.home import Home


@dataclass(frozen=True)
class Watched:
    """What a look did: executions followed, fills that a kill had left out of the ledger, escalations whose time ran out, exits touched,
    items that fell due.
    """  # noqa: D205

    executions: int
    fills: int
    expired: int
    touched: int
    due: int

    @property
    def sentence(self) -> str:
        """Say it for a person."""
        said = (
            (self.fills, "fills brought in"),
            (self.expired, "escalations expired"),
            (self.touched, "stops or targets touched"),
            (self.due, "items fell due"),
        )
        return "; ".join(f"{count} {what}" for count, what in said if count) or f"nothing new in {self.executions} executions under way"


def watch(home: Home) -> Watched:
    """Look after every execution: fills, flags by the clock, escalations and their ends, exits, due items. Raises `StoreProblem`."""
    brought = bring_fills(home).fills + bring_paper_fills(home)
    now = nanoseconds(home.clock.now())
    under_way = [plan for _, plan in executions(home) if plan.in_force(now)]
    for plan in under_way:
        follow(home, plan.execution_id)
    expired = expire_escalations(home)
    notices.tell_escalations(home)
    touched = watch_exits(home)
    due = alert_due(home)
    return Watched(len(under_way), brought, len(expired), len(touched), len(due))


def anything_to_watch(home: Home) -> bool:
    """Say whether a home ever had a plan or an escalation."""
    with home.book.reading() as connection:
        return bool(log.portfolios(connection) or portfolios_in(connection))
