"""Commands about recommendations: what is proposed, and a person's word on it."""

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.approvals import Approval, SignedApproval, Verdict
    from portfolio_platform.book.recommendations import Recommendation
    from portfolio_platform.home import Home

recommendations = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What is recommended, and who decided on it.")
SHOWN_HASH, LEAST_HASH = 12, 8
Identity = Annotated[str, typer.Argument(metavar="ID", help="Id of the recommendation, as `portfolio recommendations list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Your name: it stays with the decision. A key says it by itself.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Hash = Annotated[str, typer.Option("--hash", help="Hash of what you decide on, as `show` says it; its first eight characters do.")]
Key = Annotated[Path | None, typer.Option("--key", help="File of your private key: signs the decision here and hands it in.")]
Token = Annotated[str, typer.Option("--signature", help="A decision signed elsewhere by `portfolio recommendations sign`.")]


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
        from portfolio_platform.book import annotations, approvals
        from portfolio_platform.book.recommendations import by_id

        with opened_home.require().book.reading() as connection:
            one, remarks = by_id(connection, identity), annotations.about(connection, identity)
            handed_in = approvals.listed(connection, identity)
        if json:
            told = [{**asdict(approval), "content": approval.content.decode()} for approval in handed_in]
            print_json({**as_json(one), "approvals": told, "annotations": [asdict(remark) for remark in remarks]})
            return
        table = Table(show_header=False, title=plain(one.id), title_justify="left")
        decided = f"{one.state} by {one.decided_by} at {str(one.decided_at)[:19]}" if one.decided_by else one.state
        table.add_row("state", plain(f"{decided}{f': {one.reason}' if one.reason else ''}"))
        table.add_row("holds", f"from {one.issued} to {one.expires}")
        table.add_row("hash", one.content_hash)
        for name, value in one.said.items():
            table.add_row(plain(name.replace("_", " ")), plain(_readable(value)))
        for approval in handed_in:
            table.add_row(approval.at[:19], plain(_approval(approval)))
        for remark in remarks:
            table.add_row(remark.at[:19], plain(f"{remark.by}: {remark.text}"))
        out.print(table)


@recommendations.command()
def sign(
    identity: Identity,
    key: Annotated[Path, typer.Option("--key", help="File of your private key.")],
    reason: Reason,
    hash_: Hash,
    reject_: Annotated[bool, typer.Option("--reject", help="Sign a rejection, not an approval.")] = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Sign a decision and print it as one line of text, to be handed in by `approve`, by `reject` or by their form in Dagster."""
    with opened(home, as_of) as opened_home:
        verdict: Verdict = "reject" if reject_ else "approve"
        typer.echo(_signed_here(opened_home.require(), identity, key, verdict, reason, hash_).token)


@recommendations.command()
def approve(
    identity: Identity,
    by: By = "",
    reason: Reason = "",
    hash_: Hash = "",
    key: Key = None,
    signature: Token = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Approve a recommendation: in your name, or signed by your key where the portfolio's policy asks for that.

    It is refused where it has expired, was superseded, or is not what the hash says; a refusal is recorded too.
    """
    _decide("approve", identity, by, reason, hash_, key, signature, json, home, as_of)


@recommendations.command()
def reject(
    identity: Identity,
    by: By = "",
    reason: Reason = "",
    hash_: Hash = "",
    key: Key = None,
    signature: Token = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Reject a recommendation: in your name, or signed by your key where the portfolio's policy asks for that."""
    _decide("reject", identity, by, reason, hash_, key, signature, json, home, as_of)


def _decide(
    verdict: "Verdict",
    identity: str,
    by: str,
    reason: str,
    hash_: str,
    key: Path | None,
    signature: str,
    json: bool,
    home: Path | None,
    as_of: Any,
) -> None:
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.approvals import SignedApproval
        from portfolio_platform.control.operators import terms_version
        from portfolio_platform.monitor import lifecycle

        act = lifecycle.approve if verdict == "approve" else lifecycle.reject
        opened_home.require()
        if key is not None and signature:
            raise WrongUse("--key signs here, --signature hands in what was signed elsewhere; give one of them")
        if key is not None:
            signed = _signed_here(opened_home, identity, key, verdict, reason, hash_)
        elif signature:
            signed = SignedApproval.from_token(signature)
        else:
            if not by or not reason:
                raise WrongUse("a decision wants your name (--by) and a reason (--reason), or the signature of a key (--key, --signature)")
            expected = _whole_hash(opened_home, identity, hash_)
            _done(opened_home, act(opened_home, identity, by=by, reason=reason, expected_hash=expected, terms_version=terms_version), json)
            return
        _done(opened_home, act(opened_home, identity, by=by, signed=signed, terms_version=terms_version), json)


def _signed_here(home: "Home", identity: str, path: Path, verdict: "Verdict", reason: str, hash_: str) -> "SignedApproval":
    from portfolio_platform.cli.operators import ask_passphrase
    from portfolio_platform.control.operators import sign_recommendation
    from portfolio_platform.control.signing import read_key

    expected = _whole_hash(home, identity, hash_)
    key = read_key(path, ask_passphrase)
    return sign_recommendation(home, identity, key, decision=verdict, reason=reason, expected_hash=expected)


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


def _done(home: "Home", one: "Recommendation", json: bool) -> None:
    if json:
        print_json(as_json(one))
    elif one.state == "proposed":
        from portfolio_platform.book.approvals import listed

        with home.book.reading() as connection:
            newest = listed(connection, one.id, state="accepted")[-1]
        out.print(f"{plain(one.id)}: approved by {plain(newest.operator)}; another operator has to approve it too", soft_wrap=True)
    else:
        out.print(f"{plain(one.id)}: {one.state} by {plain(one.decided_by)}", soft_wrap=True)


def _approval(one: "Approval") -> str:
    """Return what `show` says of a decision that was handed in."""
    how = f"signed by {one.key_id}" if one.key_id else "by name"
    if one.state == "accepted":
        return f"{one.operator}: {one.decision}, {how}: {one.reason}"
    return f"{one.operator or 'somebody'}: {one.decision} REFUSED ({one.code.replace('_', ' ')}): {one.reason}"


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
