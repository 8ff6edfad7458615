"""What the terminal shows of executions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from portfolio_platform.cli.options import out, plain, print_json
from portfolio_platform.orchestrator.amounts import money, percent

if TYPE_CHECKING:
    from portfolio_platform.desk.due import Owed
    from portfolio_platform.desk.execution import Reported
    from portfolio_platform.home import Home
    from portfolio_platform.orchestrator.execution_report import ExecutionReport
    from portfolio_platform.orchestrator.verification import Verification


def say(text: str) -> None:
    """Print a line that may be long, as it is."""
    out.print(text, soft_wrap=True, highlight=False)


def table(title: str, *columns: str) -> Table:
    """Return an empty table whose cells are folded, never cut."""
    made = Table(*columns, title=title, title_justify="left")
    for column in made.columns:
        column.overflow = "fold"
    return made


def show_reported(done: "Reported", made: "ExecutionReport") -> None:
    """Say what became of a report, then the status."""
    taken = done.taken
    parts = [
        (len(taken.fresh), "taken"),
        (len(taken.corrected), "corrected"),
        (taken.known, "known already"),
        (len(taken.bad), "set aside"),
        (taken.passed_over, "passed over (no quantity or time)"),
    ]
    fills = ", ".join(f"{count} {what}" for count, what in parts if count)
    say(f"fills: {fills or 'none'}; {done.imported} came into the ledger")
    if done.not_imported:
        say(f"[bold red]{done.not_imported} rows of it are not in the ledger[/], which set them aside: `portfolio quarantine` says why")
    for note in taken.notes:
        say(plain(note))
    for bad in taken.bad:
        say(f"[yellow]set aside:[/] {plain(bad.sentence)}")
    if done.report is None and not taken.bad:
        say("nothing of it is new: nothing has changed")
    for flag in done.fresh_flags:
        say(f"[yellow]{plain(flag.code)}:[/] {plain(flag.text)}")
    show_status(made)


def show_status(made: "ExecutionReport") -> None:
    """Show an execution: trades, limits, exits, what is asked and what falls due."""
    left = len(made.left)
    head = f"{made.execution_id}: {made.status}; {len(made.trades) - left} of {len(made.trades)} trades done"
    say(f"[bold]{plain(head)}[/]; approved by {plain(made.approved_by)}, to be begun by {made.approved_until:%Y-%m-%d %H:%M} UTC")
    rows = table("Trades", "trade", "order", "planned", "filled", "left", "price", "state")
    for row in made.trades:
        state = row.status.replace("_", " ")
        state += f" for {', '.join(row.waits_for)}" if row.status == "waiting" else f": {row.given_up}" if row.given_up else ""
        price = "" if row.price is None else f"{row.price:f} ({row.slippage_bps:f} bps)"
        order, planned = f"{row.side} {row.ticker}", f"{row.planned_quantity:f} at {row.planned_price:f}"
        rows.add_row(*map(plain, (row.trade_id, order, planned, f"{row.filled:f}", f"{row.left:f}", price, state)))
    out.print(rows)
    for flag in made.flags:
        say(f"[yellow]{plain(flag.code)}:[/] {plain(flag.text)}")
    if made.set_aside:
        say(f"{len(made.set_aside)} rows of reports were set aside; set_aside.csv in the execution's folder has them")
    if made.verification is not None:
        show_verification(made.verification)
    if made.left or made.status == "executing":
        say("What must hold afterwards:")
        for text in made.must_hold:
            say(f"  {plain(text)}")
    for one in made.exits:
        away = f"{one.distance_pct:f} % away at {one.newest_price:f}" if one.distance_pct is not None else "no price is known"
        where = f"touched at {one.touched_at:%Y-%m-%d %H:%M} UTC" if one.touched_at is not None else away
        say(f"{one.kind} of {plain(one.trade_id)} {plain(one.ticker)} at {one.level:f}: {where}")
    for asked in made.escalations:
        end = f" until {asked.due_at:%Y-%m-%d %H:%M} UTC" if asked.status == "open" else ""
        what = f"{asked.escalation_id} ({asked.trigger}): {asked.status}{end}; {asked.routing}: {asked.request}"
        say(f"escalation {plain(what)}")
    if made.next_review is not None:
        first = next(row for row in made.due if row.due_on == made.next_review)
        say(f"next due: {plain(first.title)}, {'[yellow]now[/]' if first.is_due else f'on {first.due_on}'} (`portfolio execution due`)")
    if made.document_revision:
        say(f"portfolio_document.r{made.document_revision}.md in the execution's folder has the weights now and what is left")


def show_verification(found: "Verification") -> None:
    """Show sectors and buffer after the fills, against their limits."""
    whose = "the ledger" if found.source == "ledger" else "the plan's portfolio with the reported fills"
    colour = {"pass": "green", "caution": "yellow", "fail": "bold red"}[found.buffer]
    say(
        f"Of {whose}: value {money(found.equity_minor, found.digits)} {found.currency}, cash {money(found.cash_minor, found.digits)} "
        f"({percent(found.buffer_ppm)} %, at least {percent(found.floor_ppm)} %, healthy from {percent(found.healthy_ppm)} %): "
        f"[{colour}]{found.buffer}[/]"
    )
    shares = table("Limits", "sector or position", "now", "planned", "at most", "holds")
    for one in (*found.sectors, *(row for row in found.positions if not row.passed)):
        planned = "" if one.planned_ppm is None else f"{percent(one.planned_ppm)} %"
        shares.add_row(
            plain(one.name), f"{percent(one.share_ppm)} %", planned, f"{percent(one.limit_ppm)} %", "yes" if one.passed else "[red]NO[/]"
        )
    out.print(shares)
    say("[green]all limits hold[/]" if found.passed else f"[bold red]does not hold:[/] {plain('; '.join(found.faults))}")
    for note in found.notes:
        say(f"[yellow]note:[/] {plain(note)}")


def show_log(made: "Sequence[ExecutionReport]") -> None:
    """Show the execution log of one execution or of several."""
    if not any(one.log for one in made):
        say("nothing was reported")
        return
    for one in made:
        say(f"[bold]{plain(one.execution_id)}[/]")
        for row in one.log:
            number = row.fill_id.rpartition(".")[2] + (f" in revision {row.revision}" if row.revision else "")
            fee = f", fee {money(row.fee_minor, one.digits)}" if row.fee_minor else ""
            head = f"{row.at:%Y-%m-%d %H:%M:%S}Z  {row.side} {row.quantity:f} {row.ticker} at {row.price:f}{fee}"
            parts = [f"{row.trade_id or 'beyond the plan'} fill {number}", row.account, row.sector]
            parts += [f"conviction {row.conviction}"] if row.conviction is not None else []
            parts += [f"stop {row.stop_price:f}"] if row.stop_price is not None else []
            parts += [f"targets {' '.join(f'{level:f}' for level in row.profit_targets)}"] if row.profit_targets else []
            parts += [f"buffer then {percent(row.buffer_ppm)} % {row.buffer_state.replace('_', ' ')}", row.note]
            say(f"  {plain(head)}")
            say(f"    {plain(', '.join(part for part in parts if part))}")
        for flag in one.flags:
            say(f"[yellow]{plain(flag.code)}:[/] {plain(flag.text)}")


def show_executions(home: "Home", portfolio: str | None, json: bool) -> None:
    """List the approved plans and how far each is."""
    from portfolio_platform.days import nanoseconds
    from portfolio_platform.desk.executions import executions, read_state

    now = nanoseconds(home.clock.now())
    found = [(name, plan, read_state(home, plan.execution_id)) for name, plan in executions(home, portfolio)]
    if json:
        print_json(
            [
                {"portfolio": name, "execution_id": plan.execution_id, "status": plan.status(now), "reports": len(state.reports)}
                for name, plan, state in found
            ]
        )
        return
    if not found:
        say("no plan was approved; `portfolio orchestrate list` shows the plans")
        return
    rows = table("Executions", "execution", "portfolio", "state", "trades done", "reports", "flags")
    for name, plan, state in found:
        done = sum(1 for one in state.executed.trades if not one.left)
        cells = (plan.execution_id, name, plan.status(now), f"{done} of {len(state.executed.trades)}", str(len(state.reports)))
        rows.add_row(*map(plain, (*cells, str(len(state.flags)))))
    out.print(rows)


def show_due(owed: "Sequence[Owed]", json: bool) -> None:
    """List the open items."""
    if json:
        print_json([{"portfolio": one.portfolio, "is_due": one.is_due, **one.item._asdict()} for one in owed])
        return
    if not owed:
        say("nothing falls due: no execution is over")
        return
    rows = table("Due items", "due on", "", "portfolio", "what", "id")
    for one in owed:
        rows.add_row(
            str(one.item.due_on), "[yellow]now[/]" if one.is_due else "", *map(plain, (one.portfolio, one.item.title, one.item.item_id))
        )
    out.print(rows)
