"""Commands that make plans a person can execute: plan, preview, validate, guide, approve, withdraw, list."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.approvals import SignedApproval
    from portfolio_platform.desk.approvals import Outcome
    from portfolio_platform.home import Home

orchestrate = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="From a directive or a recommendation to a plan that a person executes."
)
Document = Annotated[Path | None, typer.Option("--document", help="A portfolio document in markdown; its ACTION PLAN is read.")]
DirectivesFile = Annotated[Path | None, typer.Option("--directives", help="Typed directives, JSON.")]
Recommendation = Annotated[Path | None, typer.Option("--recommendation", help="A stock recommendation, JSON.")]
Queue = Annotated[Path | None, typer.Option("--queue", help="An approved queue, JSON.")]
ProfileName = Annotated[str, typer.Option("--profile", help="v8.1.1, v8.0.3, or a TOML file of a profile.")]
SnapshotFile = Annotated[Path | None, typer.Option("--snapshot", help="The portfolio as a JSON file instead of the ledger's.")]
Rankings = Annotated[Path | None, typer.Option("--rankings", help="Sector rankings, JSON; else those of the home.")]
Restrictions = Annotated[Path | None, typer.Option("--restrictions", help="Restriction list, JSON; else that of the home.")]
AccountsFile = Annotated[Path | None, typer.Option("--accounts", help="Accounts of the ledger's portfolios, JSON; else those of the home.")]
ExecutionId = Annotated[str, typer.Argument(metavar="EXECUTION_ID", help="Id of the plan, or its last characters (six or more).")]
By = Annotated[str, typer.Option("--by", help="Your name: it stays in the log. A key says it by itself.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@orchestrate.command("init")
def init(home: HomeOption = None, as_of: AsOf = None) -> None:
    """Put sample documents into the home's folder `orchestrator`: rankings, restrictions, accounts, a portfolio and what to ask of it."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk.sources import folder_of, put_samples

        copied, kept = put_samples(opened_home)
        folder = folder_of(opened_home)
        out.print(f"{len(copied)} samples are in {plain(folder)}: {', '.join(copied) or 'none new'}", soft_wrap=True, highlight=False)
        if kept:
            out.print(f"left as they were: {', '.join(kept)}", soft_wrap=True, highlight=False)
        out.print("they are examples: put your own in their place, or try them as they are:", highlight=False)
        out.print("  portfolio orchestrate plan --portfolio sample --as-of 2026-01-05T14:45:00Z", soft_wrap=True, highlight=False)


@orchestrate.command()
def plan(
    document: Document = None,
    directives: DirectivesFile = None,
    recommendation: Recommendation = None,
    queue: Queue = None,
    portfolio: Portfolio = None,
    profile: ProfileName = "v8.1.1",
    snapshot: SnapshotFile = None,
    rankings: Rankings = None,
    restrictions: Restrictions = None,
    accounts: AccountsFile = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Make a plan, record it, and write the folder of papers that a person works from.

    Without a file it plans from `portfolio_document.md` of the home's folder `orchestrator`.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli import orchestrate_tables as tables
        from portfolio_platform.desk.prepare import prepare
        from portfolio_platform.desk.sources import Asked

        files = (document, directives, recommendation, queue, snapshot, rankings, restrictions, accounts)
        made = prepare(opened_home, Asked(portfolio or "", profile, *files))
        if json:
            print_json(tables.prepared_view(made))
            return
        tables.papers(made.papers)
        tables.footing(made)


@orchestrate.command()
def preview(
    document: Document = None,
    directives: DirectivesFile = None,
    recommendation: Recommendation = None,
    queue: Queue = None,
    portfolio: Portfolio = None,
    profile: ProfileName = "v8.1.1",
    snapshot: SnapshotFile = None,
    rankings: Rankings = None,
    restrictions: Restrictions = None,
    accounts: AccountsFile = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show what a plan would be, with its dry run; nothing is recorded and no file is written."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli import orchestrate_tables as tables
        from portfolio_platform.desk.prepare import preview as drafted
        from portfolio_platform.desk.sources import Asked

        files = (document, directives, recommendation, queue, snapshot, rankings, restrictions, accounts)
        draft = drafted(opened_home, Asked(portfolio or "", profile, *files))
        if json:
            print_json(tables.papers_view(draft.papers))
            return
        tables.papers(draft.papers)
        tables.checks(draft.papers)
        out.print("nothing was recorded; `portfolio orchestrate plan` with the same options does that", highlight=False)


@orchestrate.command()
def validate(
    recommendation: Annotated[Path, typer.Argument(metavar="FILE", help="A stock recommendation, JSON.")],
    portfolio: Portfolio = None,
    profile: ProfileName = "v8.1.1",
    snapshot: SnapshotFile = None,
    rankings: Rankings = None,
    restrictions: Restrictions = None,
    accounts: AccountsFile = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Hold a stock recommendation against the six criteria and print the answer as JSON; nothing is recorded."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk.prepare import preview as drafted
        from portfolio_platform.desk.sources import Asked

        files = (None, None, recommendation, None, snapshot, rankings, restrictions, accounts)
        papers = drafted(opened_home, Asked(portfolio or "", profile, *files)).papers
        assert papers.validation is not None, "a recommendation is validated"
        print_json(papers.validation.document())


@orchestrate.command()
def guide(execution_id: ExecutionId, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Print the execution guide of a plan from the log, and bring its folder back to what the log says."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk import log
        from portfolio_platform.desk.folder import write_folder
        from portfolio_platform.desk.prepare import plan_named
        from portfolio_platform.orchestrator.guide import guide_of
        from portfolio_platform.render.orchestration.markdown import guide as written

        _, found = plan_named(opened_home.require(), execution_id)
        with opened_home.book.reading() as connection:
            papers = log.papers_of(connection, found.execution_id)
        folder, mended = write_folder(opened_home, papers)
        made = guide_of(papers.plan, papers.profile)
        if json:
            print_json({"execution_id": found.execution_id, **made.model_dump(mode="json"), "folder": str(folder), "mended": mended})
            return
        typer.echo(plain_text(written(papers, made)))
        out.print(f"status: {_status(opened_home, execution_id)}", highlight=False)
        if mended:
            out.print(f"written anew, for they were missing or changed: {', '.join(mended)}", soft_wrap=True, highlight=False)
        out.print(f"folder: {plain(folder)}", soft_wrap=True, highlight=False)


@orchestrate.command()
def approve(
    execution_id: ExecutionId,
    by: By = "",
    reason: Reason = "",
    accept_conditions: Annotated[bool, typer.Option("--accept-conditions", help="You accept every condition of the plan.")] = False,
    hash_: Annotated[str, typer.Option("--hash", help="Hash of the plan that you read; its first characters do.")] = "",
    snapshot: SnapshotFile = None,
    key: Annotated[Path | None, typer.Option("--key", help="File of your private key, where the portfolio asks for a signature.")] = None,
    signature: Annotated[str, typer.Option("--signature", help="The approval signed elsewhere by `portfolio orchestrate sign`.")] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Approve a plan: these very trades, on the portfolio as it is, until the plan expires.

    Where the portfolio has moved or the time is over it is refused, and a new plan is made at once. A refusal is recorded too.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.approvals import SignedApproval
        from portfolio_platform.cli import orchestrate_tables as tables
        from portfolio_platform.desk.approvals import Wanted
        from portfolio_platform.desk.approvals import approve as approved

        if key is not None and signature:
            raise WrongUse("give --key or --signature: one of them")
        signed = SignedApproval.from_token(signature) if signature else None
        if key is not None:
            signed = _signed(opened_home, execution_id, key, reason)
        if signed is not None and signed.statement is not None:
            by, reason = by or signed.statement.operator, reason or signed.statement.reason
        outcome = approved(opened_home, Wanted(execution_id, by, reason, accept_conditions, hash_, snapshot), signed=signed)
        if json:
            print_json(tables.outcome_view(outcome))
        else:
            _told(outcome)
    if outcome.refused is not None:
        raise typer.Exit(1)


def _told(outcome: "Outcome") -> None:
    from portfolio_platform.cli import orchestrate_tables as tables

    name = outcome.state.execution_id
    if outcome.refused is None:
        approved = outcome.state.approved
        assert approved is not None, "it was not refused"
        again = "was approved before" if outcome.repeated else "is approved"
        until = f"{outcome.papers.plan.expires_at:%Y-%m-%d %H:%M} UTC"
        out.print(f"plan {plain(name)} {again} by {plain(approved.by)}; begin it before {until}", soft_wrap=True, highlight=False)
        out.print("next: place the orders as the guide says, then report them:", highlight=False)
        out.print(f"  portfolio execution report {plain(quote(name))}", soft_wrap=True, highlight=False)
        return
    out.print(f"[bold red]refused[/] ({outcome.refused.code}): {plain(outcome.refused.reason)}", soft_wrap=True, highlight=False)
    if outcome.regenerated is not None:
        out.print("a new plan was made at once, on the portfolio as it is now:", highlight=False)
        tables.papers(outcome.regenerated.papers)
        tables.footing(outcome.regenerated)


@orchestrate.command()
def sign(
    execution_id: ExecutionId,
    key: Annotated[Path, typer.Option("--key", help="File of your private key.")],
    reason: Reason,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Sign the approval of a plan and print it as one line of text, to be handed in by `approve --signature`."""
    with opened(home, as_of) as opened_home:
        typer.echo(_signed(opened_home, execution_id, key, reason).token)


@orchestrate.command()
def withdraw(execution_id: ExecutionId, by: By, reason: Reason, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Take a plan back before anything of it was executed, so that another can be made."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.desk.approvals import withdraw as withdrawn

        found = withdrawn(opened_home.require(), execution_id, by=by, reason=reason)
        out.print(f"plan {plain(found.execution_id)} is withdrawn", soft_wrap=True, highlight=False)


@orchestrate.command("list")
def list_(
    portfolio: Portfolio = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the plans, the newest first: those that are open, approved or being executed."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli import orchestrate_tables as tables
        from portfolio_platform.days import nanoseconds
        from portfolio_platform.desk import log
        from portfolio_platform.desk.model import newest_first

        now = nanoseconds(opened_home.clock.now())
        with opened_home.require().book.reading() as connection:
            names = [portfolio] if portfolio else log.portfolios(connection)
            found = [(name, plan) for name in names for plan in newest_first(log.plans_of(connection, name))]
        found = [one for one in found if all_ or one[1].status(now) in tables.OPEN]
        if json:
            print_json([tables.plan_view(name, plan, now) for name, plan in found])
            return
        for name in names:
            tables.plans(name, [plan for whose, plan in found if whose == name], now)
        if not found:
            out.print("no plan is open" if not all_ else "no plan was made yet; `portfolio orchestrate plan` makes one")


def plain_text(text: str) -> str:
    """Return text for the terminal as it is, without control characters."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text).rstrip("\n")


def _signed(home: "Home", execution_id: str, key: Path, reason: str) -> "SignedApproval":
    from portfolio_platform.cli.operators import ask_passphrase
    from portfolio_platform.control.signing import read_key
    from portfolio_platform.desk.approvals import sign_plan

    return sign_plan(home.require(), execution_id, read_key(key, ask_passphrase), reason)


def _status(home: "Home", execution_id: str) -> str:
    from portfolio_platform.days import nanoseconds
    from portfolio_platform.desk.prepare import plan_named

    return plan_named(home, execution_id)[1].status(nanoseconds(home.clock.now())).replace("_", " ")
