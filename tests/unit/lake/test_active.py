"""Which statement of a row is in force."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.lake import active
from portfolio_platform.lake.facts import CASH_FLOWS, CONTESTED
from portfolio_platform.lake.store import Lake

SCHEMA = pa.schema(
    [("row_id", pa.string()), ("revision", pa.int64()), ("bust", pa.bool_()), ("content_hash", pa.string()), ("import_seq", pa.int64())]
)


def statement(row_id: str, revision: int = 0, content: str = "x", bust: bool = False, seq: int = 1) -> dict[str, Any]:
    return {"row_id": row_id, "revision": revision, "bust": bust, "content_hash": f"{content}{'!' if bust else ''}", "import_seq": seq}


def resolved(*rows: dict[str, Any]) -> tuple[set[tuple[str, int, str]], set[tuple[str, int, str]]]:
    found = active.resolve(pa.Table.from_pylist(list(rows), schema=SCHEMA))

    def keys(table: pa.Table) -> set[tuple[str, int, str]]:
        return {(row["row_id"], row["revision"], row["content_hash"]) for row in table.to_pylist()}

    return keys(found.rows), keys(found.disputed)


def test_the_highest_revision_is_in_force() -> None:
    assert resolved(statement("a"), statement("a", 2, "z"), statement("a", 1, "y"), statement("b")) == (
        {("a", 2, "z"), ("b", 0, "x")},
        set(),
    )


def test_a_bust_cancels_its_row_and_a_later_revision_brings_it_back() -> None:
    assert resolved(statement("a"), statement("a", 1, bust=True), statement("b")) == ({("b", 0, "x")}, set())
    assert resolved(statement("a"), statement("a", 1, bust=True), statement("a", 2, "y"))[0] == {("a", 2, "y")}
    assert resolved(statement("a", bust=True)) == (set(), set())


def test_statements_that_contradict_each_other_are_both_set_aside_and_the_revision_below_stays() -> None:
    disputed = {("a", 1, "y"), ("a", 1, "z")}
    assert resolved(statement("a", 1, "y"), statement("a", 1, "z")) == (set(), disputed)
    assert resolved(statement("a"), statement("a", 1, "y"), statement("a", 1, "z")) == ({("a", 0, "x")}, disputed)
    assert resolved(statement("a", 1, "y"), statement("a", 1, "z"), statement("a", 2, "w")) == ({("a", 2, "w")}, disputed)


def test_a_bust_and_a_correction_of_one_revision_contradict_each_other() -> None:
    assert resolved(statement("a"), statement("a", 1, "y"), statement("a", 1, "x", bust=True)) == (
        {("a", 0, "x")}, {("a", 1, "y"), ("a", 1, "x!")},
    )  # fmt: skip


def test_the_same_statement_twice_counts_once() -> None:
    found = active.resolve(pa.Table.from_pylist([statement("a"), statement("a", seq=2)], schema=SCHEMA))
    assert (len(found.rows), len(found.disputed)) == (1, 0)


def test_no_rows_resolve_to_none() -> None:
    assert resolved() == (set(), set())


statements = st.builds(statement, st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xyz"), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.lists(statements, max_size=4))
def test_the_order_of_statements_never_decides(rows: list[dict[str, Any]]) -> None:
    assert len({repr(sorted(map(sorted, resolved(*order)))) for order in permutations(rows)}) <= 1  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(st.lists(statements, max_size=9))
def test_resolving_is_what_the_rule_says(rows: list[dict[str, Any]]) -> None:
    expected, disputed = set(), set()
    for row_id in {row["row_id"] for row in rows}:
        mine = [row for row in rows if row["row_id"] == row_id]
        revisions: dict[int, dict[str, dict[str, Any]]] = {}
        for row in mine:
            revisions.setdefault(row["revision"], {})[row["content_hash"]] = row
        disputed |= {(row_id, revision, content) for revision, contents in revisions.items() if len(contents) > 1 for content in contents}
        sound = [revision for revision, contents in revisions.items() if len(contents) == 1]
        if sound:
            (row,) = revisions[max(sound)].values()
            if not row["bust"]:
                expected.add((row_id, row["revision"], row["content_hash"]))
    assert resolved(*rows) == (expected, disputed)


def test_reading_shows_the_fact_as_it_was_known_after_an_import(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "lock")
    schema = CASH_FLOWS.table.arrow_schema()

    def flow(row_id: str, ts: int, seq: int, revision: int = 0, bust: bool = False) -> dict[str, Any]:
        empty = dict.fromkeys(schema.names)
        return empty | {
            "row_id": row_id, "ts": ts, "revision": revision, "bust": bust, "content_hash": f"{row_id}{revision}{bust}", "import_seq": seq,
            "month": "1970-01", "kind": "deposit", "portfolio": "p",
        }  # fmt: skip

    stated = [flow("a", 10, 1), flow("b", 20, 1), flow("c", 30, 2), flow("a", 40, 3, 1), flow("b", 20, 4, 1, bust=True)]
    with lake.writing():
        lake.append(CASH_FLOWS.table, pa.Table.from_pylist(stated, schema=schema))
        marks = [{"fact": "cash_flows", "row_id": name, "import_seq": seq} for name, seq in (("a", 3), ("b", 4))]
        lake.append(CONTESTED, pa.Table.from_pylist(marks, schema=CONTESTED.arrow_schema()))

    def seen(**bounds: int) -> set[tuple[str, int]]:
        rows = active.read(lake, CASH_FLOWS, ("row_id", "ts"), **bounds)
        assert rows.column_names == ["row_id", "ts"]
        return {(row["row_id"], row["ts"]) for row in rows.to_pylist()}

    assert seen(until_seq=0) == set()
    assert seen(until_seq=1) == {("a", 10), ("b", 20)}
    assert seen(until_seq=2) == {("a", 10), ("b", 20), ("c", 30)}
    assert seen(until_seq=3) == {("a", 40), ("b", 20), ("c", 30)}
    assert seen() == {("a", 40), ("c", 30)}
    # the time that counts is that of the statement in force
    assert seen(until_ts=30) == {("c", 30)}
    assert seen(after_ts=30) == {("a", 40)}
    assert seen(after_ts=10, until_ts=30, until_seq=3) == {("b", 20), ("c", 30)}
