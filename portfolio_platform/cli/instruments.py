"""Commands that look at the workflows of a portfolio's instruments, and end one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, plain, print_json

if TYPE_CHECKING:
    from portfolio_platform.home import Home
    from portfolio_platform.instruments.state import InstrumentState
    from portfolio_platform.instruments.store import InstrumentLog

instruments = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="One workflow for each instrument: look at them, ask why, end one."
)
Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="Which instrument.")]


@instruments.command("list")
def list_(portfolio: Portfolio = None, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """List the workflows: phase, template, position, envelope, regime, newest event, trades and their sum in R."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.paper.views import list_view

        name, view = list_view(opened_home.require(), portfolio)
        if json:
            print_json({"portfolio": name, "instruments": view})
            return
        from portfolio_platform.cli.instruments_tables import workflows

        workflows(name, view)


@instruments.command()
def cohorts(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show the regime of each cohort, by its own detector over the cohort's index: advice beside the regimes of symbols, it drives none."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.days import end_of_day_ns
        from portfolio_platform.paper.cohorts import cohort_regimes_at
        from portfolio_platform.paper.market import read_market

        here = opened_home.require()
        found = cohort_regimes_at(read_market(here, (), {}, "USD"), end_of_day_ns(here.last_ended_day))
        if json:
            print_json([{"cohort": one.cohort, "regime": one.label, "why": one.why, "symbols": list(one.symbols)} for one in found])
            return
        for one in found:
            said = f"[bold]{plain(one.cohort)}[/] {plain(one.label.replace('_vol_', ' ') or 'unknown')}: {plain(one.why)}"
            out.print(f"{said} ({plain(', '.join(one.symbols))})", soft_wrap=True, highlight=False)


@instruments.command()
def show(symbol: Symbol, portfolio: Portfolio = None, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show a workflow: what it waits for, its plan, setup and exit contract, its regime's evaluations, what it asked for and got."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.paper.views import show_view

        view = show_view(opened_home.require(), portfolio, symbol)
        if json:
            print_json(view)
            return
        from portfolio_platform.cli.instruments_tables import workflow

        workflow(view)


@instruments.command()
def why(
    symbol: Symbol,
    setup: Annotated[int | None, typer.Option("--setup", min=1, help="Number of the thesis; the newest where none is given.")] = None,
    no_entry: Annotated[bool, typer.Option("--no-entry", help="The newest close at which no thesis was armed.")] = False,
    portfolio: Portfolio = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Explain an entry, or that there was none: screener, plan, conditions with their values, intent, decision, fills, outcome."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.explain.instruments import why_instrument
        from portfolio_platform.explain.printed import printed

        node = why_instrument(opened_home.require(), portfolio, symbol, setup or 0, none=no_entry)
        if json:
            print_json(node.as_json())
        else:
            out.print(printed(node), markup=False, highlight=False)


@instruments.command()
def stop(
    symbol: Symbol,
    by: Annotated[str, typer.Option("--by", help="Who orders it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    portfolio: Portfolio = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Ask a workflow to end: it flattens what it holds, waits for the ledger to say flat, stops, and stays out until `release`."""
    with opened(home, as_of) as opened_home:
        state = stop_workflow(opened_home.require(), portfolio, symbol, by, reason)
        from portfolio_platform.instruments.workflow import query
        from portfolio_platform.paper.views import readable

        waits = readable(query(state).waits_for)
        out.print(
            f"[bold]{plain(symbol)}[/] {plain(state.phase.replace('_', ' '))}; it waits for {plain(waits)}", soft_wrap=True, highlight=False
        )
        if state.phase == "flattening":
            out.print("its orders go out when the portfolio's next session runs: `portfolio paper run`, or the sensor on new bars")


@instruments.command()
def release(
    symbol: Symbol,
    by: Annotated[str, typer.Option("--by", help="Who allows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    portfolio: Portfolio = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Let the screener start a workflow again that a person ended."""
    with opened(home, as_of) as opened_home:
        release_workflow(opened_home.require(), portfolio, symbol, by, reason)
        out.print(f"{plain(symbol)} may be started again by the screener's next pass", soft_wrap=True, highlight=False)


def release_workflow(home: "Home", portfolio: str | None, symbol: str, by: str, reason: str) -> None:
    """Record that a stopped workflow may be started again. Raises `WrongUse` where nobody ended it, or there is no name or reason."""
    from portfolio_platform.errors import WrongUse
    from portfolio_platform.instruments.model import OperatorCommand
    from portfolio_platform.instruments.workflow import kept_out

    log, name, state = _workflow(home, portfolio, symbol, by, reason)
    if state.phase != "stopped" or not kept_out(state):
        raise WrongUse(f"nobody keeps {symbol!r} out of {name}; `portfolio instruments list` says what its workflow does")
    event = OperatorCommand(state.now, f"release:{by.strip()}:{state.totals.theses}:{state.now}", "unblock", by.strip(), reason.strip())
    log.advance(name, {symbol: [event]}, at=home.clock.now())


def stop_workflow(home: "Home", portfolio: str | None, symbol: str, by: str, reason: str) -> "InstrumentState":
    """Record a request to end, and return the state after it. Raises `WrongUse` where there is no such workflow, or no name or reason."""
    from portfolio_platform.instruments.model import StopRequested

    log, name, before = _workflow(home, portfolio, symbol, by, reason)
    # on paper time is that of the bars: a workflow must not see an hour that its portfolio has not reached
    at = before.now
    event = StopRequested(at, f"operator:{by.strip()}:{at}", by.strip(), reason.strip())
    log.advance(name, {symbol: [event]}, at=home.clock.now())
    with home.book.reading() as connection:
        state: Any = log.load(connection, name, [symbol])[symbol].state
    found_state: InstrumentState = state
    return found_state


def _workflow(home: "Home", portfolio: str | None, symbol: str, by: str, reason: str) -> "tuple[InstrumentLog, str, InstrumentState]":
    """Return the log, the portfolio's name and the state of a workflow that somebody orders something of."""
    from portfolio_platform.errors import WrongUse
    from portfolio_platform.instruments.store import InstrumentLog, symbols_of
    from portfolio_platform.paper.views import chosen_portfolio

    if not by.strip() or not reason.strip():
        raise WrongUse("an order to a workflow wants a name (--by) and a reason (--reason)")
    log = InstrumentLog(home.book)
    with home.book.reading() as connection:
        name = chosen_portfolio(connection, portfolio)
        found = log.load(connection, name, [symbol])
        if symbol not in found:
            raise WrongUse(f"{name} has no workflow of {symbol!r}; it has: {', '.join(symbols_of(connection, name))}")
    return log, name, found[symbol].state
