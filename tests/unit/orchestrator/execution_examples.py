"""An approved plan to report on: in a cash account a sell of 300 at 100 pays for a buy of 150 at 200; no fees are planned."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.executed import Executed, Protection, ReportedFill
from portfolio_platform.orchestrator.execution_intake import Taken, after, take
from portfolio_platform.orchestrator.execution_rows import Rows, read_rows, read_texts
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.model import Snapshot
from portfolio_platform.orchestrator.papers import PlanPapers, papers_of
from portfolio_platform.orchestrator.profile import Profile, shipped_profile
from tests.unit.orchestrator.examples import AT, NO_RESTRICTIONS, account, holding, instrument, rankings, snapshot, to, with_rules

UNTIL = AT + timedelta(hours=2)
NOW = AT + timedelta(minutes=10)


def held(**more: Any) -> Snapshot:
    """100,000: 88,000 in Old and 12,000 of cash, all in the cash account C; the margin account M is empty."""
    old = instrument("OLD", "Old", "100", lot_size=1, daily_value_minor=10**9)
    return snapshot(
        (account("C", "12000", holding("OLD", "880", "50"), kind="cash"), account("M", "0")),
        (old, instrument("NEW", "New", "200"), instrument("AGE", "Old", "10")),
        **more,
    )


def papers(profile: Profile | None = None, **more: Any) -> PlanPapers:
    """Old from 88 to 58 %, New from 0 to 30 %."""
    rules = profile or with_rules(shipped_profile(), "limits", position_pct=Decimal(60), sector_cap_pct=Decimal(60))
    inputs = Inputs(
        snapshot=held(**more), restrictions=NO_RESTRICTIONS, profile=rules, at=AT, rankings=rankings({"New": ["NEW"], "Old": ["OLD"]})
    )
    return papers_of(inputs, Directives(directives=(to("Old", 58), to("New", 30))))


def approved(made: PlanPapers | None = None, **protections: Protection) -> Executed:
    """The plan approved at the time it was made, nothing reported."""
    made = made or papers()
    return Executed(made.execution_id, made.plan, AT, UNTIL, protections=protections)


def at(minutes: float) -> datetime:
    """A time after the approval."""
    return AT + timedelta(minutes=minutes)


def row(executed: Executed, trade: str, minutes: float = 5, **said: str) -> dict[str, str]:
    """A row that says what was planned of a trade."""
    one = executed.by_trade[trade]
    plain = {"trade_id": trade, "quantity": f"{one.quantity:f}", "price": f"{one.price:f}", "at": at(minutes).isoformat()}
    return {**plain, **said}


def rows(*given: dict[str, str], now: datetime = NOW) -> Rows:
    """Rows as one report."""
    read = [read_texts(one, now) for one in given]
    return Rows("fills.csv", tuple(fill for one in read for fill in one.given), tuple(bad for one in read for bad in one.bad))


def taken(executed: Executed, *given: dict[str, str], corrections: bool = False, now: datetime = NOW) -> Taken:
    """What becomes of rows."""
    return take(rows(*given, now=now), executed, ["C", "M"], corrections=corrections)


def reported(executed: Executed, *given: dict[str, str], corrections: bool = False, now: datetime = NOW) -> Executed:
    """The execution after a report."""
    return after(executed, taken(executed, *given, corrections=corrections, now=now).fills)


def every_trade(executed: Executed) -> list[ReportedFill]:
    """Fills of every trade at the plan's own prices and fees."""
    given = [row(executed, one.trade_id, fee=f"{Decimal(one.fee_minor) / 100:.2f}") for one in executed.plan.trades]
    return list(taken(executed, *given, now=UNTIL).fills)


def file(*lines: str) -> bytes:
    """A CSV."""
    return "\n".join(lines).encode()


__all__ = ["AT", "NOW", "UNTIL", "approved", "at", "every_trade", "file", "held", "papers", "read_rows", "reported", "row", "rows", "taken"]
