"""What the other processes of `test_delivery` run."""

import time
from datetime import datetime
from pathlib import Path

from portfolio_platform.alerts.channels import Channel
from portfolio_platform.alerts.delivery import deliver
from portfolio_platform.alerts.message import Message
from portfolio_platform.home import Home
from tests.unit.alerts.making import ToFile


class Slow(ToFile):
    def send(self, channel: Channel, message: Message) -> None:
        time.sleep(0.02)
        super().send(channel, message)


def deliver_all(root: str, url: str, file: str, at: str) -> None:
    home = Home(Path(root), book_url=url)
    deliver(home, datetime.fromisoformat(at), limit=100, notifier=Slow(Path(file)))
    home.book.close()
