"""Decisions as facts: amounts, sides and codes as the facts have them, each once, and nothing of another source touched."""

import time

import pyarrow.compute as pc
import pytest

from portfolio_platform.build import build_all
from portfolio_platform.control.pipeline import publish as publishing
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.pipeline.feed import feed
from portfolio_platform.control.pipeline.publish import publish, published_until
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.facts import INTENTS, QUARANTINE
from tests.unit.control.pipeline.conftest import LAST, imported


@pytest.fixture
def plane(small: Home) -> ControlPlane:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    return plane


def wants(home: Home, name: str, risk: object = "500.25", **said: object) -> dict[str, object]:
    asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk, "ts": home.clock.now()}
    return {**asked, "template": "breakout", "playbook": "squeeze", "requested_notional": "4000", **said}


def stated(home: Home) -> dict[str, dict[str, object]]:
    return {row["intent_id"]: row for row in active.read(home.lake, INTENTS).to_pylist()}


def test_decisions_become_facts_in_the_words_of_the_facts(small: Home, plane: ControlPlane) -> None:
    plane.request_allocations([wants(small, "a"), wants(small, "b", "1000000", side="short"), wants(small, "c", symbol="AAA")], "main")
    done = publish(small)
    assert (done.decisions, done.left_out) == (3, 0)
    rows = stated(small)
    (clipped,) = [one for one in plane_decisions(small) if one.intent_id == "b"]
    # the ledger is in a drawdown, so that half of the request is granted
    amounts = [str(rows["a"][name].normalize()) for name in ("requested_risk", "requested_notional", "approved_risk")]
    assert amounts == ["500.25", "4E+3", "250.12"]
    assert (rows["a"]["side"], rows["b"]["side"]) == ("buy", "sell")
    assert (rows["a"]["decision_code"], rows["b"]["decision_code"]) == ("approved_clipped", clipped.code)
    assert int(rows["b"]["approved_risk"] * 100) == clipped.approved_risk
    assert rows["b"]["reasons"] == "; ".join(clipped.reasons)
    assert {row["strategy"] for row in rows.values()} == {"swing"} and len(small.lake.read(QUARANTINE)) == 0


def plane_decisions(home: Home) -> list[object]:
    from portfolio_platform.control.events import AllocationDecided
    from portfolio_platform.control.log import events_after

    with home.book.reading() as connection:
        return [one.event.decision for one in events_after(connection, "main") if isinstance(one.event, AllocationDecided)]


def test_publishing_again_finds_nothing_and_a_killed_import_is_made_good(small: Home, plane: ControlPlane, monkeypatch) -> None:
    plane.request_allocation(wants(small, "a"), "main")
    monkeypatch.setattr(publishing, "import_paths", lambda *args: (_ for _ in ()).throw(OSError("the machine is gone")))
    with pytest.raises(OSError):
        publish(small)
    assert published_until(small) == 0 and stated(small) == {}
    monkeypatch.undo()
    assert publish(small).decisions == 1
    reached = published_until(small)
    again = publish(small)
    assert (again.decisions, again.until_seq) == (0, reached) and reached > 0
    plane.request_allocation(wants(small, "b"), "main")
    assert publish(small).decisions == 1 and sorted(stated(small)) == ["a", "b"]


def test_a_row_that_was_written_before_its_import_was_noted_is_not_written_twice(small: Home, plane: ControlPlane, monkeypatch) -> None:
    plane.request_allocation(wants(small, "a"), "main")
    publish(small)
    monkeypatch.setattr(publishing, "published_until", lambda home: 0)
    done = publish(small)
    assert (done.decisions, done.left_out) == (0, 1) and len(small.lake.read(INTENTS.table)) == 1


def test_what_asks_for_no_risk_or_cannot_be_stated_is_left_out_and_does_not_stop_the_rest(
    small: Home, plane: ControlPlane, monkeypatch
) -> None:
    monkeypatch.setattr(publishing, "AT_ONCE", 2)
    malformed = [
        wants(small, "flat", None, side="flat"), wants(small, "sideways", side="up"), wants(small, "nothing", symbol=None),
        wants(small, "negative", -5), wants(small, "good"), wants(small, "old", ts=1), wants(small, "good", "7"),
    ]  # fmt: skip
    plane.request_allocations(malformed, "main")
    done = publish(small)
    assert sorted(stated(small)) == ["good", "old"] and (done.decisions, done.left_out) == (2, 5)
    old = stated(small)["old"]
    assert old["decision_code"] == "rejected_invalid" and old["ts"] == stated(small)["good"]["ts"]  # dated by its answer
    assert len(small.lake.read(QUARANTINE)) == 0


def test_intents_that_another_source_stated_stay_its_own(small: Home, plane: ControlPlane, tmp_path) -> None:
    header = "intent_id,ts,portfolio,strategy,symbol,side,requested_risk,decision_code"
    imported(small, tmp_path / "own", "intents.csv", header, f"a,{LAST}T12:00:00Z,main,swing,BBB,buy,1,rejected_heat", build=False)
    plane.request_allocations([wants(small, "a"), wants(small, "b")], "main")
    assert publish(small).decisions == 1
    rows = stated(small)
    assert (rows["a"]["decision_code"], str(rows["a"]["requested_risk"].normalize())) == ("rejected_heat", "1")
    assert rows["b"]["decision_code"] == "approved_clipped"


def test_refusals_of_the_control_plane_are_rejections_of_the_diagnostics(small: Home, plane: ControlPlane) -> None:
    plane.give_order("main", [flatten(small)])
    plane.request_allocations([wants(small, f"n{number}") for number in range(4)], "main")
    run_cycle(small, plane=plane)
    build_all(small)
    (row,) = small.lake.read(derived.IDLE_CAPITAL, None, pc.field("day") == LAST).to_pylist()
    assert (row["recent_intents"], row["recent_rejected"], row["rejection_codes"]) == (4, 4, "rejected_flatten_only 4")


def flatten(home: Home):
    from portfolio_platform.control.terms import Order
    from portfolio_platform.days import nanoseconds

    now = nanoseconds(home.clock.now())
    return Order("o", "flatten", "operator", "alice", "no more", now, now + 10**15)


def test_a_cycle_with_nothing_new_is_quick_and_writes_nothing(small: Home, plane: ControlPlane) -> None:
    run_cycle(small, plane=plane)
    with small.book.reading() as connection:
        from portfolio_platform.book.events import chain_head

        head = chain_head(connection)
    begun = time.process_time()
    result = run_cycle(small, plane=plane)
    assert time.process_time() - begun < 2.0
    assert not result.changed
    with small.book.reading() as connection:
        assert chain_head(connection) == head
