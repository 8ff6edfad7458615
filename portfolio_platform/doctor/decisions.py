"""What is wrong with the book and what it tells: event log, reports, channels, outbox, heartbeat, backup."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from portfolio_platform.clock import SystemClock
from portfolio_platform.home import Home

if TYPE_CHECKING:
    pass

from portfolio_platform.doctor.finding import Check, Finding, counted

BACKUP_DAYS = 7  # after which a backup is old
LATE_HOURS = 1.0  # after which a message that waits in the outbox is late


def _book(home: Home) -> Iterator[Finding]:
    from portfolio_platform.book.chain import verify_chain
    from portfolio_platform.book.integrity import damages
    from portfolio_platform.book.migrate import head
    from portfolio_platform.book.rebuild import check_read_models, check_reports

    with home.book.reading() as connection:
        broken = damages(connection, thorough=False)
        verdict = verify_chain(connection)
        differences = check_reports(connection)
        others = check_read_models(connection)
    yield Finding("ok", "book", f"{home.book.name}, version {head()}")
    if broken:
        yield Finding("fail", "store of the book", broken[0], "stop writing to it, keep the file, and restore the book from a backup")
    if verdict.ok:
        yield Finding("ok", "event log", f"{verdict.events:,} events, every hash verified")
    else:
        state = f"broken at event {verdict.broken_at_seq}: {verdict.reason}"
        yield Finding("fail", "event log", state, "restore the book from a backup; do not write to this one")
    if differences:
        first = differences[0]
        state = f"{len(differences):,} differ from the log; the first: {first.report_id}: {first.detail}"
        yield Finding("fail", "reports", state, "restore the book from a backup, or compute the reports again from the lake")
    if others:
        state = f"{len(others):,} rows differ from the log; the first: {others[0].table} {others[0].id}: {others[0].detail}"
        yield Finding("fail", "read models", state, "restore the book from a backup; its events tell these tables again")


def _backup(home: Home) -> Iterator[Finding]:
    from portfolio_platform.upkeep.backup import last_backup

    last, remedy = last_backup(home), "`portfolio backup PATH`, and copy the file to another machine"
    if last is None:
        yield Finding("info", "backup", "none has been made of this home", remedy)
        return
    days = (SystemClock().now() - last.at).days
    late = days > BACKUP_DAYS and home.pinned_at is None
    state = f"{counted(days, 'day')} old: {last.file}, {last.size / (1 << 20):,.1f} MiB"
    yield Finding("warn" if late else "ok", "backup", state, remedy if late else "")


def _reports(home: Home) -> Iterator[Finding]:
    from sqlalchemy import func, select

    from portfolio_platform.book import schema
    from portfolio_platform.render.pipeline import newest_sessions

    with home.book.reading() as connection:
        table = schema.reports
        rows = connection.execute(select(table.c.portfolio, func.max(table.c.day)).group_by(table.c.portfolio)).all()
    newest = {str(portfolio): day if isinstance(day, date) else date.fromisoformat(str(day)) for portfolio, day in rows}
    for portfolio, session in newest_sessions(home, home.today).items():
        what, run = f"report of {portfolio}", f"`portfolio report --portfolio {portfolio}`"
        if portfolio not in newest:
            yield Finding("info", what, "none is published yet", run)
        elif newest[portfolio] < session:
            days = (session - newest[portfolio]).days
            yield Finding("warn", what, f"the newest is of {newest[portfolio]}, {days:,} days before the newest session", run)
        else:
            yield Finding("ok", what, f"the newest is of {newest[portfolio]}")


def _channels(home: Home) -> Iterator[Finding]:
    from portfolio_platform.alerts.channels import load_channels
    from portfolio_platform.alerts.notifiers import LOG_FILE, instance

    channels = load_channels(home)
    for channel in channels:
        if instance(channel) is None:  # it only looks at the address, and sends nothing
            state = f"{channel.name}: nothing is known that {channel.redacted} could be sent to"
            yield Finding("fail", "channels", state, "mend its url in channels.toml, then `portfolio alerts test`")
        else:
            yield Finding("ok", "channels", f"{channel.name} ({channel.redacted})")
    if not channels:
        yield Finding("info", "channels", f"none: messages go to {LOG_FILE} in the home", "name one in channels.toml")


def _outbox(home: Home) -> Iterator[Finding]:
    from portfolio_platform.book.notifications import outbox

    with home.book.reading() as connection:
        box = outbox(connection)
    if box.dead:
        state = f"{counted(box.dead, 'message')} could not be delivered and were given up"
        yield Finding("fail", "dead letters", state, "`portfolio alerts test`, then `portfolio alerts deliver --retry-dead`")
    hours = (home.clock.now() - box.oldest).total_seconds() / 3_600 if box.oldest else 0.0
    late = hours > LATE_HOURS
    state = f"{counted(box.waiting, 'message')} waiting, the oldest for {hours:,.0f} hours" if box.waiting else "empty"
    yield Finding("warn" if late else "ok", "outbox", state, "`portfolio alerts deliver`, or start the sensor" if late else "")


def _heartbeat(home: Home) -> Iterator[Finding]:
    from portfolio_platform.alerts.heartbeat import is_quiet, last_run

    last, late = last_run(home), is_quiet(home)
    said = f"the last run finished on {last:%Y-%m-%d at %H:%M UTC}" if last else "no run has finished yet"
    remedy = "look at the schedules and at the newest runs" if late else ""
    yield Finding("warn" if late else "ok" if last else "info", "heartbeat", said, remedy)


CHECKS: dict[str, Check] = {
    "book": _book,
    "reports": _reports,
    "channels": _channels,
    "outbox": _outbox,
    "heartbeat": _heartbeat,
    "backup": _backup,
}
