"""Importing: parsed files are compared with what the lake knows, and what is new is written under one lock.

Idempotent and safe to kill at any point: rows are known by id, revision and content, so importing again writes exactly
what is missing. What readers of new rows rely on is written before the rows themselves: the ledger's first day, and the
ids that now have several rows.
"""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, nanoseconds, to_date
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import CASH_FLOWS, CONTESTED, FACTS, FILLS, IMPORTS, QUARANTINE, Fact
from portfolio_platform.lake.store import Lake
from portfolio_platform.sources.csv_files import read_file
from portfolio_platform.sources.discover import discover
from portfolio_platform.sources.identity import row_ids, stated_ids
from portfolio_platform.sources.model import ParsedFile, Rejection

KEY = ["row_id", "revision", "content_hash"]
SPANNING = (FILLS.name, CASH_FLOWS.name)
"""The facts whose earliest row is the ledger's first day."""
DISPUTED = "two rows claim"
"""How the rule of a row in dispute begins."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class FactImport:
    """What an import did to one fact, in rows; ``disputed`` are all those in dispute about the ids of its files."""

    fact: str
    files: tuple[str, ...]
    read: int
    imported: int
    known: int
    quarantined: int
    disputed: int


@dataclass(frozen=True)
class ImportResult:
    """What an import did; ``import_seq`` is its number."""

    import_seq: int
    facts: tuple[FactImport, ...]
    rejections: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def imported(self) -> int:
        """Return the number of new rows."""
        return sum(fact.imported for fact in self.facts)

    @property
    def set_aside(self) -> int:
        """Return the number of rows that are in no table because of what they say."""
        return sum(fact.quarantined + fact.disputed for fact in self.facts)


@dataclass
class _Batch:
    """Files of one fact, and what became of their rows."""

    fact: Fact
    parsed: list[ParsedFile] = field(default_factory=list)


def import_paths(
    home: Home,
    paths: Sequence[Path],
    *,
    corrections: bool = False,
    portfolio: str | None = None,
    initial_cash: Decimal | None = None,
    progress: Progress = lambda text: None,
) -> ImportResult:
    """Import files or folders in the canonical format. Raises `WrongUse` for paths that are no source.

    ``corrections`` states a higher revision of rows that are known; ``portfolio`` names the portfolio of rows that
    name none; ``initial_cash`` funds a single portfolio just before its first fill.
    """
    as_of = nanoseconds(home.clock.now())
    batches: dict[str, _Batch] = {}
    notes: list[str] = []
    rejections: list[Rejection] = []
    for source in discover(paths):
        progress(f"reading {source.path.name}")
        parsed = read_file(source, as_of_ns=as_of, corrections=corrections, portfolio=portfolio)
        notes += [f"{parsed.source_file}: {note}" for note in parsed.notes]
        rejections += parsed.rejections
        if parsed.fact is not None:
            batches.setdefault(parsed.fact, _Batch(FACTS[parsed.fact])).parsed.append(parsed)
    with home.lake.writing():
        sequence = next_sequence(home.lake)
        recorded_at = nanoseconds(home.clock.now())
        done = []
        remember_span(home, [parsed.rows for name in SPANNING if name in batches for parsed in batches[name].parsed])
        if initial_cash is not None:
            notes += _fund(home.lake, batches, initial_cash, sequence, recorded_at)
        for name in [name for name in FACTS if name in batches]:
            progress(f"writing {name}")
            done.append(_write(home.lake, batches[name], sequence, recorded_at))
        if done:
            _log(home.lake, done, sequence, recorded_at)
        remember_span(home)
    return ImportResult(sequence, tuple(done), tuple(rejections), tuple(notes))


def next_sequence(lake: Lake) -> int:
    """Return the number of the next import: above every row's, also those of an import that was killed."""
    return 1 + max(lake.largest(table, "import_seq") for table in [IMPORTS, *(fact.table for fact in FACTS.values())])


def remember_span(home: Home, coming: Sequence[pa.Table] = ()) -> None:
    """Write down the ledger's first day, of fills and flows: those of the lake, and those about to be written."""
    first = [_earliest(rows) for rows in (*(home.lake.read(FACTS[name].table, ["ts"]) for name in SPANNING), *coming)]
    known = [ts for ts in first if ts is not None]
    if known:
        home.remember_first_day(to_date(day_number(min(known))))


def _earliest(rows: pa.Table) -> int | None:
    """Return the earliest time of some rows, None where there is none."""
    found: int | None = pc.min(rows["ts"]).as_py()
    return found


def _keys(rows: pa.Table) -> pd.DataFrame:
    keys: pd.DataFrame = rows.select(KEY).to_pandas()
    return keys


def _write(lake: Lake, batch: _Batch, sequence: int, recorded_at: int) -> FactImport:
    fact = batch.fact
    rows = pa.concat_tables([parsed.rows for parsed in batch.parsed])
    keys = _keys(rows)
    existing = _keys(lake.read(fact.table, KEY))
    known = pd.MultiIndex.from_frame(keys).isin(pd.MultiIndex.from_frame(existing)) if len(existing) else np.zeros(len(keys), bool)
    fresh = ~known & ~keys.duplicated().to_numpy()
    new = rows.filter(pa.array(fresh))
    _contest(lake, fact, keys[fresh], existing, new, sequence)
    if len(new):
        lake.append(fact.table, _complete(fact, new, sequence, recorded_at))
    rejected = [rejection for parsed in batch.parsed for rejection in parsed.rejections]
    quarantined = _quarantine(lake, rejected, sequence, recorded_at)
    disputed = _disputed(lake, fact, set(keys["row_id"]) & active.contested_ids(lake, fact))
    return FactImport(
        fact=fact.name,
        files=tuple(sorted({parsed.source_file for parsed in batch.parsed})),
        read=sum(parsed.read for parsed in batch.parsed),
        imported=len(new),
        known=int((~fresh).sum()),
        quarantined=quarantined,
        disputed=disputed,
    )


def _contest(lake: Lake, fact: Fact, fresh: pd.DataFrame, existing: pd.DataFrame, new: pa.Table, sequence: int) -> None:
    """Note the ids of new rows that have another row too, or are busts."""
    if fresh.empty:
        return
    repeated = fresh["row_id"].isin(set(existing["row_id"])) if len(existing) else pd.Series(False, index=fresh.index)
    repeated |= fresh["row_id"].duplicated(keep=False) | new["bust"].to_pandas().to_numpy()
    ids = set(fresh.loc[repeated, "row_id"])
    unknown = sorted(ids - active.contested_ids(lake, fact))
    if unknown:
        columns = [[fact.name] * len(unknown), unknown, [sequence] * len(unknown)]
        lake.append(CONTESTED, pa.Table.from_arrays([pa.array(c) for c in columns], schema=CONTESTED.arrow_schema()))


def _disputed(lake: Lake, fact: Fact, ids: set[str]) -> int:
    """Return how many rows of these ids contradict each other."""
    if not ids:
        return 0
    rows = lake.read(fact.table, [*KEY, "bust"], pc.field("row_id").isin(pa.array(sorted(ids))))
    return len(_in_dispute(rows))


def _in_dispute(rows: pa.Table) -> pa.Table:
    """Return the rows that contradict another of their id and revision, and that no higher revision has settled."""
    disputed = active.resolve(rows).disputed
    if not len(disputed):
        return disputed
    keys = _keys(rows)
    contents = keys.groupby(["row_id", "revision"])["content_hash"].transform("nunique")
    settled = keys[contents == 1].groupby("row_id")["revision"].max()
    own = _keys(disputed)
    is_open = own["revision"] > own["row_id"].map(settled).fillna(-1)
    return disputed.filter(pa.array(is_open.to_numpy(dtype=bool)))


def _complete(fact: Fact, rows: pa.Table, sequence: int, recorded_at: int) -> pa.Table:
    """Return new rows as the lake stores them, oldest first."""
    columns: dict[str, Any] = {name: rows[name] for name in rows.column_names}
    columns["import_seq"] = pa.array(np.full(len(rows), sequence, np.int64))
    columns["recorded_at"] = pa.array(np.full(len(rows), recorded_at, np.int64))
    if fact.time_column:
        columns["month"] = months(rows[fact.time_column].to_numpy())
    schema = fact.table.arrow_schema()
    table = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    return table.sort_by([(fact.time_column or "row_id", "ascending")])


def months(ts: np.ndarray) -> pa.Array:
    """Return the month (YYYY-MM) of the day of each time."""
    return pa.array(day_number(ts).astype("datetime64[D]").astype("datetime64[M]").astype(str), pa.string())


def _quarantine(lake: Lake, rejections: Sequence[Rejection], sequence: int, recorded_at: int) -> int:
    """Keep rejected rows aside, each once; return how many were new."""
    if not rejections:
        return 0
    known = set(lake.read(QUARANTINE, ["quarantine_id"])["quarantine_id"].to_pylist())
    fresh = {rejection.quarantine_id: rejection for rejection in reversed(rejections) if rejection.quarantine_id not in known}
    if fresh:
        rows = [
            {
                **{name: getattr(rejection, name, None) for name in QUARANTINE.column_names},
                "import_seq": sequence,
                "recorded_at": recorded_at,
            }
            for rejection in reversed(fresh.values())
        ]
        lake.append(QUARANTINE, pa.Table.from_pylist(rows, schema=QUARANTINE.arrow_schema()))
    return len(fresh)


def _log(lake: Lake, done: Sequence[FactImport], sequence: int, recorded_at: int) -> None:
    rows = [
        {
            "import_seq": sequence,
            "recorded_at": recorded_at,
            "fact": item.fact,
            "files": ",".join(item.files),
            "read": item.read,
            "imported": item.imported,
            "known": item.known,
            "quarantined": item.quarantined,
        }
        for item in done
    ]
    lake.append(IMPORTS, pa.Table.from_pylist(rows, schema=IMPORTS.arrow_schema()))


def _fund(lake: Lake, batches: dict[str, _Batch], amount: Decimal, sequence: int, recorded_at: int) -> list[str]:
    """Write the initial funding of the one portfolio among the imported fills; it happens just before its first fill."""
    fills = [parsed.rows for parsed in batches[FILLS.name].parsed] if FILLS.name in batches else []
    names = sorted({name for rows in fills for name in pc.unique(rows["portfolio"]).to_pylist()})
    if len(names) != 1:
        raise WrongUse(f"--initial-cash funds one portfolio, and these files have {len(names)}: put the amounts into cash_flows.csv")
    row_id = f"{names[0]}|initial-cash"
    there = lake.read(CASH_FLOWS.table, ["amount"], pc.field("row_id") == row_id)["amount"].to_pylist()
    if there:
        if there[0] != amount:
            raise DataProblem(
                f"{names[0]} was funded with {there[0].normalize():f} before; correct it by a cash_flows.csv with a higher revision"
            )
        return []
    ts = min(ts for rows in fills if (ts := _earliest(rows)) is not None) - 1
    values: dict[str, Any] = dict.fromkeys(CASH_FLOWS.table.column_names)
    values |= {
        "flow_id": "initial-cash", "ts": ts, "portfolio": names[0], "amount": amount, "kind": "initial_funding",
        "row_id": row_id, "revision": 0, "bust": False, "content_hash": f"initial-cash:{amount}:{ts}", "import_seq": sequence,
        "recorded_at": recorded_at, "source_file": "--initial-cash", "source_line": 0, "month": months(np.array([ts]))[0].as_py(),
    }  # fmt: skip
    lake.append(CASH_FLOWS.table, pa.Table.from_pylist([values], schema=CASH_FLOWS.table.arrow_schema()))
    return [f"{names[0]} starts with {amount:f} in cash, just before its first fill"]


def quarantined(lake: Lake) -> pa.Table:
    """Return everything that is set aside: rejected rows, and rows that contradict each other, by file and line.

    A rejected row whose id a later import brought is no longer set aside: it was mended, or its time has come. What
    states no id is listed for ever, since a mended row then is another row. The table itself keeps them all.
    """
    rejected = lake.read(QUARANTINE).to_pylist()
    rows = [row for name in FACTS for row in _unresolved(lake, FACTS[name], [row for row in rejected if row["fact"] == name])]
    for fact in FACTS.values():
        ids = active.contested_ids(lake, fact)
        if not ids:
            continue
        found = lake.read(fact.table, None, pc.field("row_id").isin(pa.array(sorted(ids))))
        for row in _in_dispute(found).to_pylist():
            rows.append(_as_quarantine(fact, row))
    rows.sort(key=lambda row: (row["source_file"], row["source_line"], row["quarantine_id"]))
    return pa.Table.from_pylist(rows, schema=QUARANTINE.arrow_schema())


def _unresolved(lake: Lake, fact: Fact, rejected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rejected rows of a fact whose ids no later import brought."""
    if not rejected:
        return []
    ids = _stated_ids(fact, rejected)
    wanted = pa.array(sorted({identity for identity in ids if identity is not None}), pa.string())
    found = lake.read(fact.table, ["row_id", "import_seq"], pc.field("row_id").isin(wanted))
    newest = found.group_by("row_id").aggregate([("import_seq", "max")])
    brought = dict(zip(newest["row_id"].to_pylist(), newest["import_seq_max"].to_pylist(), strict=True))
    return [row for row, name in zip(rejected, ids, strict=True) if brought.get(name, 0) <= row["import_seq"]]


def _stated_ids(fact: Fact, rejected: list[dict[str, Any]]) -> list[str | None]:
    """Return the ids that rejected rows state, as `row_ids` gives them; no row of a table has that of one that states none."""
    cells = [json.loads(row["row"]) if row["row"] else {} for row in rejected]
    columns: dict[str, Any] = {}
    for column in [column for column in fact.columns if column.name in fact.id_columns]:
        if column.name == fact.time_column:
            columns[column.name] = pa.array([row["ts"] for row in rejected], pa.int64())
        else:
            texts = [unicodedata.normalize("NFC", str(cell.get(column.name) or "").strip()) or column.default for cell in cells]
            columns[column.name] = pa.array(texts, pa.string())
    stated = pa.chunked_array([stated_ids(fact, columns)])
    hashes = pa.chunked_array([[""] * len(rejected)])
    portfolios = pa.chunked_array([[row["portfolio"] for row in rejected]], pa.string())
    ids: list[str | None] = row_ids(fact, stated, hashes, portfolios).to_pylist()
    return ids


def _as_quarantine(fact: Fact, row: dict[str, Any]) -> dict[str, Any]:
    """Describe a disputed row as the quarantine lists it."""
    shown = {column.name: str(row[column.name]) for column in fact.columns if row[column.name] is not None}
    return {
        "quarantine_id": row["content_hash"],
        "fact": fact.name,
        "source_file": row["source_file"],
        "source_line": row["source_line"],
        "column": ",".join(fact.id_columns),
        "value": row["row_id"],
        "rule": f"{DISPUTED} this id at revision {row['revision']} with different content; neither counts",
        "remedy": "import the right one with a higher `revision`, or with --corrections",
        "row": json.dumps(shown, ensure_ascii=False),
        "ts": row.get("ts"),
        "portfolio": row.get("portfolio"),
        "import_seq": row["import_seq"],
        "recorded_at": row["recorded_at"],
    }
