"""The command that signs an order, to be handed in by its form in Dagster where a portfolio asks for a signature."""

from pathlib import Path
from typing import Annotated

import typer

from portfolio_platform.cli.control import PortfolioArg, control
from portfolio_platform.cli.options import AsOf, HomeOption, opened


@control.command()
def sign(
    portfolio: PortfolioArg,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="mode, flatten, cap, release or release_risk_off.")],
    key: Annotated[Path, typer.Option("--key", help="File of your private key.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; as in the form.")],
    until: Annotated[str, typer.Option("--until", help="The end, an ISO time; as in the form.")] = "",
    mode: Annotated[str, typer.Option("--mode", help="Of a mode: normal, defensive or risk_off.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="Of a cap: which limit.")] = "",
    scope: Annotated[str, typer.Option("--scope", help="Of a cap: which group; all of them where it is not given.")] = "",
    exposure: Annotated[bool, typer.Option("--exposure", help="Of a cap: on gross exposure, not on risk.")] = False,
    limit: Annotated[str, typer.Option("--limit", help="Of a cap: 50000, 4%, or a count.")] = "",
    order: Annotated[str, typer.Option("--order", help="Of a release: which order; all of them where it is not given.")] = "",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Sign an order and print it as one line of text, to be handed in by the forms set_mode, flatten_only, override_limit and release."""
    with opened(home, as_of) as opened_home:
        from typing import get_args

        from portfolio_platform.cli.operators import ask_passphrase
        from portfolio_platform.control.orders import Action, Wanted, sign_order
        from portfolio_platform.control.signing import read_key
        from portfolio_platform.errors import WrongUse

        actions: tuple[Action, ...] = get_args(Action)
        wished = next((one for one in actions if one == action), None)
        if wished is None:
            raise WrongUse(f"action {action!r} is none of {', '.join(actions)}")
        basis = ("exposure" if exposure else "risk") if wished == "cap" else ""
        wanted = Wanted(portfolio, wished, reason, until, mode, rule, scope, basis, limit, order)
        typer.echo(sign_order(opened_home.require(), wanted, read_key(key, ask_passphrase)).token)
