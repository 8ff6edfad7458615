"""The platform's own path in memory: facts from Parquet, the ledger's step, concentration of every session."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.generate import FIRST_DAY
from portfolio_platform.days import day_number, end_of_day_ns, to_date, to_number
from portfolio_platform.diagnostics.concentration import DIMENSIONS, Concentration, Exposures, concentration
from portfolio_platform.lake.facts import FACTS, UNCLASSIFIED
from portfolio_platform.ledger import marks
from portfolio_platform.ledger.advance import Facts, LedgerState, Step, advance
from portfolio_platform.ledger.inputs import FILL_COLUMNS, Reference
from portfolio_platform.policy.model import AccountingPolicy

BAR_COLUMNS = ("symbol", "ts", "close")
NAMES = ("portfolio", "strategy", "symbol", "side", "currency", "template", "playbook")


@dataclass(frozen=True)
class Classes:
    """Sector and cohort of each symbol."""

    sector: dict[str, str]
    cohort: dict[str, str]


@dataclass(frozen=True)
class Results:
    """What fills become: snapshots, lots, cash and equity as arrays, and concentration of every session."""

    step: Step
    exposures: Exposures
    equity: npt.NDArray[np.float64]
    concentration: Concentration


def read_facts(folder: Path) -> Facts:
    """Read what the ledger needs of generated facts: the columns in use, names as dictionaries."""
    instruments = pq.read_table(folder / "instruments.parquet").to_pylist()
    known = Reference(
        multiplier={row["symbol"]: float(row["multiplier"]) for row in instruments},
        calendar={row["symbol"]: row["calendar"] for row in instruments},
        currency={row["symbol"]: row["currency"] for row in instruments},
        base_currency={},
    )
    return Facts(
        fills=pq.read_table(folder / "fills.parquet", columns=list(FILL_COLUMNS), read_dictionary=list(NAMES)),
        bars=pq.read_table(folder / "bars.parquet", columns=list(BAR_COLUMNS), read_dictionary=["symbol"]),
        cash_flows=pq.read_table(folder / "cash_flows.parquet"),
        corporate_actions=FACTS["corporate_actions"].table.arrow_schema().empty_table(),
        fx_rates=FACTS["fx_rates"].table.arrow_schema().empty_table(),
        reference=known,
    )


def read_classes(folder: Path) -> Classes:
    """Read what concentration needs of the instruments."""
    rows = pq.read_table(folder / "instruments.parquet", columns=["symbol", "sector", "cohort"]).to_pylist()
    return Classes({row["symbol"]: row["sector"] for row in rows}, {row["symbol"]: row["cohort"] for row in rows})


def last_day(folder: Path) -> int:
    """Return the day number of the newest bar."""
    return day_number(pc.max(pq.read_table(folder / "bars.parquet", columns=["ts"])["ts"]).as_py())


def _classified(values: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    names = tuple(sorted(set(values)))
    rank = {name: place for place, name in enumerate(names)}
    return np.array([rank[value] for value in values], dtype=np.int64), names


def lot_exposures(step: Step, classes: Classes) -> Exposures:
    """Return the exposures of a step's open lots without a detour through rows."""
    positions, lots = step.account.positions, step.lots
    position = step.snapshots.position[lots.row]
    symbols = positions.symbol.tolist()
    by_position = {
        "symbol": symbols,
        "strategy": positions.strategy.tolist(),
        "cohort": [classes.cohort.get(name, UNCLASSIFIED) for name in symbols],
        "sector": [classes.sector.get(name, UNCLASSIFIED) for name in symbols],
    }
    by_tag = {"template": [tag[0] for tag in step.account.tags], "playbook": [tag[1] for tag in step.account.tags]}
    group = np.empty((lots.row.size, len(DIMENSIONS)), np.int64)
    names = []
    for place, dimension in enumerate(DIMENSIONS):
        codes, groups = _classified(by_position[dimension] if dimension in by_position else by_tag[dimension])
        group[:, place] = codes[position if dimension in by_position else lots.tag]
        names.append(groups)
    unclassified = tuple(groups.index(UNCLASSIFIED) if UNCLASSIFIED in groups else -1 for groups in names)
    snapshots = step.snapshots
    return Exposures(snapshots.session[lots.row], lots.value_base, snapshots.stale[lots.row], group, tuple(names), unclassified)


def concentrate(step: Step, classes: Classes) -> Results:
    """Measure the concentration of every session of a step."""
    by_session = step.equity.select(["portfolio", "day", "equity"]).sort_by([("portfolio", "ascending"), ("day", "ascending")])
    equity = by_session["equity"].to_numpy().astype(np.float64)
    exposures = lot_exposures(step, classes)
    return Results(step, exposures, equity, concentration(exposures, equity))


def before_first() -> LedgerState:
    """Return the state before a generated ledger's first day."""
    return LedgerState(to_number(FIRST_DAY) - 1)


def parquet_to_results(folder: Path) -> Results:
    """Go from Parquet to snapshots and concentration, in one pass over all days. The facts are let go on the way."""
    step = advance(before_first(), read_facts(folder), AccountingPolicy(), last_day(folder))
    return concentrate(step, read_classes(folder))


def only_day(facts: Facts, day: int) -> Facts:
    """Return the facts with the fills and bars of one day alone, as a read of that day finds them."""
    after, until = end_of_day_ns(to_date(day - 1)), end_of_day_ns(to_date(day))
    fills, bars = (marks.within(table, after, until).combine_chunks() for table in (facts.fills, facts.bars))
    return replace(facts, fills=fills, bars=bars)
