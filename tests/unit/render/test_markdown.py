import re

from portfolio_platform.render import words
from portfolio_platform.render.markdown import to_markdown
from tests.unit.render.factory import DAY, alert, bare, details, dimension, failure, hostile, position, quality, report, section

EVIL = "<script>x</script> | `a` **b** [c](http://d) ![e](f) # g $h$ \x1b[31m\r\n- i _j_"


def test_the_report_in_order_and_in_words() -> None:
    text = to_markdown(report())
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert heads == [
        "core, Thursday, 14 March 2024",
        "What changed",
        "Alerts",
        "Recommendation",
        "What to do next",
        "Returns and P&amp;L",
        "Heat",
        "Correlation",
        "Concentration",
        "Drawdown",
        "Drift and crowding",
        "Execution against expectation",
        "Turnover and churn",
        "Idle capital and rejections",
        "Failure modes",
        "Calibration",
        "Positions",
        "What the sample does not allow to say yet",
        "Every figure",
        "Data quality",
        "Where the numbers come from",
    ]
    assert "The drawdown regime is risk-off, since this session. Drawdown is 16.2 % (0.59 pp deeper than a week ago)" in text
    assert "Equity is 1,998,988 USD, down 0.23 % on the day and down 0.70 % in a week, flows not counted." in text
    assert "1 position has gross exposure 133.7 % and net −5.0 % of equity; the largest symbol SPX with 60.0 % of gross" in text
    assert f"`portfolio show TABLE --portfolio core --from {DAY} --to {DAY}`" in text


def test_the_verdict_names_the_gravest_first() -> None:
    grave = (
        alert(),
        alert(severity="critical", sentence="SPX is churned.", scope="SPX"),
        alert(severity="critical", sentence="Heat is above its cap."),
    )
    said = words.verdict(report(alerts=grave))
    assert said[0].startswith("The drawdown regime is risk-off")
    assert said[1] == "2 critical alerts: Heat is above its cap; SPX is churned. 1 alert warns."
    calm = words.verdict(report(alerts=(), drawdown=report().drawdown.model_copy(update={"regime": "normal"})))
    assert calm[0] == "No alert fires." and any(sentence.startswith("The drawdown regime is normal") for sentence in calm[2:])
    look = words.verdict(report(alerts=(alert(gate_passed=False),)))
    assert look[1] == "1 alert: core uses 85.0 % of its heat cap. For 1 of them the sample does not suffice to do more than look."


def test_an_alert_is_a_row_with_threshold_room_and_trend() -> None:
    text = to_markdown(report(alerts=(alert(observed=0.5), alert(gate_passed=False, gate_reason="2 of 6", sample_size=2))))
    assert "| 50.0 % against ≥ 80.0 %, back inside for now | 15.0 pp to the next limit | worse, +4.0 pp |" in text
    assert "core uses 85.0 % of its heat cap. (for the monitor only)" in text
    assert "How sure: 2 observations; the sample does not suffice (2 of 6): for the monitor only" in text
    assert "Who: trend SPX 34,223 USD (61 %), swing AAPL 21,000 USD (39 %)" in text


def test_alerts_that_are_silent_or_over_are_told_apart() -> None:
    hushed, over = alert(inhibited_by="drawdown_regime", sentence="Hushed."), alert(state="resolved", sentence="Over now.")
    text = to_markdown(report(alerts=(hushed, over)))
    assert "No alert fires." in text
    assert "- Hushed. (silent because of drawdown_regime)" in text and "Over in this session:\n\n- Over now." in text


def test_a_gate_that_no_more_observations_would_mend_says_so() -> None:
    failed = (failure(missing=0, sessions_until=None, reason="one_symbol"), failure(scope="IBM", missing=1, sessions_until=None))
    sample = report().sufficiency.model_copy(update={"failures": failed})
    text = to_markdown(report(sufficiency=sample))
    assert "| not a matter of how many observations there are | when the condition holds | only one symbol is held |" in text
    assert "real (IBM) | 1 more observation (676 of 1,291) | cannot be said |" in text
    assert "9 more are not listed" in text


def test_concentration_has_gross_and_risk_in_one_row() -> None:
    other = dimension("symbol", "risk", largest=(("WTI", 0.8, 1.0, 1.0, 0.1),))
    text = to_markdown(report(concentration=(dimension("symbol"), other)))
    assert "| symbol | SPX 60.0 % and 3 more | 74.7 % | 2.25 | 0.444 | WTI 80.0 % | 2.25 | 0.444 | 100.0 % |" in text


def test_execution_says_what_lies_beyond_its_expectation() -> None:
    text = to_markdown(report())
    assert "Beyond what is expected: holding time of all playbooks." in text
    assert "| Holding time | all playbooks | 5.0 bars | 3.0 bars to 6.0 bars | 2.5 bars | 0.5 bars | 30 | 3.90 σ, signal | ◆ worse" in text
    fine = {**report().rows("execution")[0], "drift": 1e-9, "cusum_signal": False}
    assert "| ≈ 0 | 30 |" in to_markdown(report(details=details(execution=(fine,)))), "too small to write is not zero"


def test_a_failure_that_comes_back_is_marked() -> None:
    assert "Failures that come back: false breakout (3 of 5 trades)." in to_markdown(report())
    once = {**report().rows("failures")[0], "recurring": False}
    assert "No failure comes back" in to_markdown(report(details=details(failures=(once,))))


def test_what_is_for_the_monitor_only_comes_last() -> None:
    text = to_markdown(report())
    assert "- **Act:** Open nothing new.\n- **Look:** Look at the churn of MSFT. (for the monitor only)" in text


def test_a_first_session_with_nothing_says_so() -> None:
    text = to_markdown(bare())
    for told in ("No alert fires.", "Nothing is recommended", "No position is open.", "No sample has been judged", "It is not computed"):
        assert told in text, told


def test_hostile_text_breaks_no_table_and_no_line() -> None:
    text = to_markdown(hostile(EVIL))
    outside_code = re.sub(r"(?<!\\)(`+) .*? \1(?!`)", "", text)
    assert text.count("<script>") == 2, "as code, in the two commands"
    assert "<" not in outside_code and "http://" not in outside_code
    assert "\x1b" not in text and "\r" not in text
    widths: list[int] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            widths.append(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)))
        elif widths:
            assert len(set(widths)) == 1
            widths = []
    assert "`" not in outside_code.replace(r"\`", "")


def test_nulls_are_one_sentence_with_their_reason() -> None:
    text = to_markdown(report())
    assert "Not known: Sharpe ratio, 60 sessions, annual: fewer than 60 daily returns. Velocity in sigmas" in text
    assert "| Headline: Sharpe" not in text
    assert "Return of the year: the portfolio is younger" in text


def test_reasons_are_words() -> None:
    assert words.reason("one_symbol") == "only one symbol is held"
    assert words.reason("no_setup, no_intent") == "there was no qualified setup; there was no intent"
    assert words.reason("not_cadenced; 0 of 1 observations") == "the source has no cadence; 0 of 1 observations"
    assert words.reason("some_new_code") == "some new code" and words.reason("SPX_1: no bar") == "SPX_1: no bar"
    assert words.reason("") == "no reason given"


def test_a_first_session_is_compared_with_nothing() -> None:
    text = to_markdown(report(previous_session=None, week_session=None, changes=()))
    assert "there is nothing to compare it with" in text and "| since 20" not in text


def test_positions_that_are_not_listed_are_counted() -> None:
    held = details(positions=(position(mark_source="fill", mark_age=2, quantity="-5"),))
    text = to_markdown(report(open_positions=40, details=held))
    assert "39 smaller positions are not listed." in text and "## Largest positions" in text
    assert "(≈ last fill), 2 sessions old" in text and "| short | −5 |" in text


def test_doubtful_data_is_said() -> None:
    doubtful = quality(
        section=section("portfolio_equity", {"stale_positions": 2}),
        fresh_coverage=0.8,
        quarantined_to_date=1,
        stale_marks=("SPX (9 sessions)",),
        findings=("A finding.",),
    )
    said = words.quality(report(data_quality=doubtful))
    assert said == (
        "Read the numbers with care: 2 positions have a stale mark; 80.0 % of gross exposure has a fresh one; "
        "1 row is in quarantine and may be missing here; 1 finding below."
    )
    assert "Stale marks: SPX (9 sessions)." in to_markdown(report(data_quality=doubtful))


def test_a_quiet_day_says_so() -> None:
    assert words.NO_CHANGES in to_markdown(report(changes=()))
