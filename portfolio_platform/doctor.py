"""What is late, locked, full or failing in a home, and the way out. Each check tells findings; none of them crashes."""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portfolio_platform import __version__
from portfolio_platform.clock import SystemClock
from portfolio_platform.errors import PortfolioError
from portfolio_platform.home import DEFAULT_FIRST_DAY, Home

if TYPE_CHECKING:
    from portfolio_platform.lake.progress import Progress

Level = Literal["ok", "info", "warn", "fail"]
PACKAGES = ("dagster", "pandas", "numpy", "pyarrow", "deltalake", "sqlalchemy", "pydantic", "great-expectations")
OUR_FOLDERS = ("assets", "sensors", "resources")
SUPPORTED_PYTHON = ((3, 11), (3, 13))
LOW_BYTES, FULL_BYTES = 1 << 30, 100 << 20
MANY_FILES = 100
"""Files of a table beyond which a read slows down. A partitioned table has a file a month anyway."""
NAMED = 5
BACKUP_DAYS = 7  # after which a backup is old
LATE_HOURS = 1.0  # after which a message that waits in the outbox is late


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how grave, what, how it is, and what to do (empty where nothing is)."""

    level: Level
    what: str
    state: str
    remedy: str = ""


Check = Callable[[Home], Iterable[Finding]]


def examine(home: Home) -> list[Finding]:
    """Look at everything a home rests on; a check that fails to look becomes a failed finding itself."""
    if not home.exists:
        remedy = "run `portfolio init`, or set PORTFOLIO_HOME (or --home) to the home that you mean"
        return [*_guarded("versions", _versions, home), Finding("fail", "home", f"there is no home at {home.root}", remedy)]
    return [finding for what, check in CHECKS.items() for finding in _guarded(what, check, home)]


def _guarded(what: str, check: Check, home: Home) -> list[Finding]:
    """Run a check; its error is a finding."""
    found: list[Finding] = []
    try:
        found.extend(check(home))
    except PortfolioError as error:
        state, _, remedy = str(error).partition("; ")
        found.append(Finding("fail", what, state, remedy or "mend that and run `portfolio doctor` again"))
    except OSError as error:
        state = " ".join(str(part) for part in (error.strerror or error, error.filename) if part)
        found.append(Finding("fail", what, state, "check the path and its rights, then run `portfolio doctor` again"))
    except Exception as error:  # a doctor that dies of the illness is no use
        text = f"it could not be looked at: {type(error).__name__}: {error}".splitlines()[0]
        found.append(Finding("fail", what, text, "the files under it may be damaged; restore them from a backup"))
    return found


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _versions(home: Home) -> Iterator[Finding]:
    low, high = SUPPORTED_PYTHON
    python = ".".join(map(str, sys.version_info[:3]))
    if low <= sys.version_info[:2] < high:
        yield Finding("ok", "python", f"{python} on {platform.system()} {platform.machine()}")
    else:
        supported = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
        yield Finding("fail", "python", f"{python} is not supported", f"make the environment with Python {supported}")
    yield Finding("ok", "portfolio-platform", __version__)
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("ok", "packages", ", ".join(versions))
    if missing:
        yield Finding("fail", "packages", f"missing: {', '.join(missing)}", "install the project again")


def _home(home: Home) -> Iterator[Finding]:
    if not os.access(home.root, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("fail", "home", f"{home.root} cannot be written", "give yourself the rights, or use a home of your own")
        return
    others = home.root.stat().st_mode & (stat.S_IROTH | stat.S_IXOTH)
    if others:
        yield Finding("warn", "home", f"{home.root} can be read by every user of this machine", f"chmod o-rwx {home.root}")
    else:
        yield Finding("ok", "home", str(home.root))


def _disk(home: Home) -> Iterator[Finding]:
    """Look at the disk of the home, and at that of a lake which is on another one."""
    places = {"disk": home.root}
    lake = Path(home.lake.url)
    if home.lake.is_local and lake.is_dir() and lake.stat().st_dev != home.root.stat().st_dev:
        places["disk of the lake"] = lake
    for what, place in places.items():
        free = shutil.disk_usage(place).free
        used = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        level: Level = "fail" if free < FULL_BYTES else "warn" if free < max(LOW_BYTES, used) else "ok"
        state = f"{free / (1 << 30):,.1f} GiB free, {used / (1 << 20):,.0f} MiB in use here"
        yield Finding(level, what, state, "" if level == "ok" else "free some space before the next build")


def _clock(home: Home) -> Iterator[Finding]:
    pinned = home.pinned_at
    if home.as_of is not None:
        yield Finding("info", "clock", f"as of {home.clock.now().isoformat()}, by --as-of")
    elif pinned is not None:
        yield Finding("info", "clock", f"pinned to the end of {home.today}", "`portfolio init --unpin-clock` lets it live in the present")
    else:
        yield Finding("ok", "clock", f"the machine's: {home.clock.now().isoformat(timespec='seconds')}")


def _policies(home: Home) -> Iterator[Finding]:
    from portfolio_platform.policy.assigned import assigned_policies

    files = sorted(home.policies.glob("*.toml"))
    for path in files:
        yield from _guarded(f"policy {path.stem}", partial(_policy, path), home)
    if not any(path.stem == "default" for path in files):
        yield Finding("fail", "policy default", "policies/default.toml is not there", "`portfolio init` writes it")
        return
    assigned = assigned_policies(home)
    users = ", ".join(f"{name} has {policy.name}" for name, policy in sorted(assigned.by_portfolio.items()))
    yield Finding("ok", "policies in use", users or "default, for every portfolio")


def _policy(path: Path, home: Home) -> Iterator[Finding]:
    from portfolio_platform.policy.load import load_policy

    policy = load_policy(path)
    yield Finding("ok", f"policy {path.stem}", f"version {policy.version}, hash {policy.hash[:12]}")


def _lock(home: Home) -> Iterator[Finding]:
    from portfolio_platform.errors import StoreProblem

    try:
        with home.lake.writing(timeout=0.2):
            yield Finding("ok", "lake lock", "free")
    except StoreProblem:
        yield Finding("warn", "lake lock", "another process is writing to the lake now", "wait for it to end; readers are not held up")


def _lake(home: Home) -> Iterator[Finding]:
    from portfolio_platform.lake.derived import TABLES

    counts, crowded = 0, []
    for table in TABLES.values():
        found = home.lake.file_count(table)
        counts += found
        if found > MANY_FILES + _months(home):
            crowded.append(f"{table.name} {found:,}")
    where = home.lake.url
    if crowded:
        yield Finding("warn", "lake files", f"many small files slow reading down: {', '.join(crowded)}", "`portfolio compact`")
    else:
        yield Finding("ok", "lake files", f"{counts:,} files in {where}" if counts else f"nothing is stored yet in {where}")


def _months(home: Home) -> int:
    return max((home.today.year - home.first_day.year) * 12 + home.today.month - home.first_day.month + 1, 0)


def _facts(home: Home) -> Iterator[Finding]:
    from portfolio_platform.lake.facts import FILLS
    from portfolio_platform.lake.progress import newest_import
    from portfolio_platform.sources.pipeline import DISPUTED, quarantined

    newest = newest_import(home.lake)
    fills = len(home.lake.read(FILLS.table, ["row_id"]))
    if not newest:
        yield Finding("info", "facts", "nothing has been imported", "`portfolio import PATH`; a file of fills is enough")
    elif not fills:
        yield Finding("info", "facts", "there are no fills, so there is no ledger", "import fills.csv")
    else:
        yield Finding("ok", "facts", f"{fills:,} fills, newest import {newest}")
    aside = quarantined(home.lake)["rule"].to_pylist()
    disputed = sum(rule.startswith(DISPUTED) for rule in aside)
    if len(aside) > disputed:
        state = f"{_counted(len(aside) - disputed, 'row')} could not be right"
        yield Finding("warn", "set aside", state, "`portfolio quarantine` says why; mend and import them")
    if disputed:
        state = f"{_counted(disputed, 'row')} contradict another with the same id"
        yield Finding("warn", "in dispute", state, "`portfolio quarantine` lists them; import the right ones with --corrections")
    if not aside:
        yield Finding("ok", "set aside", "nothing")


def _inbox(home: Home) -> Iterator[Finding]:
    waiting = sorted(path.name for path in home.inbox.iterdir() if not path.name.startswith(".")) if home.inbox.is_dir() else []
    if waiting:
        more = f" and {len(waiting) - NAMED:,} more" if len(waiting) > NAMED else ""
        yield Finding("warn", "inbox", f"not imported yet: {', '.join(waiting[:NAMED])}{more}", f"`portfolio import {home.inbox}`")
    else:
        yield Finding("ok", "inbox", "empty")


def _span(home: Home) -> Iterator[Finding]:
    import pyarrow.compute as pc

    from portfolio_platform.days import day_number, to_date
    from portfolio_platform.lake.facts import CASH_FLOWS, FILLS

    first = [pc.min(home.lake.read(fact.table, ["ts"])["ts"]).as_py() for fact in (FILLS, CASH_FLOWS)]
    known = [ts for ts in first if ts is not None]
    expected = to_date(day_number(min(known))) if known else DEFAULT_FIRST_DAY
    if home.first_day == expected:
        yield Finding("ok", "first day", expected.isoformat() if known else "none yet")
    else:
        state = f"span.json says {home.first_day}, the facts begin on {expected}"
        yield Finding("fail", "first day", state, "import any file again, which writes it anew, then `portfolio build`")


def _derived(home: Home) -> Iterator[Finding]:
    from portfolio_platform.lake.progress import newest_import, read_progress
    from portfolio_platform.stages import STAGES

    if not newest_import(home.lake):
        return
    for name in ("ledger", *(stage.name for stage in STAGES)):
        progress = read_progress(home.lake, name)
        if progress is None:
            yield Finding("warn", name, "not built yet", "`portfolio build`")
            continue
        behind = list(_behind(name, progress, home))
        state = f"built until {progress.built_until}"
        yield Finding("warn", name, ", ".join([state, *behind]), "`portfolio build`") if behind else Finding("ok", name, state)


def _behind(name: str, progress: "Progress", home: Home) -> Iterator[str]:
    """Say how far a derived table is behind the clock, the imports, its policy, and what it rests on."""
    days = (home.today - progress.built_until).days
    if days > 0:
        yield f"{_counted(days, 'day')} behind the clock"
    if name == "ledger":
        imports = _imports_since(home, progress.import_seq)
        if imports:
            yield f"{_counted(imports, 'import')} behind"
        if progress.policy_hash != home.policy().hash:
            yield "built under another policy"
    else:
        behind = [upstream for upstream, generation in progress.upstreams.items() if _generation(home, upstream) > generation]
        if behind:
            yield f"older than what it rests on ({', '.join(behind)})"
    if progress.code_version != __version__:
        yield f"built by version {progress.code_version}"


def _generation(home: Home, name: str) -> int:
    from portfolio_platform.lake.progress import read_progress

    progress = read_progress(home.lake, name)
    return progress.generation if progress else 0


def _imports_since(home: Home, sequence: int) -> int:
    """Return how many imports after one brought rows that the ledger rests on."""
    import pyarrow.compute as pc

    from portfolio_platform.ledger.pipeline import LEDGER_FACTS

    later = pc.field("import_seq") > sequence
    return len({number for fact in LEDGER_FACTS for number in home.lake.read(fact.table, ["import_seq"], later)["import_seq"].to_pylist()})


def _book(home: Home) -> Iterator[Finding]:
    from portfolio_platform.book.chain import verify_chain
    from portfolio_platform.book.migrate import head
    from portfolio_platform.book.rebuild import check_read_models, check_reports

    with home.book.reading() as connection:
        verdict = verify_chain(connection)
        differences = check_reports(connection)
        others = check_read_models(connection)
    yield Finding("ok", "book", f"{home.book.name}, version {head()}")
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


def _schemas(home: Home) -> Iterator[Finding]:
    from portfolio_platform.upkeep.schemas import differences

    found = differences(home.lake)
    if not found:
        yield Finding("ok", "schemas", "every table is as this version declares it")
    for difference in found[:NAMED]:
        yield Finding("fail", f"schema of {difference.table.name}", difference.sentence, "`portfolio upgrade`")


def _backup(home: Home) -> Iterator[Finding]:
    from portfolio_platform.upkeep.backup import last_backup

    last, remedy = last_backup(home), "`portfolio backup PATH`, and copy the file to another machine"
    if last is None:
        yield Finding("info", "backup", "none has been made of this home", remedy)
        return
    days = (SystemClock().now() - last.at).days
    late = days > BACKUP_DAYS and home.pinned_at is None
    state = f"{_counted(days, 'day')} old: {last.file}, {last.size / (1 << 20):,.1f} MiB"
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
        state = f"{_counted(box.dead, 'message')} could not be delivered and were given up"
        yield Finding("fail", "dead letters", state, "`portfolio alerts test`, then `portfolio alerts deliver --retry-dead`")
    hours = (home.clock.now() - box.oldest).total_seconds() / 3_600 if box.oldest else 0.0
    late = hours > LATE_HOURS
    state = f"{_counted(box.waiting, 'message')} waiting, the oldest for {hours:,.0f} hours" if box.waiting else "empty"
    yield Finding("warn" if late else "ok", "outbox", state, "`portfolio alerts deliver`, or start the sensor" if late else "")


def _heartbeat(home: Home) -> Iterator[Finding]:
    from portfolio_platform.alerts.heartbeat import is_quiet, last_run

    last, late = last_run(home), is_quiet(home)
    said = f"the last run finished on {last:%Y-%m-%d at %H:%M UTC}" if last else "no run has finished yet"
    remedy = "look at the schedules and at the newest runs" if late else ""
    yield Finding("warn" if late else "ok" if last else "info", "heartbeat", said, remedy)


def _shadows(home: Home) -> Iterator[Finding]:
    """Look for folders of the working directory that Python takes, or would take, for ours."""
    ours, here = Path(__file__).resolve().parents[1], Path.cwd().resolve()
    for name in OUR_FOLDERS:
        local = (here / name).resolve()
        if not local.is_dir() or local == ours / name:
            continue
        spec = util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        taken = local in {Path(place).resolve() for place in places}
        verb = "hides" if taken else "would hide, where Python starts in this folder,"
        remedy = f"work in another folder, or rename {name}/"
        yield Finding("fail" if taken else "warn", "working directory", f"{local} {verb} our package {name}", remedy)


def _time(home: Home) -> Iterator[Finding]:
    """Warn of a machine whose clock stands before the facts."""
    if home.as_of is None and home.pinned_at is None and SystemClock().now().date() < home.first_day:
        state = f"the machine's clock stands before the ledger's first day, {home.first_day}"
        yield Finding("fail", "clock", state, "set the machine's clock, or pin the home's with `portfolio init --pin-clock DAY`")


CHECKS: dict[str, Check] = {
    "versions": _versions,
    "home": _home,
    "disk": _disk,
    "clock": _clock,
    "machine's clock": _time,
    "policies": _policies,
    "lake lock": _lock,
    "lake files": _lake,
    "facts": _facts,
    "inbox": _inbox,
    "first day": _span,
    "derived tables": _derived,
    "schemas": _schemas,
    "book": _book,
    "reports": _reports,
    "channels": _channels,
    "outbox": _outbox,
    "heartbeat": _heartbeat,
    "backup": _backup,
    "working directory": _shadows,
}
"""What is looked at, in the order it is told."""
