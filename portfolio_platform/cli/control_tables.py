"""Tables of the control plane for a terminal of 80 columns: amounts without cents, times to the minute. JSON has every digit."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from portfolio_platform.cli.options import out, plain
from portfolio_platform.control.terms import COUNTS, RISK

NEARLY, FULL = Decimal("0.8"), Decimal(1)
"""Shares of a limit from which on it is shown in yellow, and in red."""
PLACES = Decimal("0.0001")
_ORDER = {rule: place for place, rule in enumerate((*RISK, *COUNTS))}
View = Mapping[str, Any]


def amount(text: str | None) -> str:
    """Return an amount with thousands separated and without cents; one below 10 keeps them."""
    if text is None:
        return "–"
    value = Decimal(text)
    return f"{value:,.2f}" if value and abs(value) < 10 and value != value.to_integral() else f"{value:,.0f}"


def minute(text: str | None) -> str:
    """Return a time to the minute, in UTC."""
    return "" if text is None else f"{text[:10]} {text[11:16]}"


def limit_name(row: View) -> str:
    """Return what a limit is on: rule and group, and that it is on exposure where it is not on risk."""
    return f"{row['rule'].replace('_', ' ')} {row['scope']}".strip() + (" (exposure)" if row["basis"] == "exposure" else "")


def in_order(rows: Iterable[View]) -> list[View]:
    """Return limits in the order in which they are evaluated."""
    return sorted(rows, key=lambda row: (_ORDER[row["rule"]], row["scope"], row["basis"] != "risk"))


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()) -> None:
    """Print rows as a table; nothing where there are none. A name is broken before it is cut: one that is cut cannot be copied."""
    cells = list(rows)
    if not cells:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    for row in cells:
        table.add_row(*[cell if isinstance(cell, Text) else plain(cell) for cell in row])
    out.print(table)


def limits(rows: Iterable[View]) -> None:
    """Print limits with what is used of them; what is nearly or wholly used up in colour."""
    shown = [
        (limit_name(row), amount(row["limit"]), amount(row["used"]), amount(row["headroom"]), share(row["use"]), row["source"])
        for row in in_order(rows)
    ]
    show("Limits", ("limit on", "limit", "used", "left", "use", "set by"), shown, ("limit", "used", "left", "use"))


def share(use: str | None) -> Text:
    """Return what is used of a limit as a percentage."""
    if use is None:
        return Text("–")
    value = Decimal(use)
    return Text(f"{value * 100:,.0f} %", style="bold red" if value >= FULL else "yellow" if value >= NEARLY else "")


def positions(rows: Iterable[View]) -> None:
    """Print open positions."""
    shown = [
        (row["strategy"], row["symbol"], quantity(row["quantity"]), amount(row["risk"]), amount(row["exposure"]), row["playbook"])
        for row in rows
    ]
    columns = ("strategy", "symbol", "quantity", "risk", "exposure", "playbook")
    show("Positions", columns, shown, ("quantity", "risk", "exposure"))


def quantity(text: str) -> str:
    """Return a quantity with four places at most."""
    value = Decimal(text)
    return f"{value:,f}" if value == value.quantize(PLACES) else f"{value:,.4f}"


def reservations(rows: Iterable[View]) -> None:
    """Print what is reserved."""
    shown = [
        (
            row["intent_id"],
            f"{row['side']} {row['symbol']}, {row['strategy']}",
            amount(row["granted"]),
            amount(row["remaining"]),
            minute(row["expires_at"]),
        )
        for row in rows
    ]
    show("Reservations", ("intent", "for", "granted", "left", "until"), shown, ("granted", "left"))


def orders(rows: Sequence[View]) -> None:
    """Print the orders in force, two lines each: ids and reasons are long."""
    if rows:
        out.print("[bold]Orders[/]")
    for row in rows:
        said = f"  {plain(row['order_id'])}: [bold]{plain(order_words(row))}[/] until {minute(row['until'])}, by {plain(row['by'])}"
        out.print(said, soft_wrap=True, highlight=False)
        out.print(f"    [dim]{plain(row['reason'])}[/]", soft_wrap=True, highlight=False)


def order_words(row: View) -> str:
    """Return what an order changes, in words."""
    if row["kind"] == "mode":
        return f"mode {row['mode']}"
    if row["kind"] == "flatten":
        return "flatten only"
    return f"{limit_name(row)} at {amount(row['amount'])}"


def envelopes(rows: Iterable[View]) -> None:
    """Print what symbols were told."""
    shown = [
        (
            row["symbol"],
            str(row["version"]),
            _mode(row),
            amount(row["symbol_max_risk"]),
            amount(row["max_new_risk"]),
            str(row["max_additional_positions"]),
            row["binding"].removesuffix("_only").replace("_", " "),
            minute(row["expires_at"])[5:],
        )
        for row in rows
    ]
    columns = ("symbol", "v.", "mode", "at most", "new risk", "places", "binds", "until")
    show("Envelopes", columns, shown, ("v.", "at most", "new risk", "places"))


def _mode(row: View) -> Text:
    size = "" if row["size_multiplier_cap"] == "1" else f" × {row['size_multiplier_cap']}"
    said = "flatten" if row["force_flatten_only"] else f"{row['portfolio_mode']}{size}"
    return Text(said, style="" if said == "normal" else "bold red")


def decisions(rows: Sequence[View], of: int) -> None:
    """Print decisions, the newest first."""
    shown = [
        (
            minute(row["decided_at"])[5:],
            row["intent_id"],
            row["symbol"],
            Text(row["decision_code"], style="" if row["approved"] else "red"),
            amount(row["requested_risk"]),
            amount(row["approved_risk"]),
        )
        for row in rows
    ]
    years = sorted({str(row["decided_at"])[:4] for row in rows})
    title = f"{len(rows):,} of {of:,} decisions, {'–'.join(years[:1] + years[-1:]) if len(years) > 1 else ''.join(years)}"
    show(title, ("at", "intent", "symbol", "answer", "asked", "granted"), shown, ("asked", "granted"))


def rooms(rows: Iterable[View]) -> None:
    """Print what every rule saw of an intent, and what is used once it is granted."""
    shown = [
        (
            limit_name(row),
            "none" if row["limit"] is None else amount(row["limit"]),
            amount(row["used"]),
            Text(amount(row["headroom"]), style="bold red" if not Decimal(row["headroom"]) else ""),
            amount(row["after"]) if row["after"] is not None else "",
            row["source"],
        )
        for row in rows
    ]
    columns = ("limit on", "limit", "used", "leaves", "then used", "set by")
    show("What every rule saw", columns, shown, ("limit", "used", "leaves", "then used"))
