"""Where the documents of a plan are: named on the command line, else in the home's folder `orchestrator`. What is missing is said."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log
from portfolio_platform.desk.exceptions import INPUTS
from portfolio_platform.desk.execution_events import reported_fills
from portfolio_platform.desk.model import in_force, newest_first
from portfolio_platform.desk.snapshot import SOURCE, Taken, ledger_portfolios, snapshot_of
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.orchestrator.accounts import Accounts, AccountTerms
from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import (
    SAMPLES,
    load_accounts,
    load_queue,
    load_rankings,
    load_recommendation,
    load_restrictions,
    load_snapshot,
    read_directives,
    read_text,
)
from portfolio_platform.orchestrator.model import ApprovedQueue, Finding, RestrictionList, SectorRankings, Snapshot, StockRecommendation
from portfolio_platform.orchestrator.profile import DEFAULT, Profile, load_profile, shipped_profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from portfolio_platform.home import Home

DOCUMENT, RANKINGS, RESTRICTIONS, ACCOUNTS, PORTFOLIO = (
    "portfolio_document.md", "sector_rankings.json", "restriction_list.json", "accounts.json", "portfolio.json",
)  # fmt: skip
LARGEST_DOCUMENT = 4_000_000
"""Bytes of a portfolio document: the log keeps it whole with the plan."""
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for. Files that are not named are those of the home's folder.

    Attributes:
        portfolio: whose; empty: that of the snapshot's file or of the queue, or the ledger's only one.
        profile: name of a policy profile, or a TOML file of one.
        document: a portfolio document in markdown.
        directives: typed directives in JSON.
        recommendation: a stock recommendation.
        queue: an approved queue.
        snapshot: the portfolio as a file instead of the ledger's.
        rankings, restrictions, accounts: other files than the home's.
    """

    portfolio: str = ""
    profile: str = DEFAULT
    document: Path | None = None
    directives: Path | None = None
    recommendation: Path | None = None
    queue: Path | None = None
    snapshot: Path | None = None
    rankings: Path | None = None
    restrictions: Path | None = None
    accounts: Path | None = None


@dataclass(frozen=True)
class Gathered:
    """The inputs of a plan, what was read of a document, what there is to say about the portfolio, and where all of it was read."""

    inputs: Inputs
    directives: Directives | None
    findings: tuple[Finding, ...]
    terms: AccountTerms
    sources: tuple[tuple[str, str], ...]


def folder_of(home: "Home") -> Path:
    """Return the folder of a home's orchestrator documents."""
    return home.root / "orchestrator"


def put_samples(home: "Home") -> tuple[list[str], list[str]]:
    """Copy the sample documents into the home's folder; return the names of those copied, and of those that were there and stay."""
    from portfolio_platform.home import write_atomically

    folder = folder_of(home.require())
    folder.mkdir(parents=True, exist_ok=True)
    copied, kept = [], []
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix not in (".json", ".md"):
            continue
        if (folder / path.name).exists():
            kept.append(path.name)
        else:
            write_atomically(folder / path.name, path.read_text(encoding="utf-8"))
            copied.append(path.name)
    return copied, kept


def profile_of(name: str) -> Profile:
    """Return a profile by its name, or that of a TOML file. Raises `WrongUse` or `DataProblem`."""
    return load_profile(Path(name)) if name.lower().endswith(".toml") else shipped_profile(name)


def gather(home: "Home", asked: Asked, at: datetime) -> Gathered:
    """Read everything that a plan needs.

    Raises:
        WrongUse: something is missing, or too much is named; the remedy is said.
        DataProblem: a document is wrong.
    """
    document, source, directives = _directives(home, asked)
    recommendation = None if asked.recommendation is None else load_recommendation(asked.recommendation)
    queue = None if asked.queue is None else load_queue(asked.queue)
    restrictions, restricted_at = restrictions_of(home, asked.restrictions)
    rankings, ranked_at = rankings_of(home, asked.rankings)
    tickers = wanted_tickers(rankings, recommendation, queue)
    portfolio = asked.portfolio or (queue.portfolio if queue is not None and asked.snapshot is None else "")
    taken, terms, sources = take(home, portfolio, at, tickers=tickers, snapshot=asked.snapshot, accounts=asked.accounts)
    inputs = Inputs(
        snapshot=taken.snapshot,
        restrictions=restrictions,
        profile=profile_of(asked.profile),
        at=at,
        rankings=rankings,
        document=document,
        document_source=source,
        queue=queue,
        recommendation=recommendation,
    )
    read = (*sources, ("rankings", ranked_at), ("restrictions", restricted_at))
    return Gathered(inputs, directives, taken.findings, terms, read)


def wanted_tickers(
    rankings: SectorRankings | None, recommendation: StockRecommendation | None, queue: ApprovedQueue | None
) -> frozenset[str]:
    """Return what may be bought: the picks of the rankings, the recommended stock, the trades of the queue."""
    found = {pick.ticker for sector in rankings.sectors for pick in sector.picks} if rankings is not None else set()
    found |= {recommendation.ticker} if recommendation is not None else set()
    return frozenset(found | ({trade.ticker for trade in queue.trades} if queue is not None else set()))


def take(
    home: "Home",
    portfolio: str,
    at: datetime,
    *,
    tickers: frozenset[str] = frozenset(),
    snapshot: Path | None = None,
    accounts: Path | None = None,
) -> tuple[Taken, AccountTerms, tuple[tuple[str, str], ...]]:
    """Return a portfolio as it is now, of a file or of the ledger, with the plans under way as pending; and where it was read.

    Where neither a file is named nor the ledger has the portfolio, the home's own ``portfolio.json`` is looked at.
    """
    listed, where = accounts_of(home, accounts)
    known = [] if snapshot is not None else ledger_portfolios(home)
    if snapshot is None and not portfolio and len(known) == 1:
        portfolio = known[0]
    own = folder_of(home) / PORTFOLIO
    found = None if snapshot is None else load_snapshot(snapshot)
    if snapshot is None and own.is_file() and (portfolio not in known if portfolio else not known):
        found = load_snapshot(own)
        snapshot, found = (own, found) if portfolio in ("", found.portfolio) else (None, None)
    if snapshot is not None and found is not None:
        if portfolio and found.portfolio != portfolio:
            raise WrongUse(f"{snapshot.name} is portfolio {found.portfolio!r}, not {portfolio!r}; name the file of that one")
        pending = (*found.pending, *plans_under_way(home, found.portfolio, at))
        taken = Taken(found.model_copy(update={"pending": pending}), fills_missing(home, found))
        return taken, listed.of(found.portfolio), (("snapshot", named(home, snapshot)), ("accounts", where))
    if not portfolio:
        said = (
            f"the ledger has {', '.join(known)}"
            if known
            else "the ledger has none yet; `portfolio import` and `portfolio build` bring them"
        )
        raise WrongUse(f"say whose plan it is (--portfolio NAME), or give a file of the portfolio (--snapshot FILE); {said}")
    _refuse_two_sources(home, portfolio)
    terms = listed.of(portfolio)
    pending = plans_under_way(home, portfolio, at)
    taken = snapshot_of(home, portfolio, at, tickers=tickers, terms=terms, pending=pending)
    return taken, terms, (("snapshot", SOURCE), ("accounts", where))


def plans_under_way(home: "Home", portfolio: str, at: datetime) -> tuple[str, ...]:
    """Return the plans whose trades may be under way, as a snapshot's ``pending`` names them."""
    with home.book.reading() as connection:
        plans = log.plans_of(connection, portfolio)
    return tuple(f"plan {plan.made.plan_hash[:12]} (approved; report or withdraw it)" for plan in in_force(plans, nanoseconds(at)))


def fills_missing(home: "Home", snapshot: Snapshot) -> tuple[Finding, ...]:
    """Return an error where a file of a portfolio does not have the fills that were reported: they would be traded a second time.

    It has not where they are later than it, or where it has the very cash and holdings that a plan with fills was made on.
    """
    with home.book.reading() as connection:
        fills = reported_fills(connection, snapshot.portfolio)
        plans = log.plans_of(connection, snapshot.portfolio) if fills else {}
    later = [fill for fill in fills if fill.at > snapshot.as_of]
    begun = [plan.execution_id for plan in plans.values() if plan.made.portfolio_hash == snapshot.state_hash]
    same = [fill for fill in fills if any(fill.fill_id.startswith(f"{quote(name, safe='')}.") for name in begun)]
    if not later and not same:
        return ()
    newest = max(fill.at for fill in later or same)
    text = (
        f"the file of portfolio {snapshot.portfolio} is as of {snapshot.as_of:%Y-%m-%d %H:%M:%S} UTC, and {len(later)} fills were reported "
        f"after it, the last of {newest:%Y-%m-%d %H:%M:%S} UTC"
        if later
        else f"the file of portfolio {snapshot.portfolio} has the cash and holdings from before the {len(same)} fills that were reported, "
        f"the last of {newest:%Y-%m-%d %H:%M:%S} UTC"
    )
    remedy = "bring the portfolio as it is after them, with its time"
    return (Finding(code=f"{INPUTS}fills_missing", severity="error", subject="portfolio", message=f"{text}; {remedy}", remedy=remedy),)


def _refuse_two_sources(home: "Home", portfolio: str) -> None:
    """Refuse the ledger of a portfolio that was last planned on a file: it may have nothing of it but the fills that were reported.

    Raises:
        WrongUse: that file is still there, so that somebody has to say which of the two is meant.
    """
    with home.book.reading() as connection:
        plans = newest_first(log.plans_of(connection, portfolio))
    last = dict(plans[0].made.sources).get("snapshot", SOURCE) if plans else SOURCE
    if last != SOURCE and path_of(home, last).is_file():
        raise WrongUse(
            f"portfolio {portfolio!r} was last planned on {last}, and the ledger has it too, if only the fills that were reported of it; "
            "name the file (--snapshot FILE), or move it away where the ledger has all of the portfolio"
        )


def restrictions_of(home: "Home", path: Path | None) -> tuple[RestrictionList, str]:
    """Return the restriction list, and where it was read. Raises `WrongUse` where there is none: an empty list says that nothing is."""
    found = path or folder_of(home) / RESTRICTIONS
    if path is None and not found.is_file():
        raise WrongUse(
            f"there is no restriction list in the home ({found.relative_to(home.root)}); write one, empty where nothing is restricted, "
            "name one (--restrictions FILE), or begin with the samples: `portfolio orchestrate init`"
        )
    return load_restrictions(found), named(home, found)


def rankings_of(home: "Home", path: Path | None) -> tuple[SectorRankings | None, str]:
    """Return the sector rankings, None where the home has none, and where they were read."""
    return _optional(home, path, RANKINGS, load_rankings)


def accounts_of(home: "Home", path: Path | None) -> tuple[Accounts, str]:
    """Return the accounts, none listed where the home has no file, and where they were read."""
    found, where = _optional(home, path, ACCOUNTS, load_accounts)
    return found or Accounts.model_validate({"as_of": "1970-01-01T00:00:00Z", "source": "defaults"}), where


def named(home: "Home", path: Path) -> str:
    """Return how the log names a file: relative to the home where it is in it."""
    whole = path.expanduser().absolute()
    return str(whole.relative_to(home.root)) if whole.is_relative_to(home.root) else str(whole)


def path_of(home: "Home", name: str) -> Path:
    """Return the file behind a name of the log."""
    return home.root / name


def _optional(home: "Home", path: Path | None, name: str, load: "Callable[[Path], _Read]") -> tuple[_Read | None, str]:
    found = path or folder_of(home) / name
    if path is None and not found.is_file():
        return None, ""
    return load(found), named(home, found)


def _directives(home: "Home", asked: Asked) -> tuple[str, str, Directives | None]:
    """Return a document's text, its name, and the directives read of it; none where a recommendation or a queue is asked for."""
    given = {
        "--document": asked.document,
        "--directives": asked.directives,
        "--recommendation": asked.recommendation,
        "--queue": asked.queue,
    }
    said = [name for name, path in given.items() if path is not None]
    if len(said) > 1:
        raise WrongUse(f"a plan is made from one thing, and {' and '.join(said)} are given; make a plan of each")
    if asked.recommendation is not None or asked.queue is not None:
        return "", "", None
    path = asked.document or asked.directives or folder_of(home) / DOCUMENT
    if not said and not path.is_file():
        raise WrongUse(
            f"say what to plan: --document FILE, --directives FILE, --recommendation FILE or --queue FILE; there is no {DOCUMENT} in the "
            "home's folder orchestrator either (`portfolio orchestrate init` puts samples there)"
        )
    if asked.directives is not None and path.suffix.lower() != ".json":
        raise WrongUse(f"--directives takes a JSON file, and {path.name} is none; give a markdown document with --document")
    text = read_text(path)
    if len(text.encode()) > LARGEST_DOCUMENT:
        size = f"{len(text.encode()):,} bytes, and at most {LARGEST_DOCUMENT:,} are planned from"
        raise DataProblem(f"{path.name}: it has {size}; take its ACTION PLAN alone")
    return text, path.name, read_directives(text, path.name)
