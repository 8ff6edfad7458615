"""Fills of the ledger as the control plane takes them in: exact quantities, money in minor units of the portfolio's currency."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.control.money import digits_of, minor, quantity_units
from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.state import Fill
from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import FILLS, FX_RATES, INSTRUMENTS, PORTFOLIOS

COLUMNS = (
    "execution_id",
    "ts",
    "portfolio",
    "strategy",
    "symbol",
    "side",
    "quantity",
    "price",
    "currency",
    "stop_price",
    "intent_id",
    "template",
    "playbook",
)
ONE, NOTHING = Decimal(1), Decimal(0)
_EXACT = Context(prec=120)


@dataclass(frozen=True)
class Money:
    """What turns a price into a portfolio's money: base currencies, multipliers, currencies of symbols, rates by pair and time."""

    base: Mapping[str, str]
    default: str
    multiplier: Mapping[str, Decimal]
    quoted: Mapping[str, str]
    rates: Mapping[tuple[str, str], tuple[list[int], list[Decimal]]] = field(default_factory=dict)

    def base_of(self, portfolio: str) -> str:
        """Return the currency that a portfolio's figures are in."""
        return self.base.get(portfolio, self.default)

    def rate(self, currency: str, base: str, ts: int) -> Decimal | None:
        """Return the newest rate up to the end of a time's day; None where there is none yet."""
        if currency == base:
            return ONE
        times, rates = self.rates.get((currency, base), ([], []))
        place = bisect_right(times, end_of_day_ns(to_date(day_number(ts))))
        return rates[place - 1] if place else None


def read_money(home: Home) -> Money:
    """Return what turns prices into money in a home."""
    instruments = active.read(home.lake, INSTRUMENTS, ("symbol", "multiplier", "currency")).to_pylist()
    portfolios = active.read(home.lake, PORTFOLIOS, ("portfolio", "base_currency")).to_pylist()
    rates: dict[tuple[str, str], tuple[list[int], list[Decimal]]] = {}
    for row in active.read(home.lake, FX_RATES, ("ts", "currency", "base_currency", "rate")).sort_by("ts").to_pylist():
        times, values = rates.setdefault((row["currency"], row["base_currency"]), ([], []))
        times.append(row["ts"])
        values.append(row["rate"])
    return Money(
        base={row["portfolio"]: row["base_currency"] for row in portfolios},
        default=home.timeline().newest.policy.accounting.default_currency,
        multiplier={row["symbol"]: row["multiplier"] or ONE for row in instruments},
        quoted={row["symbol"]: row["currency"] for row in instruments if row["currency"]},
        rates=rates,
    )


def newest_fills(home: Home) -> int:
    """Return the number of the newest import that brought a fill; 0 where there is none."""
    return home.lake.largest(FILLS.table, "import_seq")


def read_fills(home: Home, portfolios: Iterable[str], after_import: int, money: Money) -> dict[str, list[Fill]]:
    """Return the fills in force that imports after one brought or corrected, by portfolio, in the order of the ledger."""
    fresh = home.lake.read(FILLS.table, ["row_id", "ts"], pc.field("import_seq") > after_import)
    found: dict[str, list[Fill]] = {name: [] for name in portfolios}
    if not len(fresh):
        return found
    rows = active.read(home.lake, FILLS, (*COLUMNS, "row_id"), after_ts=pc.min(fresh["ts"]).as_py() - 1)
    rows = rows.filter(pc.is_in(rows["row_id"], pa.chunked_array(fresh["row_id"]).combine_chunks()))
    listed: list[dict[str, Any]] = rows.filter(pc.is_in(rows["portfolio"], pa.array(sorted(found), pa.string()))).to_pylist()
    for row in sorted(listed, key=lambda row: (row["ts"], len(row["row_id"]), row["row_id"])):
        found[row["portfolio"]].append(fill_of(row, money))
    return found


def fill_of(row: Mapping[str, Any], money: Money) -> Fill:
    """Return a fill of the ledger as the control plane takes it.

    Its risk is the loss at its stop for the filled quantity. A stop that the price is beyond protects nothing, as in D1, so that
    such a fill has no risk of its own and is taken at what was reserved for it, or at its exposure; closing fills need none.
    Without a rate for its currency it is taken at 1 until the session's facts, which are in the portfolio's money, replace it.
    """
    portfolio, symbol = row["portfolio"], row["symbol"]
    base = money.base_of(portfolio)
    currency = row["currency"] or money.quoted.get(symbol) or base
    rate = money.rate(currency, base, row["ts"]) or ONE
    sign = 1 if row["side"] == "buy" else -1
    each = _EXACT.multiply(_EXACT.multiply(row["quantity"], money.multiplier.get(symbol, ONE)), rate)
    digits = digits_of(base)
    lost = None if row["stop_price"] is None else _EXACT.multiply(sign, _EXACT.subtract(row["price"], row["stop_price"]))
    return Fill(
        execution_id=row["execution_id"] or row["row_id"],
        at=row["ts"],
        strategy=row["strategy"],
        symbol=symbol,
        quantity=sign * quantity_units(row["quantity"]),
        exposure=minor(abs(_EXACT.multiply(row["price"], each)), digits),  # a price may be below zero, an exposure is not
        risk=None if lost is None or lost < NOTHING else minor(_EXACT.multiply(lost, each), digits),
        intent_id=row["intent_id"] or "",
        template=known_name(row["template"]),
        playbook=known_name(row["playbook"]),
    )
