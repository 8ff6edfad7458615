"""The audit of a home: whole where it is, and the first event that does not fit where it is not."""

import json

import pytest
from sqlalchemy import update

from portfolio_platform.book import schema
from portfolio_platform.book.events import chain_head
from portfolio_platform.control.pipeline.auditing import audit_home
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home
from portfolio_platform.lake import derived


@pytest.fixture
def decided(small: Home) -> Home:
    """The small ledger under control, with three decisions."""
    plane = ControlPlane(small.book, small.clock)
    run_cycle(small, plane=plane)
    for name in "abc":
        asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": "500", "ts": small.clock.now()}
        plane.request_allocation(asked, "main")
    return small


def changed(home: Home, name: str, *, rehash: bool = False, **said: object) -> int:
    """Change what the log says of a decision, past everything that guards it; return its number."""
    log = schema.events
    with home.book.writing() as connection:
        rows = connection.execute(log.select().where(log.c.type == "allocation_decided")).all()
        row = next(one for one in rows if json.loads(one.content)["data"]["intent"]["intent_id"] == name)
        content = json.loads(row.content)
        content["data"]["decision"] |= said
        connection.execute(
            update(log).where(log.c.seq == row.seq).values(content=json.dumps(content, separators=(",", ":"), sort_keys=True).encode())
        )
        if rehash:
            _rehash(connection, row.seq)
    return int(row.seq)


def _rehash(connection, seq: int) -> None:
    """Make the chain whole again from an event on, as somebody would who changed it."""
    from portfolio_platform.book.events import chain_hash

    log = schema.events
    previous = connection.execute(log.select().where(log.c.seq == seq - 1)).one().hash
    for row in connection.execute(log.select().where(log.c.seq >= seq).order_by(log.c.seq)).all():
        hashed = chain_hash(previous, row.content)
        connection.execute(update(log).where(log.c.seq == row.seq).values(previous_hash=previous, hash=hashed))
        previous = hashed


def test_a_whole_log_is_signed_once(decided: Home) -> None:
    found = audit_home(decided)
    assert found.ok and found.checkpoint is not None
    (one,) = found.portfolios
    assert (one.portfolio, one.replayed.decisions) == ("main", 3) and one.replayed.envelopes > 0
    with decided.book.reading() as connection:
        head = chain_head(connection).seq
    again = audit_home(decided)
    assert again.ok and again.checkpoint == found.checkpoint and again.verdict.covered == found.checkpoint.seq
    with decided.book.reading() as connection:
        assert chain_head(connection).seq == head  # a night in which nothing happened adds nothing


def test_a_changed_event_breaks_the_chain_at_its_number(decided: Home) -> None:
    seq = changed(decided, "b", approved_risk=999_999)
    found = audit_home(decided)
    assert found.faults["chain_verifies"].startswith(f"event {seq}:") and found.checkpoint is None
    assert f"event {seq} " in found.faults["replay_equals"] and "decision.approved_risk" in found.faults["replay_equals"]


def test_a_decision_that_does_not_follow_is_found_though_the_chain_is_whole(decided: Home) -> None:
    seq = changed(decided, "b", rehash=True, approved_risk=999_999)
    found = audit_home(decided)
    assert found.faults["chain_verifies"] == ""
    assert f"event {seq} " in found.faults["replay_equals"] and "999999" in found.faults["replay_equals"]


def test_a_history_that_was_written_anew_is_shown_by_its_checkpoint(decided: Home) -> None:
    assert audit_home(decided).ok
    changed(decided, "c", rehash=True, reasons=["because"])
    assert audit_home(decided).faults["chain_verifies"] != ""


def test_an_event_that_cannot_be_read_is_named(decided: Home) -> None:
    seq = changed(decided, "b", rehash=True, headrooms="none")
    assert f"event {seq} " in audit_home(decided).faults["replay_equals"]


def test_facts_that_the_ledger_does_not_have_do_not_reconcile(decided: Home) -> None:
    rows = decided.lake.read(derived.POSITION_RISK)
    doubled = rows.set_column(
        rows.column_names.index("risk"), "risk", [[None if one is None else 2.0 * one for one in rows["risk"].to_pylist()]]
    )
    with decided.lake.writing():
        decided.lake.replace(derived.POSITION_RISK, doubled.cast(rows.schema))
    found = audit_home(decided)
    assert found.faults["chain_verifies"] == found.faults["replay_equals"] == ""
    assert "main" in found.faults["reservations_reconcile"] and "active risk" in found.faults["reservations_reconcile"]


def test_reservations_that_heat_reckons_otherwise_do_not_reconcile(decided: Home, monkeypatch) -> None:
    from portfolio_platform.book.control import Reserved
    from portfolio_platform.control.pipeline import auditing

    monkeypatch.setattr(auditing, "reserved", lambda *given: Reserved((1,), 2))
    assert "are reserved by the state, and 1 by" in audit_home(decided).faults["reservations_reconcile"]


def test_a_home_without_control_has_nothing_to_reconcile(small: Home) -> None:
    assert audit_home(small).ok
