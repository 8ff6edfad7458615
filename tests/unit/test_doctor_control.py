"""`portfolio doctor` on the control plane: who is not under it, what it waits for, what it noticed, its checkpoints and secrets."""

from datetime import timedelta

import pytest

from portfolio_platform.control.checkpoints import FILE, KEY_FILE, write_checkpoint
from portfolio_platform.control.events import FactsStated
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Facts, Order
from portfolio_platform.control.tokens import IN_HOME, write_token
from portfolio_platform.days import nanoseconds
from portfolio_platform.doctor import Finding, control, examine
from portfolio_platform.doctor.finding import guarded
from portfolio_platform.home import Home
from tests.unit.control.examples import GROUPS, LIMITS, MONEY

HOUR = 3_600_000_000_000


@pytest.fixture
def opened(home: Home) -> Home:
    plane = ControlPlane(home.book, home.clock)
    plane.open_portfolio("p", LIMITS)
    plane.state_instruments("p", GROUPS)
    facts = Facts(equity=1_000_000 * MONEY, at=now(home), session=1, day="2010-12-31")
    plane.state_facts("p", [FactsStated(0, facts, (), ())])
    return home


def now(home: Home) -> int:
    return nanoseconds(home.clock.now())


def later(home: Home, **by: float) -> Home:
    """The same home as it is some time later."""
    return Home(home.root, as_of=home.clock.now() + timedelta(**by))


def wants(home: Home, name: str = "i1") -> dict[str, object]:
    return {"intent_id": name, "strategy": "trend", "symbol": "AAA", "side": "long", "requested_risk": 5_000, "ts": now(home)}


def found(home: Home) -> list[tuple[str, str]]:
    """Level and state of everything that is found about `p`."""
    return [(one.level, one.state) for one in guarded("control", control.CHECKS["control plane"], home) if one.what == "control of p"]


def test_a_portfolio_in_order_is_told_with_its_mode_and_the_day_of_its_facts(opened: Home) -> None:
    assert found(opened) == [("ok", "mode normal, facts of 2010-12-31, 0 reservations, 0 orders")]


def test_facts_that_are_too_old_are_a_warning_that_names_what_mends_it(opened: Home) -> None:
    (one,) = guarded("control", control.CHECKS["control plane"], later(opened, days=6))
    assert one.level == "warn" and "facts: of 2010-12-31" in one.state and "portfolio control cycle" in one.remedy


def test_what_is_over_and_was_not_ended_says_that_no_cycle_runs(opened: Home) -> None:
    plane = ControlPlane(opened.book, opened.clock)
    plane.request_allocation(wants(opened), "p")
    plane.give_order("p", [Order("o", "mode", "operator", "ada", "why", now(opened), now(opened) + HOUR, mode="defensive")])
    assert [level for level, _ in found(later(opened, hours=1.5))] == ["ok"]
    assert found(later(opened, hours=3)) == [("warn", "1 order over for more than an hour, and still in force")]
    assert ("warn", "1 reservation over for more than an hour, and not ended") in found(later(opened, days=4, hours=2))


def test_what_was_noticed_is_told_for_a_week(opened: Home) -> None:
    fill = {"execution_id": "x", "ts": now(opened) + 1, "symbol": "AAA", "side": "buy", "quantity": 10, "price": 100, "stop_price": 90}
    ControlPlane(opened.book, opened.clock).on_fill(fill, "p")
    ((level, state),) = found(opened)
    assert level == "warn" and "1 × unreserved fill within 7 days; the newest: x in AAA" in state
    assert not any("unreserved" in state for _, state in found(later(opened, days=8)))


def test_a_ledger_that_nobody_controls_is_told_and_is_a_warning_once_others_are(sample_copy: Home) -> None:
    def levels() -> dict[str, str]:
        return {one.what: one.level for one in guarded("control", control.CHECKS["control plane"], sample_copy)}

    assert levels() == {"control of core": "info", "control of macro": "info"}
    ControlPlane(sample_copy.book, sample_copy.clock).open_portfolio("core", LIMITS)
    assert levels() == {"control of macro": "warn", "control of core": "warn"}  # core has no facts yet


def test_checkpoints_are_asked_for_counted_and_held_against_the_log(opened: Home) -> None:
    def looked() -> Finding:
        (one,) = guarded("checkpoints", control.CHECKS["checkpoints"], opened)
        return one

    assert (looked().level, "checkpoint --out" in looked().remedy) == ("info", True)
    write_checkpoint(opened)
    ControlPlane(opened.book, opened.clock).request_allocation(wants(opened), "p")
    assert looked().level == "ok" and "1 checkpoint, the newest covers event" in looked().state and "events since" in looked().state
    (opened.root / FILE).write_text("{}\n")
    assert looked().level == "fail"


def test_a_key_or_token_that_others_can_read_fails(opened: Home) -> None:
    write_checkpoint(opened)
    write_token(opened.root / IN_HOME)
    assert guarded("keys", control.CHECKS["keys"], opened) == []
    for name in (KEY_FILE, IN_HOME):
        (opened.root / name).chmod(0o640)
    failed = guarded("keys", control.CHECKS["keys"], opened)
    assert [(one.level, one.what) for one in failed] == [("fail", KEY_FILE), ("fail", IN_HOME)]
    assert all("chmod 600" in one.remedy for one in failed)


def test_doctor_looks_at_all_of_it(opened: Home) -> None:
    assert {"control of p", "checkpoints"} <= {one.what for one in examine(opened)}
