"""Silence and rows set aside, worked by hand, against a plain count, and through a home whose files go wrong."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import to_date
from portfolio_platform.diagnostics import data_quality as dq
from portfolio_platform.diagnostics.data_quality import NEVER, Cadence, Silence, Symbols
from portfolio_platform.diagnostics.pipeline.data_quality import STAGE
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.ledger.pipeline import build
from portfolio_platform.sources.pipeline import import_paths
from portfolio_platform.stage import build_stage
from tests.unit.ledger.ledgers import random_ledger
from tests.unit.ledger.running import home as new_home
from tests.unit.ledger.running import load, sort

ALONE = replace(STAGE, upstreams=("ledger",))
CADENCE = Cadence(window=10, minimum=5, share=0.9)


def days(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def heard(seen: list[int], at: list[int], calendar: range = range(0, 40), cadence: Cadence = CADENCE) -> Silence:
    return dq.silence(days(*calendar), days(*seen), days(*at), cadence)


def test_a_source_that_spoke_each_session_is_late_by_the_sessions_since() -> None:
    # rows on 0..19, none on 20, 21, 22
    found = heard(list(range(20)), [19, 20, 22])
    assert found.last_seen.tolist() == [19, 19, 19]
    assert found.late.tolist() == [0, 1, 3]
    assert found.cadenced.all()


def test_a_source_keeps_its_cadence_however_long_it_is_silent() -> None:
    """Judged over the sessions up to today, ten silent ones would be a tenth of hundred: the alert would end by itself."""
    found = heard(list(range(20)), [39])
    assert (found.late.tolist(), found.cadenced.tolist()) == ([20], [True])


def test_a_source_that_speaks_now_and_then_has_no_cadence() -> None:
    # of the last ten sessions up to its newest row (9), every second one: five of ten are not nine of ten
    assert not heard([1, 3, 5, 7, 9], [9, 12]).cadenced.any()
    # nine of ten are: only 4 is missing
    assert heard([0, 1, 2, 3, 5, 6, 7, 8, 9], [9]).cadenced.all()


def test_fewer_sessions_than_the_minimum_make_no_cadence() -> None:
    assert heard([10, 11, 12, 13, 14], [13, 14]).cadenced.tolist() == [False, True]


def test_days_that_are_no_session_are_news_and_no_cadence() -> None:
    # sessions are even days; rows on odd days tell when it spoke last, but not that it spoke in its sessions
    found = heard([1, 3, 5, 7, 9, 11, 13], [14], range(0, 40, 2))
    assert (found.last_seen.tolist(), found.late.tolist(), found.cadenced.tolist()) == ([13], [1], [False])


def test_a_source_without_rows_is_neither_seen_nor_late() -> None:
    found = heard([], [3, 9])
    assert found.last_seen.tolist() == [NEVER, NEVER]
    source = dq.of_portfolio(found)
    assert (source.late.tolist(), [dq.REASONS[k] for k in source.reason]) == ([-1, -1], ["no_rows", "no_rows"])
    early = dq.of_portfolio(heard([5], [3, 5]))
    assert [dq.REASONS[k] for k in early.reason] == ["no_rows", "not_cadenced"]


@given(
    st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.integers(1, 12), st.integers(1, 8), st.sampled_from([0.5, 0.75, 0.9, 1.0])
)
def test_silence_is_that_of_a_plain_count(calendar: set[int], seen: set[int], window: int, minimum: int, share: float) -> None:
    asked = list(range(0, 61, 3))
    found = dq.silence(days(*sorted(calendar)), days(*sorted(seen)), days(*asked), Cadence(window, minimum, share))
    for place, day in enumerate(asked):
        before = [item for item in seen if item <= day]
        if not before:
            assert (found.last_seen[place], found.cadenced[place]) == (NEVER, False)
            continue
        last = max(before)
        sessions = sorted(item for item in calendar if min(seen) <= item <= last)[-window:]
        spoken = sum(item in seen for item in sessions)
        assert found.last_seen[place] == last
        assert found.late[place] == sum(last < item <= day for item in calendar)
        assert found.cadenced[place] == (len(sessions) >= minimum and spoken >= share * len(sessions))


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(0, 40))
def test_nothing_after_a_day_changes_what_is_said_of_it(seen: set[int], day: int) -> None:
    known = sorted(item for item in seen if item <= day)
    all_, until = heard(sorted(seen), [day]), heard(known, [day])
    assert (all_.last_seen[0], all_.cadenced[0]) == (until.last_seen[0], until.cadenced[0])
    assert all_.late[0] == until.late[0] or all_.last_seen[0] == NEVER


def symbols(late: list[list[int]], cadenced: list[list[bool]], watched: list[list[bool]], last: list[list[int]] | None = None) -> Symbols:
    seen = np.array(last if last is not None else np.full((len(late), len(late[0])), 7))
    return Symbols(seen, np.array(late, np.int64), np.array(cadenced, bool), np.ones_like(seen, bool), np.array(watched, bool))


def test_the_latest_symbol_that_is_waited_for_counts_and_all_late_ones_are_named() -> None:
    found = dq.of_symbols(symbols([[0, 2, 5, 9]], [[True, True, True, False]], [[True, True, True, True]]), ("A", "B", "C", "D"))
    assert (found.late.tolist(), found.symbols, found.last_seen.tolist()) == ([5], ("B, C",), [7])
    # C is no longer held, and was not traded lately
    found = dq.of_symbols(symbols([[0, 2, 5, 9]], [[True, True, True, False]], [[True, True, False, True]]), ("A", "B", "C", "D"))
    assert (found.late.tolist(), found.symbols) == ([2], ("B",))


def test_bars_are_not_late_where_nothing_is_waited_for_and_null_where_nothing_can_be_said() -> None:
    none = dq.of_symbols(symbols([[4]], [[True]], [[False]]), ("A",))
    assert (none.late.tolist(), dq.REASONS[none.reason[0]]) == ([0], "")
    irregular = dq.of_symbols(symbols([[4]], [[False]], [[True]]), ("A",))
    assert (irregular.late.tolist(), dq.REASONS[irregular.reason[0]]) == ([-1], "not_cadenced")
    never = dq.of_symbols(symbols([[4]], [[False]], [[True]], [[NEVER]]), ("A",))
    assert (never.late.tolist(), never.symbols, dq.REASONS[never.reason[0]]) == ([-1], ("",), "no_rows")
    nothing = dq.of_symbols(symbols([[], []], [[], []], [[], []]), ())
    assert [dq.REASONS[k] for k in nothing.reason] == ["no_rows", "no_rows"]


def test_a_trade_is_recent_for_as_many_sessions_as_the_window_has() -> None:
    events = np.zeros((6, 2), bool)
    events[1, 0] = True
    assert dq.recently(events, 3).T.tolist() == [[False, True, True, True, False, False], [False] * 6]


def test_rows_set_aside_count_in_their_session_or_the_next_and_undated_ones_in_all() -> None:
    # sessions 10, 11, 14; rows of 8 (before all), 10, 12 (a day off: the 14th), 14, 15 (not yet), and two without a day
    found = dq.set_aside(days(10, 11, 14), days(8, 10, 12, 14, 15), 2)
    assert found.of_session.tolist() == [1, 0, 2]
    assert found.to_date.tolist() == [4, 4, 6]
    assert dq.set_aside(days(), days(3), 1).of_session.tolist() == []


def rows_of(home: Home) -> dict[tuple[str, str, date], dict[str, object]]:
    return {(row["portfolio"], row["source"], row["day"]): row for row in home.lake.read(derived.DATA_QUALITY).to_pylist()}


def test_building_in_steps_gives_the_table_of_one_build(tmp_path: Path) -> None:
    ledger = random_ledger(17, 40, 18)
    last = to_date(ledger.last)
    once, steps = new_home(tmp_path / "once", last), new_home(tmp_path / "steps", last)
    for place in (once, steps):
        load(place, ledger, tmp_path / "files")
    build(once)
    build_stage(once, ALONE)
    for day in [*range(ledger.first + 2, ledger.last, 3), ledger.last]:
        build(steps, until=to_date(day))
        build_stage(steps, ALONE)
    tables = [sort("data_quality", place.lake.read(derived.DATA_QUALITY)) for place in (once, steps)]
    assert len(tables[0]) > 40
    assert tables[0].equals(tables[1])


FILLS = """execution_id,ts,portfolio,symbol,side,quantity,price
E1,2010-12-20T15:00:00Z,core,AAA,buy,1,10
E2,2010-12-21T15:00:00Z,core,AAA,buy,1,10
E3,2010-12-27T15:00:00Z,other,AAA,buy,1,10
"""


def test_rows_that_are_set_aside_rebuild_from_their_day_and_go_when_they_are_mended(home: Home, tmp_path: Path) -> None:
    def give(name: str, text: str, **more: bool) -> None:
        (tmp_path / name).write_text(text)
        import_paths(home, [tmp_path / name], **more)
        build(home)

    give("fills.csv", FILLS)
    assert build_stage(home, ALONE).changed_from == date(2010, 12, 20)
    assert build_stage(home, ALONE).changed_from is None
    # a bad row of the 22nd of core, and one whose time cannot be read; no other fact comes, and the ledger has nothing to do
    header = FILLS.splitlines()[0]
    give("fills.csv", f"{header}\nE7,2010-12-22T15:00:00Z,core,AAA,buy,-1,10\n")
    assert build_stage(home, ALONE).changed_from == date(2010, 12, 22)
    assert build_stage(home, ALONE).changed_from is None
    counted = {day: row["set_aside"] for (name, source, day), row in rows_of(home).items() if (name, source) == ("core", "fills")}
    assert {day for day, count in counted.items() if count} == {date(2010, 12, 22)}
    assert rows_of(home)[("core", "fills", date(2010, 12, 31))]["set_aside_to_date"] == 1
    assert rows_of(home)[("other", "fills", date(2010, 12, 31))]["set_aside_to_date"] == 0
    give("fills.csv", f"{header}\nE8,noon,core,AAA,buy,1,10\n")
    assert build_stage(home, ALONE).changed_from == date(2010, 12, 20)
    assert rows_of(home)[("core", "fills", date(2010, 12, 20))]["set_aside_to_date"] == 1
    # both are mended, on the 29th: what was counted before goes too
    give("fills.csv", f"{header}\nE7,2010-12-29T15:00:00Z,core,AAA,buy,1,10\nE8,2010-12-29T16:00:00Z,core,AAA,buy,1,10\n")
    assert build_stage(home, ALONE).changed_from == date(2010, 12, 20)
    assert not any(row["set_aside_to_date"] for row in rows_of(home).values())


def test_another_fact_has_rows_from_its_first_row_that_is_set_aside(home: Home, tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text(FILLS)
    (tmp_path / "cash_flows.csv").write_text("flow_id,ts,portfolio,amount,kind\nF1,2010-12-23T10:00:00Z,core,0,deposit\n")
    import_paths(home, [tmp_path / "fills.csv", tmp_path / "cash_flows.csv"])
    build(home)
    build_stage(home, ALONE)
    found = {key: row for key, row in rows_of(home).items() if key[1] == "cash_flows"}
    assert min(day for _, _, day in found) == date(2010, 12, 23)
    assert {name for name, _, _ in found} == {"core"}
    assert {(row["late_sessions"], row["reason"]) for row in found.values()} == {(None, "not_watched")}


def test_bars_that_stop_are_late_by_the_symbols_own_calendar(sample_copy: Home) -> None:
    """Nothing of the sample is late; without a symbol's last bars it is, until the portfolio no longer waits for it."""
    import pyarrow.compute as pc

    from portfolio_platform.lake.facts import BARS

    lake = sample_copy.lake
    build_stage(sample_copy, ALONE)
    before = lake.read(derived.DATA_QUALITY)
    sessions = lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"])
    for portfolio in ("core", "macro"):
        wanted = set(sessions.filter(pc.field("portfolio") == portfolio)["day"].to_pylist())
        for source in ("fills", "bars", "signals", "intents"):
            assert {day for name, kind, day in rows_of(sample_copy) if (name, kind) == (portfolio, source)} == wanted
    assert pc.max(before.filter(pc.field("source") == "bars")["late_sessions"]).as_py() == 0
    assert set(before.filter(pc.field("late_sessions").is_null())["reason"].to_pylist()) == {"not_cadenced"}
    bars = lake.read(BARS.table)
    end = 1_293_148_800_000_000_000  # 2010-12-24 00:00Z: the bar of the 23rd is the last
    kept = bars.filter(~((pc.field("symbol") == "SIM24") & (pc.field("ts") > end)))
    with lake.writing():
        lake.replace(BARS.table, kept)
    build_stage(sample_copy, ALONE, restate_from=date(2010, 12, 20))
    late = {
        day: (row["late_sessions"], row["late_symbols"])
        for (name, source, day), row in rows_of(sample_copy).items()
        if (name, source) == ("macro", "bars")
    }
    assert late[date(2010, 12, 23)] == (0, "")
    assert [late[date(2010, 12, day)] for day in (24, 25, 31)] == [(1, "SIM24"), (2, "SIM24"), (8, "SIM24")]


def test_a_version_is_new_where_it_is_first_heard_of_and_the_source_did_not_begin_with_it():
    days = np.array([10, 11, 14, 15])
    # 12 has no session: it counts in the next; what came with the source's first day, or has not come yet, is not new
    counts, names = dq.new_names(days, {"1.0": 10, "2.1": 12, "2.0": 13, "3.0": 16}, 10)
    assert (counts.tolist(), names) == ([0, 0, 2, 0], ("", "", "2.0, 2.1", ""))
    assert dq.new_names(days, {}, 0)[0].tolist() == [0, 0, 0, 0]
