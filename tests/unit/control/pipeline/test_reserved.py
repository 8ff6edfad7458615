"""What the log alone says was reserved is what the state had reserved, at every day's end; and the tables that rest on it follow."""

import random
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from portfolio_platform.book import control as book
from portfolio_platform.book.control import Decisions
from portfolio_platform.book.events import chain_head
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.build import build_all, is_behind
from portfolio_platform.clock import end_of_day
from portfolio_platform.control.events import NAMES, FactsStated, stream_of
from portfolio_platform.control.pipeline.feed import feed
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Facts
from portfolio_platform.days import end_of_day_ns, nanoseconds
from portfolio_platform.diagnostics.pipeline.heat import STAGE as HEAT
from portfolio_platform.explain.verify import verify_report
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.monitor.pipeline.reports import publish_reports
from tests.unit.control.examples import EQUITY, GROUPS, LIMITS
from tests.unit.control.pipeline.conftest import LAST, at, weekday

START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: datetime = START

    def now(self):
        return self.at


def lived(folder: Path, seed: int, days: int = 12) -> tuple[Book, list[int], list[int]]:
    """A portfolio's life of some days: its book, the days' ends, and what was reserved at each."""
    chance, clock = random.Random(seed), Hands()
    made = Book(sqlite_url(folder / f"{seed}.sqlite"))
    made.create()
    plane = ControlPlane(made, clock)
    plane.open_portfolio("p", LIMITS)
    plane.state_instruments("p", GROUPS)
    ends, amounts, number = [], [], 0
    for day in range(days):
        end = START + timedelta(days=day + 1)
        for moment in sorted(chance.sample(range(86_400), chance.randrange(8))):
            number += 1
            clock.at = START + timedelta(days=day, seconds=moment)
            if number == 1 or chance.random() < 0.15:
                facts = Facts(equity=EQUITY, at=nanoseconds(clock.at), session=day, day=str(number))
                plane.state_facts("p", [FactsStated(0, facts, (), ())])
            _move(plane, chance, clock.at, number)
        # what is over at the day's end has expired, though no event has said so
        state = plane.get_portfolio_state("p")
        ends.append(nanoseconds(end))
        amounts.append(sum(one.remaining for one in state.reservations.values() if one.expires_at > ends[-1]))
    return made, ends, amounts


def _symbol(number: int) -> str:
    """Which symbol an intent is in: its fills have to be in the same one."""
    return sorted(GROUPS)[number % len(GROUPS)]


def _move(plane: ControlPlane, chance: random.Random, now: datetime, number: int) -> None:
    symbol, ids = chance.choice(sorted(GROUPS)), f"i{chance.randrange(1, number + 1)}"
    does = chance.random()
    if does < 0.4:
        asked = {"intent_id": f"i{number}", "symbol": _symbol(number), "side": "long", "requested_risk": chance.randrange(300, 6_000)}
        plane.request_allocation({**asked, "strategy": "s", "ts": now}, "p")
    elif does < 0.85:  # in part, in whole, too much, before its decision, closing, flipping
        side = chance.choice(["buy", "buy", "sell"])
        stop = "90" if side == "buy" else "110"
        quantity, intent_id = chance.randrange(1, 400), chance.choice([ids, f"i{number + 1}", ""])
        symbol = _symbol(int(intent_id[1:])) if intent_id else symbol
        filled = {"execution_id": f"e{number}", "symbol": symbol, "side": side, "quantity": quantity, "price": "100"}
        plane.on_fill({**filled, "strategy": "s", "ts": now, "stop_price": stop, "intent_id": intent_id}, "p")
    elif does < 0.95:
        plane.cancel("p", ids, by="s", reason="no more")
    else:
        plane.broadcast_constraints("p")


@pytest.mark.parametrize("seed", range(12))
def test_the_log_alone_says_what_was_reserved_at_every_days_end(tmp_path: Path, seed: int) -> None:
    made, ends, amounts = lived(tmp_path, seed)
    with made, made.reading() as connection:
        assert book.reserved(connection, "p", ends) == (tuple(amounts), 2)
        assert [book.reserved(connection, "p", [end]).amounts[0] for end in ends] == amounts
        assert book.reserved(connection, "p", ends[7:]).amounts == tuple(amounts[7:])
        assert book.reserved(connection, "p", ends, until_seq=0).amounts == (0,) * len(ends)
        assert book.reserved(connection, "nobody", ends) == ((0,) * len(ends), 0)


def test_the_lives_have_what_they_are_to_show(tmp_path: Path) -> None:
    lives = [lived(tmp_path, seed) for seed in range(10)]
    assert all(len(set(amounts)) > 4 for _, _, amounts in lives)
    told = set()
    for made, _, _ in lives:
        with made, made.reading() as connection:
            from portfolio_platform.book.events import read

            events = [(event.type, event.data) for event in read(connection, stream_of("p"))]
            told |= {"partial" for kind, data in events if kind == book.FILLED for left in data.get("left", {}).values() if left}
            told |= {"whole" for kind, data in events if kind == book.FILLED for left in data.get("left", {}).values() if not left}
            told |= {"early" for kind, data in events if kind == book.DECIDED and data.get("left")}
            told |= {f"ended {data['expired']}" for kind, data in events if kind == book.ENDED}
    assert told == {"partial", "whole", "early", "ended True", "ended False"}


def test_the_reader_of_the_log_calls_events_and_streams_as_the_control_plane_does() -> None:
    assert {*book.RESERVING, *book.RELEASING, book.OPENED, book.ADOPTED} <= set(NAMES.values())
    assert book.stream("a/b c") == stream_of("a/b c")


def granted(home: Home, plane: ControlPlane, name: str = "a", risk: int = 500) -> int:
    """Ask for risk on the home's day; return what was granted, minor units."""
    asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk, "ts": home.clock.now()}
    return plane.request_allocation(asked, "main").decision.approved_risk


def heat_of(home: Home, day: date) -> dict[str, object]:
    (row,) = home.lake.read(derived.PORTFOLIO_HEAT, None, pc.field("day") == day).to_pylist()
    return row


def test_a_decision_builds_heat_again_from_its_day_and_no_other(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    assert not is_behind(small)  # fills of history reserve nothing
    amount = granted(small, plane)
    assert is_behind(small)
    before = heat_of(small, LAST)
    done = build_all(small)
    assert (done["heat"].changed_from, done["heat"].rows["portfolio_heat"]) == (LAST, 1)
    assert done["idle"].changed_from == LAST and done["drawdown"].rows == {}
    after = heat_of(small, LAST)
    assert (before["reserved_risk"], after["reserved_risk"], after["active_risk"]) == (0.0, amount / 100, before["active_risk"])
    assert after["heat"] == pytest.approx(after["active_heat"] + amount / 100 / (after["active_risk"] / after["active_heat"]))
    assert after["reason"] == "" and not is_behind(small)


def test_a_refusal_changes_nothing_that_heat_rests_on(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    assert granted(small, plane, risk=-1) == 0
    assert not is_behind(small)


def test_a_range_of_days_is_built_as_the_days_one_by_one(small: Home) -> None:
    """Reservations of several days, one filled in part, one given up, one that expires over days without any event."""
    for number, act in enumerate(("grant a", "grant b", "fill a", "cancel b", "grant c", "", "", "", "", "")):
        home = at(small, weekday(30 + number))
        plane = ControlPlane(home.book, home.clock)
        if not number:
            feed(small)
        build_all(home)
        feed(home, plane=plane)
        verb, _, name = act.partition(" ")
        if verb == "grant":
            assert granted(home, plane, name) > 0
        elif verb == "fill":
            part = {"execution_id": "X", "symbol": "BBB", "side": "buy", "quantity": 10, "price": "50", "stop_price": "49"}
            plane.on_fill({**part, "strategy": "swing", "ts": home.clock.now(), "intent_id": name}, "main")
        elif verb == "cancel":
            assert plane.cancel("main", name, by="swing", reason="no more")
        build_all(home)
    last = weekday(39)
    one_by_one = {row["day"]: row for row in home.lake.read(derived.PORTFOLIO_HEAT).to_pylist()}
    reserved = [one_by_one[weekday(29 + number)]["reserved_risk"] for number in range(11)]
    # a half of 500 is granted each time; 10 at 1 to the stop take 10 of it away; policies let a reservation stand for four days
    assert reserved[:5] == [0.0, 250.0, 500.0, 490.0, 240.0]
    assert reserved[-1] == 0.0 and max(reserved) == 500.0
    build_all(home, restate_from=weekday(28))
    assert {row["day"]: row for row in home.lake.read(derived.PORTFOLIO_HEAT).to_pylist()} == one_by_one
    assert max(one_by_one) == last


def test_a_fill_moves_heat_from_reserved_to_active_in_one_step(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    amount = granted(small, plane)
    before = plane.get_portfolio_state("main")
    units = amount // 100  # at 1 to the stop
    filled = {
        "execution_id": "X",
        "symbol": "BBB",
        "side": "buy",
        "quantity": units,
        "price": "50",
        "stop_price": "49",
        "strategy": "swing",
    }
    plane.on_fill({**filled, "ts": small.clock.now(), "intent_id": "a"}, "main")
    after = plane.get_portfolio_state("main")
    assert (before.reserved_risk - after.reserved_risk, after.active_risk - before.active_risk) == (units * 100, units * 100)
    build_all(small)
    assert heat_of(small, LAST)["reserved_risk"] == (amount - units * 100) / 100


def test_a_report_recomputes_to_what_it_said_though_decisions_came_after_it(small: Home) -> None:
    first = publish_reports(small, [LAST])[0].published[0]
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    granted(small, plane)
    build_all(small)
    second = publish_reports(small, [LAST])[0].published[0]
    assert second.revision == first.revision + 1
    from portfolio_platform.book import reports

    with small.book.reading() as connection:
        told = [reports.by_id(connection, one.report_id) for one in (first, second)]
    for stored in told:
        assert verify_report(small, stored).differences == ()


def test_decisions_after_a_bound_do_not_count(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    granted(small, plane)
    with small.book.reading() as connection:
        head = chain_head(connection).seq
        assert book.touched(connection, book.RESERVING, 0).first_day == LAST
        assert book.touched(connection, book.RESERVING, 0, until_seq=head - 3) == (0, None)
        assert book.touched(connection, book.RESERVING, head) == (head, None)
    assert Decisions(small.book, {}).bound(HEAT.name) == 0 and Decisions(small.book).bound(HEAT.name) is None


def live(home: Home, tmp_path: Path) -> None:
    from tests.unit.control.pipeline.conftest import imported

    imported(home, tmp_path / "live", "portfolios.csv", "portfolio,mode", "main,live")


def regime(home: Home) -> list[str]:
    rows = home.lake.read(derived.DRAWDOWN_STATE, ["day", "regime"]).sort_by("day")
    return rows["regime"].to_pylist()


def test_a_live_portfolio_leaves_risk_off_by_a_persons_word_of_that_very_risk_off(small: Home, tmp_path: Path) -> None:
    policy, text = small.policies / "default.toml", (small.policies / "default.toml").read_text()
    limits = {"risk_off_drawdown": 0.02, "defensive_drawdown": 0.01, "recovered_drawdown": 0.005, "risk_off_sessions": 3}
    for name, value in limits.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    policy.write_text(text)
    live(small, tmp_path)
    entered = regime(small).index("risk_off")
    assert set(regime(small)[entered:]) == {"risk_off"}
    for number, leaves in ((entered - 1, False), (entered + 4, True)):
        home = at(small, weekday(number)) if number < entered else small
        plane = ControlPlane(home.book, home.clock)
        if leaves:
            home = Home(small.root, as_of=end_of_day(LAST) - timedelta(hours=1))
            plane = ControlPlane(home.book, home.clock)
        else:
            from portfolio_platform.control.terms import Limits
            from portfolio_platform.policy.load import default_policy

            plane.open_portfolio("main", Limits.of(default_policy()))
        plane.release_risk_off("main", by="alice", reason="positions were cut")
        assert is_behind(small)
        done = build_all(small)
        assert done["drawdown"].changed_from == (LAST if leaves else weekday(entered - 1))
        found = regime(small)
        assert (found[-1] == "probation") == leaves and set(found[entered:-1]) == {"risk_off"}
    build_all(small, restate_from=small.first_day)
    assert regime(small) == found  # a range is built as its days were
    assert read_progress(small.lake, "drawdown").upstreams["decisions"] > 0
    # the control plane hears of it
    feed(small)
    facts = ControlPlane(small.book, small.clock).get_portfolio_state("main").terms.facts
    assert (facts.regime, facts.regime_mode, facts.regime_size) == ("probation", "defensive", 250_000)
    assert end_of_day_ns(LAST) == facts.at
