"""Commands that order the control plane: modes, limits, flattening, releases, each with a name, a reason and an end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.control import PortfolioArg, control, plane_of, state_of
from portfolio_platform.cli.options import AsOf, HomeOption, opened, out, parse_as_of, plain
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.control.terms import Order
    from portfolio_platform.home import Home

By = Annotated[str, typer.Option("--by", help="Your name: it stays in the log.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Until = Annotated[
    datetime | None,
    typer.Option("--until", parser=parse_as_of, metavar="TIME", help="The end: a day (its end) or an ISO time.", show_default="--hours"),
]
Hours = Annotated[float, typer.Option("--hours", min=0.01, help="The end, in hours from now, where --until is not given.")]


@control.command()
def mode(
    portfolio: PortfolioArg,
    wanted: Annotated[str, typer.Argument(metavar="MODE", help="normal, defensive or risk_off.")],
    by: By,
    reason: Reason,
    until: Until = None,
    hours: Hours = 24.0,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Set the mode until an end; it stands instead of what regime and recommendations call for."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.model import GRAVITY

        if wanted not in GRAVITY:
            raise WrongUse(f"mode {wanted!r} is none of {', '.join(GRAVITY)}")
        _give(opened_home, portfolio, "mode", by, reason, until, hours, mode=wanted)


@control.command()
def flatten(
    portfolio: PortfolioArg,
    by: By,
    reason: Reason,
    until: Until = None,
    hours: Hours = 24.0,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Let strategies only reduce, until an end. The control plane itself trades nothing."""
    with opened(home, as_of) as opened_home:
        _give(opened_home, portfolio, "flatten", by, reason, until, hours)


@control.command()
def override(
    portfolio: PortfolioArg,
    rule: Annotated[
        str, typer.Argument(metavar="RULE", help="heat, symbol, cohort, sector, template, playbook, bucket, positions, new_positions.")
    ],
    to: Annotated[str, typer.Argument(metavar="LIMIT", help="An amount of the currency (50000), a share of equity (4%), or a count.")],
    by: By,
    reason: Reason,
    scope: Annotated[str, typer.Option("--scope", help="One group, such as a symbol; all of them where it is not given.")] = "",
    exposure: Annotated[bool, typer.Option("--exposure", help="The limit is on gross exposure, not on risk.")] = False,
    until: Until = None,
    hours: Hours = 24.0,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Set one limit until an end, wider or narrower than the policy's; what was before then returns."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.terms import COUNTS, RISK

        if rule not in (*RISK, *COUNTS):
            raise WrongUse(f"rule {rule!r} is none of {', '.join((*RISK, *COUNTS))}")
        equity, digits = _equity(opened_home, portfolio)
        if rule in COUNTS:
            amount, basis, part = _count(to), "count", 0
        else:
            (amount, part), basis = _amount(to, equity, digits), "exposure" if exposure else "risk"
        _give(
            opened_home,
            portfolio,
            "cap",
            by,
            reason,
            until,
            hours,
            rule=rule,
            scope="" if rule in ("heat", *COUNTS) else scope,
            basis=basis,
            amount=amount,
            equity=equity,
            share=part,
        )


@control.command()
def release(
    portfolio: PortfolioArg,
    by: By,
    reason: Reason,
    order: Annotated[
        str, typer.Option("--order", help="Which order, by the id that `control state` shows; all of operators where not given.")
    ] = "",
    risk_off: Annotated[bool, typer.Option("--risk-off", help="Let a live portfolio out of the drawdown regime risk_off.")] = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """End orders before their time, or with --risk-off let a live portfolio begin again on probation.

    An order that a recommendation gave was approved, so that ending it loosens what somebody approved: it has to be named.
    """
    with opened(home, as_of) as opened_home:
        state, plane = state_of(opened_home, portfolio), plane_of(opened_home)
        if risk_off:
            if state.terms.facts.regime != "risk_off":
                raise WrongUse(
                    f"{portfolio} is not in risk_off but in {state.terms.facts.regime or 'no regime yet'}; there is nothing to release"
                )
            plane.release_risk_off(portfolio, by=by, reason=reason)
            out.print(f"{plain(portfolio)} may leave risk_off; the next build of the drawdown goes on from it")
            return
        wanted = [order] if order else sorted(name for name, one in state.terms.orders.items() if one.source == "operator")
        if not wanted or (order and order not in state.terms.orders):
            what = f"order {order}" if order else "order of an operator"
            raise WrongUse(f"{portfolio} has no {what}; `portfolio control state {portfolio}` lists them")
        for name in wanted:
            plane.end_order(portfolio, name, by=by, reason=reason)
            out.print(f"ended {plain(name)}")


@control.command()
def cancel(
    portfolio: PortfolioArg,
    intent_id: Annotated[str, typer.Argument(metavar="INTENT", help="Whose reservation.")],
    by: By,
    reason: Reason,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Give up what is left of a reservation."""
    with opened(home, as_of) as opened_home:
        state_of(opened_home, portfolio)
        if not plane_of(opened_home).cancel(portfolio, intent_id, by=by, reason=reason):
            raise WrongUse(f"nothing is reserved for intent {intent_id!r}; `portfolio control state {portfolio}` lists what is")
        out.print(f"released what was left for {plain(intent_id)}")


@control.command()
def serve(
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File that holds the token.", show_default="control.token in the home")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8350,
    host: Annotated[str, typer.Option("--host", help="An address of this machine only.")] = "127.0.0.1",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Serve the control plane over HTTP on this machine, for strategies in other processes. Ctrl-C ends it."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.http import local_host, serve
        from portfolio_platform.control.tokens import IN_HOME, read_token

        secret, where = read_token(token_file or opened_home.require().root / IN_HOME), local_host(host)
        out.print(f"http://{where}:{port}/openapi.json describes the calls; each wants `Authorization: Bearer` and the token")
        serve(plane_of(opened_home), secret, where, port)


@control.command()
def token(
    file: Annotated[Path | None, typer.Option("--out", help="A new file for it that only you can read, instead of the terminal.")] = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Make a new token for `serve`, and print it or write it to a file."""
    with opened(home, as_of):
        from portfolio_platform.control.tokens import made_token, write_token

        if file is None:
            typer.echo(made_token())
            return
        write_token(file)
        out.print(f"a new token is in {plain(file)}; strategies that ask over HTTP need it", soft_wrap=True, highlight=False)


def _give(
    home: "Home",
    portfolio: str,
    kind: str,
    by: str,
    reason: str,
    until: datetime | None,
    hours: float,
    *,
    mode: str = "",
    rule: str = "",
    scope: str = "",
    basis: str = "",
    amount: int = 0,
    equity: int = 0,
    share: int = 0,
) -> None:
    import secrets

    from portfolio_platform.book.read_models import require_name
    from portfolio_platform.control.terms import Order
    from portfolio_platform.days import nanoseconds

    state_of(home, portfolio)
    now = home.clock.now()
    end = until or now + timedelta(hours=hours)
    given = Order(
        order_id=f"{kind}-{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        kind=kind,
        source="operator",
        by=require_name(by),
        reason=reason.strip(),
        begins=nanoseconds(now),
        until=nanoseconds(end),
        mode=mode,
        rule=rule,
        scope=scope,
        basis=basis,
        amount=amount,
        equity=equity,
        share=share,
    )
    told = plane_of(home).give_order(portfolio, [given])
    _said(given, end, len(told))


def _said(order: "Order", end: datetime, told: int) -> None:
    what = {"mode": f"mode {order.mode}", "flatten": "flatten only"}.get(order.kind, f"{order.rule} {order.scope}".strip())
    symbols = "1 symbol was told" if told == 1 else f"{told} symbols were told"
    said = f"{plain(what)} until {end:%Y-%m-%d %H:%M}Z as order {plain(order.order_id)}; {symbols}"
    out.print(said, soft_wrap=True, highlight=False)


def _equity(home: "Home", portfolio: str) -> tuple[int, int]:
    state = state_of(home, portfolio)
    return state.terms.facts.equity, state.digits


def _count(text: str) -> int:
    if not text.isdigit():
        raise WrongUse(f"{text!r} is no count; write a whole number")
    return int(text)


def _amount(text: str, equity: int, digits: int) -> tuple[int, int]:
    """Return minor units, and the share of equity in parts per million where it was one."""
    from portfolio_platform.control.model import MILLION
    from portfolio_platform.control.money import minor

    try:
        if text.endswith("%"):
            part = minor(text[:-1], 4)
            return equity * part // MILLION, part
        return minor(text, digits), 0
    except ValueError as error:
        raise WrongUse(f"{text!r} is no amount; write 50000 or 4%") from error
