"""Where the action plans of a document are, and what an HTML block shows."""

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import Any

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.{0,300})")
_PLAN = re.compile(r"\baction[ \t-]*plan\b", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(```+|~~~+)")


def action_plans(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of lines of each action plan, without its heading; what is inside a fence is no heading."""
    first, level, fence = None, 0, ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fence or (mark[1].startswith(fence) and not line.strip(" `~"))):
            fence = "" if fence else mark[1]
            continue
        if fence:
            continue
        found = _heading(lines, number)
        if found is None:
            continue
        depth, title, length = found
        if first is not None and depth <= level:
            yield first, number
            first = None
        if first is None and _PLAN.search(title):
            first, level = number + length, depth
    if first is not None:
        yield first, len(lines)


def _heading(lines: Sequence[str], number: int) -> tuple[int, str, int] | None:
    """Return depth, title and number of lines of a heading: with #, underlined, or a line that says ACTION PLAN alone."""
    line = lines[number]
    found = _HEADING.match(line)
    if found:
        return len(found[1]), found[2], 1
    if len(line) > 120 or not line.strip():
        return None
    below = lines[number + 1].strip() if number + 1 < len(lines) else ""
    if below and len(below) >= 3 and set(below) <= {"="}:
        return 1, line, 2
    if below and len(below) >= 3 and set(below) <= {"-"} and "|" not in line:
        return 2, line, 2
    bare = line.strip(" *_:").casefold()
    return (6, line, 1) if bare in ("action plan", "action plan section") else None


class VisibleText(HTMLParser):
    """The lines of text of an HTML block, with their numbers; scripts, styles, comments and deletions are left out, and said so."""

    HIDDEN = frozenset({"script", "style", "template", "del", "s", "strike"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, str, str]] = []
        self.hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note where hidden content begins."""
        if tag in self.HIDDEN:
            self.hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note where hidden content ends."""
        if tag in self.hidden:
            self.hidden.remove(tag)

    def handle_data(self, data: str) -> None:
        """Keep text line by line."""
        why = f"it is inside <{self.hidden[-1]}>" if self.hidden else ""
        for number, said in enumerate(data.split("\n")):
            if said.strip():
                self.found.append((self.getpos()[0] - 1 + number, said.strip(), why))

    def handle_comment(self, data: str) -> None:
        """Keep a comment as what is not read."""
        for number, said in enumerate(data.split("\n")):
            if said.strip():
                self.found.append((self.getpos()[0] - 1 + number, said.strip(), "it is inside a comment"))
