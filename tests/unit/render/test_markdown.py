import re

from portfolio_platform.monitor.report import DataQuality
from portfolio_platform.render import words
from portfolio_platform.render.markdown import to_markdown
from tests.unit.render.factory import DAY, figure, hostile, position, report

EVIL = "<script>x</script> | `a` **b** [c](http://d) ![e](f) # g $h$ \x1b[31m\r\n- i _j_"


def test_the_report_in_order_and_in_words() -> None:
    text = to_markdown(report())
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert heads == [
        "core, Thursday, 14 March 2024",
        "What changed",
        "Headline",
        "Drawdown",
        "Concentration",
        "Positions",
        "Data quality",
        "Where the numbers come from",
    ]
    assert "The drawdown regime is risk-off, since this session. Drawdown is 16.2 % (0.59 pp deeper than a week ago)" in text
    assert "Equity is 1,998,988 USD, down 0.23 % on the day and down 0.70 % in a week, flows not counted." in text
    assert "1 position has gross exposure 133.7 % and net −5.0 % of equity; the largest symbol SPX with 60.0 % of gross" in text
    assert f"`portfolio show TABLE --portfolio core --from {DAY} --to {DAY}`" in text


def test_hostile_text_breaks_no_table_and_no_line() -> None:
    text = to_markdown(hostile(EVIL))
    outside_code = re.sub(r"(?<!\\)(`+) .*? \1(?!`)", "", text)
    assert text.count("<script>") == 1, "as code, in the command"
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
    assert "Not known: Label of sharpe_60: fewer than 60 daily returns." in text
    assert "| Label of sharpe_60" not in text


def test_a_first_session_is_compared_with_nothing() -> None:
    text = to_markdown(report(previous_session=None, week_session=None, changes=()))
    assert "there is nothing to compare it with" in text and "since 20" not in text


def test_positions_that_are_not_listed_are_counted() -> None:
    text = to_markdown(report(open_positions=40, positions=(position(mark_source="fill", mark_age=2),)))
    assert "39 smaller positions are not listed." in text and "## Largest positions" in text
    assert "(≈ last fill), 2 sessions old" in text


def test_doubtful_data_is_said_first() -> None:
    quality = DataQuality(
        figures=(figure("stale_positions", 2, "count"), figure("fresh_coverage", 0.8), figure("quarantined_to_date", 1, "count")),
        stale_marks=("SPX (9 sessions)",),
        findings=("A finding.",),
    )
    said = words.quality(report(data_quality=quality))
    assert said == (
        "Read the numbers with care: 2 positions have a stale mark; 80.0 % of gross exposure has a fresh one; "
        "1 row is in quarantine and may be missing here; 1 finding below."
    )
    assert "Stale marks: SPX (9 sessions)." in to_markdown(report(data_quality=quality))


def test_a_quiet_day_says_so() -> None:
    assert words.NO_CHANGES in to_markdown(report(changes=()))
