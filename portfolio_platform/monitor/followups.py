"""What to do next, from the day's alerts, recommendation, gates and data: a field of the report."""

from typing import Any

Content = dict[str, Any]
MOST = 10


def follow_ups(alerts: list[Content], recommendation: Content | None, sufficiency: Content, quality: Content) -> list[Content]:
    """Return the follow-up actions, gravest first, each said once."""
    found = [*_mend(quality), *_alerts(alerts), *_recommendation(recommendation), *_wait(sufficiency)]
    once: dict[str, Content] = {}
    for action in found:
        once.setdefault(action["sentence"], action)
    return list(once.values())[:MOST]


def _mend(quality: Content) -> list[Content]:
    if not quality["quarantined_on_day"]:
        return []
    rows = quality["quarantined_on_day"]
    sentence = f"{rows} {'row' if rows == 1 else 'rows'} of this day were set aside: run `portfolio quarantine`, correct and import them."
    return [{"kind": "mend", "sentence": sentence, "monitor_only": False, "evidence_ids": []}]


def _alerts(alerts: list[Content]) -> list[Content]:
    return [
        {
            "kind": "act" if alert["gate_passed"] else "look",
            "sentence": alert["action"],
            "monitor_only": not alert["gate_passed"],
            "evidence_ids": [alert["alert_id"]],
        }
        for alert in alerts
        if alert["state"] == "firing" and not alert["inhibited_by"]
    ]


def _recommendation(recommendation: Content | None) -> list[Content]:
    if recommendation is None or recommendation["status"] != "issued":
        return []
    identity = recommendation["recommendation_id"]
    only = bool((recommendation["content"] or {}).get("monitor_only"))
    words = "Read the recommendation; its sample does not suffice to act on it" if only else "Decide on the recommendation"
    sentence = f"{words}: `portfolio recommendations show {identity}`."
    return [{"kind": "look" if only else "act", "sentence": sentence, "monitor_only": only, "evidence_ids": [identity]}]


def _wait(sufficiency: Content) -> list[Content]:
    found = []
    for gate in sufficiency["failures"]:
        if gate["scope"] or not gate["missing"] or gate["sessions_until"] is None:
            continue
        sessions = max(1, round(gate["sessions_until"]))
        sentence = f"{gate['label']}: {gate['missing']} more observations are needed, about {sessions} sessions at this rate."
        found.append({"kind": "wait", "sentence": sentence, "monitor_only": True, "evidence_ids": [gate["evidence_id"]]})
    return found
