"""Commands about recommendations: what is proposed, and a person's word on it."""

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.recommendations import Recommendation
    from portfolio_platform.home import Home

recommendations = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What is recommended, and who decided on it.")
SHOWN_HASH, LEAST_HASH = 12, 8
Identity = Annotated[str, typer.Argument(metavar="ID", help="Id of the recommendation, as `portfolio recommendations list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Your name: it stays with the decision.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Hash = Annotated[str, typer.Option("--hash", help="Hash of what you decide on, as `show` says it; its first eight characters do.")]


@recommendations.command("list")
def list_(
    portfolio: Portfolio = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the recommendations that hold or wait for a decision."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.recommendations import OPEN, listed

        with opened_home.require().book.reading() as connection:
            found = listed(connection, portfolio, () if all_ else OPEN)
        if json:
            print_json([as_json(one) for one in found])
            return
        table = Table("state", "portfolio", "mode", "what it changes", "issued", "expires", "decided by", "hash", "id")
        for column in table.columns:
            column.overflow = "fold"  # an id that is cut cannot be copied
        table.title, table.title_justify = "Recommendations", "left"
        for one in found:
            changes = "; ".join(_adjustment(item) for item in one.said.get("adjustments") or []) or "nothing"
            cells = (one.state, one.portfolio, one.mode, changes, one.issued, one.expires, one.decided_by, one.content_hash[:SHOWN_HASH])
            table.add_row(*map(plain, (*cells, one.id)))
        out.print(table if found else "no recommendation is open")


@recommendations.command()
def show(identity: Identity, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show one recommendation: what it would change, on what evidence, until when, and what became of it."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book import annotations
        from portfolio_platform.book.recommendations import by_id

        with opened_home.require().book.reading() as connection:
            one, remarks = by_id(connection, identity), annotations.about(connection, identity)
        if json:
            print_json({**as_json(one), "annotations": [asdict(remark) for remark in remarks]})
            return
        table = Table(show_header=False, title=plain(one.id), title_justify="left")
        decided = f"{one.state} by {one.decided_by} at {str(one.decided_at)[:19]}" if one.decided_by else one.state
        table.add_row("state", plain(f"{decided}{f': {one.reason}' if one.reason else ''}"))
        table.add_row("holds", f"from {one.issued} to {one.expires}")
        table.add_row("hash", one.content_hash)
        for name, value in one.said.items():
            table.add_row(plain(name.replace("_", " ")), plain(_readable(value)))
        for remark in remarks:
            table.add_row(remark.at[:19], plain(f"{remark.by}: {remark.text}"))
        out.print(table)


@recommendations.command()
def approve(
    identity: Identity, by: By, reason: Reason, hash_: Hash, json: Json = False, home: HomeOption = None, as_of: AsOf = None
) -> None:
    """Approve a recommendation. It is refused where it has expired, was superseded, or is not what the hash says."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.monitor import lifecycle

        expected = _whole_hash(opened_home.require(), identity, hash_)
        _done(lifecycle.approve(opened_home, identity, by=by, reason=reason, expected_hash=expected), json)


@recommendations.command()
def reject(
    identity: Identity, by: By, reason: Reason, hash_: Hash, json: Json = False, home: HomeOption = None, as_of: AsOf = None
) -> None:
    """Reject a recommendation."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.monitor import lifecycle

        expected = _whole_hash(opened_home.require(), identity, hash_)
        _done(lifecycle.reject(opened_home, identity, by=by, reason=reason, expected_hash=expected), json)


def as_json(one: "Recommendation") -> dict[str, Any]:
    """Return a recommendation as the commands print it."""
    return {**asdict(one), "content": one.said}


def _whole_hash(home: "Home", identity: str, given: str) -> str:
    """Return the hash that a person meant by its beginning; what they wrote where it is not that of the recommendation."""
    from portfolio_platform.book.recommendations import by_id

    if len(given) < LEAST_HASH:
        raise WrongUse(f"--hash {given!r} is too short to mean one content; give at least its first {LEAST_HASH} characters")
    with home.book.reading() as connection:
        whole = by_id(connection, identity).content_hash
    return whole if whole.startswith(given) else given


def _done(one: "Recommendation", json: bool) -> None:
    if json:
        print_json(as_json(one))
    else:
        out.print(f"{plain(one.id)}: {one.state} by {plain(one.decided_by)}", soft_wrap=True)


def _adjustment(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    known = [str(item[name]) for name in ("direction", "kind", "target", "scope") if item.get(name)]
    moves = f"{item['from']} to {item['to']}" if "from" in item and "to" in item else ""
    return " ".join([*known, moves]).strip() or json_module.dumps(item, ensure_ascii=False)


def _readable(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json_module.dumps(value, indent=1, ensure_ascii=False)
    return "–" if value is None else str(value)
