"""Commands about operators: whose signature counts, and their keys."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.operators import Operator

operators = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="The people whose signature counts, and their keys.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the operator.")]


@operators.command()
def add(
    name: Name,
    key_out: Annotated[
        Path | None, typer.Option("--key-out", help="New file for the private key that is made; keep it to yourself.")
    ] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help="File of a public key of ed25519: PEM or OpenSSH.")] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase that locks the new file.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who adds them; without it, they themselves.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Add an operator: make a key whose private part goes to the file you name and nowhere else, or take a public key they have."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.operators import add_operator

        if passphrase and key_out is None:
            raise WrongUse("--passphrase locks the file of --key-out; name that file")
        phrase = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True) if passphrase else ""
        made = add_operator(opened_home.require(), name, by=by, key_out=key_out, public_key=public_key, passphrase=phrase)
        if json:
            print_json(asdict(made))
            return
        out.print(f"{plain(made.name)}: added with the key {made.id}", soft_wrap=True)
        if key_out is not None:
            out.print(f"the private key is in {plain(key_out)} and nowhere else: who has the file signs as you", soft_wrap=True)


@operators.command()
def remove(
    name: Name,
    by: Annotated[str, typer.Option("--by", help="Your name: it stays with what you do.")],
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Remove an operator's key: what it signed stands, nothing that it signs is taken any more."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.operators import remove_operator

        gone = remove_operator(opened_home.require(), name, by=by)
        if json:
            print_json(asdict(gone))
        else:
            out.print(f"{plain(gone.name)}: the key {gone.id} was removed by {plain(gone.removed_by)}", soft_wrap=True)


@operators.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were removed.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the operators whose signature counts."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.operators import listed

        with opened_home.require().book.reading() as connection:
            found = [one for one in listed(connection) if all_ or one.is_active]
        if json:
            print_json([asdict(one) for one in found])
            return
        table = Table("name", "key", "added", "by", "removed", title="Operators", title_justify="left")
        table.columns[1].overflow = "fold"  # an id that is cut cannot be copied
        for one in found:
            gone = f"{one.removed_at[:19]} by {one.removed_by}" if one.removed_at else ""
            table.add_row(*map(plain, (one.name, one.id, one.added_at[:19], one.added_by, gone)))
        out.print(
            table if found else "there is no operator; [bold]portfolio operators add NAME --key-out FILE[/] makes one", soft_wrap=True
        )


@operators.command()
def show(name: Name, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show an operator's keys, and what they decided."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book import approvals
        from portfolio_platform.book.operators import named

        with opened_home.require().book.reading() as connection:
            keys = named(connection, name)
            handed_in = [one for one in approvals.listed(connection) if one.operator == name]
        if not keys:
            raise WrongUse(f"there is no operator {name!r}; `portfolio operators list --all` names them")
        if json:
            told = [{**asdict(one), "content": one.content.decode()} for one in handed_in]
            print_json({"name": name, "keys": [asdict(key) for key in keys], "approvals": told})
            return
        table = Table(show_header=False, title=plain(name), title_justify="left")
        for key in keys:
            table.add_row(key.id, plain(_key(key)))
        for one in handed_in:
            how = one.state if one.state == "accepted" else f"refused, {one.code.replace('_', ' ')}"
            table.add_row(one.at[:19], plain(f"{one.decision} {one.subject}: {how}"))
        out.print(table)


def ask_passphrase() -> str:
    """Return the passphrase of a key's file, asked for without an echo."""
    phrase: str = typer.prompt("Passphrase of the key", hide_input=True, err=True)
    return phrase


def _key(key: "Operator") -> str:
    added = f"public key {key.public_key}, added {key.added_at[:19]} by {key.added_by}"
    return f"{added}, removed {key.removed_at[:19]} by {key.removed_by}" if key.removed_at else added
