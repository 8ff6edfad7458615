"""The log as tables: every decision and envelope once, exactly, whatever broke in between; another log is copied anew."""

from decimal import Decimal

import pytest

from portfolio_platform.control.pipeline import tables
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.pipeline.tables import Copied, copy_log
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table

COPIES = (derived.ALLOCATION_DECISIONS, derived.DECISION_HEADROOMS, derived.CONSTRAINT_ENVELOPES)


@pytest.fixture
def plane(small: Home) -> ControlPlane:
    plane = ControlPlane(small.book, small.clock)
    run_cycle(small, plane=plane)
    return plane


def wants(home: Home, name: str, risk: object = "500.25", **said: object) -> dict[str, object]:
    asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk, "ts": home.clock.now()}
    return {**asked, "template": "breakout", "playbook": "squeeze", "requested_notional": "4000", **said}


def rows(home: Home, table: Table) -> list[dict[str, object]]:
    return home.lake.read(table).sort_by([(name, "ascending") for name in ("seq", *table.key)]).to_pylist()


def test_a_decision_is_a_row_and_every_rule_of_it_one_beside_it(small: Home, plane: ControlPlane) -> None:
    decision = plane.request_allocation(wants(small, "a", "9000"), "main").decision
    assert copy_log(small).decisions == 1
    (row,) = rows(small, derived.ALLOCATION_DECISIONS)
    assert (row["decision"], row["code"], row["side"]) == ("decision:main:a", decision.code, "long")
    assert (row["requested_risk"], row["requested_notional"]) == (Decimal(9000), Decimal(4000))
    assert row["approved_risk"] * 100 == decision.approved_risk and row["reasons"] == "; ".join(decision.reasons)
    assert (row["state_version"], row["policy_hash"]) == (decision.state_version, decision.policy_hash)
    rooms = rows(small, derived.DECISION_HEADROOMS)
    assert [room["rule"] for room in rooms] == [room.rule for room in decision.headrooms]
    for room, was in zip(rooms, decision.headrooms, strict=True):
        assert room["headroom"] * 100 == was.headroom and room["source"] == was.source
        units = 1 if was.basis == "count" else 100
        assert room["used"] * units == was.used and (room["limit"] is None) == (was.limit is None)
    least = min(room.headroom for room in decision.headrooms)
    assert {room["rule"] for room in rooms if room["bit"]} == {
        room.rule for room in decision.headrooms if room.headroom == least and least < decision.scaled_risk
    }


def test_an_envelope_is_a_row_for_each_version(small: Home, plane: ControlPlane) -> None:
    plane.enlist("main", ["AAA", "BBB"])
    copy_log(small)
    found = rows(small, derived.CONSTRAINT_ENVELOPES)
    issued = plane.get_portfolio_state("main").issued
    newest = {row["symbol"]: row for row in found}
    assert set(newest) == set(issued) and {"AAA", "BBB"} <= set(newest)
    for symbol, one in issued.items():
        assert newest[symbol]["envelope"] == f"envelope:main:{symbol}:{one.version}"
        assert newest[symbol]["max_new_risk"] * 100 == one.max_new_risk and newest[symbol]["expires_at"] == one.expires_at


def test_a_second_time_nothing_is_added_and_what_is_new_is_added_alone(small: Home, plane: ControlPlane) -> None:
    plane.request_allocation(wants(small, "a"), "main")
    copy_log(small)
    versions = [small.lake.version(table) for table in COPIES]
    assert copy_log(small) == Copied(0, 0) and [small.lake.version(table) for table in COPIES] == versions
    plane.request_allocations([wants(small, "b"), wants(small, "c", "-1")], "main")
    assert copy_log(small).decisions == 2
    assert [row["intent_id"] for row in rows(small, derived.ALLOCATION_DECISIONS)] == ["a", "b", "c"]


def test_what_broke_between_headrooms_and_decisions_is_made_good(small: Home, plane: ControlPlane, monkeypatch) -> None:
    plane.request_allocations([wants(small, name) for name in "abcd"], "main")
    monkeypatch.setattr(tables, "AT_ONCE", 2)
    append, calls = small.lake.append, []

    def breaks(table: Table, made: object) -> None:
        calls.append(table.name)
        if len(calls) == 4:  # the second half's headrooms are there, its decisions are not
            raise OSError("the machine is gone")
        append(table, made)

    monkeypatch.setattr(small.lake, "append", breaks)
    with pytest.raises(OSError):
        copy_log(small)
    assert (len(rows(small, derived.ALLOCATION_DECISIONS)), len({row["decision"] for row in rows(small, derived.DECISION_HEADROOMS)})) == (
        2,
        4,
    )
    monkeypatch.setattr(small.lake, "append", append)
    assert copy_log(small).decisions == 2
    rooms = rows(small, derived.DECISION_HEADROOMS)
    assert len({(row["decision"], row["place"]) for row in rooms}) == len(rooms)
    assert {row["decision"] for row in rooms} == {row["decision"] for row in rows(small, derived.ALLOCATION_DECISIONS)}


def test_an_id_that_was_used_for_two_intents_has_two_rows(small: Home, plane: ControlPlane) -> None:
    plane.request_allocations([wants(small, "a"), wants(small, "a", "700")], "main")
    copy_log(small)
    first, second = rows(small, derived.ALLOCATION_DECISIONS)
    assert first["decision"] == "decision:main:a" and second["decision"] == f"decision:main:a#{second['seq']}"
    assert second["code"] == "rejected_invalid"


def test_another_log_is_copied_anew(small: Home, plane: ControlPlane, tmp_path, copy_home) -> None:
    before = copy_home(small, tmp_path / "before")
    plane.request_allocation(wants(small, "a"), "main")
    copy_log(small)
    small.book.close()
    (small.root / "book.sqlite").write_bytes((before.root / "book.sqlite").read_bytes())
    for left in small.root.glob("book.sqlite-*"):
        left.unlink()
    again = Home(small.root)
    ControlPlane(again.book, again.clock).request_allocation(wants(again, "z"), "main")
    copy_log(again)
    assert [row["intent_id"] for row in rows(again, derived.ALLOCATION_DECISIONS)] == ["z"]
    assert {row["decision"] for row in rows(again, derived.DECISION_HEADROOMS)} == {"decision:main:z"}


def test_headrooms_that_were_dropped_are_copied_again(small: Home, plane: ControlPlane) -> None:
    plane.request_allocation(wants(small, "a"), "main")
    copy_log(small)
    before = rows(small, derived.DECISION_HEADROOMS)
    with small.lake.writing():
        small.lake.drop(derived.DECISION_HEADROOMS)
    copy_log(small)
    assert rows(small, derived.DECISION_HEADROOMS) == before and len(rows(small, derived.ALLOCATION_DECISIONS)) == 1


def test_a_home_without_control_has_no_such_rows(small: Home) -> None:
    assert copy_log(small) == Copied(0, 0) and rows(small, derived.ALLOCATION_DECISIONS) == []
