"""Why a recommendation: what it changes, the alerts and cells it rests on, its gates, and who decided on it."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote

import pyarrow.compute as pc

from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.alerts import alert
from portfolio_platform.explain.book import recommendation_in_book, remarks, what_happened
from portfolio_platform.explain.resolve import at_evidence_id
from portfolio_platform.explain.shown import number
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.derived import RECOMMENDATION_STATES

PREFIX = "recommendation:"


def issued_content(of: Sources, identity: str) -> Mapping[str, Any] | None:
    """Return what the lake says a recommendation is; None where it issues none with this id."""
    text = issued_text(of, identity)
    return json.loads(text) if text else None


def issued_text(of: Sources, identity: str) -> str:
    """Return the canonical text of a recommendation in the lake; empty where there is none with this id."""
    parts = identity.split(":")
    if len(parts) != 3:
        return ""
    try:
        day = date.fromisoformat(parts[2])
    except ValueError:
        return ""
    row = of.row(RECOMMENDATION_STATES, unquote(parts[1]), day)
    return str(row["content"]) if row is not None and row["recommendation_id"] == identity else ""


def recommendation(of: Sources, identity: str) -> Draft:
    """Return a recommendation. Raises `WrongUse` where neither lake nor book knows it."""
    told = recommendation_in_book(of, identity)
    in_lake = issued_content(of, identity)
    content = told.said if told is not None else in_lake
    if content is None:
        raise WrongUse(f"there is no recommendation {identity!r}; {near_recommendations(of, identity)}")
    state = (
        f"{told.state}{f' by {told.decided_by}' if told.decided_by else ''}" if told is not None else "in the lake alone, never published"
    )
    text = f"{content['mode']}, {state}"
    return Draft(identity, content["mode"], text, content["reason"], identity, lambda: _parts(of, identity, content, in_lake))


def _parts(of: Sources, identity: str, content: Mapping[str, Any], in_lake: Mapping[str, Any] | None) -> list[Draft]:
    rests, day = content["rests_on"], date.fromisoformat(content["day"])
    changes = [_adjustment(item) for item in content["adjustments"]]
    withheld = [_withheld(item) for item in content["withheld"]]
    found = (
        [listing("what it changes", lambda: changes, "as proposed; once approved, orders of the control plane enforce it")]
        if changes
        else []
    )
    found += [listing("considered and withheld", lambda: withheld)] if withheld else []
    found.append(Draft("drawdown regime", rests["regime"], rests["regime"], "it calls for the mode"))
    found.append(Draft("alerts it rests on", parts=lambda: [_known_alert(of, name, day) for name in rests["alert_ids"]]))
    found.append(Draft("cells it rests on", parts=lambda: [_known_cell(of, name) for name in rests["evidence_ids"]]))
    found.append(_confidence(content))
    ends = [Draft(item["sentence"]) for item in content["withdrawn_if"]]
    times = f"from {content['effective']}, to be looked at on {content['review']}, until {content['expires']}"
    found.append(Draft("when it holds", words=times, parts=lambda: [listing("withdrawn if", lambda: ends)]))
    if content["supersedes"]:
        found.append(_earlier(of, content["supersedes"]))
    if in_lake is not None and dict(in_lake) != dict(content):
        found.append(
            Draft("restated", words="THE LAKE NOW SAYS OTHERWISE for that day: facts or policy have changed since it was published")
        )
    found.append(Draft("policy", content["policy_hash"], content["policy_hash"][:12], "hash of the policy it was made under"))
    return [*found, *_in_book(of, identity, content["portfolio"])]


def _earlier(of: Sources, identity: str) -> Draft:
    """Return the recommendation that this one replaced."""
    try:
        found = recommendation(of, identity)
    except WrongUse as missing:
        return Draft(f"replaces {identity}", words=str(missing))
    return Draft(f"replaces {identity}", found.value, found.text, found.words, identity, found.parts)


def _known_alert(of: Sources, identity: str, day: date) -> Draft:
    """Return an alert as it was that day; where facts have moved since, it may be there no more, and that is said."""
    try:
        return alert(of, identity, day)
    except WrongUse as missing:
        return Draft(identity, words=str(missing), evidence_id=identity)


def _known_cell(of: Sources, name: str) -> Draft:
    try:
        return at_evidence_id(of, name)
    except WrongUse as missing:
        return Draft(name, words=str(missing), evidence_id=name)


def _adjustment(item: Mapping[str, Any]) -> Draft:
    about = str(item["kind"]).replace("_", " ") + (f" of {item['scope']}" if item["scope"] else "")
    moves = f"{number(float(item['from']), item['unit'])} to {number(float(item['to']), item['unit'])}"
    return Draft(f"{item['direction']} {about}", item["to"], moves)


def _withheld(item: Mapping[str, Any]) -> Draft:
    draft = _adjustment(item["adjustment"])
    return Draft(draft.title, draft.value, draft.text, item["because"])


def _confidence(content: Mapping[str, Any]) -> Draft:
    sure = content["confidence"]
    gates = [Draft(name, words="passed") for name in sure["gates_passed"]] + [Draft(name, words="FAILED") for name in sure["gates_failed"]]
    only = "; for the monitor only, a gate failed" if content["monitor_only"] else ""
    return listing(f"gates at a confidence of {sure['level']:.0%}", lambda: gates, f"{len(sure['gates_passed'])} passed{only}")


def _in_book(of: Sources, identity: str, portfolio: str) -> list[Draft]:
    told = recommendation_in_book(of, identity)
    state = []
    if told is not None:
        who = f"by {told.decided_by} at {told.decided_at}: {told.reason}" if told.decided_by else "nobody has decided"
        state = [Draft("in the book", told.state, told.state, f"{who}; content hash {told.content_hash[:12]}")]
    return [*state, *what_happened(of, f"recommendations/{portfolio}", identity), *remarks(of, identity)]


def near_recommendations(of: Sources, identity: str) -> str:
    """Say which recommendations there are that look like one that is not there."""
    import difflib

    rows = of.home.lake.read(RECOMMENDATION_STATES, ["recommendation_id"], pc.field("status") == "issued")
    near = difflib.get_close_matches(identity, rows["recommendation_id"].to_pylist(), n=3, cutoff=0.5)
    return f"near it are {', '.join(near)}" if near else "`portfolio recommendations list --all` lists those of the book"
