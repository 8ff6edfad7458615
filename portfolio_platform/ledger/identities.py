"""What must hold between the ledger's derived tables on every day: pure functions over them.

What belongs here: identities of the accounting. What a single fact table must look like is in `lake.expectations`.
Rows with a null (a missing exchange rate) prove nothing: they are skipped and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

RELATIVE, ABSOLUTE = 1e-9, 1e-6
SHOWN = 10

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IdentityResult:
    """How an identity held: rows checked and skipped, and the first ten of those that ``failed`` as sentences.

    ``worst_difference`` is that of the row nearest to, or farthest beyond, its ``tolerance``: 1e-9 of the gross amounts
    behind the row, and 1e-6.
    """

    name: str
    checked: int
    skipped: int
    worst_difference: float
    tolerance: float
    failures: tuple[str, ...] = ()
    failed: int = 0

    @property
    def success(self) -> bool:
        """Say whether the identity held in every row that could be checked."""
        return not self.failed


def cash_identity(cash_balances: pa.Table) -> IdentityResult:
    """Check cash = flows + income + trades - fees, for each portfolio, currency and day of `cash_balances`."""
    flows, income, trades, fees = (_floats(cash_balances, name) for name in ("flows", "income", "trades", "fees"))
    gross = np.abs(flows) + np.abs(income) + np.abs(trades) + np.abs(fees)
    keyed = _Keyed(cash_balances, ("day", "portfolio", "currency"), "cash")
    return _compare("cash", keyed, flows + income + trades - fees, gross)


def nav_identity(portfolio_equity: pa.Table, cash_balances: pa.Table, ledger_snapshots: pa.Table) -> IdentityResult:
    """Check equity = sum of cash_base + sum of market_value_base, for each portfolio and day of `portfolio_equity`."""
    keyed = _Keyed(portfolio_equity, ("day", "portfolio"), "equity")
    cash, gross_cash = _sums(keyed, cash_balances, _floats(cash_balances, "cash_base"))
    value, gross_value = _sums(keyed, ledger_snapshots, _floats(ledger_snapshots, "market_value_base"))
    return _compare("nav", keyed, cash + value, gross_cash + gross_value)


def pnl_identity(portfolio_equity: pa.Table, cash_balances: pa.Table, ledger_snapshots: pa.Table) -> IdentityResult:
    """Check that profits and flows explain equity, on each day of the portfolios that know no currency but their base.

    Sum of (realised + unrealised + income - fees) of all positions + flows + other income = equity; other income is
    what `cash_balances` has beside that of the positions. With a second currency, or a rate that is not 1, equity moves
    with rates too, and the portfolio is left out.
    """
    single = _of_one_currency((cash_balances, ledger_snapshots))
    rows = portfolio_equity.filter(pc.is_in(portfolio_equity["portfolio"], pa.array(sorted(single), pa.string())))
    keyed = _Keyed(rows, ("day", "portfolio"), "equity")
    realised, fees = (_floats(ledger_snapshots, name) for name in ("realised_pnl", "fees"))
    is_flat = _floats(ledger_snapshots, "quantity") == 0.0
    unrealised = np.where(is_flat, 0.0, _floats(ledger_snapshots, "unrealised_pnl"))
    profit, gross_profit = _sums(keyed, ledger_snapshots, realised + unrealised - fees)
    moved, gross_moved = _sums(keyed, cash_balances, _floats(cash_balances, "flows") + _floats(cash_balances, "income"))
    gross = gross_profit + gross_moved + _floats(rows, "gross_exposure")
    return _compare("pnl", keyed, profit + moved, gross)


@dataclass(frozen=True)
class _Keyed:
    """The table whose rows are checked, its key, and the column that is compared."""

    rows: pa.Table
    key: tuple[str, ...]
    stated: str

    def place(self, number: int) -> str:
        """Return how a sentence names a row."""
        return " ".join(str(self.rows[name][number].as_py()) for name in self.key)


def _compare(name: str, keyed: _Keyed, recomputed: Float64, gross: Float64) -> IdentityResult:
    """Compare the stated column with what was recomputed from others, row by row."""
    stated = _floats(keyed.rows, keyed.stated)
    difference = np.abs(stated - recomputed)
    known = np.isfinite(difference)
    checked = int(known.sum())
    skipped = len(stated) - checked
    if not checked:
        return IdentityResult(name, 0, skipped, 0.0, ABSOLUTE)
    tolerance = np.where(known, RELATIVE * np.nan_to_num(gross) + ABSOLUTE, np.inf)
    excess = np.where(known, difference / tolerance, 0.0)
    worst = int(np.argmax(excess))
    wrong = np.flatnonzero(excess > 1.0)
    sentences = tuple(
        f"{keyed.place(row)}: {keyed.stated} {stated[row]:,.6f}, but {recomputed[row]:,.6f} by its parts "
        f"(difference {difference[row]:.6g}, tolerance {tolerance[row]:.2g})"
        for row in wrong[:SHOWN].tolist()
    )
    return IdentityResult(name, checked, skipped, float(difference[worst]), float(tolerance[worst]), sentences, int(wrong.size))


def _sums(keyed: _Keyed, table: pa.Table, values: Float64) -> tuple[Float64, Float64]:
    """Return the sum of values, and of their sizes, for each keyed row; NaN where one of them is, 0 where there is none."""
    grouped = pa.table({"day": table["day"], "portfolio": table["portfolio"], "value": values, "size": np.abs(values)})
    totals = grouped.group_by(["day", "portfolio"]).aggregate([("value", "sum"), ("size", "sum")])
    keys = zip(totals["day"].to_pylist(), totals["portfolio"].to_pylist(), strict=True)
    found = dict(zip(keys, zip(totals["value_sum"].to_pylist(), totals["size_sum"].to_pylist(), strict=True), strict=True))
    wanted = zip(keyed.rows["day"].to_pylist(), keyed.rows["portfolio"].to_pylist(), strict=True)
    pairs = np.array([found.get(key, (0.0, 0.0)) for key in wanted], dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _of_one_currency(tables: Sequence[pa.Table]) -> set[str]:
    """Return the portfolios all of whose cash and positions are in one currency, at a rate of 1."""
    seen: dict[str, set[str]] = {}
    foreign: set[str] = set()
    for table in tables:
        totals = table.group_by(["portfolio", "currency"]).aggregate([("fx_rate", "min"), ("fx_rate", "max")])
        for row in totals.to_pylist():
            seen.setdefault(row["portfolio"], set()).add(row["currency"])
            if (row["fx_rate_min"], row["fx_rate_max"]) != (1.0, 1.0):
                foreign.add(row["portfolio"])
    return {portfolio for portfolio, currencies in seen.items() if len(currencies) == 1} - foreign


def _floats(table: pa.Table, name: str) -> Float64:
    """Return a column as floats; null is NaN."""
    values: Float64 = table[name].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return values
