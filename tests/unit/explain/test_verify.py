"""Verification: what was told comes out again from what was known then; what was tampered with does not."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import update

from portfolio_platform.book import alerts, reports, schema
from portfolio_platform.build import build_all
from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.basis import basis_now
from portfolio_platform.explain.scratch import as_known
from portfolio_platform.explain.verify import compare, verify
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.sources.pipeline import import_paths
from tests.unit.explain.conftest import HEADER, weekday, written

DAY = weekday(20)


def report_of(home: Home, day: date, revision: int) -> str:
    return reports.report_id("main", "daily", day, revision)


def changed(home: Home, table: Table, day: date, **values: float) -> None:
    """Change figures of a session in the lake, behind everybody's back."""
    rows = home.lake.read(table).to_pylist()
    for row in rows:
        if row["day"] == day:
            row.update(values)
    with home.lake.writing():
        home.lake.replace(table, pa.Table.from_pylist(rows, schema=table.arrow_schema()))


def test_a_report_recomputes_to_the_same_bytes(built: Home) -> None:
    said: list[str] = []
    found = verify(built, report_of(built, weekday(29), 1), said.append)
    assert found.equal and found.same_code and found.import_seq == 1 and not found.differences
    assert "recomputes to the same" in found.sentence and len(said) > 5


def test_after_a_late_fill_both_revisions_recompute_each_from_what_was_known(small: Home, tmp_path: Path) -> None:
    late = [f"LATE,{weekday(18)}T16:00:00Z,main,trend,AAA,sell,30,82.5,1,"]
    import_paths(small, [written(tmp_path / "late", "fills.csv", HEADER, late)])
    build_all(small)
    publish_reports(small, [DAY])
    first, second = verify(small, report_of(small, DAY, 1)), verify(small, report_of(small, DAY, 2))
    assert (first.equal, first.import_seq) == (True, 1)
    assert (second.equal, second.import_seq) == (True, 2)


def test_a_row_that_is_in_dispute_since_a_later_import_stood_then(small: Home, tmp_path: Path) -> None:
    contradicted = [f"E5A,{weekday(5)}T15:00:00Z,main,trend,AAA,buy,41,95.0,1,80.0"]
    import_paths(small, [written(tmp_path / "again", "fills.csv", HEADER, contradicted)])
    assert "main|E5A" not in active.read(small.lake, FILLS)["row_id"].to_pylist()
    assert verify(small, report_of(small, DAY, 1)).equal
    with as_known(small, replace(basis_now(small), import_seq=1), DAY) as then:
        assert "main|E5A" in active.read(then.lake, FILLS)["row_id"].to_pylist()


def test_the_policy_of_then_is_used_not_that_of_now(small: Home) -> None:
    before = small.policy().hash
    (small.policies / "default.toml").write_text("[heat]\ncap = 0.03\n")
    assert small.policy().hash != before and verify(small, report_of(small, DAY, 1)).equal


def test_a_tampered_report_is_noticed(small: Home) -> None:
    identity = report_of(small, DAY, 1)
    with small.book.reading() as connection:
        stored = reports.by_id(connection, identity)
    assert stored is not None
    content = stored.content.replace(b'"open_positions":2', b'"open_positions":3')
    assert content != stored.content
    with small.book.writing() as connection:
        connection.execute(update(schema.reports).where(schema.reports.c.id == identity).values(content=content))
    found = verify(small, identity)
    paths = {difference.path for difference in found.differences}
    assert not found.equal and "open_positions" in paths and "content_hash in the event log" in paths


def test_a_tampered_provenance_is_noticed(small: Home) -> None:
    identity = report_of(small, DAY, 1)
    with small.book.reading() as connection:
        stored = reports.by_id(connection, identity)
    assert stored is not None
    other = stored.provenance.replace(b'"portfolio_equity":', b'"portfolio_equitY":')
    with small.book.writing() as connection:
        connection.execute(update(schema.reports).where(schema.reports.c.id == identity).values(provenance=other))
    assert [difference.path for difference in verify(small, identity).differences] == ["provenance_hash in the event log"]


def test_a_changed_row_of_the_lake_is_noticed(small: Home) -> None:
    cell = f"portfolio_equity/main/{DAY}/equity"
    changed(small, derived.PORTFOLIO_EQUITY, DAY, equity=1.0)
    found = verify(small, cell)
    assert not found.equal and [difference.path for difference in found.differences] == ["portfolio_equity.equity"]
    assert found.differences[0].stored == 1.0


def test_a_told_figure_is_compared_with_the_lake_as_it_was_known(small: Home) -> None:
    found = verify(small, f"portfolio_equity/main/{DAY}/equity")
    assert found.equal and "the figure in the report" in found.compared


def test_an_alert_recomputes_and_a_changed_one_does_not(small: Home) -> None:
    with small.book.reading() as connection:
        told = alerts.listed(connection, "main")
    assert told, "the small ledger loses money, so something fires"
    found = verify(small, told[0].id)
    assert found.equal and "the content in the book" in found.compared
    said = told[0].content.replace(b'"sessions_firing":', b'"sessions_firing":9')
    with small.book.writing() as connection:
        connection.execute(update(schema.alerts).where(schema.alerts.c.id == told[0].id).values(content=said))
    again = verify(small, told[0].id)
    assert not again.equal and all("book" in difference.path for difference in again.differences)


def test_a_recommendation_recomputes(built: Home) -> None:
    rows = built.lake.read(derived.RECOMMENDATION_STATES, None, pc.field("status") == "issued").to_pylist()
    assert rows, "the small ledger loses money, so something is recommended"
    assert verify(built, rows[-1]["recommendation_id"]).equal


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("alert:main:nothing::2010-03-01", "there is no alert"),
        ("recommendation:main:2009-03-01", "there is no recommendation"),
        ("report:daily:main:2009-03-01:r1", "the newest it has is report:daily:main"),
        ("portfolio_equity/main/2009-03-01/equity", "was no session of main"),
        ("fills", "nothing that can be recomputed"),
    ],
)
def test_what_is_not_there_is_said(built: Home, identity: str, said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        verify(built, identity)


def test_differences_are_named_by_their_place() -> None:
    found = list(compare({"a": [1, {"b": 2}], "c": 3}, {"a": [1, {"b": 4}], "d": 5}))
    assert [(one.path, one.stored, one.recomputed) for one in found] == [("a[1].b", 2, 4), ("c", 3, None), ("d", None, 5)]
