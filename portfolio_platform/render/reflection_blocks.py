"""What a reflection says, before it is written anywhere: verdict, findings, tables. Unescaped text, the same for every output."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from portfolio_platform.monitor.reflection.model import (
    Action,
    Cluster,
    Dimension,
    Finding,
    PortfolioReflection,
    Recommended,
    Sample,
    Tally,
)
from portfolio_platform.monitor.reflection.periods import NOUNS
from portfolio_platform.render import formats
from portfolio_platform.render.blocks import Cell, Grid, columns
from portfolio_platform.render.text import one_line
from portfolio_platform.signals.expectations import NOT_ALIKE

ACTIONS: dict[Action, str] = {
    "policy_adjust": "Adjust the policy",
    "replan": "Plan again",
    "research_experiment": "Research",
    "hold": "Hold",
}
VERDICTS = {
    "worked": "worked",
    "failed": "failed",
    "unclear": "unclear",
    "deviates": "deviates",
    "insufficient_sample": "insufficient sample",
    "better_than_chance": "better than chance",
    "worse_than_chance": "worse than chance",
    "not_told_apart": "no better than chance shown",
}
COVERED = {
    "hit_rate": "Signals that came true (stated confidence would be right)",
    "hold_below_p50": "Held no longer than the expected median",
    "hold_below_p90": "Held no longer than the expected 90th percentile",
    "mae_below_p50": "Adverse excursion up to the expected median",
    "mfe_above_p50": "Favourable excursion from the expected median on",
}
MEASURES = {
    "holding_time": "holding time",
    "mae": "adverse excursion",
    "mfe": "favourable excursion",
    "slippage": "slippage",
    "win_rate": "winners",
}
STATUSES = {"new": "new", "still_there": "still there", "gone": "gone"}
GROUPED: tuple[Dimension, ...] = ("playbook", "template", "regime", "symbol")
NAMED = 3
Decisions = Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A part of the reflection: its heading, sentences, and tables."""

    name: str
    title: str
    lead: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


def title(found: PortfolioReflection) -> str:
    """Return the title: portfolio and period."""
    if found.kind == "monthly":
        return f"{one_line(found.portfolio)}, {formats.day_long(found.day).split(' ', 2)[2]}"
    return f"{one_line(found.portfolio)}, week from {found.day.isoformat()} to {found.until.isoformat()}"


def subtitle(found: PortfolioReflection) -> str:
    """Return what stands under the title: what is judged."""
    return (
        f"{found.mode} portfolio, {_many(found.performance.sessions, 'session')}, amounts in {one_line(found.base_currency)}; judged are "
        f"the {_many(found.window, 'session')} from {found.window_start.isoformat()} on"
    )


def verdict(found: PortfolioReflection) -> tuple[str, ...]:
    """Return what somebody who reads nothing else should know: the result, what worked, what failed, what to do."""
    return (_result(found), _told(found, good=True), _told(found, good=False), _alerts(found), found.why)


def _result(found: PortfolioReflection) -> str:
    noun, done = NOUNS[found.kind], found.performance
    whole = found.clusters_of("portfolio")
    closed = whole[0].period if whole else None
    made = "Result not known" if done.total_return is None else f"{formats.percent(done.total_return, 2)} in the {noun}, flows not counted"
    deep = f"drawdown {formats.percent(done.drawdown)} at its end, {formats.percent(done.deepest_drawdown)} at its deepest"
    trades = "no trade closed" if not closed or not closed.n else f"{_many(closed.n, 'trade')} closed, {formats.money(closed.pnl)}"
    return f"{made}; {deep}; regime {one_line(done.regime).replace('_', '-')}; {trades}."


def _told(found: PortfolioReflection, *, good: bool) -> str:
    """Return what is proven in the window, and beside it where the period's own profit or loss came from."""
    wanted = ("worked", "better") if good else ("failed", "worse")
    proven = [
        f"{one_line(cluster.group)} ({_r(cluster.window)}, {_many(cluster.window.n, 'trade')}"
        f"{', a lead' if cluster.window.n < found.minimum_trades else ''})"
        for cluster in found.clusters
        if cluster.dimension != "portfolio" and (cluster.verdict == wanted[0] or cluster.deviation == wanted[1])
    ]
    period = [cluster for cluster in found.clusters_of("playbook") if cluster.period.n and cluster.period.pnl is not None]
    sign = 1.0 if good else -1.0
    mine = sorted((c for c in period if sign * (c.period.pnl or 0.0) > 0.0), key=lambda c: (-sign * (c.period.pnl or 0.0), c.group))
    head = "What worked" if good else "What failed"
    shown = f"{head}: {', '.join(proven[:NAMED])}" if proven else f"{head}: nothing that the sample proves"
    if len(proven) > NAMED:
        shown += f" and {len(proven) - NAMED} more"
    if not mine:
        return f"{shown}."
    named = ", ".join(f"{one_line(c.group)} {formats.money(c.period.pnl)} ({_many(c.period.n, 'trade')})" for c in mine[:NAMED])
    return f"{shown}. Most of the {NOUNS[found.kind]}'s own {'profit' if good else 'loss'}: {named}."


def _alerts(found: PortfolioReflection) -> str:
    seen, noun = found.retrospect, NOUNS[found.kind]
    fired = (
        f"{_many(seen.fired, 'alert')} fired; {seen.pending} that fired up to now {'waits' if seen.pending == 1 else 'wait'} to be judged."
    )
    if not seen.decided_now:
        return f"{fired} None was decided in the {noun}."
    chance = "" if seen.chance is None else f"; after any session that happens {formats.percent(seen.chance, 0)} of the time"
    return (
        f"{fired} Of {seen.decided_now} decided in the {noun}, {seen.right_now} saw a further loss of "
        f"{formats.percent(seen.further_loss, 0)} within {_many(seen.horizon, 'session')}{chance}."
    )


def parts(found: PortfolioReflection, decisions: Decisions | None = None) -> tuple[Part, ...]:
    """Return the parts after the verdict, in their order; those that have nothing to say say so in a sentence."""
    return tuple(
        part
        for part in (
            _findings(found),
            *_clusters(found),
            _expected(found),
            _drift(found),
            _failures(found),
            _retrospect(found),
            _recommendations(found, decisions or {}),
        )
        if part is not None
    )


def _findings(found: PortfolioReflection) -> Part:
    shown = [one for one in found.findings if one.verdict != "insufficient_sample"]
    thin = [f"{one_line(one.subject)} {one.n} of {one.required}" for one in found.findings if one.verdict == "insufficient_sample"]
    lead = [] if shown else ["No finding: nothing stands out of what chance explains."]
    if thin:
        lead.append(f"Insufficient sample, reported only: {', '.join(thin)}.")
    rows = tuple(_finding(one) for one in shown)
    grids = (Grid("What was found, and what to do next", columns("<Next", "<About", "<Finding", "Sample"), rows),) if rows else ()
    return Part("findings", "Findings", tuple(lead), grids)


def _finding(one: Finding) -> tuple[Cell, ...]:
    source = f"{one_line(one.evidence_ids[0])}" if one.evidence_ids else ""
    texts = (ACTIONS[one.action], one.about.replace("_", " "), one_line(one.sentence))
    return (*(Cell(text) for text in texts), Cell(f"{one.n:,}", source))


def _clusters(found: PortfolioReflection) -> Iterator[Part]:
    noun = NOUNS[found.kind]
    head = columns("<", f"{noun}", "won", "P&L", f"{found.window} sessions", "won, 95 %", "mean R, 95 %", "P&L", "before", "<Verdict")
    if not found.clusters:
        yield Part("outcomes", "Outcomes", (f"No trade closed in the last {_many(found.window, 'session')}.",))
        return
    grids = []
    for dimension in GROUPED:
        rows = tuple(_cluster(cluster) for cluster in found.clusters_of(dimension))
        grids.append(Grid(f"By {dimension}", head, rows))
    lead = f"Closed trades: of the {noun}, of the {_many(found.window, 'session')} up to its end, and all before. Won is after fees."
    yield Part("outcomes", "Outcomes", (lead,), tuple(grids))
    if found.research:
        rows = tuple(_cluster(cluster) for cluster in found.research if cluster.dimension == "playbook")
        yield Part("research", "Research trades", ("Kept apart: they touch no playbook's record.",), (Grid("By playbook", head, rows),))


def _cluster(cluster: Cluster) -> tuple[Cell, ...]:
    now, week, before = cluster.window, cluster.period, cluster.before
    past = f"{formats.percent(before.win_rate, 0)} of {before.n:,}" if before.n else formats.NULL
    named = VERDICTS[cluster.verdict] + (f", {cluster.deviation} than before" if cluster.deviation else "")
    texts = (
        one_line(cluster.group),
        f"{week.n:,}" if week.n else formats.NULL,
        f"{week.wins:,}" if week.n else formats.NULL,
        formats.money(week.pnl) if week.n else formats.NULL,
        f"{now.n:,}",
        f"{formats.percent(now.win_rate, 0)} {_between(formats.percent(now.win_low, 0), formats.percent(now.win_high, 0))}",
        _r(now, unit=""),
        formats.money(now.pnl),
        past,
        named,
    )
    return tuple(Cell(text) for text in texts)


def _expected(found: PortfolioReflection) -> Part:
    rows = []
    for one in found.expected:
        if one.playbook != "all" and not one.drift:
            continue
        digits = 1 if one.unit in ("bars", "bps") else 2
        texts = (
            MEASURES.get(one.measure, one.measure),
            one_line(one.playbook),
            formats.number(one.expected, digits),
            f"{formats.number(one.realised, digits)} {_between(formats.number(one.low, digits), formats.number(one.high, digits))}",
            formats.number(one.expected_p90, digits),
            formats.number(one.p90, digits),
            f"{one.n:,}",
            "beyond" + (", lasting" if one.cusum_signal else "") if one.drift else "as expected",
        )
        rows.append((Cell(f"{texts[0]}, {one.unit}"), Cell(texts[1]), *(Cell(text, one.evidence_id) for text in texts[2:])))
    head = columns("<Measure", "<Playbook", "Expected", "Realised median, 95 %", "Expected P90", "P90", "Sample", "<")
    grids = [Grid(f"At the end of the period; playbooks are named where they drift; {NOT_ALIKE}", head, tuple(rows))] if rows else []
    covered = tuple(
        (
            Cell(COVERED[one.name]),
            Cell(formats.percent(one.right, 0)),
            Cell(f"{formats.percent(one.share, 0)} {_between(formats.percent(one.low, 0), formats.percent(one.high, 0))}", one.evidence_id),
            Cell(f"{one.n:,}"),
        )
        for one in found.coverage
    )
    if covered:
        grids.append(Grid("Signals resolved in 60 sessions", columns("<", "Right", "Was, 95 %", "Sample"), covered))
    return Part("expected", "Realised against expected", () if grids else ("No sample yet.",), tuple(grids))


def _drift(found: PortfolioReflection) -> Part:
    noun = NOUNS[found.kind]
    time = tuple(
        (
            Cell(one.regime.replace("_", "-")),
            Cell(f"{one.sessions:,}"),
            Cell(formats.percent(one.share, 0)),
            Cell(formats.percent(one.baseline_share, 0)),
        )
        for one in found.drawdown_regimes
    )
    signals = tuple(
        (
            Cell(one_line(one.regime)),
            Cell(f"{one.n:,} of {one.of:,}"),
            Cell(f"{formats.percent(one.share, 0)} {_between(formats.percent(one.low, 0), formats.percent(one.high, 0))}"),
            Cell(f"{formats.percent(one.baseline_share, 0)} of {one.baseline_of:,}"),
        )
        for one in found.signal_regimes
    )
    held = tuple(
        (
            Cell(f"{one.dimension} {one_line(one.group)}"),
            Cell(formats.percent(one.share, 0), one.evidence_id),
            Cell(formats.percent(one.baseline, 0)),
            Cell(formats.number(None if one.drift is None else 100.0 * one.drift, 0)),
            Cell(f"{one.sessions:,} / {one.baseline_sessions:,}"),
        )
        for one in found.allocation
    )
    crowds = tuple(
        (
            Cell(f"{one.kind} {one_line(one.group)}, {one.side}"),
            Cell(f"{one.strategies}", one.evidence_id),
            Cell(one_line(one.members)),
            Cell(formats.percent(one.exposure_pct, 0)),
            Cell(f"{one.sessions:,}"),
        )
        for one in found.crowding
    )
    grids = (
        Grid("Drawdown regime", columns("<", "Sessions", f"Of the {noun}", "Of the 250 before"), time),
        Grid("Regime of signals; regimes last, so no test is claimed", columns("<", "Signals", "Share, 95 %", "Before"), signals),
        Grid("Share of gross exposure, 20 sessions", columns("<", "Share", "Baseline", "Points", "Sessions"), held),
        Grid("Crowds", columns("<", "Strategies", "<Who", "Of equity", "Sessions"), crowds),
    )
    return Part("drift", "Regimes, allocation, crowds", (), tuple(grid for grid in grids if grid.rows))


def _failures(found: PortfolioReflection) -> Part:
    rows = tuple(
        (
            Cell(STATUSES[one.status]),
            Cell(f"{one_line(one.failure_mode)}: {one_line(one.template)}, {one_line(one.regime)}, {one.side}"),
            Cell(f"{one.cases} of {one.trades}", one.evidence_id),
            Cell(formats.percent(one.baseline_share, 0)),
            Cell(formats.number(one.p_adjusted, 3)),
            Cell(formats.percent(one.loss_share, 0)),
            Cell(one_line(one.members)),
        )
        for one in found.failures
    )
    head = columns("<", "<Failure", "Cases", "Before", "p, adjusted", "Of losses", "<Symbols")
    lead = () if rows else ("No failure mode recurs, and none did before.",)
    return Part("failures", "Failure modes", lead, (Grid("Recurring now, or before the period", head, rows),) if rows else ())


def _retrospect(found: PortfolioReflection) -> Part:
    seen = found.retrospect
    lead = (
        f"An alert is right where the unit value closes {formats.percent(seen.further_loss, 0)} lower within "
        f"{_many(seen.horizon, 'session')}. Alerts of the {NOUNS[found.kind]} itself are mostly undecided: those decided now are older.",
        f"Chance is the share of all {seen.chance_sessions:,} sessions that such a loss followed: {formats.percent(seen.chance, 0)}. "
        "Horizons overlap, so the intervals are at their narrowest.",
    )
    rules = tuple(
        (
            Cell(one.rule),
            Cell(f"{one.fired}"),
            Cell(f"{one.right_now} of {one.decided_now}" if one.decided_now else formats.NULL),
            Cell(f"{one.right:,} of {one.decided:,}" if one.decided else formats.NULL),
            Cell(_precision(one.precision, one.low, one.high)),
            Cell(VERDICTS[one.verdict]),
        )
        for one in seen.rules
    )
    judged = tuple(
        (
            Cell(f"{one.rule} {one_line(one.scope)}".strip()),
            Cell(one.severity),
            Cell(one.fired.isoformat(), one.evidence_id),
            Cell(one.decided.isoformat()),
            Cell(formats.percent(one.worst)),
            Cell("right" if one.came else "not right"),
        )
        for one in seen.alerts
    )
    grids = (
        Grid("Rules", columns("<Rule", "Fired", "Right, decided now", "Right to date", "Precision, 95 %", "<Against chance"), rules),
        Grid(
            f"Decided now ({len(judged)} of {seen.alerts_total})",
            columns("<Alert", "<Severity", "Fired", "Decided", "Worst loss", "<"),
            judged,
        ),
    )
    return Part("retrospect", "How alerts turned out", lead, tuple(grid for grid in grids if grid.rows))


def _recommendations(found: PortfolioReflection, decisions: Decisions) -> Part:
    def row(one: Recommended) -> tuple[Cell, ...]:
        fate = one.fate + (f" {one.ended.isoformat()}" if one.ended else "")
        changes = _many(one.adjustments, "cap") if one.adjustments else "none"
        texts = (one.mode.replace("_", "-"), changes, "monitor only" if one.monitor_only else "", fate)
        decided = one_line(decisions.get(one.recommendation_id, "")) or formats.NULL
        return (Cell(one.issued.isoformat(), one.evidence_id), *(Cell(text) for text in texts), Cell(decided))

    rows = tuple(row(one) for one in found.recommendations)
    head = columns("<Issued", "<Mode", "<Changes", "<", "<Became", "<In the book")
    lead = () if rows else ("None was issued, and none ended.",)
    return Part("recommendations", "Recommendations", lead, (Grid("What became of them", head, rows),) if rows else ())


def footer(found: PortfolioReflection) -> str:
    """Return what it was made under."""
    policy = found.policy
    made = f"Policy {one_line(policy.name)} version {policy.version} ({policy.hash}); schema version {found.schema_version}"
    return f"{made}; content {found.hash}."


def no_session(kind_noun: str, start: date) -> str:
    """Return what is said of a period without a session."""
    return f"the {kind_noun} from {start} held no session"


def _r(sample: Sample | Tally, unit: str = " R") -> str:
    if sample.mean_r is None:
        return formats.NULL
    ends = "" if not isinstance(sample, Sample) or sample.r_low is None else f" {_between(formats.number(sample.r_low, 2), _high(sample))}"
    return f"{formats.number(sample.mean_r, 2)}{unit}{ends}"


def _high(sample: Sample) -> str:
    return formats.number(sample.r_high, 2)


def _precision(share: float | None, low: float | None, high: float | None) -> str:
    if share is None:
        return formats.NULL
    return f"{formats.percent(share, 0)} {_between(formats.percent(low, 0), formats.percent(high, 0))}"


def _between(low: str, high: str) -> str:
    return "" if formats.NULL in (low, high) else f"({low.removesuffix(' %')} to {high})"


def _many(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def evidence(found: PortfolioReflection) -> Sequence[str]:
    """Return every evidence id that the findings rest on, sorted."""
    return sorted({one for finding in found.findings for one in finding.evidence_ids})
