"""Commands about escalations: what is asked, who answered, and a person's answer."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.home import Home
    from portfolio_platform.orchestrator.escalation import Case, Change

escalations = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="What a plan or an execution asks of a person, and the answers."
)
Identity = Annotated[str, typer.Argument(metavar="ID", help="Id of the escalation, as `portfolio escalations list` shows it.")]


@escalations.command("list")
def list_(
    portfolio: Portfolio = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are answered.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the escalations that wait for an answer, the most urgent first."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.orchestrate_tables import listing
        from portfolio_platform.days import nanoseconds
        from portfolio_platform.desk.escalations import cases_of

        now = nanoseconds(opened_home.clock.now())
        found = [case for case in cases_of(opened_home.require(), portfolio or "") if all_ or case.answered is None]
        if json:
            print_json([view(case, now) for case in found])
            return
        rows = [
            (
                case.escalation.escalation_id,
                _status(case, now),
                case.escalation.trigger.replace("_", " "),
                _left(case, now),
                case.escalation.routing,
            )
            for case in found
        ]
        listing("Escalations", ("id", "status", "why", "left", "who decides"), rows)
        if not found:
            out.print("nobody waits for an answer" if not all_ else "there was no escalation yet")


@escalations.command("show")
def show_(
    identity: Identity,
    portfolio: Portfolio = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Also the dry run's report.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show one escalation: what is asked, every violated rule, the plan it is about, and the answer."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.days import nanoseconds
        from portfolio_platform.desk.escalations import find_case

        now = nanoseconds(opened_home.clock.now())
        case = find_case(opened_home.require(), identity, portfolio or "")
        if json:
            print_json(view(case, now, whole=True))
            return
        _print_case(case, now)
        if dry_run:
            from portfolio_platform.cli.orchestrate import plain_text

            typer.echo(plain_text(case.escalation.dry_run))


@escalations.command("answer")
def answer_(
    identity: Identity,
    answer: Annotated[str, typer.Option("--answer", help="approve, defer or halt.")],
    by: Annotated[str, typer.Option("--by", help="Your name: it stays in the log.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    condition: Annotated[list[str] | None, typer.Option("--condition", help="What has to hold; repeat it for several.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", metavar="TRADE", help="On paper: this trade is not done.")] = None,
    shares: Annotated[list[str] | None, typer.Option("--shares", metavar="TRADE=N", help="On paper: only so many shares.")] = None,
    account: Annotated[list[str] | None, typer.Option("--account", metavar="TRADE=NAME", help="On paper: in another account.")] = None,
    portfolio: Portfolio = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Answer an escalation. An approval is an exception for this very plan; who executes it accepts every condition."""
    with opened(home, as_of) as opened_home:
        from typing import get_args

        from portfolio_platform.days import nanoseconds
        from portfolio_platform.desk.escalations import answer_escalation
        from portfolio_platform.orchestrator.escalation import Answer

        answers: tuple[Answer, ...] = get_args(Answer)
        given = next((one for one in answers if one == answer), None)
        if given is None:
            raise WrongUse(f"{answer!r} is no answer; approve, defer or halt it")
        base = opened_home.require()
        changes = _changes(base, identity, drop or [], shares or [], account or []) if drop or shares or account else ()
        case = answer_escalation(
            base, identity, given, by=by, reason=reason, conditions=condition or (), changes=changes, portfolio=portfolio or ""
        )
        if json:
            print_json(view(case, nanoseconds(opened_home.clock.now()), whole=True))
            return
        late = ", after its time was over" if case.late else ""
        out.print(f"{plain(identity)} is {case.status} by {plain(by)}{late}", soft_wrap=True, highlight=False)
        if case.status == "approved" and case.escalation.plan and case.escalation.subject:
            name = plain(quote(case.escalation.subject))
            out.print("next: the plan can be approved with the exception:", highlight=False)
            out.print(
                f"  portfolio orchestrate approve {name} --accept-conditions --by NAME --reason TEXT", soft_wrap=True, highlight=False
            )


def _changes(home: "Home", identity: str, drop: list[str], shares: list[str], accounts: list[str]) -> "tuple[Change, ...]":
    """Return the changes of trades as they were typed. Raises `WrongUse`."""
    from decimal import Decimal, InvalidOperation

    from portfolio_platform.desk.paper_execution import changes_for

    parts = {name: dict(_pair(name, text) for text in texts) for name, texts in (("--shares", shares), ("--account", accounts))}
    try:
        numbers = {trade: Decimal(text) for trade, text in parts["--shares"].items()}
    except InvalidOperation as error:
        raise WrongUse(f"--shares {', '.join(shares)}: that is no number of shares; write it as T1=50") from error
    if not all(number.is_finite() and 0 < number < 10**12 for number in numbers.values()):
        raise WrongUse(f"--shares {', '.join(shares)}: state a number above 0; --drop leaves a trade out")
    return changes_for(home, identity, drop, numbers, parts["--account"])


def _pair(name: str, text: str) -> tuple[str, str]:
    trade, sign, value = text.partition("=")
    if not (trade and sign and value):
        raise WrongUse(f"{name} {text!r}: write the trade and what changes of it, such as {name} T1=...")
    return trade, value


def view(case: "Case", now: int, *, whole: bool = False) -> dict[str, Any]:
    """Return an escalation as JSON, as v8.1.1 STEP 3A names its fields; the dry run and the plan only where the whole is asked for."""
    import json

    from portfolio_platform.control.views import instant

    asked, given = case.escalation, case.answered
    found: dict[str, Any] = {
        "escalation_id": asked.escalation_id,
        "portfolio": asked.portfolio,
        "trigger": asked.trigger,
        "status": _status(case, now),
        "violations": [one._asdict() for one in asked.violations],
        "request": asked.request,
        "routing": asked.routing,
        "sla_minutes": asked.sla_minutes,
        "opened_at": instant(asked.opened_at),
        "due_at": instant(asked.due_at),
        "subject": asked.subject,
        "waits": asked.waits,
        "plan_hash": asked.plan_hash,
        "portfolio_hash": asked.portfolio_hash,
        "profile": asked.profile,
        "answer": None
        if given is None
        else {
            "answer": given.answer,
            "by": given.by,
            "reason": given.reason,
            "conditions": list(given.conditions),
            "at": instant(given.at),
            "late": case.late,
        },
    }
    if whole:
        found |= {"dry_run_report": asked.dry_run, "rebalancing_plan": json.loads(asked.plan) if asked.plan else None}
    return found


def _print_case(case: "Case", now: int) -> None:
    from portfolio_platform.cli.control_tables import show
    from portfolio_platform.control.views import instant

    asked, given = case.escalation, case.answered
    out.print(f"[bold]{plain(asked.escalation_id)}[/] {plain(_status(case, now))}", soft_wrap=True, highlight=False)
    lines = (
        ("portfolio", asked.portfolio),
        ("why", asked.trigger.replace("_", " ")),
        ("asked", asked.request),
        ("of", f"{asked.routing}, within {asked.sla_minutes} minutes ({_left(case, now)})"),
        ("about", asked.subject),
        ("opened", instant(asked.opened_at) or ""),
    )
    for name, value in lines:
        if value:
            out.print(f"{name}: {plain(value)}", soft_wrap=True, highlight=False)
    rows = [(one.rule.replace("_", " "), one.scope, one.text) for one in asked.violations]
    show("Violated", ("rule", "where", "what"), rows)
    if given is not None:
        late = ", after its time was over" if case.late else ""
        out.print(f"{given.answer} by {plain(given.by)}{late}: {plain(given.reason)}", soft_wrap=True, highlight=False)
        for text in given.conditions:
            out.print(f"  condition: {plain(text)}", soft_wrap=True, highlight=False)
        return
    out.print("next:", highlight=False)
    name = plain(quote(asked.escalation_id))
    out.print(f"  portfolio escalations answer {name} --answer approve --by NAME --reason TEXT", soft_wrap=True, highlight=False)


def _status(case: "Case", now: int) -> str:
    """Return the status; one whose time is over is expired, also before that was recorded."""
    return "expired" if case.status == "open" and now >= case.escalation.due_at else case.status


def _left(case: "Case", now: int) -> str:
    if case.answered is not None:
        return "answered"
    minutes = -(-case.remaining(now) // 60_000_000_000)
    return f"{minutes} min" if minutes else "none"
