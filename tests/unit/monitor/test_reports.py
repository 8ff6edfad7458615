"""The daily report of the sample: every number resolves to its row, changes are right, publishing is idempotent."""

import json
from datetime import date

import pyarrow.compute as pc
import pytest

from portfolio_platform.book.reports import history, newest
from portfolio_platform.canonical import significant
from portfolio_platform.errors import DataProblem
from portfolio_platform.evidence.ids import ROWS, parse_evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.monitor.pipeline.contents import compose_reports
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.monitor.pipeline.staleness import stale_days
from portfolio_platform.monitor.report import PortfolioMonitorReport

DAY = date(2008, 9, 29)  # core: a deposit of 200,000 and a drawdown that it must not hide


@pytest.fixture(scope="module")
def reports(sample_home) -> dict[str, PortfolioMonitorReport]:
    return {report.portfolio: report for report in compose_reports(sample_home, [DAY])}


def test_every_number_of_a_report_is_the_number_at_its_evidence_id(sample_home, reports):
    checked = 0
    for report in reports.values():
        sections = [*report.sections.values(), *(part.section for part in report.concentration)]
        for figure in (figure for section in sections for figure in section.figures):
            address = parse_evidence_id(figure.evidence_id)
            where = pc.scalar(True)
            for name, value in address.key.items():
                where = where & (pc.field(name) == value)
            rows = sample_home.lake.read(address.table, [address.column], where).to_pylist()
            assert len(rows) == 1, figure.evidence_id
            held = rows[0][address.column]
            assert figure.value == (significant(held) if isinstance(held, float) else held), figure.evidence_id
            checked += 1
    assert checked > 100


def test_each_evidence_id_of_groups_positions_and_changes_names_a_row(sample_home, reports):
    for report in reports.values():
        ids = [group.evidence_id for part in report.concentration for group in part.top]
        ids += [f"{row['of']}/day" for name in report.details for row in report.rows(name) if "of" in row]
        ids += [text for change in report.changes if change.kind != "alert" for text in change.evidence_ids]
        ids += [text for alert in report.alerts for text in alert.evidence_ids]
        for text in ids:
            address = parse_evidence_id(text)
            if address.column == ROWS:
                continue
            where = pc.scalar(True)
            for name, value in address.key.items():
                where = where & (pc.field(name) == value)
            assert len(sample_home.lake.read(address.table, [address.column], where)) == 1, text


def test_a_deposit_is_named_and_hides_no_drawdown(reports):
    core = reports["core"]
    flows = [change.sentence for change in core.changes if change.kind == "flow"]
    assert flows == ["200,000.00 USD came in; returns and drawdown do not count it."]
    assert core.figure("net_flow").value == 200_000
    assert core.figure("drawdown").value == pytest.approx(0.036, abs=5e-4)  # the sample's README: -3.6 % flow-neutral
    assert core.figure("daily_return").value == pytest.approx(0.024, abs=5e-4)


def test_changes_are_against_the_session_before_and_the_one_a_week_back(sample_home, reports):
    macro = reports["macro"]
    assert (macro.previous_session, macro.week_session) == (date(2008, 9, 28), date(2008, 9, 22))
    assert (reports["core"].previous_session, reports["core"].week_session) == (date(2008, 9, 26), date(2008, 9, 22))
    earlier = {
        report.day: report
        for report in compose_reports(sample_home, [macro.previous_session, macro.week_session])
        if report.portfolio == "macro"
    }
    equity = macro.figure("equity")
    for change, session in ((equity.change_day, macro.previous_session), (equity.change_week, macro.week_session)):
        assert change == pytest.approx(equity.value - earlier[session].figure("equity").value, rel=1e-9)


def test_a_null_says_why(sample_home):
    first = next(report for report in compose_reports(sample_home, [date(2007, 1, 3)]) if report.portfolio == "core")
    assert first.figure("volatility_60").value is None
    assert first.figure("volatility_60").reason == "fewer than 60 daily returns"
    assert first.previous_session is None


def test_the_content_reads_back_as_the_same_report(reports):
    for report in reports.values():
        again = PortfolioMonitorReport.from_bytes(report.canonical())
        assert again.canonical() == report.canonical()
        assert again.hash == report.hash


def test_returns_of_week_month_and_year_are_between_the_closes_that_bound_them(sample_home, reports):
    """By the unit value, so that the deposit of that day is not counted."""
    rows = sample_home.lake.read(derived.PORTFOLIO_EQUITY, ["day", "unit_value"], pc.field("portfolio") == "core").to_pylist()
    unit = {row["day"]: row["unit_value"] for row in rows}

    def before(day: date) -> float:
        return unit[max(known for known in unit if known < day)]

    found, now = reports["core"].returns, unit[DAY]
    assert found.week == pytest.approx(now / unit[date(2008, 9, 22)] - 1, rel=1e-10)
    assert found.month == pytest.approx(now / before(date(2008, 9, 1)) - 1, rel=1e-10)
    assert found.quarter == pytest.approx(now / before(date(2008, 7, 1)) - 1, rel=1e-10)
    assert found.year == pytest.approx(now / before(date(2008, 1, 1)) - 1, rel=1e-10)
    assert found.start == pytest.approx(now - 1, rel=1e-10)


def test_room_to_the_next_regime_is_the_distance_to_its_threshold(reports):
    threshold = {"defensive": 0.06, "risk_off": 0.10}
    for report in reports.values():
        drawdown = report.drawdown
        if drawdown.regime == "risk_off":
            assert (drawdown.next_regime, drawdown.room) == ("", None)
        else:
            expected = threshold[drawdown.next_regime] - drawdown.section.value("control_drawdown")
            assert drawdown.room == pytest.approx(expected, abs=1e-9)
    assert {report.drawdown.regime for report in reports.values()} == {"defensive", "risk_off"}


def test_publishing_again_changes_nothing_and_a_day_alone_equals_the_day_in_a_range(sample_copy):
    alone = publish_reports(sample_copy, [DAY])[0].published
    ranged = [item for day in publish_reports(sample_copy, [date(2008, 9, d) for d in range(22, 31)]) for item in day.published]
    again = [item for item in ranged if item.day == DAY]
    assert [item.status for item in alone] == ["new", "new"]
    assert [item.status for item in again] == ["unchanged", "unchanged"]
    assert [item.content_hash for item in again] == [item.content_hash for item in alone]


def test_a_correction_makes_a_second_revision_of_the_days_it_touches_and_of_no_other(sample_copy, tmp_path):
    from portfolio_platform.build import build_all
    from portfolio_platform.sources.pipeline import import_paths

    days = [date(2010, 12, 29), date(2010, 12, 30), date(2010, 12, 31)]
    publish_reports(sample_copy, days)
    header = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,fee\n"
    (tmp_path / "fills.csv").write_text(header + "LATE-1,2010-12-30T15:00:00Z,core,meanrev_rsi,IBM,buy,10,146.5,1\n")
    import_paths(sample_copy, [tmp_path / "fills.csv"])
    built = build_all(sample_copy)
    # signals that were still open are written again; nothing new is said of their days
    assert {result.changed_from for name, result in built.items() if name != "signals"} == {date(2010, 12, 30)}
    publish_reports(sample_copy, days)
    with sample_copy.book.reading() as connection:
        core = {report.day.isoformat(): report.revision for report in history(connection, "core", day_from=days[0])}
        macro = [report.revision for report in history(connection, "macro", day_from=days[0])]
    assert core == {"2010-12-29": 1, "2010-12-30": 2, "2010-12-31": 2}
    assert macro == [1, 1, 1]


def test_all_days_are_stale_first_and_none_after_all_are_published(sample_copy, tmp_path):
    from portfolio_platform.build import build_all
    from portfolio_platform.sources.pipeline import import_paths

    with sample_copy.lake.writing():
        sample_copy.lake.drop(derived.PUBLISHED_INPUTS)  # what other tests have published of the sample
    stale = stale_days(sample_copy)
    assert (len(stale), stale[0], stale[-1]) == (1459, date(2007, 1, 3), date(2010, 12, 31))
    publish_reports(sample_copy, stale)
    assert stale_days(sample_copy) == []
    # a row set aside may be missing from its day and every later one: their reports no longer say the truth
    bad = "execution_id,ts,symbol,side,quantity,price,portfolio\nB,2010-12-30T15:00:00Z,IBM,buy,10,-5,core\n"
    (tmp_path / "fills.csv").write_text(bad)
    import_paths(sample_copy, [tmp_path / "fills.csv"])
    build_all(sample_copy)
    assert stale_days(sample_copy) == [date(2010, 12, 30), date(2010, 12, 31)]
    publish_reports(sample_copy, stale_days(sample_copy))
    assert stale_days(sample_copy) == []


def test_reports_beyond_what_is_built_are_refused(home, tmp_path):
    with pytest.raises(DataProblem, match="portfolio build"):
        publish_reports(home, [date(2010, 12, 31)])


def test_rows_in_quarantine_are_counted_on_their_day_and_after(sample_copy, tmp_path):
    from portfolio_platform.sources.pipeline import import_paths

    header = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price\n"
    (tmp_path / "fills.csv").write_text(header + "BAD-1,2010-12-30T15:00:00Z,core,meanrev_rsi,IBM,buy,10,-5\n")
    import_paths(sample_copy, [tmp_path / "fills.csv"])
    by_day = {
        report.day.day: report
        for report in compose_reports(sample_copy, [date(2010, 12, 29), date(2010, 12, 30), date(2010, 12, 31)])
        if report.portfolio == "core"
    }
    assert [by_day[day].data_quality.quarantined_on_day for day in (29, 30, 31)] == [0, 1, 0]
    assert [by_day[day].data_quality.quarantined_to_date for day in (29, 30, 31)] == [0, 1, 1]


def test_provenance_stands_beside_the_content(sample_copy):
    publish_reports(sample_copy, [DAY])
    with sample_copy.book.reading() as connection:
        stored = newest(connection, "core", DAY)
    assert stored is not None
    beside = json.loads(stored.provenance)
    assert set(beside) == {"lake_versions", "import_seq", "code_version", "policies", "decisions"}
    assert b"lake_versions" not in stored.content
