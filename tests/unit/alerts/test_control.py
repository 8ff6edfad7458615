"""What the control plane noticed: one alert for each kind and portfolio, over after a clean session or once looked at."""

from datetime import UTC, datetime, timedelta

import pytest

from portfolio_platform.alerts import actions
from portfolio_platform.alerts.control import KINDS, PREFIX, sync_control
from portfolio_platform.book import alerts as book
from portfolio_platform.control.events import FactsStated, Stated
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Facts
from portfolio_platform.days import nanoseconds
from portfolio_platform.home import Home
from tests.unit.control.examples import EQUITY, GROUPS, LIMITS, UNIT

START = datetime(2010, 6, 1, 12, tzinfo=UTC)


class Portfolio:
    """A home with one portfolio under control, whose day is moved by hand."""

    def __init__(self, home: Home) -> None:
        self.home, self.number = home, 0
        self.plane.open_portfolio("p", LIMITS)
        self.plane.state_instruments("p", GROUPS)
        self.session()

    @property
    def now(self) -> datetime:
        return START + timedelta(days=self.number)

    @property
    def today(self) -> Home:
        return Home(self.home.root, as_of=self.now)

    @property
    def plane(self) -> ControlPlane:
        return ControlPlane(self.home.book, self.today.clock)

    def session(self, *, quantity: int | None = None) -> None:
        """State the facts of another session: its positions as they are, or another quantity."""
        self.number += 1
        held = self.plane.get_portfolio_state("p").positions
        positions = [
            Stated(*key, one.quantity if quantity is None else quantity * UNIT, one.risk, one.exposure, "", "") for key, one in held.items()
        ]
        day = Facts(equity=EQUITY, at=nanoseconds(self.now), session=self.number, day=self.now.date().isoformat())
        self.plane.state_facts("p", [FactsStated(0, day, tuple(positions), ())])

    def buys(self, name: str, quantity: int = 10) -> None:
        """Buy without an intent."""
        at = {
            "execution_id": name,
            "strategy": "s",
            "symbol": "AAA",
            "side": "buy",
            "quantity": quantity,
            "price": "100",
            "stop_price": "90",
        }
        self.plane.on_fill({**at, "ts": self.now}, "p")

    def open(self) -> list[str]:
        return [alert.rule.removeprefix(PREFIX) for alert in sync_control(self.today)]


@pytest.fixture
def portfolio(home: Home) -> Portfolio:
    return Portfolio(home)


def test_nothing_noticed_is_nothing_told(portfolio: Portfolio) -> None:
    assert portfolio.open() == []


def test_findings_of_a_kind_are_one_alert_that_ends_with_a_clean_session(portfolio: Portfolio) -> None:
    portfolio.buys("e1")
    portfolio.buys("e2")
    (alert,) = sync_control(portfolio.today)
    assert (alert.rule, alert.scope, alert.portfolio, alert.origin, alert.severity) == (
        "control_unreserved_fill", "p", "platform", "platform", "warning",
    )  # fmt: skip
    assert alert.said["sentence"] == (
        "p: s in AAA (e2) opened risk that nothing was reserved for: expected an intent, found 10000 minor units of risk; "
        "2 such findings since the newest session."
    )
    assert portfolio.open() == ["unreserved_fill"]
    portfolio.session()  # the session in which it happened
    assert portfolio.open() == ["unreserved_fill"]
    portfolio.session()  # a clean one
    assert portfolio.open() == []
    with portfolio.home.book.reading() as connection:
        assert [one.state for one in book.listed(connection)] == ["resolved"]


def test_quantities_that_differ_are_critical_until_a_session_in_which_they_do_not(portfolio: Portfolio) -> None:
    portfolio.buys("e1")
    portfolio.session(quantity=7)
    found = {alert.rule: alert.severity for alert in sync_control(portfolio.today)}
    assert found == {"control_unreserved_fill": "warning", "control_quantity_drift": "critical"}
    portfolio.session()
    assert portfolio.open() == []


def test_what_a_person_has_looked_at_is_raised_again_only_by_something_new(portfolio: Portfolio) -> None:
    portfolio.buys("e1")
    (alert,) = sync_control(portfolio.today)
    actions.resolve(portfolio.today, alert.id, by="alice", reason="a hedge by hand")
    assert portfolio.open() == []
    portfolio.number += 1  # the next day, the same findings
    assert portfolio.open() == []
    portfolio.buys("e2")
    assert portfolio.open() == ["unreserved_fill"]


def test_every_kind_that_the_control_plane_notices_has_its_words() -> None:
    import re

    from portfolio_platform.control.events import Noticed

    assert set(re.findall(r"``(\w+)``", Noticed.__doc__ or "")) - {"what"} == set(KINDS)
