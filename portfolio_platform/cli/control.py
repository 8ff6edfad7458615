"""Commands that look at the control plane: its state, envelopes, decisions, and whether its log holds together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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


def in_its_time(home: "Home", portfolio: str) -> "ControlState":
    """Return a portfolio's state, for a command that writes. Raises `WrongUse` where a paper run has not reached the clock's time."""
    from portfolio_platform.control.log import driven_by_bars
    from portfolio_platform.days import NANOSECONDS_PER_DAY, format_timestamp, nanoseconds

    state = state_of(home, portfolio)
    with home.book.reading() as connection:
        driven = driven_by_bars(connection, [portfolio])
    if driven and nanoseconds(home.clock.now()) > state.now + NANOSECONDS_PER_DAY:
        reached = format_timestamp(state.now)
        raise WrongUse(
            f"time in {portfolio!r} is that of its paper run, which has reached {reached}, and the clock is further; say --as-of {reached}"
        )
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
        _print_state(view)


def _print_state(view: dict[str, Any]) -> None:
    from portfolio_platform.cli import control_tables as tables

    mode = f"{view['portfolio_mode']} ({view['mode_source']}), size × {view['size_multiplier']}"
    flat = "; [bold red]flatten only[/]" if view["force_flatten_only"] else ""
    facts = f"equity {tables.amount(view['equity'])} of {tables.minute(view['facts_at']) or 'no session yet'}"
    risk = f"active risk {tables.amount(view['active_risk'])}, reserved {tables.amount(view['reserved_risk'])}"
    out.print(f"[bold]{plain(view['portfolio'])}[/] {plain(mode)}{flat}", soft_wrap=True, highlight=False)
    out.print(plain(f"{facts}; {risk}"), soft_wrap=True, highlight=False)
    out.print(plain(f"policy {view['policy']}, terms {view['terms_version']}, events {view['version']}"), soft_wrap=True, highlight=False)
    tables.limits(view["limits"])
    tables.positions(view["positions"])
    tables.reservations(view["reservations"])
    tables.orders(view["orders"])


@control.command()
def envelopes(
    portfolio: PortfolioArg,
    symbol: Annotated[str, typer.Option("--symbol", "-s", help="One symbol only.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show the envelope in force of every active symbol; one from terms that are over is in force no more."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.views import envelope_view

        found = state_of(opened_home, portfolio)
        in_force = [one for _, one in sorted(found.issued.items()) if one.terms_version == found.terms.version]
        view = [envelope_view(one, found.digits) for one in in_force if symbol in ("", one.symbol)]
        if json:
            print_json(view)
            return
        from portfolio_platform.cli.control_tables import envelopes as printed

        printed(view)
        if not view:
            out.print("no envelope was issued yet" if not symbol else f"no envelope was issued to {plain(symbol)} yet")


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
        from portfolio_platform.cli.control_tables import decisions as printed

        printed(view, len(found))
        if not view:
            out.print("no decision is in the log yet" if not code else f"no decision with the code {plain(code)} is in the log")


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
        from portfolio_platform.control.batch import Batch
        from portfolio_platform.control.intents import read_intent
        from portfolio_platform.control.rules import decide as answer_to
        from portfolio_platform.control.views import answer_view, decision_view
        from portfolio_platform.days import nanoseconds

        found = state_of(opened_home, portfolio) if dry_run else in_its_time(opened_home, portfolio)
        if not intent_id and not dry_run:
            raise WrongUse("an intent that is recorded wants an id (--id); or try it with --dry-run")
        now = nanoseconds(opened_home.clock.now())
        given: dict[str, Any] = {"strategy": strategy, "symbol": symbol, "side": side, "requested_risk": risk, "ts": now}
        given |= {"requested_notional": notional, "template": template, "playbook": playbook, "intent_id": intent_id or "dry-run"}
        met = Batch(found, now).state  # what is over on the clock is not in it any more, as it would not be when it is asked for
        if dry_run:
            view = decision_view(answer_to(met, read_intent(given, portfolio, found.digits), now), found.digits)
        else:
            view = answer_view(plane_of(opened_home).request_allocation(given, portfolio), found.digits)
        opens = (strategy, symbol) not in met.holders and view["approved"] and side != "flat"
        view = {**view, "dry_run": dry_run, "headrooms": [_after(room, view, opens) for room in view["headrooms"]]}
        if json:
            print_json(view)
            return
        _print_decision(view)


def _after(room: dict[str, Any], view: dict[str, Any], opens: bool) -> dict[str, Any]:
    """Return what a rule saw, with what is used of its limit once the grant is reserved."""
    from decimal import Decimal

    more = {"risk": view["approved_risk"], "exposure": view["approved_notional"] or "0", "count": "1" if opens else "0"}[room["basis"]]
    return {**room, "after": None if room["limit"] is None else str(Decimal(room["used"]) + Decimal(more))}


def _print_decision(view: dict[str, Any]) -> None:
    from portfolio_platform.cli import control_tables as tables

    words = "; ".join(view["reasons"])
    told = f"{view['decision_code']}: {tables.amount(view['approved_risk'])} of {tables.amount(view['requested_risk'])}"
    colour = "green" if view["approved"] else "red"
    out.print(f"[bold {colour}]{plain(told)}[/]{f' ({plain(words)})' if words else ''}", soft_wrap=True, highlight=False)
    if view["dry_run"]:
        out.print("[dim]a dry run: nothing was recorded[/]")
    elif view["repeated"]:
        out.print("[dim]answered before: this is that answer again[/]")
    elif view["expires_at"]:
        out.print(f"reserved until {tables.minute(view['expires_at'])}Z", highlight=False)
    tables.rooms(view["headrooms"])


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
    """Verify the whole log: the store's own check, hash chain, signed checkpoints; name the first event that does not fit."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.integrity import damages
        from portfolio_platform.control.checkpoints import verify_checkpoints

        with opened_home.require().book.reading() as connection:
            broken = damages(connection)
        found = verify_checkpoints(opened_home, also=also or [])
        if json:
            chain = {"ok": found.chain.ok, "events": found.chain.events, "reason": found.chain.reason}
            told = {"ok": found.ok and not broken, "store": broken, "chain": chain, "checkpoints": found.checkpoints}
            print_json({**told, "covered": found.covered, "faults": [vars(one) for one in found.faults]})
        else:
            covered = f"the newest that fits covers event {found.covered:,}" if found.covered else "none covers what is whole"
            out.print(f"{found.chain.events:,} events in the chain; {found.checkpoints:,} checkpoints, {covered}", highlight=False)
        if not found.ok:
            raise DataProblem(f"event {found.first_bad_seq}: {found.reason}")
        if broken:
            raise DataProblem(f"the log is whole, its store is not: {broken[0]}; restore the book from a backup")
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
