"""A portfolio monitor for systematic traders: ledger, diagnostics, reports, decisions."""

from typing import TYPE_CHECKING

from portfolio_platform.version import __version__ as __version__

if TYPE_CHECKING:
    from pathlib import Path

    from portfolio_platform.notebook import Platform


def open(home: "Path | str | None" = None) -> "Platform":
    """Open a home for a notebook: tables as frames, reports as models, explanations. Reads only; see docs/notebook.md."""
    from portfolio_platform.notebook import opened

    return opened(home)
