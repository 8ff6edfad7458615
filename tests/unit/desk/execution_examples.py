"""Approved plans of the sample portfolio, and reports of them."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from portfolio_platform.desk import log
from portfolio_platform.desk.approvals import Wanted, approve
from portfolio_platform.desk.execution import Given, Reported, report
from portfolio_platform.desk.execution_events import ExecutionState, state_of
from portfolio_platform.desk.prepare import Prepared, prepare
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.execution_rows import Rows, read_texts
from portfolio_platform.orchestrator.planned import Plan
from tests.unit.desk.desk_examples import AT, SAMPLE, with_samples

BEGUN = AT + timedelta(minutes=5)
"""When the first fill of a report was."""


def home_with_approved_plan(root: Path) -> Home:
    """A new home in which the sample's plan is approved, for tests to copy."""
    home = Home(root)
    home.create()
    home.pin_clock(date(2010, 12, 31))
    home = with_samples(home)
    approved(home)
    home.book.close()
    return home


def copy_of(home: Home, root: Path) -> Home:
    """A copy of a home, at the same time."""
    home.book.close()
    shutil.copytree(home.root, root)
    return replace(Home(root), as_of=home.as_of)


def approved(home: Home, asked: Asked = SAMPLE) -> Prepared:
    """A plan, approved when it was made; that of the home where it has one."""
    with home.book.reading() as connection:
        for plan in log.plans_of(connection, "sample").values():
            if plan.approved is not None:
                papers = log.papers_of(connection, plan.execution_id)
                return Prepared(papers, plan, home.root / "executions" / papers.folder_name)
    made = prepare(home, asked)
    outcome = approve(home, Wanted(made.execution_id, by="ann", reason="read it", accept_conditions=True))
    assert outcome.refused is None
    return made


def recommended(home: Home) -> Prepared:
    """The plan of the sample's stock recommendation, which states a stop and targets; made with enough cash."""
    asked = Asked(
        "sample", recommendation=folder_of(home) / "stock_recommendation.json", snapshot=folder_of(home) / "portfolio_with_cash.json"
    )
    made = prepare(home, asked)
    wanted = Wanted(made.execution_id, by="ann", reason="read it", accept_conditions=True, snapshot=asked.snapshot)
    assert approve(home, wanted).refused is None
    return made


def row(plan: Plan, trade_id: str, minutes: float = 0, **said: str) -> dict[str, str]:
    """A row that says what was planned of a trade."""
    trade = next(one for one in plan.trades if one.trade_id == trade_id)
    when = BEGUN + timedelta(minutes=minutes)
    return {"trade_id": trade_id, "quantity": f"{trade.quantity:f}", "price": f"{trade.price:f}", "at": when.isoformat(), **said}


def rows(home: Home, *given: Mapping[str, str]) -> Rows:
    """Rows of one report."""
    read = [read_texts(one, home.clock.now()) for one in given]
    return Rows("fills.csv", tuple(fill for one in read for fill in one.given), tuple(bad for one in read for bad in one.bad))


def told(home: Home, made: Prepared, *given: Mapping[str, str], **said: Any) -> Reported:
    """Report rows, by bob."""
    return report(home, made.execution_id, Given("bob", rows(home, *given), **said))


def everything(home: Home, made: Prepared, **said: str) -> Reported:
    """Report every trade as planned, a minute apart."""
    plan = made.papers.plan
    return told(home, made, *(row(plan, one.trade_id, number, **said) for number, one in enumerate(plan.trades)))


def state(home: Home, made: Prepared) -> ExecutionState:
    """The execution as the log has it."""
    with home.book.reading() as connection:
        return state_of(connection, made.execution_id)


def ledger_rows(home: Home) -> list[dict[str, Any]]:
    """The fills in force, by id."""
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import FILLS

    return sorted(active.read(home.lake, FILLS).to_pylist(), key=lambda one: one["execution_id"])


def events(home: Home, *types: str) -> list[str]:
    """The types of the log's events, in their order; of some types where they are named."""
    from portfolio_platform.book.events import read

    with home.book.reading() as connection:
        return [one.type for one in read(connection) if not types or one.type in types]


def later(minutes: float) -> datetime:
    """A time after the samples'."""
    return AT + timedelta(minutes=minutes)
