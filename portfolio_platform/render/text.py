"""Text from outside, made safe for where it goes: one line without control characters, and then Markdown.

HTML is escaped by the template, the terminal by passing `rich.text.Text` and never markup; both get `one_line` text.
"""

import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SPACE = re.compile(r"\s+")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKDOWN = re.compile(r"([\\`*\[\]#|~$])")
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(\d+[.)](?=\s|$)|[-+](?=\s|$)|[-=]+$)")


def one_line(text: str) -> str:
    """Return text on one line: white space becomes one space, and what could steer a terminal or hide text is replaced.

    Replaced are control characters, lone surrogates and marks that reorder text. Letters of any script stay.
    """
    spaced = _SPACE.sub(" ", text).strip()
    if spaced.isascii() and spaced.isprintable():
        return spaced
    return "".join(REPLACEMENT if unicodedata.category(char) in ("Cc", "Cs", "Cn") or char in _BIDI else char for char in spaced)


def markdown_text(text: str) -> str:
    """Return text that GitHub-flavoured Markdown shows as it is, also in the cell of a table and at a line's start."""
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _OUTER_UNDERSCORE.sub(r"\\_", _MARKDOWN.sub(r"\\\1", safe))
    safe = safe.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return _LINE_START.sub(_not_a_list, safe)


def _not_a_list(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"
