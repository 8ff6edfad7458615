"""Findings in words: plain sentences with their numbers and samples. Names stand as they are; nothing here is escaped."""

from collections.abc import Sequence

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
    Sample,
)

MINUS = "\N{MINUS SIGN}"
MEASURES = {"holding_time": "holding time", "mae": "adverse excursion", "mfe": "favourable excursion", "slippage": "slippage"}
DONE: dict[Action, str] = {
    "policy_adjust": "Adjust the policy",
    "replan": "Plan again",
    "research_experiment": "Try it as research first",
    "hold": "Hold",
}
NAMED = 3


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with a true minus sign; an en dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        return (MINUS if any(char in "123456789" for char in text) else "") + text[1:]
    return text


def percent(value: float | None) -> str:
    """Return a fraction as a percentage."""
    return "\N{EN DASH}" if value is None else f"{number(100.0 * value, 0)} %"


def trades(n: int) -> str:
    """Return a count of trades."""
    return f"{n:,} trade{'' if n == 1 else 's'}"


def mean_r(sample: Sample) -> str:
    """Return a mean R with its interval."""
    if sample.mean_r is None:
        return "no result in R"
    between = f" ({number(sample.r_low)} to {number(sample.r_high)})" if sample.r_low is not None else ""
    return f"{number(sample.mean_r)} R on average{between}"


def of_cluster(cluster: Cluster, minimum: int) -> str:
    """Return the finding on a cluster."""
    now, before = cluster.window, cluster.before
    said = f"{trades(now.n)}, {percent(now.win_rate)} won ({percent(now.win_low)} to {percent(now.win_high)}), {mean_r(now)}"
    past = f"; before, {percent(before.win_rate)} of {before.n:,} won" if before.n else "; there is no earlier record"
    if cluster.verdict == "insufficient_sample":
        return f"{cluster.group}: {said}; {minimum} trades are needed to say more."
    if cluster.verdict == "worked":
        return f"{cluster.group} earned: {said}{past}."
    if cluster.verdict == "failed":
        return f"{cluster.group} lost: {said}{past}."
    if cluster.deviation:
        few = f"; with fewer than {minimum} trades that is a lead, no proof" if now.n < minimum else ""
        return f"{cluster.group} went {cluster.deviation} than it used to: {said}{past}{few}."
    return f"{cluster.group}: {said}{past}; neither profit nor loss is shown."


def of_execution(row: Expected) -> str:
    """Return the finding on a measure of a playbook."""
    digits = 1 if row.unit in ("bars", "bps") else 2
    return (
        f"{MEASURES[row.measure].capitalize()} of {row.playbook}: the median of {row.n} is {number(row.realised, digits)} {row.unit} "
        f"({number(row.low, digits)} to {number(row.high, digits)}), and {number(row.expected, digits)} was expected"
        f"{'; it lasts' if row.cusum_signal else ''}."
    )


def of_calibration(row: Coverage) -> str:
    """Return the finding on stated confidence."""
    side = "Overconfident" if row.right is not None and row.high is not None and row.right > row.high else "Underconfident"
    return (
        f"{side}: {percent(row.right)} stated on average, {percent(row.share)} came true "
        f"({percent(row.low)} to {percent(row.high)}, {row.n:,} signals)."
    )


def of_failure(row: Failure) -> str:
    """Return the finding on a failure mode."""
    status = "comes back" if row.status == "new" else "still comes back"
    return (
        f"{row.failure_mode} {status} in {row.template}, {row.regime}, {row.side}: {row.cases} of {trades(row.trades)}, "
        f"{percent(row.baseline_share)} before; {percent(row.loss_share)} of the losses; {row.members}."
    )


def of_alert(sentence: str, fired: int, sessions: int) -> str:
    """Return the finding on an alert: its own sentence, and for how much of the period it fired."""
    return f"{sentence} The alert fired on {fired} of {sessions} sessions."


def of_crowd(crowd: Crowd, sessions: int) -> str:
    """Return the finding on a crowd."""
    return (
        f"{crowd.strategies} strategies ({crowd.members}) {crowd.side} in {crowd.kind} {crowd.group} "
        f"on {crowd.sessions} of {sessions} sessions, up to {percent(crowd.exposure_pct)} of equity."
    )


def of_rule(record: RuleRecord, found: Retrospect) -> str:
    """Return the finding on a rule's alerts."""
    return (
        f"Alerts of {record.rule} were followed by a further loss of {percent(found.further_loss)} within {found.horizon} sessions "
        f"in {record.right:,} of {record.decided:,} cases ({percent(record.low)} to {percent(record.high)}); after any session in "
        f"{percent(record.chance)}."
    )


def why(action: Action, findings: Sequence[Finding]) -> str:
    """Return why an action is called for, naming the findings that ask for it."""
    if action == "hold":
        thin = sum(finding.verdict == "insufficient_sample" for finding in findings)
        few = f"; of {thin} the sample does not suffice" if thin else ""
        return f"Hold: nothing that was found is sure enough to change anything{few}."
    names = list(dict.fromkeys(f"{finding.subject} ({finding.about.replace('_', ' ')})" for finding in findings))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{DONE[action]}: {', '.join(names[:NAMED])}{more}."
