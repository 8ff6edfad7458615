"""Commands about executions: a person reports what was done of a plan; what is left, whether the limits hold, what falls due."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.execution_paper import paper
from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, parse_as_of, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.desk.execution import Given
    from portfolio_platform.home import Home
    from portfolio_platform.orchestrator.execution_rows import Rows

execution = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="What was done of an approved plan: report it, see what is left and whether the portfolio keeps its limits.",
)
execution.command("paper")(paper)
Identity = Annotated[str, typer.Argument(metavar="EXECUTION_ID", help="Id of the plan, as `portfolio orchestrate list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Your name: it stays with what you report.")]
Time = Annotated[
    datetime | None, typer.Option("--at", parser=parse_as_of, metavar="TIME", help="When, an ISO time with its offset.", show_default="now")
]


@execution.command()
def report(
    execution_id: Identity,
    by: By = "",
    csv: Annotated[Path | None, typer.Option("--csv", help="A file of fills; `--template` writes one to fill in.")] = None,
    template: Annotated[bool, typer.Option("--template", help="Write the CSV to fill in, a row for each trade that is left.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Ask for each trade in the terminal; Enter takes the planned.")
    ] = False,
    trade: Annotated[str, typer.Option("--trade", help="The trade of the plan.")] = "",
    fill: Annotated[str, typer.Option("--fill", help="Number of the fill in its trade, to correct it.")] = "",
    ticker: Annotated[str, typer.Option("--ticker", help="What was traded, where it is not as planned.")] = "",
    side: Annotated[str, typer.Option("--side", help="buy or sell, where it is not as planned.")] = "",
    account: Annotated[str, typer.Option("--account", help="Where, if not as planned.")] = "",
    quantity: Annotated[str, typer.Option("--quantity", help="Shares of the fill.")] = "",
    price: Annotated[str, typer.Option("--price", help="Price of one share.")] = "",
    fee: Annotated[str, typer.Option("--fee", help="Fee of the fill.")] = "",
    stop: Annotated[str, typer.Option("--stop", help="Stop-loss that was placed.")] = "",
    targets: Annotated[str, typer.Option("--targets", help="Profit targets that were placed, apart by spaces.")] = "",
    note: Annotated[str, typer.Option("--note", help="Anything worth keeping.")] = "",
    at: Time = None,
    placed: Annotated[bool, typer.Option("--placed", help="The order of --trade was given, at --at; nothing is filled yet.")] = False,
    give_up: Annotated[str, typer.Option("--give-up", metavar="REASON", help="What is left of --trade is not going to be done.")] = "",
    withdraw: Annotated[list[str] | None, typer.Option("--withdraw", help="Id of a fill that never happened.")] = None,
    correct: Annotated[bool, typer.Option("--correct", help="Fills that were reported otherwise before are corrected.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="With --template: write to this file.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Report what was done of an approved plan: a file of fills, a form in the terminal, or one fill on the command line.

    The fills go into the log and into the ledger. The same report again changes nothing; rows that cannot be right are set aside and said,
    the others are taken.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk.execution import Given

        base = opened_home.require()
        execution_id = _named(base, execution_id)
        if template:
            _template(base, execution_id, output)
            return
        row = {
            "trade_id": trade, "fill": fill, "ticker": ticker, "side": side, "account": account, "quantity": quantity, "price": price,
            "fee": fee, "stop_price": stop, "profit_targets": targets, "note": note, "at": _text(at or base.clock.now()),
        }  # fmt: skip
        _one_way(csv, interactive, quantity, trade, bool(placed or give_up), bool(withdraw))
        form = _asked(base, execution_id, by) if interactive else None
        given = Given(
            by=by or (form.by if form is not None else ""),
            rows=form.rows if form is not None else _rows(base, csv, row if quantity else None),
            placed=((trade, at or base.clock.now()),) if placed else (),
            given_up=((trade, give_up),) if give_up else (form.given_up if form is not None else ()),
            withdrawn=tuple(withdraw or ()),
            corrections=correct,
        )
        _hand_in(base, execution_id, given, json)


@execution.command()
def status(
    execution_id: Annotated[str, typer.Argument(metavar="[EXECUTION_ID]")] = "",
    portfolio: Portfolio = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show what is done of a plan, what is left, cash and buffer now, whether it still keeps its limits, and what falls due next."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.execution_tables import show_executions, show_status
        from portfolio_platform.desk.execution import follow
        from portfolio_platform.desk.execution_status import execution_report

        base = opened_home.require()
        if not execution_id:
            show_executions(base, portfolio, json)
            return
        made = execution_report(base, follow(base, _named(base, execution_id), pages=True).state)
        if json:
            print_json(made.model_dump(mode="json"))
            return
        show_status(made)


@execution.command()
def log(
    execution_id: Annotated[str, typer.Argument(metavar="[EXECUTION_ID]")] = "",
    portfolio: Portfolio = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show the execution log: every fill with price, quantity, time, sector, conviction, stops and targets, and the buffer after it."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.execution_tables import show_log
        from portfolio_platform.desk.execution_status import execution_report
        from portfolio_platform.desk.executions import executions, read_state

        base = opened_home.require()
        names = [_named(base, execution_id)] if execution_id else [plan.execution_id for _, plan in executions(base, portfolio)]
        made = [execution_report(base, read_state(base, name), live=False) for name in names]
        if json:
            print_json([one.model_dump(mode="json") for one in made])
            return
        show_log(made)


@execution.command()
def due(
    portfolio: Portfolio = None,
    done: Annotated[str, typer.Option("--done", metavar="ITEM", help="The item that you did, by its id.")] = "",
    by: By = "",
    note: Annotated[str, typer.Option("--note", help="What you found.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List what falls due after executions (allocations, balance, stops, theses, reviews), or mark an item as done."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.execution_tables import show_due
        from portfolio_platform.desk.due import alert_due, due_items, mark_done

        base = opened_home.require()
        if done:
            owed = mark_done(base, done, by=by, note=note)
            out.print(f"done: {plain(owed.item.title)} of {plain(owed.portfolio)}", soft_wrap=True, highlight=False)
        else:
            alert_due(base)
        show_due(due_items(base, portfolio), json)


@execution.command()
def watch(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Look after everything that hangs on the clock or on new bars: flags, escalations and their ends, stops and targets, due items."""
    with opened(home, as_of) as opened_home:
        from dataclasses import asdict

        from portfolio_platform.desk.watch import watch as look

        done = look(opened_home.require())
        if json:
            print_json(asdict(done))
            return
        out.print(plain(done.sentence), soft_wrap=True, highlight=False)


def _one_way(csv: Path | None, interactive: bool, quantity: str, trade: str, said_of_trade: bool, withdraws: bool) -> None:
    """Refuse a report that says nothing, or the same in several ways. Raises `WrongUse`."""
    chosen = [name for name, said in (("--csv", csv), ("--interactive", interactive), ("--quantity", quantity)) if said]
    if len(chosen) > 1:
        raise WrongUse(f"{' and '.join(chosen)} are given; report in one way at a time")
    if not chosen and not said_of_trade and not withdraws:
        raise WrongUse(
            "say what was done: --csv FILE (`--template` writes one), --interactive, or --trade T --quantity N --price P; "
            "--placed, --give-up REASON or --withdraw FILL_ID for what is no fill"
        )
    if said_of_trade and not trade:
        raise WrongUse("say of which trade: --trade T")


def _named(home: "Home", execution_id: str) -> str:
    """Return the id of a plan; its end is enough where only one plan ends so."""
    from portfolio_platform.desk.prepare import plan_named

    return plan_named(home, execution_id)[1].execution_id


def _text(at: datetime) -> str:
    return at.isoformat()


def _template(home: "Home", execution_id: str, output: Path | None) -> None:
    from portfolio_platform.desk.executions import read_state
    from portfolio_platform.orchestrator.execution_rows import template

    state = read_state(home, execution_id)
    text = template(state.papers.plan, state.executed)
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    out.print(f"{plain(output)} has a row for each trade that is left; fill in and report it with --csv", soft_wrap=True, highlight=False)


def _rows(home: "Home", csv: Path | None, row: dict[str, str] | None) -> "Rows":
    from portfolio_platform.desk.execution import NOTHING
    from portfolio_platform.orchestrator.execution_rows import LARGEST, read_rows, read_texts

    if csv is not None:
        if csv.is_file() and csv.stat().st_size > LARGEST:
            raise WrongUse(
                f"{csv.name} has {csv.stat().st_size} bytes, and at most {LARGEST} are read; report the fills of this plan alone"
            )
        return read_rows(csv.read_bytes(), csv.name, home.clock.now())
    return NOTHING if row is None else read_texts(row, home.clock.now(), "the command line")


def _asked(home: "Home", execution_id: str, by: str) -> "Given":
    from portfolio_platform.cli.execution_form import ask
    from portfolio_platform.desk.executions import read_state

    return ask(read_state(home, execution_id), home.clock.now(), by)


def _hand_in(home: "Home", execution_id: str, given: "Given", json: bool) -> None:
    from portfolio_platform.cli.execution_tables import show_reported
    from portfolio_platform.desk.execution import report as take
    from portfolio_platform.desk.execution_status import execution_report

    done = take(home, execution_id, given)
    made = execution_report(home, done.state)
    if json:
        said = {
            "taken": len(done.taken.fresh),
            "corrected": len(done.taken.corrected),
            "known": done.taken.known,
            "set_aside": [bad.model_dump(mode="json") for bad in done.taken.bad],
            "passed_over": done.taken.passed_over,
            "imported": done.imported,
            "not_imported": done.not_imported,
            "flags": [flag.model_dump(mode="json") for flag in done.fresh_flags],
        }
        print_json({**said, "execution": made.model_dump(mode="json")})
    else:
        show_reported(done, made)
    if done.taken.bad:
        raise typer.Exit(1)
