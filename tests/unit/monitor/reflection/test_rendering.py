"""Reflections for reading: verdict first, everything escaped, the same each time."""

import re
from io import StringIO

import numpy as np
import pytest

from portfolio_platform.monitor.reflection.compose import compose
from portfolio_platform.monitor.reflection.periods import period_of
from portfolio_platform.policy.model import Policy
from portfolio_platform.render import reflection_blocks as blocks
from portfolio_platform.render.reflections import to_html, to_markdown, to_terminal
from tests.unit.monitor.reflection.making import history, weekday
from tests.unit.monitor.reflection.test_compose import rich_history

EVIL = "<script>|x|`[a](http://evil)`\n# head\x1b[31m"


def made(whole=None, kind="weekly"):
    found = compose(whole or rich_history(5), period_of(kind, weekday(20)), Policy(), mode="paper", base_currency="USD")
    assert found is not None
    return found


def terminal(found, **named):
    from rich.console import Console

    file = StringIO()
    Console(file=file, width=140, color_system=None).print(to_terminal(found, **named))
    return file.getvalue()


def test_the_verdict_comes_first_and_says_result_success_failure_alerts_and_what_to_do():
    lines = to_markdown(made()).split("\n")
    bullets = [line for line in lines[:12] if line.startswith("- ")]
    assert len(bullets) == 5
    assert "in the week, flows not counted" in bullets[0]
    assert [bullet.split(":")[0] for bullet in bullets[1:3]] == ["- What worked", "- What failed"]
    assert "alert" in bullets[3]
    assert bullets[4].startswith(("- Adjust the policy", "- Plan again", "- Try it", "- Hold"))


def test_what_was_proven_is_named_before_the_periods_own_profit():
    rng = np.random.default_rng(4)
    good = sorted((place % 25, "good", float(r), 10 * float(r)) for place, r in enumerate(rng.normal(0.8, 0.4, 40)))
    said = blocks.verdict(made(history(np.ones(25), good)))
    assert re.match(r"What worked: good \(0\.\d+ R \(0\.\d+ to 0\.\d+\), 40 trades\)", said[1])
    assert "Most of the week's own profit: good" in said[1]
    assert said[2].startswith("What failed: nothing that the sample proves.")


def test_a_quiet_week_is_readable_too():
    found = made(history(np.ones(25)))
    for text in (to_markdown(found), to_html(found), terminal(found)):
        assert "no trade closed" in text
        assert "Hold" in text
        assert "nan" not in text.lower().replace("finance", "")


def test_names_from_outside_are_escaped_everywhere():
    traded = [(20 + place % 5, EVIL, -1.0 + 0.01 * place, -5.0, {"symbol": EVIL}) for place in range(5)]
    found = made(history(np.ones(25), traded, [(20, "heat", EVIL)]))
    markdown, page, shown = to_markdown(found), to_html(found), terminal(found)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in markdown
    assert "\n# head" not in markdown
    assert "\x1b" not in markdown + page + shown
    assert "http://" not in markdown
    rows = [line for line in markdown.split("\n") if "script" in line and line.startswith("|")]
    assert rows
    heads = {len(re.findall(r"(?<!\\)\|", row)) for row in rows if "insufficient" in row}
    assert heads == {11}  # ten cells, and no more by a name with a bar in it


def test_a_page_loads_nothing_and_runs_nothing():
    page = to_html(made())
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
    assert page.startswith("<!DOCTYPE html>") or page.lstrip().startswith("<!DOCTYPE html>")


def test_texts_are_the_same_each_time_and_decisions_stand_beside():
    found = made()
    assert (to_markdown(found), to_html(found)) == (to_markdown(made()), to_html(made()))
    identity = found.recommendations[0].recommendation_id
    decided = {identity: "approved by nora"}
    assert "approved by nora" in to_markdown(found, decided)
    assert "approved by nora" in to_html(found, decided)
    assert "approved by nora" not in to_markdown(found)
    assert found.hash in to_markdown(found, decided)  # what people did changes no content


@pytest.mark.parametrize(("kind", "title"), [("weekly", "p, week from 2020-02-03 to 2020-02-09"), ("monthly", "p, February 2020")])
def test_the_title_names_the_period(kind, title):
    assert blocks.title(made(kind=kind)) == title


def test_research_trades_have_their_own_table():
    assert "Kept apart: they touch no playbook's record." in to_markdown(made())
