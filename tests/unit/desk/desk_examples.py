"""Homes with the sample documents, at the time that the samples are of, and changes to them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import Instrument
from portfolio_platform.control.terms import Facts, Limits
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log
from portfolio_platform.desk.model import PlanState
from portfolio_platform.desk.prepare import Prepared, prepare
from portfolio_platform.desk.sources import Asked, folder_of, put_samples
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.papers import PlanPapers

AT = datetime(2026, 1, 5, 14, 45, tzinfo=UTC)
SAMPLE = Asked("sample")
OVER_THE_CAP = "## ACTION PLAN\n- Reduce Materials from 46.8% to 42%\n- Target Cash position: 7.3%\n"
"""Violates the sector cap of 40 %, and nothing else."""


def at(home: Home, minutes: float = 0.0) -> Home:
    """Return the same home, minutes after the samples' time."""
    return replace(home, as_of=AT + timedelta(minutes=minutes))


def with_samples(home: Home) -> Home:
    """Put the samples into a home and set its clock to their time."""
    put_samples(home)
    return at(home)


def document(home: Home, text: str, name: str = "asked.md") -> Path:
    """Write a document beside the home's own."""
    path = folder_of(home) / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(home: Home, name: str, change: Callable[[Any], None]) -> Path:
    """Change a JSON document of the home."""
    path = folder_of(home) / name
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def blocked(home: Home) -> Prepared:
    """Make the plan that violates the sector cap."""
    return prepare(home, Asked("sample", document=document(home, OVER_THE_CAP)))


def plan_of(home: Home, execution_id: str, portfolio: str = "sample") -> PlanState:
    """Return a plan as the log has it."""
    with home.book.reading() as connection:
        return log.plans_of(connection, portfolio)[execution_id]


def limits(**changes: Any) -> Limits:
    """Limits that leave the sample's buys their room: heat 50 %, a symbol 20 %, places for ten."""
    from tests.unit.control.examples import LIMITS

    wide = {
        "caps": (("risk", "heat", 500_000), ("risk", "symbol", 200_000)),
        "positions": 10,
        "new_positions": 10,
        "facts_age": 30 * 86_400 * 10**9,
        "envelope": 86_400 * 10**9,
    }
    return replace(LIMITS, **{**wide, **changes})


def under_control(home: Home, *, live: bool = False, minutes: float = 0.0, **changes: Any) -> ControlPlane:
    """Put the sample portfolio under control, with a million of equity and all its instruments known."""
    from portfolio_platform.control.events import FactsStated

    home = at(home, minutes)
    plane = ControlPlane(home.book, home.clock)
    plane.open_portfolio("sample", limits(**changes), live=live)
    tickers = [one["ticker"] for one in json.loads((folder_of(home) / "portfolio.json").read_text())["instruments"]]
    plane.state_instruments("sample", dict.fromkeys(tickers, Instrument("cohort", "sector")))
    facts = Facts(equity=100_000_000, at=nanoseconds(home.clock.now()), session=1, day="2026-01-05", regime="normal")
    plane.state_facts("sample", [FactsStated(0, facts, (), ())])
    return plane


def one_file(papers: PlanPapers) -> dict[str, bytes]:
    """The plan's folder where a test is not about its pages."""
    return {"plan.json": papers.plan.canonical()}
