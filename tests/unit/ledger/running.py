"""Running a ledger: in one pass, day after day, or through a lake; and comparing what comes out."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from portfolio_platform.days import to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.store import Lake
from portfolio_platform.ledger.advance import LedgerState, Step, advance
from portfolio_platform.ledger.state import newest_before, state_rows
from portfolio_platform.policy.model import AccountingPolicy
from portfolio_platform.sources.pipeline import import_paths
from tests.unit.ledger.ledgers import Ledger, write_files

TABLES = ("ledger_snapshots", "lot_exposures", "cash_balances", "portfolio_equity", "round_trips")
POLICY = AccountingPolicy()


def run(ledger: Ledger, policy: AccountingPolicy = POLICY) -> Step:
    """Return the ledger's one pass."""
    return advance(LedgerState(ledger.first - 1), ledger.facts, policy, ledger.last)


def chained(ledger: Ledger, cuts: Sequence[int], policy: AccountingPolicy = POLICY, lake: Lake | None = None) -> dict[str, pa.Table]:
    """Return the tables of a chain of steps that end on ``cuts`` and the last day; the state goes through the lake where one is given."""
    state, parts = LedgerState(ledger.first - 1), []
    for last in [*cuts, ledger.last]:
        if lake is not None:
            state = newest_before(lake, to_date(state.day + 1)) or LedgerState(ledger.first - 1)
        first = to_date(state.day + 1)
        step = advance(state, ledger.facts, policy, last)
        state = step.state
        parts.append(step.tables)
        if lake is not None:
            with lake.writing():
                for name, table in (step.tables | state_rows(state)).items():
                    lake.replace_from(derived.DERIVED[name], first, table)
    if lake is not None:
        return {name: sort(name, lake.read(derived.DERIVED[name])) for name in TABLES}
    return {name: sort(name, pa.concat_tables([part[name] for part in parts])) for name in TABLES}


def sort(name: str, table: pa.Table) -> pa.Table:
    """Return a derived table sorted by its key."""
    return table.sort_by([(column, "ascending") for column in derived.DERIVED[name].key]).combine_chunks()


def difference(got: dict[str, pa.Table], expected: dict[str, pa.Table]) -> list[str]:
    """Return what differs between two sets of derived tables, bit for bit; empty where nothing does."""
    found = []
    for name in sorted(set(got) | set(expected)):
        one, two = sort(name, got[name]), sort(name, expected[name])
        if one.equals(two):
            continue
        if len(one) != len(two):
            found.append(f"{name}: {len(one)} rows, not {len(two)}")
            continue
        for column in one.column_names:
            pairs = zip(one[column].to_pylist(), two[column].to_pylist(), strict=True)
            wrong = [(k, a, b) for k, (a, b) in enumerate(pairs) if a != b and not (a != a and b != b)]
            if wrong:
                place, a, b = wrong[0]
                where = {key: one[key][place].as_py() for key in derived.DERIVED[name].key}
                found.append(f"{name}.{column}: {len(wrong)} differ, first {a!r} where {b!r} is expected, at {where}")
    return found


def home(root: Path, last: date) -> Home:
    """Return a new home whose clock stands at the end of a day."""
    made = Home(root)
    made.create()
    made.pin_clock(last)
    return made


def load(at: Home, ledger: Ledger, folder: Path, only: Iterable[str] | None = None) -> None:
    """Import a ledger's files; nothing may be set aside."""
    result = import_paths(at, write_files(ledger, folder, only=None if only is None else list(only)))
    assert result.set_aside == 0, result.rejections


def derived_tables(at: Home) -> dict[str, pa.Table]:
    """Return the ledger's derived tables of a home."""
    return {name: sort(name, at.lake.read(derived.DERIVED[name])) for name in TABLES}
