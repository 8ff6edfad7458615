import re
from html.parser import HTMLParser

import pytest

from portfolio_platform.render import charts
from portfolio_platform.render.chart_data import Series
from portfolio_platform.render.html import to_html
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.series import History
from tests.unit.render.factory import alert, bare, content, data_of, hostile, matrix, page_data, recommendation, report, section

VOID = {"meta", "br", "link", "img", "input", "hr"}
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}' | `x` =1 \x1b[31m\n東京"


class _Balance(HTMLParser):
    """Collects tags, texts and attributes, and fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _read(page: str) -> _Balance:
    parser = _Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def _text(page: str) -> str:
    return " ".join(" ".join(_read(page).texts).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_page_is_well_formed_with_and_without_charts() -> None:
    for made in (None, page_data(0), page_data(1), page_data(200)):
        _read(to_html(report(), made))
    _read(to_html(bare(), page_data(0)))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    where = Provenance(report_id="report:daily:core:2024-03-14:r1", published_at="2024-03-15T00:00:00Z")
    page = to_html(report(), page_data(200), where)
    found = _read(page)
    assert "script" not in found.tags and not found.tags & {"link", "iframe", "object", "embed", "base", "form", "img"}
    # the colour bar of the matrix is a picture inside the page
    images = [target for name, target in found.attributes if name in ("xlink:href", "href")]
    assert all(target is not None and target.startswith(("#", "data:image/png;base64,")) for target in images)
    assert set(re.findall(r"https?://[^\"'<> ]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert "@import" not in page
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("content", policy) in found.attributes


def test_text_from_outside_stays_text() -> None:
    drawn = {**page_data(3), "correlation": matrix((EVIL, f"{EVIL}2", "_x"))}
    found = _read(to_html(hostile(EVIL), drawn, Provenance(report_id=EVIL, published_at=EVIL, code_version=EVIL)))
    assert not found.tags & {"script", "img"}
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "49" not in "".join(found.texts).split("{{7*7}}")[0][-20:]
    assert any("<script>alert(1)</script>" in text for text in found.texts), "what was written is shown"
    assert "\x1b" not in "".join(found.texts)


def test_every_number_has_its_evidence_id() -> None:
    made = report()
    page = to_html(made)
    for held in made.sections.values():
        for figure in held.figures:
            assert f"<code>{figure.evidence_id}</code>" in page
    for name in ("positions", "risks", "execution", "failures"):
        for row in made.rows(name):
            assert f"<code>{row['of']}</code>" in page
    for evidence in (*made.alerts[0].evidence_ids, made.sufficiency.failures[0].evidence_id):
        assert f"<code>{evidence}</code>" in page
    assert "1998988.4182" in page and "1,998,988 USD" in page


def test_a_null_is_not_hidden_and_says_why() -> None:
    page = _text(to_html(report()))
    assert "Sharpe ratio, 60 sessions, annual: fewer than 60 daily returns." in page
    assert "Velocity in sigmas, 5 sessions: fewer than 25 sessions." in page
    assert "Effective bets: the book is hedged: its variance is near 0." in page
    gone = _text(to_html(report(headline=section("portfolio_equity", {"equity": None}, reason="no price for FX"))))
    assert "– (no price for FX)" in gone and "Equity is not known: no price for FX." in gone


def test_an_alert_shows_threshold_observed_window_contributors_room_and_trend() -> None:
    page = _text(to_html(report()))
    for told in (
        "◆ warning",
        "core uses 85.0 % of its heat cap.",
        "85.0 % against ≥ 80.0 %",
        "20 sessions, since 2024-02-15",
        "trend SPX 34,223 USD (61 %), swing AAPL 21,000 USD (39 %)",
        "Symbols AAPL, SPX, WTI",
        "15.0 pp to the next limit",
        "worse, +4.0 pp",
        "3 sessions, since 2024-03-14, at worst 90.0 %",
        "20 observations; the sample suffices",
        "portfolio_heat/core/2024-03-14/use",
        "Open nothing new.",
    ):
        assert told in page, told


def test_alerts_that_are_only_worth_knowing_are_folded_and_marked() -> None:
    alerts = (
        alert(sentence="Only a look.", severity="critical", gate_passed=False, gate_reason="2 of 6 observations"),
        alert(sentence="A warning."),
        alert(sentence="Grave.", severity="critical", room=None),
        alert(sentence="Hushed.", inhibited_by="drawdown"),
        alert(sentence="Over now.", state="resolved", transition="resolved"),
    )
    page = to_html(report(alerts=alerts))
    what = re.findall(r'<details( open)?>\n<summary><span class="mark"><b class="[^"]*">([^<]*)</b></span><span class="what">([^<]*)', page)
    assert [(opened.strip(), severity, sentence.strip()) for opened, severity, sentence in what] == [
        ("open", "■ critical", "Grave."),
        ("", "■ critical", "Only a look."),
        ("", "◆ warning", "A warning."),
    ]
    text = _text(page)
    assert "Only a look. new for the monitor only" in text and "(2 of 6 observations): for the monitor only" in text
    assert "1 more is silent: a graver alert says the same" in text and "Silent because of drawdown" in text
    assert "1 ended in this session" in text and "none: no graver limit follows" in text


def test_a_recommendation_says_what_it_changes_until_when_and_what_withdraws_it() -> None:
    page = _text(to_html(report()))
    for told in (
        "Recommended: tighten the heat cap from 6.0 % to 4.5 %. It stands until 2024-03-21.",
        "Withdrawn if the alert stack ends or eases",
        "Expires 2024-03-21",
        "1 of 1 gates passed, at 90 % confidence; the thinnest sample is 2.0 times what is asked for",
        "tighten the number of new positions a session from 5 to 4: the sample behind churn does not suffice",
        "portfolio recommendations show recommendation:core:2024-03-14",
    ):
        assert told in page, told


def test_a_standing_recommendation_is_told_from_what_stands() -> None:
    standing = recommendation(status="standing", content=None)
    assert "The recommendation of 2024-03-14 stands until 2024-03-21." in _text(to_html(report(recommendation=standing)))
    told = _text(to_html(report(recommendation=standing), standing=content()))
    assert "Recommended since 2024-03-14: tighten the heat cap from 6.0 % to 4.5 %." in told
    other = _text(to_html(report(recommendation=standing), standing=content(recommendation_id="recommendation:core:2024-01-01")))
    assert "tighten the heat cap" not in other, "the content of another recommendation is not told as this one's"
    broken = _text(to_html(report(recommendation=recommendation(content={"schema_version": 99}))))
    assert "The recommendation of 2024-03-14 stands until 2024-03-21." in broken


def test_a_failed_gate_says_what_is_missing_and_until_when() -> None:
    page = _text(to_html(report()))
    assert "615 more observations (676 of 1,291)" in page and "about 58 sessions" in page
    assert "11 of 118 figures: they are shown, but nothing is recommended on them." in page


def test_tables_have_captions_and_scopes() -> None:
    page = to_html(report(), page_data(3))
    assert page.count("<table") == page.count("<caption>") > 10
    assert not re.findall(r"<th(?! scope=)[ >]", page)


def test_every_diagnostic_has_its_part_also_where_it_is_not_computed() -> None:
    names = ["heat", "correlation", "concentration", "drawdown", "drift", "execution", "turnover", "idle", "failures", "calibration"]
    for made in (report(), bare()):
        page = to_html(made)
        assert [name for name in re.findall(r'<section class="block[^"]*" id="(\w+)"', page) if name in names] == names
    assert _text(to_html(bare())).count("It is not computed for this session.") == 5


def test_the_foot_says_what_made_the_page() -> None:
    made = report()
    page = to_html(made)
    assert made.hash in page and made.policy.hash in page and "Published" not in page
    kept = Provenance.from_json(
        b'{"code_version":"0.1.0","import_seq":3,"lake_versions":{"b":2,"a":1}}', report_id="r", published_at="then"
    )
    assert kept.lines() == (
        ("Report", "r"),
        ("Published", "then"),
        ("Code version", "0.1.0"),
        ("Facts up to import", "3"),
        ("Lake versions", "a 1, b 2"),
    )
    assert "a 1, b 2" in to_html(made, None, kept)


@pytest.mark.parametrize("name", ["equity", "stack"])
def test_charts_end_with_the_reports_day(name: charts.ChartName) -> None:
    """A page of an older day showed the future: the history that was passed went on past the report."""
    made = data_of(name, 30)
    older = report(day=made.days[-11]) if isinstance(made, (History, Series)) else report()
    assert to_html(older, {name: made}) == to_html(older, {name: made.until(older.day)})
    assert to_html(older, {name: made}) != to_html(report(), {name: made})
