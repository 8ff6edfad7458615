"""The platform resource: the home that assets, checks and sensors work on."""

from pathlib import Path

import dagster as dg

from portfolio_platform.home import Home


class Platform(dg.ConfigurableResource):
    """Hands out the home, with its lake, book and clock. An empty ``home`` means PORTFOLIO_HOME, or ``.portfolio``."""

    home: str = ""

    def open(self) -> Home:
        """Return the home; it must have been created."""
        return Home.from_environment(Path(self.home) if self.home else None).require()
