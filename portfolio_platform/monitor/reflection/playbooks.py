"""Findings and what to do next: deterministic rules over what the other modules counted.

A finding has a verdict and one action. The rules, of which the first that holds decides:

=============  =====================================================================  =====================
about          when                                                                   action
=============  =====================================================================  =====================
playbook       fewer than the minimum of trades, and no significant deviation         hold (insufficient_sample)
playbook and   mean R below 0, significant over all clusters                          policy_adjust
other groups   deviates from its own past, with fewer than the minimum of trades      research_experiment
               deviates for the worse, with enough                                    replan
               deviates for the better                                                research_experiment
               mean R above 0, significant                                            hold (worked)
               otherwise (said of playbooks alone)                                    hold (unclear)
execution      expectation outside the interval of the realised median, beyond the
               alert's threshold where a rule has one, and it lasts (CUSUM)           replan
               the same, and it does not last                                         hold
calibration    stated confidence above the interval of what came true                 replan
               below it                                                               hold
failure_mode   recurs, and did not before the period                                  research_experiment
               recurs still                                                           replan
allocation     template_drift or playbook_share fires at the end or half the period   replan; where
                                                                                      critical, policy_adjust
capital        idle_capital or rejection_spike does                                   replan
turnover       fills_rate or round_trip_rate does                                     replan
               (each where its gate passed, else hold: insufficient_sample)
crowding       a crowd of the rule's warning size on half of the sessions or more     replan; of its
                                                                                      critical size, policy_adjust
alerts         a rule's alerts come true less often than chance, interval and all     policy_adjust
               more often                                                             hold (worked)
=============  =====================================================================  =====================

Adding capital is no action: what worked is held, and a change for the better is tried out as research first. The overall action
is the first of policy_adjust, replan, research_experiment that a finding asks for; hold where none does.
"""

from collections.abc import Iterator, Sequence

from portfolio_platform.days import to_number
from portfolio_platform.monitor.reflection import sentences as say
from portfolio_platform.monitor.reflection.facts import History, Row, Span, last_session
from portfolio_platform.monitor.reflection.model import (
    Action,
    Cluster,
    Coverage,
    Crowd,
    Expected,
    Failure,
    Finding,
    Retrospect,
    RuleRecord,
    Subject,
)
from portfolio_platform.policy.alerts import Rule
from portfolio_platform.policy.model import Policy

ORDER: tuple[Action, ...] = ("policy_adjust", "replan", "research_experiment", "hold")
FIRING: dict[str, tuple[Subject, Action]] = {
    # the rules whose alerts are findings: what they are about, and what a critical one asks for
    "template_drift": ("allocation", "policy_adjust"),
    "playbook_share": ("allocation", "policy_adjust"),
    "idle_capital": ("capital", "replan"),
    "rejection_spike": ("capital", "replan"),
    "fills_rate": ("turnover", "replan"),
    "round_trip_rate": ("turnover", "replan"),
}
METRICS = {"holding_time": "holding_time_drift", "mae": "mae_drift", "mfe": "mfe_drift", "slippage": "slippage_drift"}
CROWDING = "crowding"
OVERCONFIDENT = "hit_rate"


def of_clusters(clusters: Sequence[Cluster], minimum: int) -> Iterator[Finding]:
    """Yield a finding for each playbook with a trade in the window, and for other groups that deviate, worked or failed."""
    for cluster in clusters:
        if cluster.dimension == "portfolio":
            continue
        if cluster.dimension != "playbook" and cluster.verdict in ("unclear", "insufficient_sample"):
            continue
        action: Action = "hold"
        if cluster.verdict == "failed":
            action = "policy_adjust"
        elif cluster.deviation and (cluster.window.n < minimum or cluster.deviation == "better"):
            action = "research_experiment"
        elif cluster.deviation:
            action = "replan"
        yield Finding(
            about=cluster.dimension,
            subject=cluster.group,
            verdict=cluster.verdict,
            action=action,
            n=cluster.window.n,
            required=minimum,
            sentence=say.of_cluster(cluster, minimum),
        )


def of_execution(rows: Sequence[Expected], policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each measure of a playbook whose expectation lies outside the interval of what was realised."""
    for row in rows:
        metric = METRICS.get(row.measure)
        if row.playbook == "all" or metric is None or not row.drift or row.n < policy.gates.minimum.get(metric, 1):
            continue
        enabled = (rule for rule in policy.alerts.rules.values() if rule.enabled and rule.metric == metric)
        limits = [rule.warning for rule in enabled if rule.warning is not None]
        if limits and row.drift < min(limits):
            continue
        yield Finding(
            about="execution",
            subject=f"{row.measure}/{row.playbook}",
            verdict="deviates",
            action="replan" if row.cusum_signal else "hold",
            n=row.n,
            required=policy.gates.minimum.get(metric, 1),
            sentence=say.of_execution(row),
            evidence_ids=(row.evidence_id,),
        )


def of_calibration(rows: Sequence[Coverage], minimum: int) -> Iterator[Finding]:
    """Yield a finding where stated confidence lies outside the interval of what came true."""
    for row in rows:
        if row.name != OVERCONFIDENT or row.n < minimum or row.right is None or row.low is None or row.high is None:
            continue
        if row.low <= row.right <= row.high:
            continue
        yield Finding(
            about="calibration",
            subject="stated confidence",
            verdict="deviates",
            action="replan" if row.right > row.high else "hold",
            n=row.n,
            required=minimum,
            sentence=say.of_calibration(row),
            evidence_ids=(row.evidence_id,),
        )


def of_failures(rows: Sequence[Failure], policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each failure mode that recurs."""
    for row in rows:
        if row.status == "gone":
            continue
        yield Finding(
            about="failure_mode",
            subject=f"{row.failure_mode}/{row.template}/{row.regime}/{row.side}",
            verdict="deviates",
            action="research_experiment" if row.status == "new" else "replan",
            n=row.cases,
            required=policy.failures.minimum_cases,
            sentence=say.of_failure(row),
            evidence_ids=(row.evidence_id,),
        )


def of_firing(history: History, span: Span) -> Iterator[Finding]:
    """Yield a finding for each alert of `FIRING` that fires at the period's last session, or on half of its sessions or more."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in history.firing:
        if span.first <= to_number(row["day"]) <= span.last:
            rows.setdefault((row["rule"], row["scope"]), []).append(row)
    last = last_session(history.sessions, span.end - 1)
    for (rule, scope), found in sorted(rows.items()):
        newest = found[-1]
        if newest["day"] != last and 2 * len(found) < span.sessions:
            continue
        about, gravest = FIRING[rule]
        action: Action = gravest if newest["severity"] == "critical" else "replan"
        enough = bool(newest["gate_passed"])
        yield Finding(
            about=about,
            subject=scope or rule,
            verdict="deviates" if enough else "insufficient_sample",
            action=action if enough else "hold",
            n=newest["sample_size"] or 0,
            required=newest["required"] or 0,
            sentence=say.of_alert(newest["sentence"], len(found), span.sessions),
            evidence_ids=tuple(newest["evidence_ids"].split(", ")) if newest["evidence_ids"] else (),
        )


def of_crowding(crowds: Sequence[Crowd], sessions: int, rule: Rule | None) -> Iterator[Finding]:
    """Yield a finding for each crowd as large as the rule's warning on half of the period's sessions or more."""
    for crowd in crowds:
        if rule is None or rule.warning is None or crowd.strategies < rule.warning or 2 * crowd.sessions < sessions:
            continue
        grave = rule.critical is not None and crowd.strategies >= rule.critical
        yield Finding(
            about="crowding",
            subject=f"{crowd.kind}/{crowd.group}/{crowd.side}",
            verdict="deviates",
            action="policy_adjust" if grave else "replan",
            n=crowd.sessions,
            required=1,
            sentence=say.of_crowd(crowd, sessions),
            evidence_ids=(crowd.evidence_id,),
        )


def of_alerts(found: Retrospect, minimum: int) -> Iterator[Finding]:
    """Yield a finding for each rule whose alerts come true more or less often than chance."""
    told: dict[str, Action] = {"worse_than_chance": "policy_adjust", "better_than_chance": "hold"}
    for record in found.rules:
        if record.verdict in told and _alive(record):
            yield Finding(
                about="alerts",
                subject=record.rule,
                verdict="worked" if record.verdict == "better_than_chance" else "failed",
                action=told[record.verdict],
                n=record.decided,
                required=minimum,
                sentence=say.of_rule(record, found),
            )


def _alive(record: RuleRecord) -> bool:
    """Say whether the period has news of a rule: one fired, or was decided."""
    return bool(record.fired or record.decided_now)


def overall(findings: Sequence[Finding]) -> tuple[Action, str]:
    """Return the action that the findings call for together, and why in a sentence."""
    for action in ORDER[:-1]:
        mine = [finding for finding in findings if finding.action == action]
        if mine:
            return action, say.why(action, mine)
    return "hold", say.why("hold", findings)


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings by action, the largest sample first."""
    return tuple(sorted(findings, key=lambda one: (ORDER.index(one.action), one.verdict == "insufficient_sample", -one.n, one.subject)))
