"""Why a report says what it says: its figures, alerts and recommendation, and what it was made from."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from portfolio_platform.book import reports as book
from portfolio_platform.book.reports import StoredReport
from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.alerts import alert
from portfolio_platform.explain.book import remarks
from portfolio_platform.explain.recommendations import recommendation
from portfolio_platform.explain.resolve import at_evidence_id
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.lake.facts import IMPORTS
from portfolio_platform.monitor.alerts.sentences import formatted
from portfolio_platform.monitor.figures import labelled
from portfolio_platform.version import __version__

PREFIX = "report:"
HEADLINES = ("equity", "daily_return", "drawdown", "heat", "stack_ratio", "gross_exposure_pct")


def stored_report(of: Sources, identity: str) -> StoredReport:
    """Return the revision with an id. Raises `WrongUse` where the book has none, and says which there are."""
    with of.home.book.reading() as connection:
        found = book.by_id(connection, identity)
        if found is not None:
            return found
        names = book.portfolios_with_reports(connection)
        parts = identity.split(":")
        newest = [one for name in names if (one := book.newest(connection, name)) is not None]
        of_day = [one for one in newest if len(parts) > 3 and one.portfolio == parts[2]]
    near = ", ".join(one.id for one in of_day or newest) or "none at all; `portfolio report` publishes one"
    raise WrongUse(f"the book has no report {identity!r}; the newest it has is {near}")


def newest_report(of: Sources, portfolio: str, day: date | None) -> StoredReport:
    """Return the newest revision of a portfolio's report of a day. Raises `WrongUse` where the book has none."""
    with of.home.book.reading() as connection:
        found = book.newest(connection, portfolio, day)
    return found if found is not None else stored_report(of, f"report:daily:{portfolio}:{day}:r1")


def report(of: Sources, stored: StoredReport) -> Draft:
    """Return a report: what it says first, and what it rests on. Reports of any version of the model can be read."""
    content: dict[str, Any] = json.loads(stored.content)
    firing = sum(1 for item in content.get("alerts") or () if item.get("state") == "firing")
    regime = (content.get("drawdown") or {}).get("regime", "")
    words = f"{regime}, {firing} alerts; published {stored.published_at[:19]}, content hash {stored.content_hash[:12]}"
    return Draft(stored.id, words=words, evidence_id=stored.id, parts=lambda: _parts(of, stored, content))


def sections(content: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every section of a report's content by its path: what has the address of a row, and values by column."""
    if isinstance(content, dict):
        if "of" in content and isinstance(content.get("values"), dict):
            yield path.removesuffix(".section"), content
            return
        for name, value in content.items():
            yield from sections(value, f"{path}.{name}" if path else name)
    elif isinstance(content, list):
        for place, value in enumerate(content):
            about = " ".join(str(value[name]) for name in ("dimension", "basis") if name in value) if isinstance(value, dict) else ""
            yield from sections(value, f"{path} {about or place}")


def _parts(of: Sources, stored: StoredReport, content: Mapping[str, Any]) -> list[Draft]:
    day = date.fromisoformat(content["day"])
    found = dict(sections(content))
    told = {name: draft for section in found.values() for name, draft in _figures(of, section).items()}
    first = [told[name] for name in HEADLINES if name in told]
    by_section = [Draft(name, parts=lambda mine=section: _figures(of, mine).values()) for name, section in found.items()]  # type: ignore[misc]
    alerts = [_known(lambda name=item["alert_id"]: alert(of, name, day), item) for item in content.get("alerts") or ()]  # type: ignore[misc]
    changes = [Draft(item["sentence"], parts=lambda names=item["evidence_ids"]: _cells(of, names)) for item in content.get("changes") or ()]  # type: ignore[misc]
    drafts = [*first, Draft("every figure, by section", parts=lambda: by_section)]
    drafts += [listing("what changed", lambda: changes)] if changes else []
    drafts.append(listing(f"{len(alerts)} alerts", lambda: alerts))
    standing = content.get("recommendation") or {}
    if standing.get("recommendation_id"):
        drafts.append(_known(lambda: recommendation(of, standing["recommendation_id"]), standing))
    failures = [
        Draft(f"{item['label']} {item['scope']}".strip(), words=item["reason"], parts=lambda name=item["evidence_id"]: _cells(of, [name]))  # type: ignore[misc]
        for item in (content.get("sufficiency") or {}).get("failures") or ()
    ]
    drafts += [listing("gates that failed", lambda: failures)] if failures else []
    return [*drafts, provenance(of, stored), *_revisions(of, stored), *remarks(of, stored.id)]


def _known(make: Callable[[], Draft], told: Mapping[str, Any]) -> Draft:
    """Return a thing of the report; where facts have moved since, it may be there no more, and that is said."""
    try:
        return make()
    except WrongUse as missing:
        identity = str(told.get("alert_id") or told.get("recommendation_id"))
        return Draft(identity, words=f"{told.get('sentence') or told.get('status')}; now: {missing}", evidence_id=identity)


def _figures(of: Sources, section: Mapping[str, Any]) -> dict[str, Draft]:
    """Return the figures of a section as the report tells them, each over its cell as it is now."""
    table, drafts = str(section["of"]).split("/", 1)[0], {}
    for name, label, unit in labelled(table, section["values"]):
        held = section["values"][name]
        value = held[0] if isinstance(held, list) else held
        why = (section.get("null") or {}).get(name) or section.get("reason") or "not known"
        text = formatted(value, unit) if value is not None else f"– ({why})"
        identity = f"{section['of']}/{name}"
        drafts[name] = Draft(label, value, text, parts=lambda name=identity: _cells(of, [name]))  # type: ignore[misc]
    return drafts


def _cells(of: Sources, names: Iterable[str]) -> list[Draft]:
    """Return cells as they are now; where one is there no more, that is said."""
    found = []
    for name in names:
        try:
            found.append(at_evidence_id(of, name))
        except WrongUse as missing:
            found.append(Draft(name, words=str(missing), evidence_id=name))
    return found


def provenance(of: Sources, stored: StoredReport) -> Draft:
    """Return what a report was made from: imports, lake versions, policies, code."""
    known: Mapping[str, Any] = json.loads(stored.provenance)
    code = str(known["code_version"])
    versions = known["lake_versions"]

    def parts() -> list[Draft]:
        moved = {name: version for name, version in versions.items() if name in TABLES and of.home.lake.version(TABLES[name]) != version}
        newer = f"{len(moved)} of {len(versions)} tables were written since" if moved else "no table was written since"
        lines = [Draft(name, version, f"version {version}") for name, version in sorted(versions.items()) if version is not None]
        policies = {"default": known["policies"]["default"], **known["policies"]["by_portfolio"]}
        hashes = [Draft(name, hashed, hashed[:12]) for name, hashed in policies.items()]
        in_time = known["policies"].get("in_time") or {}
        hashes += [
            Draft(f"{name} from {begins or 'the beginning'} on", hashed, hashed[:12])
            for name, told in in_time.items()
            for begins, hashed in told
        ]
        return [
            Draft("newest import", known["import_seq"], str(known["import_seq"]), parts=lambda: _imports(of, known["import_seq"])),
            listing("policies", lambda: hashes),
            listing("lake versions", lambda: lines, newer),
            Draft("version of the code", code, code, "" if code == __version__ else f"this is {__version__}"),
        ]

    return Draft("made from", words=f"`portfolio verify {stored.id}` computes it again from these", parts=parts)


def _imports(of: Sources, sequence: int) -> list[Draft]:
    import pyarrow.compute as pc

    rows = of.home.lake.read(IMPORTS, None, pc.field("import_seq") == sequence).sort_by("fact").to_pylist()
    return [Draft(row["fact"], row["imported"], f"{row['imported']:,} new rows", f"from {row['files']}") for row in rows]


def _revisions(of: Sources, stored: StoredReport) -> list[Draft]:
    """Return the other revisions of the day."""
    with of.home.book.reading() as connection:
        newest = book.newest(connection, stored.portfolio, stored.day)
        count = newest.revision if newest is not None else stored.revision
        others = [book.revision(connection, stored.portfolio, stored.day, n) for n in range(1, count + 1) if n != stored.revision]
    lines = [Draft(one.id, words=f"published {one.published_at[:19]}, hash {one.content_hash[:12]}") for one in others if one is not None]
    return [listing("other revisions", lambda: lines)] if lines else []
