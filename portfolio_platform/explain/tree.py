"""The tree that answers "why this number": a node for each thing, and below it what it rests on. Pure.

A `Draft` says what a thing is and knows how to find what it rests on; `grown` follows that as deep as was asked for, so that
nothing is read that nobody will see. A `Node` is the finished answer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

Value = int | float | str | bool | date | Decimal | None


@dataclass(frozen=True)
class Node:
    """A thing and what it rests on.

    Attributes:
        title: what it is.
        value: the number, exactly as it is stored; None where it is null or the thing is no number.
        text: the value as a person reads it.
        words: how it came about, in words.
        evidence_id: the id by which it can be asked for alone; empty where it has none.
        children: what it rests on.
        more: how many further children there are that were not asked for.
        deeper: whether it rests on more than is shown, because the tree ends here.
    """

    title: str
    value: Value = None
    text: str = ""
    words: str = ""
    evidence_id: str = ""
    children: tuple["Node", ...] = ()
    more: int = 0
    deeper: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the tree for JSON: decimals and days as text."""
        value = str(self.value) if isinstance(self.value, (date, Decimal)) else self.value
        return {
            "title": self.title,
            "value": value,
            "text": self.text,
            "words": self.words,
            "evidence_id": self.evidence_id,
            "children": [child.as_json() for child in self.children],
            "more": self.more,
            "deeper": self.deeper,
        }

    def walk(self) -> Iterable["Node"]:
        """Yield the node and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def nothing() -> tuple["Draft", ...]:
    """Return no parts: the thing rests on nothing further."""
    return ()


@dataclass(frozen=True)
class Draft:
    """A node to be: ``parts`` finds what it rests on; where ``listed`` these are rows of one kind, of which the first will do.

    What is ``closed`` has to be asked for alone: a session before, which again rests on one before it.
    """

    title: str
    value: Value = None
    text: str = ""
    words: str = ""
    evidence_id: str = ""
    parts: Callable[[], Iterable["Draft"]] = nothing
    listed: bool = False
    closed: bool = False


def listing(title: str, rows: Callable[[], Iterable[Draft]], words: str = "") -> Draft:
    """Return a node over rows of one kind."""
    return Draft(title, words=words, parts=rows, listed=True)


def grown(draft: Draft, depth: int, rows: int) -> Node:
    """Return the tree under a draft: ``depth`` levels below it, at most ``rows`` of each list.

    What an id names is followed once; where it comes again it is named, and can be looked up above.
    """
    return _grown(draft, depth, rows, set())


def _grown(draft: Draft, depth: int, rows: int, followed: set[str]) -> Node:
    node = Node(draft.title, draft.value, draft.text, draft.words, draft.evidence_id)
    if draft.parts is nothing:
        return node
    if draft.closed or depth <= 0 or draft.evidence_id in followed:
        return replace(node, deeper=True)
    if draft.evidence_id:
        followed.add(draft.evidence_id)
    parts = list(draft.parts())
    shown = parts[:rows] if draft.listed else parts
    children = tuple(_grown(part, depth - 1, rows, followed) for part in shown)
    return replace(node, children=children, more=len(parts) - len(shown))
