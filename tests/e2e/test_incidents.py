"""Every incident that the sample's README names is noticed in its days, and what else is told stays within what docs/alerts.md says."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.monitor.alerts.review import NEEDED
from tests.e2e.incidents import BEGIN, DRAWDOWN, END, INCIDENTS, Incident, firing, is_noise, noisy_alerts, outside, section, stacked, told

DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"
MONTHS = 48
FEWEST_DAYS = {"rejections": 15, "churny quarter": 10, "slippage drift": 40, "template drift": 20}


@pytest.fixture(scope="module")
def rows(sample_home: Home) -> pa.Table:
    return sample_home.lake.read(derived.ALERT_STATES, [*NEEDED, "first_seen", "contributors"])


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: f"{incident.portfolio} {incident.name}")
def test_an_incident_is_told_in_its_days_and_not_long_before(rows: pa.Table, incident: Incident) -> None:
    found = firing(rows, incident)
    days = set(found["day"].to_pylist())
    assert len(days) >= FEWEST_DAYS.get(incident.name, 1)
    # the alert that notices it may be under way already only where the incident before goes over into it
    assert max(found["first_seen"].to_pylist()) >= incident.first - timedelta(days=incident.before)


@pytest.mark.parametrize(
    "incident", [one for one in INCIDENTS if one.name.startswith("drawdown")], ids=lambda one: f"{one.portfolio} {one.name}"
)
def test_a_drawdown_beyond_ten_percent_is_told_as_critical(rows: pa.Table, incident: Incident) -> None:
    found = firing(rows, incident)
    assert "critical" in found["severity"].to_pylist() and set(found["rule"].to_pylist()) <= set(DRAWDOWN)


def test_a_flow_trap_shows_the_bare_change_beside_the_flow_neutral_return(rows: pa.Table) -> None:
    (trap,) = [one for one in INCIDENTS if one.name == "flow trap 2009-10-23"]
    (text,) = firing(rows, trap)["contributors"].to_pylist()
    assert '{"code":"bare change","unit":"fraction","value":-0.124' in text
    assert '{"code":"flow-neutral return","unit":"fraction","value":-0.0127' in text


def test_the_new_engine_version_is_named(rows: pa.Table) -> None:
    found = [row for row in rows.to_pylist() if row["rule"] == "engine_version" and row["state"] == "firing"]
    assert [(row["day"], row["portfolio"]) for row in found] == [(date(2009, 3, 2), "core"), (date(2009, 3, 2), "macro")]
    assert all('"code":"2.0.0"' in row["contributors"] for row in found)


def test_the_days_of_the_stack_are_those_of_the_readme(sample_home: Home) -> None:
    sessions = set(sample_home.lake.read(derived.ONE_SIDED, ["day"], pc.field("portfolio") == "core")["day"].to_pylist())
    days, weekdays, day, stands = stacked(sample_home), 0, min(sessions), False
    while day <= max(sessions):
        # the README counts weekdays: on a holiday what was held before it still is
        stands = day in days if day in sessions else stands
        weekdays += stands and day.weekday() < 5
        day += timedelta(days=1)
    assert weekdays == 134


def test_hardly_anything_else_is_told(sample_home: Home) -> None:
    rest = outside(sample_home, told(sample_home))
    for portfolio in ("core", "macro"):
        mine = [message for message in rest if message.portfolio == portfolio]
        noise = [message for message in mine if is_noise(message)]
        assert len(mine) / MONTHS <= 0.9
        assert len(noise) / MONTHS <= 0.3
        assert max(noisy_alerts(noise).values()) == 1


def test_the_document_says_what_the_data_say(sample_home: Home) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    _, _, rest = text.partition(BEGIN + "\n")
    assert rest.partition(END)[0] == section(sample_home), "regenerate it: python -m tests.e2e.incidents HOME"
