"""Why: whatever has an id can be asked for, what has none is answered with what ids look like."""

import json
import time
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.compute as pc
import pytest

from portfolio_platform.book import alerts, annotations, reports
from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.ids import parse_row_id, row_id
from portfolio_platform.explain.reports import sections
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import grown
from portfolio_platform.explain.why import found, why
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import FILLS
from tests.unit.explain.conftest import TOLD, newest_issue

QUICK_SECONDS = 2.0


def ids_in(content: Any) -> set[str]:
    """Return every id that a report's content names, wherever it stands."""
    if isinstance(content, list):
        return {name for value in content for name in ids_in(value)}
    if not isinstance(content, dict):
        return set()
    named = {value for name, value in content.items() if name in ("evidence_id", "alert_id", "recommendation_id", "supersedes") and value}
    named |= {item for name in ("evidence_ids", "alert_ids") for item in content.get(name) or ()}
    named |= {f"{content['of']}/{name}" for name in content.get("values", ()) if "of" in content}
    return named | ids_in(list(content.values()))


@pytest.mark.parametrize(("portfolio", "day"), [("core", TOLD[-1]), ("macro", TOLD[0])])
def test_every_id_in_a_report_resolves(told: Home, portfolio: str, day: date) -> None:
    with told.book.reading() as connection:
        stored = reports.newest(connection, portfolio, day)
    assert stored is not None
    content = json.loads(stored.content)
    names = ids_in(content) | {stored.id}
    assert len(names) > 150 and sum(1 for _ in sections(content)) > 15
    of = Sources(told)
    for name in sorted(names):
        node = grown(found(of, name), 2, 2)
        assert node.title and (node.evidence_id or node.children or node.value is not None), name


def test_an_alert_is_explained_down_to_the_rows_of_the_file_and_quickly(told: Home) -> None:
    with told.book.reading() as connection:
        listed = alerts.open_alerts(connection, "core")
    heat = next(alert for alert in listed if alert.rule == "heat")
    why(told, heat.id)  # what is compiled and imported once is no matter here
    begun = time.perf_counter()
    node = why(told, heat.id, depth=12)
    assert time.perf_counter() - begun < QUICK_SECONDS
    texts = [f"{found.title} {found.words}" for found in node.walk()]
    assert any("fills.csv.gz line" in text for text in texts) and any("bars.csv.gz line" in text for text in texts)
    assert {"observed", "rule heat", "who contributes", "in the book"} <= {child.title for child in node.children}
    assert any("warning" in child.title for child in node.children[1].children)


def test_an_alert_is_explained_as_it_was_on_a_day(told: Home) -> None:
    rows = told.lake.read(derived.ALERT_STATES, None, pc.field("sessions_firing") == 5).to_pylist()
    row = rows[0]
    node = why(told, row["alert_id"], day=row["day"], depth=0)
    assert node.value == row["observed"] and str(row["day"]) in node.text


def test_a_spike_of_rejections_says_how_many_observations_there_are_and_how_many_are_asked_for(sample_home: Home) -> None:
    where = (pc.field("rule") == "rejection_spike") & (pc.field("portfolio") == "core") & (pc.field("state") == "firing")
    row = sample_home.lake.read(derived.ALERT_STATES, None, where).sort_by("day").to_pylist()[-1]
    observed = why(sample_home, row["alert_id"], day=row["day"]).children[0]
    assert f"; {row['sample_size']} observations, 6 asked for" in observed.words


def test_an_alert_that_is_only_held_says_so_and_its_window_begins_at_the_mark(sample_home: Home) -> None:
    where = (pc.field("rule") == "drawdown") & (pc.field("state") == "firing") & (pc.field("observed") < 0.06)
    row = sample_home.lake.read(derived.ALERT_STATES, None, where).sort_by("day").to_pylist()[-1]
    observed = why(sample_home, row["alert_id"], day=row["day"]).children[0]
    assert "back inside >= " in observed.text and "back inside its limit" in row["sentence"]
    marked = (pc.field("portfolio") == row["portfolio"]) & (pc.field("day") <= row["day"]) & (pc.field("under_water_days") == 0)
    assert row["window_start"] == pc.max(sample_home.lake.read(derived.DRAWDOWN_STATE, ["day"], marked)["day"]).as_py()


def test_the_interval_of_an_estimate_is_shown_with_the_confidence_that_it_was_asked_for(sample_home: Home) -> None:
    day = date(2010, 8, 31)
    for name, key in (("drawdown_z", "tightening"), ("idle", "loosening"), ("stack_ratio", "tightening"), ("template_drift", "tightening")):
        node = why(sample_home, name, portfolio="core", day=day, depth=3)
        titles = {child.title for child in node.walk()}
        assert {"low", "high", f"gates.{key}_confidence"} <= titles, name
    assert {"low", "high"} <= {child.title for child in why(sample_home, "failure_share", portfolio="core", day=day, depth=3).walk()}


def test_a_recommendation_says_what_it_changes_and_who_decided(told: Home) -> None:
    node = why(told, newest_issue(told, "core"))
    titles = {child.title for child in node.children}
    assert {"alerts it rests on", "cells it rests on", "when it holds", "in the book"} <= titles


def test_a_report_is_found_in_three_spellings(told: Home) -> None:
    spellings = (f"report:daily:core:{TOLD[0]}:r1", f"report core {TOLD[0]}", f"report:core:{TOLD[0]}")
    assert len({why(told, text, depth=0).evidence_id for text in spellings}) == 1
    made = next(child for child in why(told, spellings[0], depth=3).children if child.title == "made from")
    assert {"newest import", "policies", "lake versions", "version of the code"} <= {child.title for child in made.children}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_metric_can_be_asked_for_by_its_name(sample_home: Home, name: str) -> None:
    rows = sample_home.lake.read(derived.SAMPLE_SUFFICIENCY, ["day", "portfolio"], pc.field("metric") == name).to_pylist()
    if not rows:
        pytest.skip("the sample has no such value")
    node = why(sample_home, name, portfolio=rows[-1]["portfolio"], day=rows[-1]["day"], depth=2)
    assert node.value is not None or node.children


def test_a_figure_of_the_report_can_be_asked_for_by_its_name(sample_home: Home) -> None:
    assert why(sample_home, "equity core 2010-12-31", depth=0).evidence_id == "portfolio_equity/core/2010-12-31/equity"
    assert {child.title.split(" of ")[1][:4] for child in why(sample_home, "equity", depth=1).children} == {"core", "macr"}


def test_a_fill_is_found_by_its_own_id_and_names_its_import(sample_home: Home) -> None:
    node = why(sample_home, "EX-C-01831")
    assert node.evidence_id == "fills/core%7CEX-C-01831" and "import 1, fills.csv.gz line 2514" in node.words
    assert why(sample_home, node.evidence_id).words == why(sample_home, "core|EX-C-01831").words == node.words


def test_a_round_trip_a_signal_and_an_intent_are_found_by_their_ids(sample_home: Home) -> None:
    trip = sample_home.lake.read(derived.ROUND_TRIPS, ["round_trip_id"])["round_trip_id"][0].as_py()
    assert why(sample_home, trip).evidence_id == row_id(derived.ROUND_TRIPS, trip)
    assert len(why(sample_home, "SIG-C-00298", depth=1).children) == 2  # the signal, and what became of it
    assert "granted" in why(sample_home, "INT-C-00589").words


def test_a_row_can_be_asked_for_whole(sample_home: Home) -> None:
    node = why(sample_home, "portfolio_heat/core/2010-12-31", depth=1)
    assert {"heat", "use", "cap"} <= {child.title for child in node.children}


def test_a_remark_is_shown_beside_what_it_is_about(told: Home) -> None:
    about = "portfolio_heat/core/2010-12-31/use"
    with told.book.writing() as connection:
        annotations.annotate(connection, about, by="Ann", text="[b]looked at[/b]", at=datetime(2011, 1, 1, tzinfo=UTC))
    remarks = next(child for child in why(told, about, depth=2).children if child.title == "remarks")
    assert remarks.children[0].text == "[b]looked at[/b]" and "Ann" in remarks.children[0].title


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EX-C-018311", "Near it are core|EX-C-01831"),
        ("nonsense", "An id is an alert"),
        ("alert:core:heat::2010-12-12", "near it are alert:core:heat::2010-"),
        ("alert:core", "there is no alert"),
        ("recommendation:core:2010-12-30", "near it are recommendation:core"),
        ("report:daily:core:2009-01-01:r1", "the newest it has is report:daily:core:2010-12-31:r1"),
        ("portfolio_equity/core/2010-12-25/equity", "the nearest before it is 2010-12-23"),
        ("portfolio_equity/nobody/2010-12-31/equity", "there is core, macro"),
        ("portfolio_equity/core/2010-12-31/equitty", "has no column 'equitty'"),
        ("symbol_churn/core/2010-12-31/APPL/churn", "symbol_churn/core/2010-12-31/AAPL/churn"),
        ("fills/nothing", "there is no row 'nothing' in fills"),
        ("heat core 2010-13-31", "write YYYY-MM-DD"),
        ("heat nobody", "there is core, macro"),
    ],
)
def test_an_unknown_id_is_answered_with_what_is_near(told: Home, text: str, said: str) -> None:
    with pytest.raises(WrongUse) as caught:
        why(told, text)
    assert said in str(caught.value)


def test_ids_of_rows_hold_anything() -> None:
    for identity in ("a/b", "core|1", "ö %", "flat_to_flat/x/y"):
        assert parse_row_id(row_id(FILLS.table, identity)).identity == identity
        assert parse_row_id(row_id(derived.TRIP_PROFILES, identity, "mae_r")).column == "mae_r"
    with pytest.raises(WrongUse, match="no id of a row"):
        parse_row_id("portfolio_equity/x")


def test_a_session_shows_the_window_that_its_day_names(sample_home: Home) -> None:
    of = Sources(sample_home)
    days = of.days("core")
    assert of.window("core", days[30], 5) == days[26:31] and of.window("core", days[30], 5, lag=20) == days[6:11]
    assert of.window("core", days[2], 5, lag=20) == [] and of.before("core", days[0]) is None
    assert of.window("core", date(2007, 1, 6), 1) == [day for day in days if day <= date(2007, 1, 6)][-1:]
