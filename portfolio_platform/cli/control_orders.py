"""Commands that order the control plane: modes, limits, flattening, releases, each with a name, a reason and an end.

Where the portfolio's policy asks for a signature, an operator's key gives it (`--key`), or one made elsewhere by `portfolio control sign`.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.control import PortfolioArg, control, in_its_time, plane_of
from portfolio_platform.cli.options import AsOf, HomeOption, opened, out, parse_as_of, plain
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.control.orders import Wanted
    from portfolio_platform.home import Home

By = Annotated[str, typer.Option("--by", help="Your name: it stays in the log. A key says it by itself.")]
Name = Annotated[str, typer.Option("--by", help="Your name: it stays in the log.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Until = Annotated[
    datetime | None,
    typer.Option("--until", parser=parse_as_of, metavar="TIME", help="The end: a day (its end) or an ISO time.", show_default="--hours"),
]
Hours = Annotated[float, typer.Option("--hours", min=0.01, help="The end, in hours from now, where --until is not given.")]
Key = Annotated[Path | None, typer.Option("--key", help="File of your private key, where the portfolio asks for a signature.")]
Token = Annotated[str, typer.Option("--signature", help="The same order signed elsewhere by `portfolio control sign`.")]


@control.command()
def mode(
    portfolio: PortfolioArg,
    wanted: Annotated[str, typer.Argument(metavar="MODE", help="normal, defensive or risk_off.")],
    reason: Reason,
    by: By = "",
    until: Until = None,
    hours: Hours = 24.0,
    key: Key = None,
    signature: Token = "",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Set the mode until an end; it stands instead of what regime and recommendations call for."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.orders import Wanted

        ends = _end(opened_home, until, hours)
        _give(opened_home, Wanted(portfolio, "mode", reason, ends, mode=wanted), f"mode {wanted}", by, key, signature)


@control.command()
def flatten(
    portfolio: PortfolioArg,
    reason: Reason,
    by: By = "",
    until: Until = None,
    hours: Hours = 24.0,
    key: Key = None,
    signature: Token = "",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Let strategies only reduce, until an end. The control plane itself trades nothing."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.orders import Wanted

        ends = _end(opened_home, until, hours)
        _give(opened_home, Wanted(portfolio, "flatten", reason, ends), "flatten only", by, key, signature)


@control.command()
def override(
    portfolio: PortfolioArg,
    rule: Annotated[
        str, typer.Argument(metavar="RULE", help="heat, symbol, cohort, sector, template, playbook, bucket, positions, new_positions.")
    ],
    to: Annotated[str, typer.Argument(metavar="LIMIT", help="An amount of the currency (50000), a share of equity (4%), or a count.")],
    reason: Reason,
    by: By = "",
    scope: Annotated[str, typer.Option("--scope", help="One group, such as a symbol; all of them where it is not given.")] = "",
    exposure: Annotated[bool, typer.Option("--exposure", help="The limit is on gross exposure, not on risk.")] = False,
    until: Until = None,
    hours: Hours = 24.0,
    key: Key = None,
    signature: Token = "",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Set one limit until an end, wider or narrower than the policy's; what was before then returns."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.orders import Wanted

        ends, basis = _end(opened_home, until, hours), "exposure" if exposure else "risk"
        given = Wanted(portfolio, "cap", reason, ends, rule=rule, scope=scope, basis=basis, limit=to)
        _give(opened_home, given, f"{rule} {scope}".strip(), by, key, signature)


@control.command()
def release(
    portfolio: PortfolioArg,
    reason: Reason,
    by: By = "",
    order: Annotated[
        str, typer.Option("--order", help="Which order, by the id that `control state` shows; all of operators where not given.")
    ] = "",
    risk_off: Annotated[bool, typer.Option("--risk-off", help="Let a live portfolio out of the drawdown regime risk_off.")] = False,
    key: Key = None,
    signature: Token = "",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """End orders before their time, or with --risk-off let a live portfolio begin again on probation.

    An order that a recommendation gave was approved, so that ending it loosens what somebody approved: it has to be named.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.orders import Wanted

        wanted = Wanted(portfolio, "release_risk_off", reason) if risk_off else Wanted(portfolio, "release", reason, order=order)
        _give(opened_home, wanted, "", by, key, signature)


@control.command()
def cancel(
    portfolio: PortfolioArg,
    intent_id: Annotated[str, typer.Argument(metavar="INTENT", help="Whose reservation.")],
    by: Name,
    reason: Reason,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Give up what is left of a reservation."""
    with opened(home, as_of) as opened_home:
        in_its_time(opened_home, portfolio)
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


def _end(home: "Home", until: datetime | None, hours: float) -> str:
    return (until or home.clock.now() + timedelta(hours=hours)).isoformat()


def _give(home: "Home", wanted: "Wanted", what: str, by: str, key: Path | None, signature: str) -> None:
    """Give an order, signed here or elsewhere where that is asked for, and say what came of it."""
    from portfolio_platform.book.approvals import SignedApproval
    from portfolio_platform.cli.operators import ask_passphrase
    from portfolio_platform.control.orders import give, sign_order
    from portfolio_platform.control.signing import read_key

    if key is not None and signature:
        raise WrongUse("give --key or --signature: one of them")
    in_its_time(home, wanted.portfolio)
    signed = SignedApproval.from_token(signature) if signature else None
    if key is not None:
        signed = sign_order(home, wanted, read_key(key, ask_passphrase))
    if signed is not None and signed.statement is not None:
        by = by or signed.statement.operator
    given = give(home, wanted, by=by, signed=signed)
    if wanted.action == "release_risk_off":
        out.print(f"{plain(wanted.portfolio)} may leave risk_off; the next build of the drawdown goes on from it")
        return
    symbols = "1 symbol was told" if given.told == 1 else f"{given.told} symbols were told"
    for name in given.orders:
        done = f"{plain(what)} until {wanted.until[:16].replace('T', ' ')}Z as order {plain(name)}" if what else f"ended {plain(name)}"
        out.print(f"{done}; {symbols}", soft_wrap=True, highlight=False)
