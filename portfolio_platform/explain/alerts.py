"""Why an alert: its rule and thresholds, what was observed, who contributes, the cells below, and what was done about it."""

import json
from datetime import date
from typing import Any
from urllib.parse import unquote

import pyarrow.compute as pc

from portfolio_platform.book.alerts import stream
from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.explain.book import alert_in_book, remarks, what_happened
from portfolio_platform.explain.cells import cell
from portfolio_platform.explain.resolve import at_evidence_id
from portfolio_platform.explain.shown import number
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.derived import ALERT_STATES
from portfolio_platform.monitor.alerts.limits import meets, rule_version
from portfolio_platform.monitor.alerts.sentences import formatted

PREFIX = "alert:"


def trail_of(of: Sources, identity: str) -> list[Row]:
    """Return the rows of an alert in the lake, session by session; none where the lake does not know it."""
    parts = identity.split(":")
    if len(parts) != 5:
        return []
    try:
        first = date.fromisoformat(parts[4])
    except ValueError:
        return []
    equal = {"rule": unquote(parts[2]), "scope": unquote(parts[3]), "alert_id": identity}
    return of.rows(ALERT_STATES, unquote(parts[1]), first, of.home.today, **equal)


def alert(of: Sources, identity: str, day: date | None = None) -> Draft:
    """Return an alert as it was in its newest session, or on a day. Raises `WrongUse` where nobody knows it."""
    rows = [row for row in trail_of(of, identity) if day is None or row.day <= day]
    told = alert_in_book(of, identity)
    if not rows and told is None:
        raise WrongUse(f"there is no alert {identity!r}; {near_alerts(of, identity)}")
    if not rows:
        assert told is not None
        said = [Draft(name.replace("_", " "), str(value), str(value)) for name, value in told.said.items() if value not in (None, "")]
        words = str(told.said.get("sentence") or told.rule)
        return Draft(identity, words=words, evidence_id=identity, parts=lambda: [*said, *_in_book(of, identity, told.portfolio)])
    row = rows[-1]
    state = f"{row['state']}, {row['severity']}" + (f" on {row.day}" if row["state"] != "resolved" else f", ended on {row.day}")
    return Draft(identity, row["observed"], f"{formatted(row['observed'], row['unit'])} ({state})", row["sentence"], identity,
                 parts=lambda: _parts(of, row, rows))  # fmt: skip


def _parts(of: Sources, row: Row, rows: list[Row]) -> list[Draft]:
    found = [_observed(row), _rule(of, row), *_evidence(of, row)]
    contributors = contributor_lines(row["contributors"])
    if contributors:
        found.append(listing("who contributes", lambda: contributors, f"affected: {row['symbols'] or 'no symbol'}"))
    if row["previous"]:
        found.append(Draft("the last time before", words=row["previous"]))
    if row["inhibited_by"]:
        found.append(Draft("silent because of", row["inhibited_by"], row["inhibited_by"], "its alert is critical: one cause, one message"))
    sessions = [cell(of, one, "observed", title=_session_name(one)) for one in reversed(rows)]
    found.append(listing(f"{len(rows)} sessions since {row['first_seen']}", lambda: [_flat(one) for one in sessions]))
    return [*found, Draft("what to do", words=row["action"]), *_in_book(of, row["alert_id"], row.portfolio)]


def _flat(draft: Draft) -> Draft:
    return Draft(draft.title, draft.value, draft.text, evidence_id=draft.evidence_id)


def _session_name(row: Row) -> str:
    return f"{row.day}{', ' + row['transition'] if row['transition'] else ''}"


def _observed(row: Row) -> Draft:
    """Return the comparison: what was observed against which threshold, over which window, on how many observations."""
    unit, metric = row["unit"], BY_NAME.get(row["metric"])
    words = f"{metric.label if metric else row['metric']}, over {row['lookback']}"
    words += f" from {row['window_start']}" if row["window_start"] is not None else ""
    words += f"; {_sample(row)}" if row["sample_size"] is not None else ""
    words += "" if row["gate_passed"] else f"; its gate failed ({row['gate_reason']}): for the monitor only"
    figures = [
        Draft("threshold", row["threshold"], f"{row['comparison']} {formatted(row['threshold'], unit)}"),
        Draft("worst since it began", row["worst"], formatted(row["worst"], unit)),
        Draft("change since the session before", row["change"], formatted(row["change"], unit), row["trend"]),
        Draft("room to the next limit", row["room"], formatted(row["room"], unit)),
    ]
    limit = f"{row['comparison']} {formatted(row['threshold'], unit)}"
    text = f"{formatted(row['observed'], unit)} {limit}"
    if row["observed"] is not None and not meets(row["observed"], row["comparison"], row["threshold"]):
        text = f"{formatted(row['observed'], unit)}, back inside {limit}"
    return Draft("observed", row["observed"], text, words, parts=lambda: [figure for figure in figures if figure.value is not None])


def _sample(row: Row) -> str:
    """Return how many observations there are, and how many are asked for where that is more than one."""
    size, required = row["sample_size"], row["required"]
    asked = f", {required} asked for" if required is not None and required > 1 else ""
    return f"{size} observation{'' if size == 1 else 's'}{asked}"


def _rule(of: Sources, row: Row) -> Draft:
    """Return the rule as the policy has it, and whether that is still the rule that fired."""
    policy = of.policy(row.portfolio, row.day)
    rule = policy.alerts.rules.get(row["rule"])
    if rule is None:
        return Draft(f"rule {row['rule']}", words=f"version {row['rule_version'][:12]}; the policy {policy.name} has it no more")
    current = rule_version(row["rule"], rule) == row["rule_version"]
    unit = BY_NAME[rule.metric].unit if rule.metric in BY_NAME else ""
    limits = [
        Draft(name, value, f"{rule.comparison} {formatted(value, unit)}")
        for name, value in (("warning", rule.warning), ("critical", rule.critical))
        if value is not None
    ]
    also = [Draft(f"also {item.metric}", item.value, f"{item.comparison} {item.value:g}") for item in rule.also]
    entering = "" if rule.enter_sessions == 1 else f"begins where a threshold is met for {rule.enter_sessions} sessions; "
    leaving = (
        f"{entering}left at {rule.leave:g} of the threshold for {rule.leave_sessions} sessions; it may begin again after {rule.cool_down}"
    )
    change = "" if current else "; THE RULE HAS CHANGED since it was evaluated: `portfolio build` evaluates it anew"
    words = f"policy {policy.name}, hash {policy.hash[:12]}; rule version {row['rule_version'][:12]}{change}"
    return Draft(f"rule {row['rule']}", words=words, parts=lambda: [*limits, *also, Draft("beginning and end", words=leaving)])


def _evidence(of: Sources, row: Row) -> list[Draft]:
    names = [name for name in row["evidence_ids"].split(", ") if name]
    return [at_evidence_id(of, name) for name in names]


def contributor_lines(text: str) -> list[Draft]:
    """Return who contributes how much, from the stored JSON."""
    lines = []
    for item in json.loads(text or "[]"):
        name = " ".join(str(item[part]) for part in ("strategy", "symbol", "code") if item.get(part))
        share = f"{item['share'] * 100.0:.1f} % of it" if item.get("share") is not None else ""
        lines.append(Draft(name, item["value"], number(float(item["value"]), item["unit"]), share))
    return lines


def _in_book(of: Sources, identity: str, portfolio: str) -> list[Draft]:
    told = alert_in_book(of, identity)
    found: list[Draft] = []
    if told is not None:
        who = f" by {told.acknowledged_by}: {told.note}" if told.acknowledged_by else ""
        heard = f"told {told.told} on {told.told_on}" if told.told else "nobody was told"
        found.append(Draft("in the book", told.state, f"{told.state}{who}", f"{heard}; revision {told.revision}"))
    return [*found, *what_happened(of, stream(portfolio), identity), *remarks(of, identity)]


def near_alerts(of: Sources, identity: str) -> str:
    """Say which alerts there are that look like one that is not there."""
    import difflib

    parts = identity.split(":")
    where: Any = pc.field("portfolio") == unquote(parts[1]) if len(parts) > 1 and parts[1] else None
    known = sorted(set(of.home.lake.read(ALERT_STATES, ["alert_id"], where)["alert_id"].to_pylist()))
    near = difflib.get_close_matches(identity, known, n=3, cutoff=0.5)
    return f"near it are {', '.join(near)}" if near else "`portfolio alerts list --all` lists those of the book"
