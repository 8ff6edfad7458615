"""The files of a plan's folder: what is in them, that they are made alike from equal papers, and that text from outside stays text."""

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from portfolio_platform.orchestrator.directives import parse_directives
from portfolio_platform.orchestrator.guide import guide_of
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import load_directives, load_plan
from portfolio_platform.orchestrator.papers import PlanPapers, papers_of
from portfolio_platform.orchestrator.profile import shipped_profile
from portfolio_platform.render.orchestration import documents, markdown, pages, table_csv
from portfolio_platform.render.orchestration.files import files_of
from portfolio_platform.render.orchestration.sections import order_note
from tests.unit.orchestrator.examples import AT, directive_sets, portfolios, sample_inputs
from tests.unit.render import orchestration_papers as made
from tests.unit.render.test_html import _read

ALWAYS = {"plan.html", "recommendation_report.html", "recommendation_report.md", "recommendation_report.json", "dry_run.md"}
ALWAYS |= {"execution_guide.md", "trade_list.json", "trade_list.csv", "plan.json", "sectors.svg", "cash_path.svg"}


@pytest.fixture(scope="module")
def papers() -> PlanPapers:
    return made.rebalancing()


@pytest.fixture(scope="module")
def files(papers: PlanPapers) -> dict[str, bytes]:
    return dict(files_of(papers))


@pytest.fixture(scope="module")
def evil() -> list[tuple[PlanPapers, dict[str, bytes]]]:
    return [(one, dict(files_of(one))) for one in made.hostile()]


def texts(html: str) -> str:
    return " ".join(" ".join(_read(html).texts).replace("\N{NO-BREAK SPACE}", " ").split())


def rendered(markdown: str) -> str:
    """Return what a reader's renderer makes of Markdown, with HTML in it let through, as the worst of them do."""
    return MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"]).render(markdown)


def plan_page(one: PlanPapers) -> str:
    """Return the trader's page without its charts, which cost most of its time."""
    return pages.plan_page(one, guide_of(one.plan, one.profile), ())


def test_each_kind_of_plan_has_its_files(files: dict[str, bytes], evil: list[tuple[PlanPapers, dict[str, bytes]]]) -> None:
    assert set(files) == set(evil[0][1]) == ALWAYS | {"rebalancing_directives.json"}
    assert set(evil[1][1]) == ALWAYS | {"validation.json"}
    assert set(evil[2][1]) == ALWAYS


def test_equal_papers_have_equal_bytes(papers: PlanPapers, files: dict[str, bytes]) -> None:
    again = PlanPapers.model_validate(papers.model_dump())
    assert again is not papers
    assert dict(files_of(again)) == files


def test_directives_and_plan_are_read_again_from_their_files(papers: PlanPapers, files: dict[str, bytes], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("read")
    for name in ("rebalancing_directives.json", "plan.json"):
        (folder / name).write_bytes(files[name])
    assert load_directives(folder / "rebalancing_directives.json") == papers.directives
    assert load_plan(folder / "plan.json").hash == papers.plan.hash


def test_directives_say_what_each_sector_is_in_money(files: dict[str, bytes]) -> None:
    """v8.1.1 STEP 0: sector names, current and target allocation, amounts to raise and to deploy, the action."""
    targets = {target["sector"]: target for target in json.loads(files["rebalancing_directives.json"])["targets"]}
    materials = targets["Materials"]
    assert (materials["action"], materials["current_ppm"], materials["target_ppm"]) == ("SELL", 468_000, 250_000)
    assert materials["amount_minor"] == 21_800_000
    assert (targets["Healthcare"]["action"], targets["Healthcare"]["amount_minor"]) == ("BUY", 10_000_000)


def test_a_trader_finds_every_order_on_the_page_with_its_box_quantity_limit_and_cash(papers: PlanPapers, files: dict[str, bytes]) -> None:
    page = files["plan.html"].decode()
    read = texts(page)
    orders = re.findall(r'<table class="orders">.*?</table>', page, re.DOTALL)
    assert len(orders) == 2 and read.index("Phase 1: SELL orders") < read.index("Phase 2: BUY orders")
    assert [table.count('<input type="checkbox" class="box"') for table in orders] == [2, 8]
    for text in ("SELL NEM", "975", "≥ 79.60", "103,000.00", "sell 975 of lot NEM-1", "BUY ABBV", "≤ 180.90", "50,020.00"):
        assert text in read
    for condition in papers.plan.conditions:
        assert condition in read
    assert "What must hold afterwards" in read and "Materials is about 25 %, and at most 40 %." in read
    assert f"portfolio execution report {papers.execution_id}" in read
    assert "After 15 minutes without a fill" in read and "below 90 % of its order" in read and "more than 50 basis points" in read


def test_what_waits_for_what_and_the_stops_to_place_are_on_the_page() -> None:
    page = texts(plan_page(made.recommended()))
    assert "Place and report for NVDA: stop at 135.00, profit targets at 170.00, 190.00." in page
    waiting = next(one for one in made.hostile() if one.queue is not None)
    assert "wait until" in texts(plan_page(waiting))


def test_a_blocked_plan_has_every_reason_on_top_and_no_box_to_tick() -> None:
    blocked = made.recommended("stock_recommendation_rejected")
    page, guide = plan_page(blocked), markdown.guide(blocked, guide_of(blocked.plan, blocked.profile))
    assert "BLOCKED" in texts(page) and "Do not execute this plan." in texts(page)
    for reason in blocked.plan.reasons:
        assert reason in texts(page)
    assert 'type="checkbox"' not in page and "- [ ]" not in guide and "☐" not in guide
    assert page.index("BLOCKED") < page.index("BUY TSLA")


def test_the_dry_run_has_before_and_after_constraints_worst_case_and_the_sequence(files: dict[str, bytes]) -> None:
    """v8.1.1 STEP 2C."""
    text = files["dry_run.md"].decode()
    assert "| Materials | 468,000.00 | 46.80 % | 250,000.00 | 25.00 % | −21.80 pts | 25 % | 40 % |" in text
    assert "| Healthcare | 0.00 | 0.00 % | 99,980.00 | 10.00 % | +10.00 pts | 10 % | 40 % |" in text
    assert [line[2:3] for line in text.splitlines() if re.match(r"\| [1-6] [A-Z]", line)] == list("123456")
    assert "| 2 Cash buffer | cash at least 5 % at the end; healthy from 8 % | ✓ holds | ✗ violated |" in text
    assert "| Cash at the end | 50,020.00 | 47,854.47 |" in text
    assert "| 10 | B08 | buy ABBV | −19,980.00 | 50,020.00 |" in text


def test_the_guide_is_in_two_phases_with_proceeds_costs_and_a_check_list(files: dict[str, bytes]) -> None:
    """v8.1.1 STEP 4C."""
    text = files["execution_guide.md"].decode()
    assert "## Phase 1: SELL orders, 218,000.00 USD" in text and "## Phase 2: BUY orders, 192,980.00 USD" in text
    assert text.count("| ☐ |") == 10
    assert "- [ ] Healthcare is about 9.998 %, and at most 40 %." in text


def test_the_validation_is_the_specifications_json_with_its_keys_in_its_order() -> None:
    found = json.loads(documents.validation_json(made.recommended()))
    assert list(found) == ["status", "ticker", "conviction", "checks", "reasons", "message"]
    assert found["message"] == "Stock-Analyst NVDA APPROVED_FOR_PO: All criteria pass"


def test_the_trade_list_is_the_same_in_json_and_in_csv(papers: PlanPapers, files: dict[str, bytes]) -> None:
    listed = json.loads(files["trade_list.json"])
    rows = list(csv.DictReader(io.StringIO(files["trade_list.csv"].decode("utf-8"))))
    assert (
        [row["trade_id"] for row in rows]
        == [trade["trade_id"] for trade in listed["trades"]]
        == [one.trade_id for one in papers.plan.trades]
    )
    for row, trade in zip(rows, listed["trades"], strict=True):
        for name in ("quantity", "limit_price", "amount", "cash_after", "account_cash_after", "side", "account"):
            assert row[name] == trade[name]
    assert rows[-1]["cash_after"] == listed["totals"]["cash_after"] == "50020.00"
    assert listed["plan_hash"] == papers.plan.hash


def test_pages_load_nothing_and_run_nothing(files: dict[str, bytes]) -> None:
    for name in ("plan.html", "recommendation_report.html"):
        page = files[name].decode()
        found = _read(page)
        assert not found.tags & {"script", "link", "iframe", "object", "embed", "base", "form", "img", "a"}
        assert not [key for key, _ in found.attributes if key.startswith("on")]
        assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in found.attributes
        assert set(re.findall(r"https?://[^\"'<> ]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert "@import" not in page and "@page { size: auto" in page, "A4 and Letter alike: the printer's paper"


def test_no_page_holds_markup_that_came_from_outside(evil: list[tuple[PlanPapers, dict[str, bytes]]]) -> None:
    for _, found in evil:
        for name in ("plan.html", "recommendation_report.html"):
            read = _read(found[name].decode())
            assert not read.tags & {"script", "img", "a"}
            assert not [key for key, _ in read.attributes if key.startswith("on")]
            assert "<script>alert(1)</script>" in "".join(read.texts), "what was written is shown"
            assert not re.search("[\x00-\x08\x1b\u202e\u2066]", found[name].decode())
        for name in ("sectors.svg", "cash_path.svg"):
            assert "script" not in found[name].decode() and "onerror" not in found[name].decode()


def test_no_markdown_holds_markup_links_or_another_table_that_came_from_outside(evil: list[tuple[PlanPapers, dict[str, bytes]]]) -> None:
    for _, found in evil:
        for name in ("dry_run.md", "execution_guide.md", "recommendation_report.md"):
            html = rendered(found[name].decode())
            read = _read(html)
            assert not read.tags & {"script", "img", "a", "pre", "style"}, name
            assert "javascript:alert(1)" in "".join(read.texts) and "<script>alert(1)</script>" in "".join(read.texts)
            assert not re.search("[\x00-\x08\x1b\u202e\u2066]", found[name].decode())
            for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
                widths = {len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
                assert len(widths) == 1, "a pipe in a name makes no further column"


def test_json_shows_what_was_written_and_holds_no_letter_that_html_acts_on(evil: list[tuple[PlanPapers, dict[str, bytes]]]) -> None:
    for papers, found in evil:
        for name in (name for name in found if name.endswith(".json")):
            assert not set(b"<>&\x1b\x00") & set(found[name]) and found[name].isascii()
            json.loads(found[name])
        assert json.loads(found["plan.json"])["portfolio"] == papers.plan.portfolio == made.EVIL_NAME


def cells(content: bytes, separator: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(content.decode("utf-8")), delimiter=separator):
        yield from row


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_cell_of_the_csv_is_a_formula_whichever_separator_is_assumed(
    evil: list[tuple[PlanPapers, dict[str, bytes]]], separator: str
) -> None:
    for _, found in evil:
        for cell in cells(found["trade_list.csv"], separator):
            assert not re.match(r"[\s\"']*[=+@\uff1d\uff0b\uff20]", cell.removeprefix("'")) or cell.lstrip().startswith("'"), cell
            assert not cell.startswith("-") or re.fullmatch(r"-\d+(\.\d+)?", cell)


@pytest.mark.parametrize(
    ("raw", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1.50", "-1.50"),
        ("-1+2", "'-1+2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'=1"),
        ("\t=1", "'=1"),
        ("a;=1", "a;'=1"),
        ("a|-b", "a|'-b"),
        ("\uff1d1", "'\uff1d1"),
        ("BRK-B", "BRK-B"),
        ("a\r\nb", "a b"),
    ],
)
def test_what_begins_a_formula_is_led_by_an_apostrophe(raw: str, cell: str) -> None:
    assert table_csv.neutral(raw) == cell


@settings(max_examples=60)
@given(st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=2), max_size=4))
def test_any_text_is_one_cell_of_one_row_and_none_begins_a_formula(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(table_csv.table(("a", "b"), rows).decode("utf-8"), newline="")))
    assert [len(row) for row in read] == [2] * (len(rows) + 1)
    for row in read[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))


def test_a_plan_without_trades_says_so_everywhere() -> None:
    document = "## ACTION PLAN\n\n- Hold Energy at 20%\n"
    found = files_of(papers_of(sample_inputs("portfolio_with_cash.json", document=document), parse_directives(document)))
    assert "There is nothing to trade." in texts(found["plan.html"].decode())
    assert "There is nothing to trade." in found["execution_guide.md"].decode()
    assert "There is nothing to trade." in found["dry_run.md"].decode()
    assert json.loads(found["trade_list.json"])["trades"] == []


def test_an_order_that_waits_for_many_sells_names_the_first_and_the_last() -> None:
    papers = made.rebalancing()
    step = guide_of(papers.plan, papers.profile).phases[1].steps[0]
    few = step.model_copy(update={"waits_for": ("S01", "S02")})
    many = step.model_copy(update={"waits_for": tuple(f"S{number:02d}" for number in range(1, 75))})
    assert order_note(few) == "wait until S01, S02 are confirmed"
    assert order_note(many) == "wait until 74 sells of brokerage are confirmed, S01 to S74"


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(portfolios(), directive_sets())
def test_whatever_the_plan_its_orders_are_on_every_paper_in_its_order(case, directives) -> None:
    snapshot, ranked, listed = case
    papers = papers_of(Inputs(snapshot, listed, shipped_profile(), AT, ranked), directives)
    page = texts(plan_page(papers))
    rows = list(csv.DictReader(io.StringIO(documents.trade_list_csv(papers).decode())))
    assert [row["trade_id"] for row in rows] == [trade.trade_id for trade in papers.plan.trades]
    cash = Decimal(snapshot.cash_minor) / 100
    for row, trade in zip(rows, papers.plan.trades, strict=True):
        cash += Decimal(row["cash_change"])
        assert Decimal(row["cash_after"]) == cash, "the cash after each trade is that before it and its change"
        assert f"{trade.trade_id} {trade.side.upper()} {trade.ticker}" in page and f"{trade.quantity:,f}" in page
    places = [page.index(f"{trade.trade_id} {trade.side.upper()}") for trade in papers.plan.trades]
    assert places == sorted(places)
    for text in (*papers.plan.reasons, *papers.plan.conditions):
        assert " ".join(text.split()) in page
    assert markdown.dry_run(papers) == markdown.dry_run(PlanPapers.model_validate(papers.model_dump()))
