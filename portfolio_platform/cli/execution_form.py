"""The form of a report in the terminal: trade by trade, Enter takes what was planned."""

from collections.abc import Mapping
from datetime import datetime

import typer

from portfolio_platform.cli.options import out, plain
from portfolio_platform.desk.execution import Given
from portfolio_platform.desk.execution_events import ExecutionState
from portfolio_platform.orchestrator.executed import TradeProgress
from portfolio_platform.orchestrator.execution_rows import GivenFill, Rows, read_texts

NAME = "the form"


def ask(state: ExecutionState, now: datetime, by: str = "") -> Given:
    """Ask for every trade that is left, and once more where an answer cannot be right; return what was said, and by whom.

    At each trade: ``y`` it was filled, ``n`` nothing was done of it (Enter), ``x`` it is not going to be done, ``q`` no more questions.
    """
    given: list[GivenFill] = []
    given_up: list[tuple[str, str]] = []
    for one in state.executed.trades:
        if not one.left:
            continue
        trade = one.trade
        waits = f", after {', '.join(one.waits_for)}" if one.waits_for else ""
        said = f"{trade.trade_id}: {trade.side} {one.left:f} {trade.ticker} in {trade.account}, planned at {trade.price:f}"
        out.print(plain(f"{said}, limit {trade.limit_price:f}{waits}"), soft_wrap=True, highlight=False)
        answer = typer.prompt("  filled? [y]es, [n]o, [x] not going to be, [q]uit", default="n", show_default=False).strip().lower()[:1]
        if answer == "q":
            break
        if answer == "x":
            given_up.append((trade.trade_id, typer.prompt("  why", default="not done")))
        if answer == "y":
            given.append(_fill(one, state, now))
    return Given(by=by or typer.prompt("your name"), rows=Rows(NAME, tuple(given)), given_up=tuple(given_up))


def _fill(one: TradeProgress, state: ExecutionState, now: datetime) -> GivenFill:
    trade = one.trade
    digits = state.papers.plan.digits
    fee = f"{trade.fee_minor / 10**digits:.{digits}f}" if not one.fills else "0"
    while True:
        row: Mapping[str, str] = {
            "trade_id": trade.trade_id,
            "quantity": typer.prompt("  quantity", default=f"{one.left:f}"),
            "price": typer.prompt("  price", default=f"{trade.price:f}"),
            "fee": typer.prompt("  fee", default=fee),
            "at": typer.prompt("  time", default=now.isoformat()),
        }
        rows = read_texts(row, now, NAME)
        if rows.given:
            return rows.given[0]
        for bad in rows.bad:
            out.print(f"[yellow]{plain(f'{bad.column} {bad.value} {bad.rule}; {bad.remedy}')}[/]", soft_wrap=True, highlight=False)
        if not rows.bad:
            out.print("[yellow]quantity and time are needed[/]")
