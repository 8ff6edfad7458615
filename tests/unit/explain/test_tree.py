"""The tree: as deep as asked for, as many rows as asked for, nothing read beyond that, text never taken for markup."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from rich.console import Console

from portfolio_platform.explain.printed import printed
from portfolio_platform.explain.tree import Draft, Node, grown, listing


def numbered(count: int) -> Iterable[Draft]:
    return [Draft(f"row {number}", number) for number in range(count)]


def test_a_list_shows_its_first_rows_and_says_how_many_more() -> None:
    node = grown(listing("rows", lambda: numbered(10)), depth=3, rows=4)
    assert [child.value for child in node.children] == [0, 1, 2, 3] and node.more == 6


def test_what_is_no_list_is_shown_whole() -> None:
    node = grown(Draft("parts", parts=lambda: numbered(10)), depth=3, rows=4)
    assert len(node.children) == 10 and node.more == 0


def test_nothing_is_found_out_below_the_depth() -> None:
    def explode() -> list[Draft]:
        raise AssertionError("this was not asked for")

    node = grown(Draft("top", parts=lambda: [Draft("below", parts=explode)]), depth=1, rows=5)
    assert node.children[0].deeper and not node.children[0].children
    assert grown(Draft("top", parts=explode), depth=0, rows=5).deeper


def test_what_rests_on_itself_comes_to_an_end() -> None:
    def again() -> list[Draft]:
        return [Draft("again", evidence_id="x/y", parts=again)]

    node = grown(again()[0], depth=50, rows=5)
    assert node.children[0].deeper and not node.children[0].children


def test_what_is_closed_is_named_and_not_followed() -> None:
    node = grown(Draft("before", parts=lambda: numbered(3), closed=True), depth=9, rows=9)
    assert node.deeper and not node.children


def test_the_json_holds_decimals_and_days_as_text() -> None:
    tree = Node("top", Decimal("1.10"), children=(Node("day", date(2010, 12, 31)), Node("half", 0.5))).as_json()
    assert tree["value"] == "1.10" and [child["value"] for child in tree["children"]] == ["2010-12-31", 0.5]


def test_text_of_a_file_is_neither_markup_nor_control() -> None:
    console = Console(width=80, record=True, force_terminal=False)
    console.print(printed(Node("[red]danger[/] \x1b[31m", text="[bold]1[/]", children=(Node("[/]"),), more=2)))
    text = console.export_text()
    assert "[red]danger[/]" in text and "[bold]1[/]" in text and "[/]" in text and "\x1b" not in text and "and 2 more" in text
