"""Recomputing what was told from the facts known then, under the policy in force then, and comparing.

A report is composed again from nothing and compared byte by byte. An alert, a recommendation and a number are looked up in
tables built again from nothing, and compared with what the lake holds, and with what book and reports told.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from portfolio_platform.alerts.model import content_of
from portfolio_platform.book.alerts import Alert
from portfolio_platform.book.reports import StoredReport, newest
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.ids import Address, parse_evidence_id
from portfolio_platform.explain.alerts import PREFIX as ALERT
from portfolio_platform.explain.alerts import near_alerts, trail_of
from portfolio_platform.explain.basis import Basis, basis_now, basis_of
from portfolio_platform.explain.book import alert_in_book, recommendation_in_book
from portfolio_platform.explain.recommendations import PREFIX as RECOMMENDATION
from portfolio_platform.explain.recommendations import issued_text, near_recommendations
from portfolio_platform.explain.reports import PREFIX as REPORT
from portfolio_platform.explain.reports import sections, stored_report
from portfolio_platform.explain.resolve import at_evidence_id, row_at
from portfolio_platform.explain.scratch import as_known
from portfolio_platform.explain.sources import Sources
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import QUARANTINE
from portfolio_platform.monitor.pipeline.contents import compose_contents
from portfolio_platform.version import __version__

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Difference:
    """A place in the content where what was told and what is recomputed are not the same."""

    path: str
    stored: Any
    recomputed: Any


@dataclass(frozen=True)
class Verification:
    """What a recomputation found. ``compared`` says with what; ``code_version`` is that of what was told."""

    identity: str
    equal: bool
    import_seq: int
    code_version: str
    compared: tuple[str, ...]
    differences: tuple[Difference, ...] = field(default=())

    @property
    def same_code(self) -> bool:
        """Say whether it was told by this version of the code."""
        return self.code_version == __version__

    @property
    def sentence(self) -> str:
        """Say what was found, for a person."""
        known = f"from the facts known after import {self.import_seq}, under the policy then in force"
        version = "" if self.same_code else f" (it was made by version {self.code_version}, this is {__version__})"
        what = f"; compared with {' and '.join(self.compared)}" if self.compared else ""
        if self.equal:
            return f"{self.identity} recomputes to the same {known}{version}{what}."
        count = len(self.differences)
        places = "place differs" if count == 1 else "places differ"
        return f"{self.identity} does not recompute {known}{version}: {count} {places}{what}."


def verify(home: Home, identity: str, progress: Progress = lambda text: None) -> Verification:
    """Recompute what an id names and compare it with what was told.

    Raises `WrongUse` where there is no such thing, `DataProblem` where it cannot be said what it was made from.
    """
    of = Sources(home)
    if identity.startswith(REPORT):
        return verify_report(home, stored_report(of, identity), progress)
    if identity.startswith(ALERT):
        return _verify_alert(of, identity, progress)
    if identity.startswith(RECOMMENDATION):
        return _verify_recommendation(of, identity, progress)
    if "/" in identity:
        return _verify_number(of, identity, progress)
    raise WrongUse(f"{identity!r} is nothing that can be recomputed: give a report, an alert, a recommendation or the id of a number")


def verify_report(home: Home, stored: StoredReport, progress: Progress = lambda text: None) -> Verification:
    """Recompute a report and compare it byte by byte; its hash and its event in the log are looked at too."""
    basis = basis_of(home, stored)
    with as_known(home, basis, stored.day, progress) as scratch:
        progress("composing the report")
        found = {content["portfolio"]: canonical_bytes(content, plain=True) for content in compose_contents(scratch, [stored.day])}
    content = found.get(stored.portfolio, b"null")
    differences = [*_against_log(home, stored)]
    if content != stored.content:
        differences += list(compare(json.loads(stored.content), json.loads(content))) or [Difference("bytes", "other", "spelling")]
    return Verification(
        stored.id, not differences, basis.import_seq, basis.code_version, ("the stored bytes", "the event log"), tuple(differences)
    )


def _against_log(home: Home, stored: StoredReport) -> Iterator[Difference]:
    """Yield what the event of a report says otherwise: its hashes were written when it was published."""
    from portfolio_platform.book.events import by_keys

    with home.book.reading() as connection:
        event = by_keys(connection, [stored.id]).get(stored.id)
    if event is None:
        yield Difference("event log", stored.id, None)
        return
    told = event.data
    for name, hashed in (("content_hash", content_hash(stored.content)), ("provenance_hash", content_hash(stored.provenance))):
        if told.get(name) != hashed:
            yield Difference(f"{name} in the event log", hashed, told.get(name))


def _bases(of: Sources, portfolio: str, day: date) -> list[Basis]:
    """Return what something of a session may have been made from: what is known now, and what its report was made from."""
    with of.home.book.reading() as connection:
        stored = newest(connection, portfolio, day)
    now = basis_now(of.home, day)
    if stored is None:
        return [now]
    then = basis_of(of.home, stored)
    return [now] if then.same_as(now) else [then, now]


def _best(
    of: Sources, identity: str, portfolio: str, day: date, compared: tuple[str, ...], check: "Check", progress: Progress
) -> Verification:
    """Return the first recomputation that finds everything equal; where none does, that from what is known now."""
    outcome: Verification | None = None
    for basis in _bases(of, portfolio, day):
        with as_known(of.home, basis, day, progress) as scratch:
            differences = tuple(check(Sources(scratch)))
        outcome = Verification(identity, not differences, basis.import_seq, basis.code_version, compared, differences)
        if outcome.equal:
            break
    assert outcome is not None
    return outcome


Check = Callable[[Sources], Iterator[Difference]]


def _verify_alert(of: Sources, identity: str, progress: Progress) -> Verification:
    told, rows = alert_in_book(of, identity), trail_of(of, identity)
    if not rows and told is None:
        raise WrongUse(f"there is no alert {identity!r}; {near_alerts(of, identity)}")
    if told is not None and told.origin == "platform":
        raise WrongUse(f"{identity} is about the platform itself: it rests on no facts, so there is nothing to recompute")
    portfolio = rows[-1].portfolio if rows else told.portfolio if told is not None else ""
    last = max([*(row.day for row in rows), *([_told_day(told)] if told is not None else [])])

    def check(scratch: Sources) -> Iterator[Difference]:
        again = {row.day: content_of(row.values) for row in trail_of(scratch, identity) if row.day <= last}
        stored = {row.day: content_of(row.values) for row in rows}
        for day in sorted(stored.keys() | again.keys()):
            yield from _compared(f"alert_states {day}", stored.get(day), again.get(day))
        if told is not None:
            yield from _compared(f"book, session {_told_day(told)}", told.content, again.get(_told_day(told)))

    compared = ("the lake's row of every session", *(("the content in the book",) if told is not None else ()))
    return _best(of, identity, portfolio, last, compared, check, progress)


def _told_day(told: Alert) -> date:
    return date.fromisoformat(str(told.said.get("day") or told.last_seen))


def _verify_recommendation(of: Sources, identity: str, progress: Progress) -> Verification:
    told, in_lake = recommendation_in_book(of, identity), issued_text(of, identity)
    if told is None and not in_lake:
        raise WrongUse(f"there is no recommendation {identity!r}; {near_recommendations(of, identity)}")
    content = told.content if told is not None else in_lake.encode()
    said = json.loads(content)

    def check(scratch: Sources) -> Iterator[Difference]:
        again = issued_text(scratch, identity).encode() or None
        if told is not None:
            yield from _compared("book", told.content, again)
            if content_hash(told.content) != told.content_hash:
                yield Difference("content_hash in the book", told.content_hash, content_hash(told.content))
        yield from _compared("recommendation_states", in_lake.encode() or None, again)

    compared = ("the lake's row", *(("the content in the book",) if told is not None else ()))
    return _best(of, identity, said["portfolio"], date.fromisoformat(said["day"]), compared, check, progress)


def _verify_number(of: Sources, identity: str, progress: Progress) -> Verification:
    """Recompute one number: the lake's cell from what is known now, and what the report told of it from what was known then."""
    at_evidence_id(of, identity)  # says what is wrong with an id that names nothing
    address = parse_evidence_id(identity)
    if address.table is QUARANTINE:
        raise WrongUse(f"{identity} counts rows that were set aside; `portfolio quarantine` lists them, there is nothing to recompute")
    row, now = row_at(of, address), basis_now(of.home, address.day)
    assert row is not None
    with as_known(of.home, now, address.day, progress) as scratch:
        again = row_at(Sources(scratch), address)
    stored = dict(row.values)
    differences = list(compare(_exact(stored), _exact(dict(again.values)) if again is not None else None, address.table.name))
    compared, basis = ["the lake's row"], now
    told = _told_figure(of, identity, address)
    if told is not None:
        basis, value = told
        compared.append("the figure in the report")
        found = again
        if not basis.same_as(now):
            with as_known(of.home, basis, address.day, progress) as scratch:
                found = row_at(Sources(scratch), address)
        recomputed = _exact(found[address.column]) if found is not None else None
        if recomputed != _exact(value):
            differences.append(Difference("report", value, recomputed))
    return Verification(identity, not differences, basis.import_seq, basis.code_version, tuple(compared), tuple(differences))


def _told_figure(of: Sources, identity: str, address: Address) -> tuple[Basis, Any] | None:
    """Return what the newest report of the day says of a number, and what it was made from; None where it does not quote it."""
    with of.home.book.reading() as connection:
        stored = newest(connection, address.portfolio, address.day)
    if stored is None:
        return None
    for _, section in sections(json.loads(stored.content)):
        if f"{section['of']}/{address.column}" == identity and address.column in section["values"]:
            held = section["values"][address.column]
            return basis_of(of.home, stored), held[0] if isinstance(held, list) else held
    return None


def _exact(value: Any) -> Any:
    """Return values as they are compared: floats to 12 significant digits, days as text."""
    return json.loads(canonical_bytes(value))


def _compared(path: str, stored: bytes | None, recomputed: bytes | None) -> Iterator[Difference]:
    """Yield the places where canonical contents differ; nothing where they are the same bytes."""
    if stored != recomputed:
        yield from compare(json.loads(stored or b"null"), json.loads(recomputed or b"null"), path)


def compare(stored: Any, recomputed: Any, path: str = "") -> Iterator[Difference]:
    """Yield the places where two JSON values differ, by path."""
    if isinstance(stored, Mapping) and isinstance(recomputed, Mapping):
        for name in sorted(stored.keys() | recomputed.keys()):
            yield from compare(stored.get(name), recomputed.get(name), f"{path}.{name}" if path else name)
    elif isinstance(stored, list) and isinstance(recomputed, list) and len(stored) == len(recomputed):
        for place, (one, other) in enumerate(zip(stored, recomputed, strict=True)):
            yield from compare(one, other, f"{path}[{place}]")
    elif stored != recomputed:
        yield Difference(path or "content", stored, recomputed)
