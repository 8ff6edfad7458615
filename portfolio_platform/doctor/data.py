"""What is wrong with the data: policies, lake, facts, inbox, derived tables, their schemas."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from portfolio_platform.home import DEFAULT_FIRST_DAY, Home
from portfolio_platform.version import __version__

if TYPE_CHECKING:
    from portfolio_platform.lake.progress import Progress

from portfolio_platform.doctor.finding import NAMED, Check, Finding, counted, guarded

MANY_FILES = 100
"""Files of a table beyond which a read slows down. A partitioned table has a file a month anyway."""
SOON_DAYS = 30
"""Days before a policy's last from which on it is told that nothing takes over."""


def _policies(home: Home) -> Iterator[Finding]:
    from portfolio_platform.policy.assigned import policies_in_time
    from portfolio_platform.policy.load import policy_names

    names = policy_names(home.policies)
    for name in names:
        yield from guarded(f"policy {name}", partial(_policy, name), home)
    if "default" not in names:
        yield Finding("fail", "policy default", "policies/default.toml is not there", "`portfolio init` writes it")
        return
    in_time = policies_in_time(home)
    users = ", ".join(f"{name} has {timeline.name}" for name, timeline in sorted(in_time.by_portfolio.items()))
    yield Finding("ok", "policies in use", users or "default, for every portfolio")


def _policy(name: str, home: Home) -> Iterator[Finding]:
    """Say what of a policy is in force today, and whether it soon is no more. Raises where its files are wrong."""
    timeline = home.timeline(name)
    now = timeline.on(home.today)
    state = f"version {now.policy.version}, hash {now.policy.hash[:12]}"
    if len(timeline.versions) > 1:
        state = f"{state}, {timeline.versions.index(now) + 1} of {len(timeline.versions)} in time"
    last = now.expires
    if last is not None and (last - home.today).days < SOON_DAYS and timeline.newest is now:
        remedy = f"write policies/{name}@next.toml with effective_from no later than the day after, or move `expires` in {now.source}"
        yield Finding("warn", f"policy {name}", f"{state}; its last day is {last}, and nothing takes over", remedy)
    else:
        yield Finding("ok", f"policy {name}", state)


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
        state = f"{counted(len(aside) - disputed, 'row')} could not be right"
        yield Finding("warn", "set aside", state, "`portfolio quarantine` says why; mend and import them")
    if disputed:
        state = f"{counted(disputed, 'row')} contradict another with the same id"
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
    from portfolio_platform.policy.assigned import accounting_hash, policies_in_time
    from portfolio_platform.stages import STAGES

    if not newest_import(home.lake):
        return
    in_time = policies_in_time(home)
    trails = {"ledger": accounting_hash(in_time.default.newest.policy), **{stage.name: stage.trail(in_time) for stage in STAGES}}
    for name, trail in trails.items():
        progress = read_progress(home.lake, name)
        if progress is None:
            yield Finding("warn", name, "not built yet", "`portfolio build`")
            continue
        behind = list(_behind(name, progress, trail, home))
        state = f"built until {progress.built_until}"
        yield Finding("warn", name, ", ".join([state, *behind]), "`portfolio build`") if behind else Finding("ok", name, state)


def _behind(name: str, progress: "Progress", trail: str, home: Home) -> Iterator[str]:
    """Say how far a derived table is behind the clock, the imports, its policy, and what it rests on."""
    days = (home.today - progress.built_until).days
    if days > 0:
        yield f"{counted(days, 'day')} behind the clock"
    if name == "ledger":
        imports = _imports_since(home, progress.import_seq)
        if imports:
            yield f"{counted(imports, 'import')} behind"
    else:
        behind = [upstream for upstream, generation in progress.upstreams.items() if _generation(home, upstream) > generation]
        if behind:
            yield f"older than what it rests on ({', '.join(behind)})"
    if progress.code_version != __version__:
        yield f"built by version {progress.code_version}"
    elif (other := progress.first_stale_day(trail, home.first_day)) is not None:
        yield "built under another policy" if other == home.first_day else f"built under another policy from {other} on"


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


def _schemas(home: Home) -> Iterator[Finding]:
    from portfolio_platform.upkeep.schemas import differences

    found = differences(home.lake)
    if not found:
        yield Finding("ok", "schemas", "every table is as this version declares it")
    for difference in found[:NAMED]:
        yield Finding("fail", f"schema of {difference.table.name}", difference.sentence, "`portfolio upgrade`")


CHECKS: dict[str, Check] = {
    "policies": _policies,
    "lake lock": _lock,
    "lake files": _lake,
    "facts": _facts,
    "inbox": _inbox,
    "first day": _span,
    "derived tables": _derived,
    "schemas": _schemas,
}
