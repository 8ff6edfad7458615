"""From anything that has an id to the tree under it: alert, recommendation, report, metric, number, row.

What belongs here: what an id means. What each thing rests on is beside it.
"""

import difflib
from datetime import date
from typing import Any

import pyarrow.compute as pc

from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.ids import identity_column, row_id
from portfolio_platform.explain import alerts, decisions, recommendations, reports, tables
from portfolio_platform.explain.book import remarks
from portfolio_platform.explain.cells import EXPLAINERS, cell, whole
from portfolio_platform.explain.resolve import at_evidence_id
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tree import Draft, Node, grown, listing
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.monitor.alerts.sentences import about
from portfolio_platform.monitor.figures import QUOTED

ROWS = 4
DEPTH, DEPTHS = 7, {reports.PREFIX: 3, recommendations.PREFIX: 4}
"""How deep a tree is where nobody says: a number to its fills, a report to its figures."""
METHODS = ("fifo/", "flat_to_flat/")
LOOKS = (
    "an alert (alert:core:heat::2010-12-21), a recommendation (recommendation:core:2010-12-31), a report "
    "(report:daily:core:2010-12-31:r1, or: report core 2010-12-31), a metric (heat core 2010-12-31), a number "
    "(portfolio_equity/core/2010-12-31/equity), a decision (decision:core:<intent id>), or the id of a fill, signal, intent or round trip"
)
"""How ids look, for those who wrote something else."""
assert tables and EXPLAINERS, "the tables declare themselves when they are imported"


def why(
    home: Home, text: str, *, portfolio: str | None = None, day: date | None = None, depth: int | None = None, rows: int = ROWS
) -> Node:
    """Return the tree under an id: ``depth`` levels deep, as deep as is usual where None, the first ``rows`` of every list.

    ``portfolio`` and ``day`` complete the name of a metric; without a day it is that of the newest session.
    Raises `WrongUse` where there is nothing of that id, and says what ids look like and which are near.
    """
    of = Sources(home)
    draft = found(of, text.strip(), portfolio, day)
    usual = next((deep for prefix, deep in DEPTHS.items() if draft.evidence_id.startswith(prefix)), DEPTH)
    return grown(draft, usual if depth is None else depth, rows)


def found(of: Sources, text: str, portfolio: str | None = None, day: date | None = None) -> Draft:
    """Return what an id names."""
    words = text.split()
    if len(words) > 1 and (words[0] == "report" or is_metric(words[0])):
        text, portfolio, day = words[0], words[1], _day(words[2]) if len(words) > 2 else day
    if text == "report":
        if portfolio is None:
            raise WrongUse("name the portfolio too: `portfolio why report core 2010-12-31`")
        return reports.report(of, reports.newest_report(of, portfolio, day))
    if text.startswith(alerts.PREFIX):
        return alerts.alert(of, text, day)
    if text.startswith(recommendations.PREFIX):
        return recommendations.recommendation(of, text)
    if text.startswith(reports.PREFIX):
        return _report(of, text)
    if text.startswith(decisions.PREFIX):
        return decisions.decision(of, text.removeprefix(decisions.PREFIX))
    if is_metric(text):
        return metric(of, text, portfolio, day)
    if text.split("/", 1)[0] in TABLES and "/" in text:
        return _with_remarks(of, _number_or_row(of, text))
    return _by_own_id(of, text)


def is_metric(name: str) -> bool:
    """Say whether a name is that of a metric, or of a column that reports quote."""
    return name in BY_NAME or quoted_in(name) is not None


def quoted_in(name: str) -> Table | None:
    """Return the table with one row a session that has a figure of the report; None where none has it."""
    for table, quoted in QUOTED.items():
        if any(column.name == name for column in quoted) and len(TABLES[table].key) == 2:
            return TABLES[table]
    return None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WrongUse(f"{text!r} is no day; write YYYY-MM-DD") from error


def _report(of: Sources, text: str) -> Draft:
    """Return a report by its id; ``report:core:2010-12-31`` means its newest revision."""
    parts = text.split(":")
    if len(parts) == 3:
        return reports.report(of, reports.newest_report(of, parts[1], _day(parts[2])))
    return reports.report(of, reports.stored_report(of, text))


def _number_or_row(of: Sources, text: str) -> Draft:
    """Return a number by its id, or a whole row where the id names no column."""
    table = TABLES[text.split("/", 1)[0]]
    parts = text.split("/")
    if not identity_column(table) and len(parts) == len(table.key) + 1 and parts[-1] not in table.column_names:
        row = _row(of, table, text)
        return whole(of, row)
    return at_evidence_id(of, text)


def _row(of: Sources, table: Table, text: str) -> Row:
    from portfolio_platform.evidence.ids import parse_evidence_id
    from portfolio_platform.explain.resolve import row_at

    # any column will do to read the address of the row
    row = row_at(of, parse_evidence_id(f"{text}/{table.column_names[0]}"))
    if row is None:
        raise WrongUse(f"there is no row {text!r}; `portfolio show {table.name}` lists them")
    return row


def _with_remarks(of: Sources, draft: Draft) -> Draft:
    """Return a draft with what people remarked on it beside what it rests on."""
    said = remarks(of, draft.evidence_id) if draft.evidence_id else []
    if not said:
        return draft
    return Draft(draft.title, draft.value, draft.text, draft.words, draft.evidence_id, lambda: [*draft.parts(), *said], draft.listed)


def metric(of: Sources, name: str, portfolio: str | None, day: date | None) -> Draft:
    """Return a metric of a session: of one portfolio where it is named, and of all its scopes."""
    names = [portfolio] if portfolio is not None else of.portfolios
    if not names or any(one not in of.portfolios for one in names):
        raise WrongUse(f"there is no portfolio {portfolio!r}; there is {', '.join(of.portfolios) or 'none yet: run `portfolio build`'}")
    drafts: list[Draft] = []
    for one in names:
        session = day or of.days(one)[-1]
        drafts += _metric_of(of, name, one, session)
    if not drafts:
        raise WrongUse(f"{name} has no value for {', '.join(names)} on {day}; choose a session of `portfolio show portfolio_equity`")
    return drafts[0] if len(drafts) == 1 else listing(f"{name} on {day or 'the newest session'}", lambda: drafts)


def _metric_of(of: Sources, name: str, portfolio: str, day: date) -> list[Draft]:
    if name in BY_NAME:
        rows = of.rows(derived.SAMPLE_SUFFICIENCY, portfolio, day, day, metric=name)
        return [cell(of, row, "value", title=f"{about(BY_NAME[name].label, portfolio, row['scope'])} on {day}") for row in rows]
    table = quoted_in(name)
    assert table is not None
    found_row = of.row(table, portfolio, day)
    return [cell(of, found_row, name)] if found_row is not None else []


def _by_own_id(of: Sources, text: str) -> Draft:
    """Return a row by the id that its source gave it, or by its row id; what several tables know is shown from each."""
    if text.startswith(METHODS):
        return at_evidence_id(of, row_id(derived.ROUND_TRIPS, text))
    drafts: list[Draft] = []
    for fact in FACTS.values():
        own = pc.field("row_id") == text
        if len(fact.id_columns) == 1 and fact.id_columns[0] != "symbol":
            own = own | (pc.field(fact.id_columns[0]) == text)
        rows = of.home.lake.read(fact.table, ["row_id"], own)["row_id"].unique().to_pylist()
        drafts += [_with_remarks(of, at_evidence_id(of, row_id(fact.table, name))) for name in rows]
    outcome = of.by_id(derived.SIGNAL_OUTCOMES, text)
    drafts += [whole(of, outcome)] if outcome is not None else []
    if not drafts:
        raise WrongUse(f"{text!r} names nothing that there is. {_near(of, text)}An id is {LOOKS}.")
    return drafts[0] if len(drafts) == 1 else listing(f"{text}: {len(drafts)} rows", lambda: drafts)


def _near(of: Sources, text: str) -> str:
    """Return a sentence with the ids that are near one that is not there; empty where none is."""
    known: list[Any] = [*BY_NAME, *TABLES, *(column.name for quoted in QUOTED.values() for column in quoted)]
    for fact in FACTS.values():
        if fact.name != "bars":
            known += of.home.lake.read(fact.table, ["row_id"])["row_id"].to_pylist()
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.75)
    return f"Near it are {', '.join(dict.fromkeys(near))}. " if near else ""
