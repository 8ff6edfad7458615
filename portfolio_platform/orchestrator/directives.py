"""Step 0: a portfolio document's ACTION PLAN, or a typed JSON, becomes directives; and directives become an ACTION PLAN again.

Blocks (lists, tables, fences, HTML) are found by a CommonMark parser, clauses are read by `words`. Every line of the plan that is no
directive is kept with its number and the reason; contradictions are findings. Reading never raises for what a document says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from portfolio_platform.orchestrator.directive import Directive, Directives, Stretch
from portfolio_platform.orchestrator.model import Finding
from portfolio_platform.orchestrator.plan_tables import read_row, roles_of
from portfolio_platform.orchestrator.sections import VisibleText, action_plans
from portfolio_platform.orchestrator.tokens import (
    BY,
    DECIMAL_COMMA,
    DOUBT,
    EITHER_WAY,
    FILLER,
    FROM,
    LONGEST,
    NOW,
    PERCENT,
    POINTS,
    TO,
    VERBS,
    NotUnderstood,
    normalised,
    tokens_of,
)
from portfolio_platform.orchestrator.words import read_clause, split_clauses

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MOST_CHARACTERS = 60_000
"""Characters of an action plan that are read; the lines beyond are kept as not understood, and the plan is blocked."""
_MARKUP = re.compile(r"[\[\]<&\\~!_]")
_KEYWORDS = frozenset(VERBS) | DOUBT | FILLER | FROM | TO | BY | NOW | PERCENT | POINTS | {"per", "cent", "then", "bps", "cash"}


@dataclass
class _Read:
    """What has been read so far."""

    directives: list[Directive] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    unread: list[Stretch] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def take(self, directive: Directive, line: int) -> None:
        self.directives.append(directive)
        self.lines.append(line)

    def leave(self, line: int, text: str, why: str) -> None:
        shown = text.strip()
        if shown:
            self.unread.append(Stretch(line=line, text=shown[:LONGEST], why=why, suspicious=_suspicious(shown)))


def parse_directives(text: str) -> Directives:
    """Return the directives of a markdown document.

    Its ACTION PLAN is read: what follows a heading (or a line of its own) of that name, up to the next heading of its level or above.
    Without one the whole document is read, and a finding says so.
    """
    read = _Read()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").split("\n")
    parts = list(action_plans(lines))
    if not parts:
        read.findings.append(
            Finding(
                code="no_action_plan",
                severity="warning",
                subject="directives",
                message="the document has no ACTION PLAN; all of it was read as one",
                remedy="put the directives under a heading ACTION PLAN",
            )
        )
        parts = [(0, len(lines))]
    elif len(parts) > 1:
        behind = ", ".join(str(part[0]) for part in parts[:10]) + (" ..." if len(parts) > 10 else "")
        read.findings.append(
            Finding(
                code="two_action_plans",
                severity="warning",
                subject="directives",
                message=f"the document has {len(parts)} action plans, behind lines {behind}; all were read",
                remedy="keep one",
            )
        )
    left, parser = MOST_CHARACTERS, _parser()
    for first, last in parts:
        left = _read_part(lines, first, last, left, parser, read)
    read.findings += contradictions(read.directives, read.lines)
    read.findings += _mixed_numbers(read, lines)
    read.findings += [_unread_finding(stretch) for stretch in read.unread if stretch.suspicious]
    order = sorted(range(len(read.directives)), key=lambda place: read.lines[place])
    return Directives(
        directives=tuple(read.directives[place] for place in order),
        lines=tuple(read.lines[place] for place in order),
        unread=tuple(sorted(read.unread, key=lambda stretch: stretch.line)),
        findings=tuple(read.findings),
    )


def _mixed_numbers(read: _Read, lines: Sequence[str]) -> list[Finding]:
    """Return a warning for an amount such as 2,500 or 2.500 in a document that has decimal commas, which may be thousands or not."""
    if not any(DECIMAL_COMMA.search(lines[line - 1]) for line in read.lines):
        return []
    found = []
    for directive, line in zip(read.directives, read.lines, strict=True):
        either = EITHER_WAY.search(normalised(lines[line - 1]))
        if directive.change_amount is not None and either:
            text = f"line {line}: {either.group()} was read as {directive.change_amount:,f}, and the document has decimal commas elsewhere"
            remedy = f"write {directive.change_amount:f}, or confirm it"
            found.append(
                Finding(code="mixed_numbers", severity="warning", subject=directive.sector, message=text, remedy=remedy, line=line)
            )
    return found


def render_directives(directives: Sequence[Directive]) -> str:
    """Return the ACTION PLAN that says these directives: `parse_directives` reads the same from it."""
    return "## ACTION PLAN\n\nSuggested rebalancing:\n\n" + "".join(f"- {sentence(directive)}\n" for directive in directives)


def sentence(directive: Directive) -> str:
    """Return a directive as the specification writes it."""
    name = directive.sector if _is_plain(directive.sector) else f'"{directive.sector}"'
    since = "" if directive.current_pct is None else f" from {directive.current_pct:f}%"
    if directive.kind == "cash":
        return f"Target Cash position{since}{' to' if since else ':'} {directive.target_pct:f}%"
    if directive.kind == "set":
        return f"Target {name}: {directive.target_pct:f}%"
    if directive.kind == "hold":
        return f"Hold {name}" + ("" if directive.target_pct is None else f" at {directive.target_pct:f}%")
    verb = directive.kind.capitalize()
    if directive.target_pct is not None:
        return f"{verb} {name}{since} to {directive.target_pct:f}%"
    if directive.change_points is not None:
        return f"{verb} {name}{since} by {directive.change_points:f} pts"
    return f"{verb} {name}{since} by {directive.change_currency} {directive.change_amount:,f}"


def contradictions(directives: Sequence[Directive], lines: Sequence[int]) -> list[Finding]:
    """Return what directives say against each other: two for one sector, a target over 100 %, targets that add up to more."""
    found: list[Finding] = []
    first: dict[str, int] = {}
    for place, directive in enumerate(directives):
        line = lines[place] if lines else None
        key = directive.sector.casefold()
        if key in first:
            before = directives[first[key]]
            text = f"{directive.sector} is asked twice: '{sentence(before)}'" + (f" (line {lines[first[key]]})" if lines else "")
            found.append(_error("two_directives", directive.sector, f"{text} and '{sentence(directive)}'", "keep one of them", line))
        else:
            first[key] = place
        for value in (directive.target_pct, directive.current_pct):
            if value is not None and value > 100:
                text = f"{directive.sector}: {value:f} % is more than the whole portfolio"
                found.append(_error("over_100", directive.sector, text, "state a percentage of at most 100", line))
    stated = [directive.target_pct for directive in directives if directive.target_pct is not None]
    whole = sum(stated)
    if whole > 100 and len(stated) > 1 and not any(item.code == "two_directives" for item in found):
        text = f"the targets add up to {whole:f} %, which is more than the whole portfolio"
        found.append(_error("targets_over_100", "directives", text, "lower some of them", None))
    return found


def _error(code: str, subject: str, message: str, remedy: str, line: int | None) -> Finding:
    return Finding(code=code, severity="error", subject=subject, message=message, remedy=remedy, line=line)


def _unread_finding(stretch: Stretch) -> Finding:
    return Finding(
        code="not_understood",
        severity="warning",
        subject="directives",
        message=f"line {stretch.line} was not understood ({stretch.why}): {stretch.text[:120]}",
        remedy="write it as 'Reduce Materials from 46.8% to 25%', or confirm that it asks for nothing",
        line=stretch.line,
    )


def _is_plain(name: str) -> bool:
    words = name.split(" ")
    return all(re.fullmatch(r"[A-Za-z]+", word) and word.lower() not in _KEYWORDS for word in words)


def _suspicious(text: str) -> bool:
    """Say whether a line could ask for something: it has a digit, a verb of the grammar, or a word that makes a condition."""
    if any(letter.isdigit() for letter in text):
        return True
    return any(word.strip(".,:;()*\"'").lower() in VERBS for word in text[:LONGEST].split())


def _read_part(lines: Sequence[str], first: int, last: int, left: int, parser: "MarkdownIt", read: _Read) -> int:
    """Read one action plan, as far as the characters that are left go; return how many are left then."""
    stop = first
    while stop < last and left - len(lines[stop]) - 1 >= 0:
        left -= len(lines[stop]) + 1
        stop += 1
    if stop < last:
        if left >= 0:
            text = f"the action plan is longer than {MOST_CHARACTERS} characters; from line {stop + 1} on it was not read"
            read.findings.append(_error("too_long", "directives", text, "shorten it to the directives", stop + 1))
        shown = lines[stop].strip()[:LONGEST]
        read.unread.append(Stretch(line=stop + 1, until=last, text=shown, why="beyond the part that is read", suspicious=False))
        left = -1
    _read_blocks("\n".join(lines[first:stop]), first + 1, parser, read)
    return left


def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _read_blocks(text: str, offset: int, parser: "MarkdownIt", read: _Read) -> None:
    """Read the blocks of a plan; ``offset`` is the number of its first line."""
    tokens: list[Token] = []
    parser.block.parse(text, parser, {}, tokens)
    table: _Table | None = None
    for token in tokens:
        line = offset + (token.map[0] if token.map else 0)
        if token.type == "table_open":
            table = _Table()
        elif token.type == "table_close" and table is not None:
            table.finish(read)
            table = None
        elif token.type == "tr_open" and table is not None:
            table.rows.append((line, []))
        elif token.type == "inline" and table is not None:
            table.rows[-1][1].append(_shown(token.content, parser)[0])
        elif token.type == "inline":
            _read_lines(token.content, line, parser, read)
        elif token.type in ("fence", "code_block"):
            shift = 1 if token.type == "fence" else 0
            for number, said in enumerate(token.content.split("\n")):
                _read_statement(said, line + shift + number, read)
        elif token.type == "html_block":
            _read_html(token.content, line, read)


class _Table:
    """A table of an action plan: its header says which column is which."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, list[str]]] = []

    def finish(self, read: _Read) -> None:
        """Read the rows."""
        if not self.rows:
            return
        roles = roles_of(self.rows[0][1])
        head = " | ".join(self.rows[0][1])
        read.unread.append(Stretch(line=self.rows[0][0], text=head[:LONGEST], why="the header of a table", suspicious=False))
        for line, cells in self.rows[1:]:
            shown = " | ".join(cells)
            try:
                read.take(read_row(roles, cells), line)
            except NotUnderstood as error:
                read.leave(line, shown, str(error))


def _read_lines(content: str, line: int, parser: "MarkdownIt", read: _Read) -> None:
    """Read the lines of one block: as one statement where that is understood (a wrapped line), else one by one."""
    lines = content.split("\n")
    shown = [_shown(said, parser) for said in lines]
    if 1 < len(lines) <= 4 and not any(reason for _, reason in shown):
        try:
            for directive in _statement(" ".join(text for text, _ in shown)):
                read.take(directive, line)
            return
        except NotUnderstood:
            pass  # line by line then, where each says itself why it is not understood
    for number, (text, reason) in enumerate(shown):
        if reason:
            read.leave(line + number, lines[number], reason)
        else:
            _read_statement(text, line + number, read)


def _shown(text: str, parser: "MarkdownIt") -> tuple[str, str]:
    """Return the text that a reader sees of a line, and why it is not to be read; emphasis and links are taken off."""
    if len(text) > LONGEST:
        return text, f"it is longer than {LONGEST} characters"
    box = re.match(r"\[([ xX])\][ \t]+", text)
    if box:
        if box[1] != " ":
            return text, "it is ticked as done"
        text = text[box.end() :]
    if not _MARKUP.search(text):
        return text.replace("*", "").replace("`", ""), ""
    return _inline(text, parser)


def _inline(text: str, parser: "MarkdownIt") -> tuple[str, str]:
    parts: list[str] = []
    for outer in parser.parseInline(text):
        for token in outer.children or ():
            if token.type == "s_open":
                return text, "part of it is struck out"
            if token.type in ("text", "code_inline", "text_special"):
                parts.append(token.content)
            elif token.type in ("softbreak", "hardbreak"):
                parts.append(" ")
            elif token.type == "html_inline" and token.content[:2] in ("<!", "<?"):
                return text, "part of it is a comment"
            elif token.type == "html_inline" and re.match(r"</?(script|style|del|s|strike|template)\b", token.content, re.IGNORECASE):
                return text, "it holds a script, a style or a deletion"
            elif token.type == "image":
                parts.append(token.content)
    return "".join(parts), ""


def _read_statement(text: str, line: int, read: _Read) -> None:
    """Read one line: all of its clauses, or none."""
    if not text.strip():
        return
    try:
        for directive in _statement(text):
            read.take(directive, line)
    except NotUnderstood as error:
        read.leave(line, text, str(error))


def _statement(text: str) -> list[Directive]:
    if len(text) > LONGEST:
        raise NotUnderstood(f"it is longer than {LONGEST} characters")
    clauses = split_clauses(tokens_of(normalised(text)))
    if not clauses:
        raise NotUnderstood("it has no words")
    return [read_clause(clause) for clause in clauses]


def _read_html(content: str, line: int, read: _Read) -> None:
    visible = VisibleText()
    visible.feed(content)
    visible.close()
    joined: dict[int, tuple[str, str]] = {}
    for number, said, why in visible.found:
        before = joined.get(number, ("", ""))
        joined[number] = (f"{before[0]} {said}".strip(), before[1] or why)
    for number, (said, why) in sorted(joined.items()):
        if why:
            read.leave(line + number, said, why)
        else:
            _read_statement(said, line + number, read)
