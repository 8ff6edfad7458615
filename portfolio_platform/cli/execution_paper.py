"""The command that executes an approved queue on paper: the loop of v8.0.3 over the home's bars."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.execution_tables import say, table
from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, parse_as_of, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.desk.paper_execution import Ran, Wanted
    from portfolio_platform.home import Home

_FORM = "{:%Y-%m-%d %H:%M}"


def paper(
    execution_id: Annotated[
        str, typer.Argument(metavar="[EXECUTION_ID]", help="An approved plan of a queue, or an execution on paper to go on with.")
    ] = "",
    queue: Annotated[Path | None, typer.Option("--queue", help="A file of approved trades, executed on paper without a plan.")] = None,
    portfolio: Portfolio = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="With --queue: the portfolio as a JSON file instead of the ledger's.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="With --queue: name of a policy profile, or a TOML file of one.")] = "v8.0.3",
    begin_at: Annotated[
        datetime | None,
        typer.Option("--from", parser=parse_as_of, metavar="TIME", help="With --queue: begin at this time.", show_default="now"),
    ] = None,
    until: Annotated[datetime | None, typer.Option("--until", parser=parse_as_of, metavar="TIME", help="Take no bar after this.")] = None,
    slippage_bps: Annotated[str, typer.Option("--slippage-bps", help="Adverse slippage of every fill at the market.")] = "0",
    fee_bps: Annotated[str, typer.Option("--fee-bps", help="Fee of every fill.")] = "0",
    seed: Annotated[int, typer.Option("--seed", help="Of what the paper broker draws.")] = 0,
    by: Annotated[str, typer.Option("--by", help="Your name: it stays with the execution.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Execute an approved queue on paper, trade by trade in the order of approval, over the bars of the home.

    It stops where somebody has to decide; after `portfolio escalations answer` the same call goes on. Its fills enter the ledger of a
    portfolio that is on paper; a live one is refused.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk import paper_execution as desk

        base = opened_home.require()
        if bool(execution_id) == bool(queue):
            raise WrongUse(
                "name an execution to go on with or an approved plan, or give --queue FILE; `portfolio execution status` lists them"
            )
        costs = (_ppm("--slippage-bps", slippage_bps), _ppm("--fee-bps", fee_bps))
        if queue is not None:
            wanted = _of_queue(base, queue, portfolio or "", snapshot, profile, begin_at, by, costs, seed)
            name = desk.begin(base, wanted).execution_id
        else:
            name = (
                _known(base, execution_id)
                or desk.begin(base, desk.wanted_plan(base, execution_id, by=by, slippage=costs[0], fee=costs[1], seed=seed)).execution_id
            )
        show(desk.run_on(base, name, until=until), json)


def _known(home: "Home", execution_id: str) -> str:
    from portfolio_platform.desk.paper_events import listed

    with home.book.reading() as connection:
        names = [one.execution_id for one in listed(connection)]
    ending = [name for name in names if name.endswith(execution_id)] if len(execution_id) >= 6 else []
    return execution_id if execution_id in names else ending[0] if len(ending) == 1 else ""


def _of_queue(
    home: "Home",
    queue: Path,
    portfolio: str,
    snapshot: Path | None,
    profile: str,
    begin_at: datetime | None,
    by: str,
    costs: tuple[int, int],
    seed: int,
) -> "Wanted":
    from portfolio_platform.desk.paper_execution import Wanted
    from portfolio_platform.desk.sources import profile_of, take
    from portfolio_platform.orchestrator.loading import load_queue

    trades = load_queue(queue)
    if portfolio and portfolio != trades.portfolio:
        trades = trades.model_copy(update={"portfolio": portfolio})
    at = begin_at or home.clock.now()
    tickers = frozenset(one.ticker for one in trades.trades)
    taken = take(home, trades.portfolio, at, tickers=tickers, snapshot=snapshot)[0]
    return Wanted(trades, taken.snapshot, profile_of(profile), by, at, "", *costs, seed)


def _ppm(name: str, text: str) -> int:
    try:
        value = Decimal(text) * 100
    except InvalidOperation as error:
        raise WrongUse(f"{name} {text!r} is no number of basis points; write it such as 2.5") from error
    if not value.is_finite() or not 0 <= value <= 1_000_000 or value != int(value):
        raise WrongUse(f"{name} {text!r} is no number of basis points from 0 to 10000 with two decimals; write it such as 2.5")
    return int(value)


def show(ran: "Ran", json: bool) -> None:
    """Show an execution on paper: how far it is, what was filled, what is asked, why it stopped."""
    from portfolio_platform.control.money import QUANTITY_PLACES, major
    from portfolio_platform.desk.paper_execution import when
    from portfolio_platform.orchestrator.amounts import money, percent
    from portfolio_platform.orchestrator.amounts import plain as shortest

    run, state = ran.run, ran.run.state
    digits, name = run.snapshot.digits, run.begun.execution_id

    def units(value: int) -> str:
        return f"{shortest(major(value, QUANTITY_PLACES)):f}" if value else ""

    if json:
        print_json(
            {
                "execution_id": name,
                "portfolio": run.begun.portfolio,
                "phase": state.phase,
                "at": when(run).isoformat(),
                "steps": ran.steps,
                "fills": ran.fills,
                "imported": ran.imported,
                "stopped": ran.stopped,
                "waiting": list(state.waiting),
                "trades": [
                    {
                        "trade_id": one.trade.trade_id,
                        "status": one.status,
                        "filled": units(one.filled),
                        "price": units(one.paid // one.filled) if one.filled else "",
                    }
                    for one in state.trades
                ],
                "flags": [flag.text for flag in state.flags],
                "digest": run.digest(),
            }
        )
        return
    say(f"[bold]{plain(name)}[/] on paper, {state.phase}: {ran.steps} instants taken, {ran.fills} fills, {ran.imported} into the ledger")
    rows = table(f"Trades, until {_FORM.format(when(run))} UTC", "trade", "order", "approved", "filled", "price", "buffer after", "state")
    for one in state.trades:
        price = units(one.paid // one.filled) if one.filled else ""
        order, size = f"{one.trade.side} {one.trade.symbol}", money(one.trade.size, digits)
        buffer = f"{percent(one.buffer)} %" if one.filled else ""
        rows.add_row(*map(plain, (one.trade.trade_id, order, size, units(one.filled), price, buffer, one.status)))
    out.print(rows)
    for flag in state.flags:
        say(f"[yellow]{plain(flag.code)}:[/] {plain(flag.subject)} {plain(flag.text)}")
    for caveat in state.caveats:
        say(f"caveat: {plain(caveat)}")
    if state.report is not None:
        found = state.report
        say(f"cash {money(found.cash, digits)}, buffer {percent(found.buffer.found)} %: {found.buffer.result}")
        for seen in found.sectors:
            say(f"  {plain(seen.subject)} {percent(seen.found)} % of at most {percent(seen.limit)} %: {seen.result}")
    say(f"it stopped: {plain(ran.stopped)}")
