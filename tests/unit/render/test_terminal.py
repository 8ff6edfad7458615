import io

from rich.console import Console

from portfolio_platform.render.series import History
from portfolio_platform.render.terminal import to_terminal
from tests.unit.render.factory import alert, bare, history, hostile, report


def _printed(rendered: object, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(rendered)
    return out.getvalue()


def test_the_terminal_shows_what_matters() -> None:
    text = _printed(to_terminal(report(), history(60)))
    for part in (
        "core, Thursday, 14 March 2024",
        "■ risk-off",
        "1,998,988 USD",
        "▼ −4,674",
        "SPX",
        "60.0 %",
        "What changed",
        "sessions",
        "◆ warning",
        "85.0 %",
        "≥ 80.0 %",
        "Would change  tighten the heat cap from 6.0 % to 4.5 %",
        "Withdrawn if  the alert stack ends or eases",
        "Open nothing new.",
        "Failures that come back: false breakout",
        "615 more observations",
        "about 58 sessions",
    ):
        assert part in text, part
    assert "Not known: Sharpe ratio, 60 sessions, annual" in text


def test_the_gravest_alerts_are_shown_and_the_others_counted() -> None:
    many = tuple(alert(sentence=f"Warning {number}.") for number in range(9))
    grave = alert(sentence="Grave.", severity="critical", gate_passed=False)
    text = _printed(to_terminal(report(alerts=(*many, grave, alert(inhibited_by="heat")))))
    assert text.index("Grave.") < text.index("Warning 0.") and "Warning 7." not in text
    assert "and 2 more, on the page" in text and "1 more is silent: a graver one says the same" in text
    assert "Grave. (for the monitor" in text


def test_markup_and_escapes_in_data_are_text() -> None:
    text = _printed(to_terminal(hostile("[bold red]x[/] [link=file:///etc]y[/link] [/] :smile: \x1b]0;t\x07\r\n")), 400)
    assert "[bold red]x[/]" in text and "[link=file:///etc]" in text and ":smile:" in text
    assert "\x1b" not in text and "\x07" not in text


def test_a_narrow_terminal_and_an_empty_history_are_fine() -> None:
    assert _printed(to_terminal(report(), History.empty("core")), 40)
    assert _printed(to_terminal(bare()), 60)
