"""A tree of explanation for the terminal. Text of files is never taken for markup, and no control character reaches the screen."""

from rich.text import Text
from rich.tree import Tree

from portfolio_platform.explain.tree import Node
from portfolio_platform.render.text import one_line


def printed(node: Node) -> Tree:
    """Return a tree as a person reads it: title, value, how it came about; where it ends, the id by which to ask for more."""
    tree = Tree(_label(node), guide_style="dim")
    _grow(tree, node)
    return tree


def _grow(tree: Tree, node: Node) -> None:
    said = ""
    for child in node.children:
        # rows of one kind have one formula: it is said once
        _grow(tree.add(_label(child, quiet=child.words == said)), child)
        said = child.words
    if node.more:
        tree.add(Text(f"and {node.more:,} more", style="dim italic"))


def _label(node: Node, *, quiet: bool = False) -> Text:
    label = Text(one_line(node.title), style="bold" if node.text else "")
    if node.text:
        label.append(f"  {one_line(node.text)}", style="cyan")
    if node.words and not quiet:
        label.append(f"  {one_line(node.words)}", style="dim")
    if node.deeper:
        label.append(f"  … {one_line(node.evidence_id)}".rstrip(), style="dim blue")
    return label
