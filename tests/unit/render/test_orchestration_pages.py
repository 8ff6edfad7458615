"""The pages of an execution and of an escalation."""

import json
import re

import pytest
from markdown_it import MarkdownIt

from portfolio_platform.render.orchestration.escalations import escalation_files, escalation_markdown
from portfolio_platform.render.orchestration.executed import execution_files, execution_page
from portfolio_platform.render.orchestration.wording import command, money, percent, price, shares
from tests.unit.render import orchestration_papers as made
from tests.unit.render.test_html import _read
from tests.unit.render.test_orchestration_files import rendered, texts


def test_an_execution_says_first_whether_limits_hold_then_what_is_left_then_what_was_done() -> None:
    found = execution_files(made.report())
    read = texts(found["execution_report.html"].decode())
    assert read.index("LIMITS HELD") < read.index("What is left") < read.index("Trades, planned and done")
    assert "8 trades still have something to do." in read
    for text in ("SELL FCX", "800", "≥ 49.75", "partly filled", "60 basis points worse than planned", "✗ given up: no cash"):
        assert text in read
    assert "Cash 202,370.60 USD (planned 50,020.00) of 999,370.60 USD" in read
    assert "portfolio execution report sample-" in read
    assert "Cash 202,370.60 20.25 % 5.00 % ≥ 5 % ✓ holds" in read and "Materials 290,000.00 29.02 % 25.00 % ≤ 40 % ✓ holds" in read
    assert json.loads(found["execution_report.json"])["execution_id"].startswith("sample-")


def test_the_report_has_everything_that_step_7_lists() -> None:
    text = execution_files(made.report())["execution_report.md"].decode()
    for heading in ("What is left", "Flags", "Limits after the fills", "Trades, planned and done", "Execution log", "Escalations"):
        assert f"## {heading}" in text
    assert "| S01 | sell 975 NEM | brokerage | Materials |" in text and "+60.00 bps" in text
    assert "**Next review:** 2026-01-05" in text and "**Sent to:** Client" in text


def test_a_limit_that_does_not_hold_is_on_top() -> None:
    report = made.report()
    assert report.verification is not None
    failed = report.verification.model_copy(update={"buffer": "fail", "buffer_ppm": 30_000, "overdrawn": ("brokerage",)})
    read = texts(execution_page(report.model_copy(update={"verification": failed})))
    assert "LIMITS BREACHED" in read and "cash is 3 % of at least 5 %" in read and "account brokerage is overdrawn" in read
    unseen = texts(execution_page(report.model_copy(update={"verification": None})))
    assert "NOT VERIFIED" in unseen


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("open", "Master-Architect has 30 of 30 minutes left, until 2026-01-05 15:30:00 UTC."),
        ("expired", "Nobody answered until 2026-01-05 15:30:00 UTC. That grants nothing"),
        ("approved", "Approved by ada at 2026-01-05 15:31:00 UTC after the time for it: agreed"),
    ],
)
def test_an_escalation_says_what_is_asked_and_what_became_of_it(status: str, said: str) -> None:
    case = made.case(status)
    read = texts(escalation_files(case, case.escalation.opened_at)["escalation.html"].decode())
    assert said in read
    assert "Technology 47 % of at most 40 %" in read and "−1,250.50 USD" in read and "v8.1.1 STEP 3A" in read
    assert ("portfolio escalations answer E1" in read) is (status != "approved")
    if status == "approved":
        assert "B01: 12.5 shares" in read and "B02: leave it out" in read and "by noon" in read


def test_text_from_outside_stays_text_in_executions_and_escalations() -> None:
    case = made.case("approved", made.EVIL_TEXT)
    found = {**execution_files(made.report(made.EVIL_TEXT)), **escalation_files(case, case.escalation.opened_at)}
    for name, content in found.items():
        text = content.decode()
        assert not re.search("[\x00-\x08\x1b\u202e\u2066]", text), name
        if name.endswith(".json"):
            assert "<" not in text
            continue
        page = rendered(text) if name.endswith(".md") else text
        read = _read(page)
        assert not read.tags & {"script", "img", "a"}, name
        assert not [key for key, _ in read.attributes if key.startswith("on")]
        assert "<script>alert(1)</script>" in "".join(read.texts)


def test_a_fence_in_a_dry_run_does_not_end_the_block_that_shows_it() -> None:
    case = made.case()
    tokens = MarkdownIt("commonmark").parse(escalation_markdown(case, case.escalation.opened_at))
    assert next(token.content.count("| a | b |") for token in tokens if token.type == "fence") == 1


def test_numbers_are_written_exactly() -> None:
    from decimal import Decimal

    assert money(-125_050, 2, "USD") == "−1,250.50 USD"
    assert (percent(99_980), percent(99_996), percent(4), percent(0), percent(-60_000)) == (
        "10.00 %",
        "10.00 %",
        "≈ 0.00 %",
        "0.00 %",
        "−6.00 %",
    )
    assert (price(Decimal("79.6"), 2), price(Decimal("0.12345"), 2), price(Decimal(804), 0)) == ("79.60", "0.12345", "804")
    assert shares(Decimal("1300.5")) == "1,300.5"
    assert command("portfolio", "execution", "report", "my book-1") == "portfolio execution report 'my book-1'"
