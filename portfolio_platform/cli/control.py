"""Commands that look at the control plane: its state, envelopes, decisions, and whether its log holds together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, opened, out, plain, print_json
from portfolio_platform.errors import DataProblem, WrongUse

if TYPE_CHECKING:
    from portfolio_platform.control.plane import ControlPlane
    from portfolio_platform.control.state import ControlState
    from portfolio_platform.home import Home

control = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="The authority for shared limits: ask it, order it, audit it.")
PortfolioArg = Annotated[str, typer.Argument(metavar="PORTFOLIO", help="Which portfolio.")]
Rows = Annotated[int, typer.Option("--rows", "-n", min=1, help="How many, the newest first.")]


def plane_of(home: "Home") -> "ControlPlane":
    """Return the control plane of a home."""
    from portfolio_platform.control.plane import ControlPlane

    return ControlPlane(home.require().book, home.clock)


def state_of(home: "Home", portfolio: str) -> "ControlState":
    """Return a portfolio's state. Raises `WrongUse` where the control plane is not in charge of it."""
    from portfolio_platform.control.log import opened_portfolios

    state = plane_of(home).get_portfolio_state(portfolio)
    if not state.terms.limits.policy_hash:
        with home.book.reading() as connection:
            known = ", ".join(opened_portfolios(connection)) or "none yet; `portfolio control cycle` begins with those of the ledger"
        raise WrongUse(f"the control plane is not in charge of {portfolio!r}; it is of: {known}")
    return state


@control.command()
def state(portfolio: PortfolioArg, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show mode, limits with what is used of them, positions, reservations and orders."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.views import state_view

        view = state_view(state_of(opened_home, portfolio))
        if json:
            print_json(view)
            return
        mode = f"{view['portfolio_mode']} ({view['mode_source']}), size × {view['size_multiplier']}"
        flat = "; [bold red]flatten only[/]" if view["force_flatten_only"] else ""
        out.print(f"[bold]{plain(portfolio)}[/] {plain(mode)}{flat}", soft_wrap=True)
        facts = f"equity {view['equity']} of {view['facts_at']}; active risk {view['active_risk']}, reserved {view['reserved_risk']}"
        out.print(plain(f"{facts}; policy {view['policy']}, terms {view['terms_version']}, events {view['version']}"), soft_wrap=True)
        _print("Limits", view["limits"], ("rule", "scope", "basis", "limit", "used", "headroom", "use", "source"))
        _print("Positions", view["positions"], ("strategy", "symbol", "quantity", "risk", "exposure", "template", "playbook"))
        _print("Reservations", view["reservations"], ("intent_id", "strategy", "symbol", "side", "granted", "remaining", "expires_at"))
        _print("Orders", view["orders"], ("order_id", "kind", "source", "mode", "rule", "scope", "amount", "until", "reason"))


@control.command()
def envelopes(
    portfolio: PortfolioArg,
    symbol: Annotated[str, typer.Option("--symbol", "-s", help="One symbol only.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show the newest envelope of every active symbol."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.views import envelope_view

        found = state_of(opened_home, portfolio)
        view = [envelope_view(one, found.digits) for name, one in sorted(found.issued.items()) if symbol in ("", name)]
        if json:
            print_json(view)
            return
        columns = ("symbol", "version", "portfolio_mode", "force_flatten_only", "size_multiplier_cap", "symbol_max_risk", "max_new_risk")
        _print("Envelopes", view, (*columns, "max_additional_positions", "binding", "expires_at"))
        if not view:
            out.print("no envelope was issued yet")


@control.command()
def decisions(
    portfolio: PortfolioArg,
    rows: Rows = 20,
    code: Annotated[str, typer.Option("--code", help="Only this code, such as rejected_heat.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the newest decisions of the log."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.events import AllocationDecided
        from portfolio_platform.control.log import events_after
        from portfolio_platform.control.views import decision_view

        digits = state_of(opened_home, portfolio).digits
        with opened_home.book.reading() as connection:
            events = (one.event for one in events_after(connection, portfolio))
            found = [one.decision for one in events if isinstance(one, AllocationDecided) and code in ("", one.decision.code)]
        view = [decision_view(one, digits) for one in reversed(found[-rows:])]
        if json:
            print_json(view)
            return
        columns = ("decided_at", "intent_id", "strategy", "symbol", "decision_code", "requested_risk", "approved_risk", "reasons")
        _print(f"Decisions ({len(found)} in all)", view, columns)
        if not view:
            out.print("no decision is in the log yet")


@control.command()
def decide(
    portfolio: PortfolioArg,
    symbol: Annotated[str, typer.Option("--symbol", "-s", help="In what.")],
    side: Annotated[str, typer.Option("--side", help="long, short, or flat to reduce.")],
    risk: Annotated[str, typer.Option("--risk", help="Loss at the stop, in the portfolio's currency.")] = "0",
    notional: Annotated[str | None, typer.Option("--notional", help="Gross exposure, in the portfolio's currency.")] = None,
    strategy: Annotated[str, typer.Option("--strategy", help="Who asks.")] = "",
    template: Annotated[str, typer.Option("--template", help="The strategy type behind it.")] = "",
    playbook: Annotated[str, typer.Option("--playbook", help="The playbook behind it.")] = "",
    intent_id: Annotated[str, typer.Option("--id", help="Id of the intent; it is asked for unless --dry-run.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would be answered and do to every limit; record nothing.")
    ] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Ask for an allocation, or see with --dry-run what a trade would do to every limit."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.intents import read_intent
        from portfolio_platform.control.rules import decide as answer_to
        from portfolio_platform.control.views import answer_view, decision_view
        from portfolio_platform.days import nanoseconds

        found = state_of(opened_home, portfolio)
        if not intent_id and not dry_run:
            raise WrongUse("an intent that is recorded wants an id (--id); or try it with --dry-run")
        now = nanoseconds(opened_home.clock.now())
        given: dict[str, Any] = {"strategy": strategy, "symbol": symbol, "side": side, "requested_risk": risk, "ts": now}
        given |= {"requested_notional": notional, "template": template, "playbook": playbook, "intent_id": intent_id or "dry-run"}
        if dry_run:
            view = decision_view(answer_to(found, read_intent(given, portfolio, found.digits), now), found.digits)
        else:
            view = answer_view(plane_of(opened_home).request_allocation(given, portfolio), found.digits)
        if json:
            print_json(view)
            return
        _print_decision(view, dry_run)


def _print_decision(view: dict[str, Any], dry_run: bool) -> None:
    told = f"{view['decision_code']}: {view['approved_risk']} of {view['requested_risk']}"
    out.print(f"[bold]{plain(told)}[/] {plain('; '.join(view['reasons']))}{' [dim](dry run, nothing recorded)[/]' if dry_run else ''}")
    granted = float(view["approved_risk"])
    rooms = []
    for room in view["headrooms"]:
        after = "" if room["limit"] is None or room["basis"] != "risk" else f"{float(room['used']) + granted:,.2f}"
        rooms.append({**room, "limit": room["limit"] or "none", "after it": after})
    _print("What every rule saw", rooms, ("rule", "scope", "basis", "limit", "used", "headroom", "after it", "source"))


@control.command()
def why(
    intent_id: Annotated[str, typer.Argument(metavar="INTENT", help="Id of the intent.")],
    portfolio: Annotated[str, typer.Option("--portfolio", "-p", help="Whose it is, where several have one of that id.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Explain a decision: intent, the state it met, every headroom, the order behind a cap, who gave it, and what it rested on."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.explain.decisions import why_decided
        from portfolio_platform.explain.printed import printed

        node = why_decided(opened_home.require(), intent_id, portfolio)
        if json:
            print_json(node.as_json())
        else:
            out.print(printed(node), markup=False, highlight=False)


@control.command()
def replay(portfolio: PortfolioArg, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Work every decision and envelope out again from the log alone, and compare it with what was recorded."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.audit import audit
        from portfolio_platform.control.log import envelopes_of, events_after

        state_of(opened_home, portfolio)
        with opened_home.book.reading() as connection:
            found = audit(portfolio, events_after(connection, portfolio), envelopes_of(connection, portfolio))
        said = {"portfolio": portfolio, "events": found.events, "decisions": found.decisions, "envelopes": found.envelopes}
        if json:
            print_json({**said, "fault": None if found.fault is None else found.fault._asdict()})
        else:
            out.print(
                f"{plain(portfolio)}: {found.events} events, {found.decisions} decisions and {found.envelopes} envelopes worked out again"
            )
        if found.fault is not None:
            one = found.fault
            raise DataProblem(f"event {one.seq} (version {one.version}): {one.what} should be {one.expected}, and is {one.found}")
        if not json:
            out.print("[green]equal[/]")


@control.command()
def verify(
    also: Annotated[
        list[Path] | None, typer.Option("--checkpoints", help="A copy of the checkpoints kept elsewhere; may be repeated.")
    ] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Verify the whole log: hash chain, signed checkpoints; name the first event that does not fit."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.checkpoints import verify_checkpoints

        found = verify_checkpoints(opened_home.require(), also=also or [])
        if json:
            chain = {"ok": found.chain.ok, "events": found.chain.events, "reason": found.chain.reason}
            faults = [vars(one) for one in found.faults]
            print_json({"ok": found.ok, "chain": chain, "checkpoints": found.checkpoints, "covered": found.covered, "faults": faults})
        else:
            out.print(f"{found.chain.events} events in the chain; {found.checkpoints} checkpoints, the newest covers event {found.covered}")
        if not found.ok:
            raise DataProblem(f"event {found.first_bad_seq}: {found.reason}")
        if not json:
            out.print("[green]whole[/]")


@control.command()
def checkpoint(
    key: Annotated[Path | None, typer.Option("--key", help="An operator's key; the platform's own where none is named.")] = None,
    also: Annotated[list[Path] | None, typer.Option("--out", help="A further file, best on another machine; may be repeated.")] = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Sign the end of the log, so that a cut or a rewritten history shows."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.operators import ask_passphrase
        from portfolio_platform.control.checkpoints import write_checkpoint
        from portfolio_platform.control.signing import read_key

        made = write_checkpoint(opened_home.require(), key=None if key is None else read_key(key, ask_passphrase), also=also or [])
        out.print(f"event {made.seq} is signed with key {made.key_id} at {made.at}")


def _print(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Print rows as a table, their columns in order; nothing where there are none."""
    if not rows:
        return
    table = Table(*[column.replace("_", " ") for column in columns], title=title, title_justify="left")
    for column, heading in zip(table.columns, columns, strict=True):
        column.overflow = "fold"
        if heading in ("limit", "used", "headroom", "use", "risk", "exposure", "quantity", "granted", "remaining", "amount", "after it"):
            column.justify = "right"
    for row in rows:
        table.add_row(*[plain(_cell(row.get(column))) for column in columns])
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
