import re
from html.parser import HTMLParser

import pytest

from portfolio_platform.render.html import bar_width, to_html
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.series import History
from tests.unit.render.factory import figure, history, hostile, report

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


def test_the_page_is_well_formed_with_and_without_charts() -> None:
    for made in (None, History.empty("core"), history(1), history(200)):
        _read(to_html(report(), made))
    _read(to_html(report(previous_session=None, week_session=None, changes=(), concentration=(), positions=(), open_positions=0)))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = to_html(report(), history(200), Provenance(report_id="report:daily:core:2024-03-14:r1", published_at="2024-03-15T00:00:00Z"))
    found = _read(page)
    assert "script" not in found.tags and not found.tags & {"link", "iframe", "object", "embed", "base", "form", "img"}
    assert set(re.findall(r"https?://[^\"'<> ]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert "@import" not in page
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("content", policy) in found.attributes


def test_text_from_outside_stays_text() -> None:
    found = _read(to_html(hostile(EVIL), history(3), Provenance(report_id=EVIL, published_at=EVIL, code_version=EVIL)))
    assert not found.tags & {"script", "img"}
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "49" not in "".join(found.texts).split("{{7*7}}")[0][-20:]
    assert any("<script>alert(1)</script>" in text for text in found.texts), "what was written is shown"
    assert "\x1b" not in "".join(found.texts)


def test_every_number_has_its_evidence_id() -> None:
    made = report()
    page = to_html(made)
    for held in (*made.headline, *made.drawdown.figures, *made.data_quality.figures):
        assert f"<code>{held.evidence_id}</code>" in page
    assert "1998988.4182" in page and "1,998,988 USD" in page


def test_a_null_is_not_hidden_and_says_why() -> None:
    page = to_html(report())
    assert "Label of sharpe_60: fewer than 60 daily returns." in page
    assert "Label of z_5: fewer than 25 sessions." in page
    gone = to_html(report(headline=(figure("equity", None, "base currency", reason="no price for FX"),)))
    assert "– (no price for FX)" in gone and "Equity is not known: no price for FX." in gone


def test_tables_have_captions_and_scopes() -> None:
    page = to_html(report(), history(3))
    assert page.count("<table") == page.count("<caption>") > 4
    assert not re.findall(r"<th(?! scope=)[ >]", page)


def test_the_foot_says_what_made_the_page() -> None:
    made = report()
    bare = to_html(made)
    assert made.hash in bare and made.policy.hash in bare and "Published" not in bare
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


def test_charts_end_with_the_reports_day() -> None:
    """A page of an older day showed the future: the history that was passed went on past the report."""
    made = history(30)
    older = report(day=made.days[-11])
    assert to_html(older, made) == to_html(older, made.until(older.day))


@pytest.mark.parametrize(("share", "width"), [(0.5, "50.0%"), (None, "0.0%"), (float("nan"), "0.0%"), (-1.0, "0.0%"), (7.0, "100.0%")])
def test_a_bar_stays_in_its_track(share: float | None, width: str) -> None:
    assert bar_width(share) == width
