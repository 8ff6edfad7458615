"""Commands about alerts: what fires, who has seen it, what is silent, and whether messages arrive."""

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import (
    DATA_PROBLEM,
    AsOf,
    HomeOption,
    Json,
    Portfolio,
    opened,
    out,
    parse_as_of,
    plain,
    print_json,
)

if TYPE_CHECKING:
    from portfolio_platform.book.alerts import Alert
    from portfolio_platform.book.annotations import Annotation
    from portfolio_platform.book.silences import Silence
    from portfolio_platform.home import Home

alerts = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What fires now, and what people do about it.")
COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
Identity = Annotated[str, typer.Argument(metavar="ID", help="Id of the alert, as `portfolio alerts list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Your name: it stays with what you do.")]
Revision = Annotated[int | None, typer.Option("--revision", help="Refuse where the alert has changed since this revision.")]


@alerts.command("list")
def list_(
    portfolio: Portfolio = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the alerts that are open, the gravest first."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.alerts import listed, open_alerts

        with opened_home.require().book.reading() as connection:
            found = listed(connection, portfolio) if all_ else open_alerts(connection, portfolio)
        gravest = ("critical", "warning", "info")
        found.sort(key=lambda alert: (not alert.is_open, gravest.index(alert.severity), alert.portfolio, alert.rule, alert.scope))
        if json:
            print_json([as_json(alert) for alert in found])
            return
        if not found:
            out.print("no alert is open" if not all_ else "there has been no alert")
            return
        table = Table("state", "severity", "portfolio", "what", "since", "observed / threshold", "id", title="Alerts", title_justify="left")
        for column in table.columns:
            column.overflow = "fold"  # an id that is cut cannot be copied
        for alert in found:
            table.add_row(*_cells(alert))
        out.print(table)


def _cells(alert: "Alert") -> tuple[str, ...]:
    from portfolio_platform.alerts.message import figure

    said = alert.said
    who = f" by {plain(alert.acknowledged_by)}" if alert.acknowledged_by else ""
    colour = COLOURS.get(alert.severity, "")
    measured = f"{figure(said, 'observed')} / {figure(said, 'threshold')}" if said.get("observed") is not None else ""
    return (
        f"{alert.state}{who}",
        f"[{colour}]{alert.severity}[/]" if colour else alert.severity,
        plain(alert.portfolio),
        plain(said.get("sentence") or alert.rule),
        alert.first_seen,
        plain(measured),
        plain(alert.id),
    )


def as_json(alert: "Alert") -> dict[str, Any]:
    """Return an alert as the commands print it: its columns, and what the evaluation says as JSON."""
    return {**asdict(alert), "content": alert.said}


@alerts.command()
def show(identity: Identity, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show one alert: what happened, how sure it is, who has seen it, what was told, and remarks on it."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book import annotations
        from portfolio_platform.book.alerts import by_id, stream
        from portfolio_platform.book.events import read

        with opened_home.require().book.reading() as connection:
            alert, remarks = by_id(connection, identity), annotations.about(connection, identity)
            events = [
                event
                for event in read(connection, stream(alert.portfolio))
                if event.type != "alerts_observed" and identity in (rows if isinstance(rows := event.data.get("rows"), dict) else {})
            ]
        history = [{"at": event.recorded_at, "what": event.type, **_who(event.data)} for event in events]
        if json:
            print_json({**as_json(alert), "history": history, "annotations": [asdict(remark) for remark in remarks]})
            return
        _print(alert, history, remarks)


def _who(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("by", "reason") if name in data}


def _print(alert: "Alert", history: list[dict[str, Any]], remarks: "list[Annotation]") -> None:
    from portfolio_platform.alerts.message import contributors, figure, sureness, threshold

    said = alert.said
    table = Table(show_header=False, title=plain(alert.id), title_justify="left")
    rows = {
        "what": said.get("sentence"),
        "state": f"{alert.state}, {alert.severity}, revision {alert.revision}",
        "observed": f"{figure(said, 'observed')} against {threshold(said)}" if said.get("observed") is not None else "",
        "window": ", ".join(str(said[name]) for name in ("lookback", "window_start") if said.get(name)),
        "who": contributors(str(said.get("contributors") or "")),
        "room": figure(said, "room") if said.get("room") is not None else "",
        "trend": said.get("trend"),
        "how sure": sureness(said),
        "since": f"{alert.first_seen}, {alert.sessions} sessions" + (f", over on {alert.resolved_on}" if alert.resolved_on else ""),
        "at worst": figure(said, "worst") if said.get("worst") is not None else "",
        "before": said.get("previous"),
        "silent because of": said.get("inhibited_by"),
        "acknowledged": f"{alert.acknowledged_by} {alert.note}".strip(),
        "resolved by hand": alert.resolved_by,
        "told": f"{alert.told} on {alert.told_on}" if alert.told else "nobody yet",
        "do": said.get("action"),
        "evidence": said.get("evidence_ids"),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value))
    for event in history:
        table.add_row(event["at"][:19], plain(" ".join(str(event[name]) for name in ("what", "by", "reason") if event.get(name))))
    for remark in remarks:
        table.add_row(remark.at[:19], plain(f"{remark.by}: {remark.text}"))
    out.print(table)


def _done(alert: "Alert", json: bool, what: str) -> None:
    if json:
        print_json(as_json(alert))
    else:
        out.print(f"{plain(alert.id)}: {plain(what)}", soft_wrap=True)


@alerts.command()
def ack(
    identity: Identity,
    by: By,
    note: Annotated[str, typer.Option("--note", help="What you are doing about it.")] = "",
    revision: Revision = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Say that you are at it: nothing more is told until it gets worse or is over."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts.actions import acknowledge

        _done(acknowledge(opened_home.require(), identity, by=by, note=note, revision=revision), json, f"acknowledged by {by}")


@alerts.command()
def unack(identity: Identity, by: By, revision: Revision = None, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Take an acknowledgement back."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts.actions import unacknowledge

        alert = unacknowledge(opened_home.require(), identity, by=by, revision=revision)
        _done(alert, json, f"not acknowledged any more; it is {alert.state}")


@alerts.command()
def resolve(
    identity: Identity,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why it is over.")],
    revision: Revision = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """End an alert by hand. It may fire again once it has left its threshold or got worse, or its rule's cool-down has passed."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts import actions

        _done(actions.resolve(opened_home.require(), identity, by=by, reason=reason, revision=revision), json, f"resolved by {by}")


@alerts.command()
def silence(
    until: Annotated[
        datetime, typer.Option("--until", parser=parse_as_of, metavar="TIME", help="When it ends: a UTC day (its end) or a time.")
    ],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why nobody is to be told.")],
    portfolio: Portfolio = None,
    rule: Annotated[str | None, typer.Option("--rule", help="One rule only.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="One scope only, such as a symbol.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Tell nothing of some alerts until a time; a portfolio, a rule or both have to be named."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts import actions

        made = actions.silence(
            opened_home.require(), portfolio=portfolio or "", rule=rule or "", scope=scope, until=until, by=by, reason=reason
        )
        if json:
            print_json(asdict(made))
        else:
            out.print(f"{made.id} until {made.until[:19]}: {plain(_covered(made))}", soft_wrap=True)


def _covered(made: "Silence") -> str:
    scope = "" if made.scope is None else f", scope {made.scope!r}"
    return f"{made.rule or 'every rule'} of {made.portfolio or 'every portfolio'}{scope}"


@alerts.command()
def silences(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the silences in force."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.book.silences import in_force, listed

        with opened_home.require().book.reading() as connection:
            found = listed(connection) if all_ else in_force(connection, opened_home.clock.now())
        if json:
            print_json([asdict(made) for made in found])
            return
        table = Table("id", "silent", "until", "by", "why", "ended", title="Silences", title_justify="left")
        for made in found:
            ended = f"{made.ended_at[:19]} by {made.ended_by}" if made.ended_at else ""
            table.add_row(*map(plain, (made.id, _covered(made), made.until[:19], made.by, made.reason, ended)))
        out.print(table if found else "nothing is silenced")


@alerts.command("end-silence")
def end_silence(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Id of the silence.")],
    by: By,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """End a silence before its time: what still fires is told again."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts import actions

        ended = actions.end_silence(opened_home.require(), identity, by=by)
        if json:
            print_json(asdict(ended))
        else:
            out.print(f"{ended.id} ended by {plain(ended.ended_by)}")


@alerts.command()
def deliver(
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Try messages again that were given up.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Bring the alerts to the newest sessions, and send what is due."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts import delivery
        from portfolio_platform.alerts.pipeline import sync

        synced = sync(opened_home.require())
        if retry_dead:
            delivery.revive(opened_home)
        done = delivery.deliver(opened_home)
        if json:
            print_json({"synced": asdict(synced), "delivered": asdict(done)})
        else:
            changed = sum(len(one.fired) + len(one.escalated) + len(one.eased) + len(one.resolved) for one in synced.portfolios)
            messages = f"{len(synced.queued):,} message{'' if len(synced.queued) == 1 else 's'}"
            out.print(f"{changed:,} alert{'' if changed == 1 else 's'} changed, {messages} queued")
            out.print(f"{len(done.sent):,} sent, {len(done.partial) + len(done.pending):,} to be tried again, {len(done.dead):,} given up")
        if done.partial or done.pending or done.dead:
            raise typer.Exit(DATA_PROBLEM)


@alerts.command()
def test(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Send a test message to every channel, and say of each what happened."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts.channels import LOG_CHANNEL, load_channels
        from portfolio_platform.alerts.delivery import send_now
        from portfolio_platform.alerts.notifiers import LOG_FILE, Everywhere

        channels = load_channels(opened_home.require()) or (LOG_CHANNEL,)
        said = send_now(_test_message(opened_home, opened_home.today), channels, Everywhere(opened_home))
        if json:
            print_json(
                [
                    {"channel": one.name, "to": one.redacted, "minimum": one.minimum, "portfolios": one.portfolios, "error": said[one.name]}
                    for one in channels
                ]
            )
        else:
            table = Table("channel", "to", "takes", "what happened", title="Channels", title_justify="left")
            for one in channels:
                to = str(opened_home.root / LOG_FILE) if one == LOG_CHANNEL else one.redacted
                takes = f"{one.minimum} and graver, {', '.join(one.portfolios) or 'every portfolio'}"
                table.add_row(one.name, plain(to), plain(takes), f"[red]{plain(said[one.name])}[/]" if said[one.name] else "[green]sent[/]")
            out.print(table)
        if any(said.values()):
            raise typer.Exit(DATA_PROBLEM)


def _test_message(home: "Home", day: date) -> Any:
    from portfolio_platform.alerts.message import Item, Line, Message

    what = "This is a test: messages of the portfolio platform arrive here."
    lines = (Line("From", f"the home {home.root.name}"), Line("Look", "portfolio alerts list", command=True))
    return Message("platform", day.isoformat(), "test", "info", (Item("", "test", "info", what, lines),))


def annotate(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Id of anything: an alert, a report, a recommendation, a number.")],
    by: By,
    text: Annotated[str, typer.Option("--text", help="The remark.")],
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Write a remark on anything that has an id. It changes nothing."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts import actions

        made = actions.annotate(opened_home.require(), identity, by=by, text=text)
        if json:
            print_json(asdict(made))
        else:
            out.print(f"{made.id} on {plain(made.about)}", soft_wrap=True)
