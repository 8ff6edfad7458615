"""Names of groups: what the ledger calls unclassified is in no group, so that no cap lumps together what nobody grouped."""

from portfolio_platform.lake.facts import UNCLASSIFIED


def known_name(text: str | None) -> str:
    """Return the name of a group; empty where it has none."""
    return "" if text is None or text == UNCLASSIFIED else text
