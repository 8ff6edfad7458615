import pytest

from portfolio_platform.render import words
from portfolio_platform.render.sparkline import sparkline
from portfolio_platform.render.text import markdown_text, one_line
from tests.unit.render import factory


def test_text_of_any_script_stays_and_control_does_not() -> None:
    assert one_line("Zürich 東京 €") == "Zürich 東京 €"
    assert one_line("a\r\n\tb\u2028c") == "a b c"
    assert one_line("\x1b[31mred\x07\x00") == "\ufffd[31mred\ufffd\ufffd"
    assert one_line("abc\u202ecba\ud800") == "abc\ufffdcba\ufffd"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<script>", "&lt;script&gt;"),
        ("trend_continuation", "trend_continuation"),
        ("_em_", r"\_em\_"),
        ("**b**", r"\*\*b\*\*"),
        ("[a](http://x)", r"\[a\](http&#58;//x)"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("1.3364", "1.3364"),
        ("===", r"==\="),
        ("www.x.org", "www&#46;x.org"),
        ("a\\|b", r"a\\\|b"),
        ("$x$", r"\$x\$"),
        ("a &amp; b", "a &amp;amp; b"),
    ],
)
def test_markdown_shows_text_as_it_is(raw: str, shown: str) -> None:
    assert markdown_text(raw) == shown


def test_a_sparkline_scales_and_leaves_gaps() -> None:
    assert sparkline([0.0, float("nan"), 1.0]) == "▁ █"
    assert len(set(sparkline([5.0, 5.0]))) == 1
    assert sparkline([]) == sparkline([float("nan")]) == ""


def test_dimensions_that_are_null_as_a_whole_share_one_sentence() -> None:
    """Six dimensions of eight figures each once said "stale_mark" forty-eight times."""
    report = factory.report()
    names = ("effective_n", "cr1", "hhi")
    null = factory.section("concentration_metrics", dict.fromkeys(names), reason="stale_mark")
    dark = tuple(part.model_copy(update={"section": null}) for part in report.concentration)
    found = words.concentration_not_known(report.model_copy(update={"concentration": dark}))
    assert found == ("Concentration by symbol, template, symbol (risk): a position's mark is stale.",)
