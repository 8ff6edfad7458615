"""Fills as the rows that the normal import of fills takes, and bars as a broker takes them."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal

from portfolio_platform.broker.model import Bar, Filled
from portfolio_platform.control.money import QUANTITY_PLACES, major, quantity_units
from portfolio_platform.days import format_timestamp
from portfolio_platform.lake.facts import FILLS

COLUMNS: tuple[str, ...] = tuple(column.name for column in FILLS.columns)
"""The columns of a row, those of the file of fills, in their order."""


def fill_row(fill: Filled, digits: int) -> dict[str, str]:
    """Return a fill as the cells of a row of `fills`, text by column name; a cell without a value is empty.

    Args:
        fill: the execution.
        digits: decimals of the currency's minor unit, those of the broker's terms.
    """
    labels = fill.labels
    cells = {
        "execution_id": fill.execution_id,
        "ts": format_timestamp(fill.at),
        "portfolio": labels.portfolio,
        "strategy": labels.strategy,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": _plain(fill.quantity),
        "price": _plain(fill.price),
        "currency": labels.currency,
        "fee": f"{major(fill.fee, digits):f}",
        "order_id": fill.client_order_id,
        "signal_id": labels.signal_id,
        "intent_id": labels.intent_id,
        "template": labels.template,
        "playbook": labels.playbook,
        "decision_price": _plain(labels.decision_price),
        "decision_ts": format_timestamp(fill.decided_at),
        "stop_price": _plain(labels.stop_price),
        "target_price": _plain(labels.target_price),
        "account": fill.account,
        "purpose": labels.purpose,
        "trigger_id": labels.trigger_id,
    }
    return {name: cells[name] for name in COLUMNS}


def fills_csv(fills: Iterable[Filled], digits: int) -> bytes:
    """Return fills as a file that the import takes: `fills.csv`, with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(fill_row(fill, digits) for fill in fills)
    return out.getvalue().encode()


def bar_of(
    symbol: str,
    opens_at: int,
    ts: int,
    close: Decimal,
    prices: tuple[Decimal | None, Decimal | None, Decimal | None] = (None, None, None),
    volume: Decimal | None = None,
) -> Bar:
    """Return a bar of the lake as a broker takes it.

    Args:
        symbol: of what.
        opens_at: when it opened; the close of the bar before where that is not known.
        ts: when it closed.
        close: last price.
        prices: open, high and low; one that the source does not state is the close.
        volume: units traded; None where it is not known.
    """
    first, high, low = (quantity_units(close if one is None else one) for one in prices)
    return Bar(symbol, opens_at, ts, first, high, low, quantity_units(close), None if volume is None else quantity_units(volume))


def _plain(units: int) -> str:
    """Return units of 1e-18 as a decimal without trailing zeros; nothing for 0."""
    if not units:
        return ""
    whole, rest = divmod(units, 10**QUANTITY_PLACES)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
