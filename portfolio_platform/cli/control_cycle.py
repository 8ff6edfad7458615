"""The command that runs one policy cycle from a terminal."""

from portfolio_platform.cli.control import control
from portfolio_platform.cli.options import AsOf, HomeOption, Json, err, opened, out, plain, print_json


@control.command()
def cycle(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Run one policy cycle: take in fills and sessions, apply what was approved, end what is over, tell symbols."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.alerts.cycle import policy_cycle

        with err.status("policy cycle") as status:
            cycled = policy_cycle(opened_home.require(), report=lambda text: status.update(plain(text)))
        done = cycled.done
        if json:
            print_json(
                {
                    "portfolios": [vars(one) for one in done.fed.portfolios],
                    "applied": [vars(one) for one in done.carried.applied],
                    "ended": list(done.carried.ended),
                    "left": [vars(one) for one in done.carried.left],
                    "published": vars(done.published),
                    "envelopes": cycled.copied.envelopes,
                    "alerts": [one.id for one in cycled.alerts],
                }
            )
            return
        out.print(plain(cycled.sentence))
        for applied in done.carried.applied:
            out.print(plain(f"applied {applied.recommendation}: {', '.join(applied.commands) or 'nothing to change'}"), soft_wrap=True)
        for left in done.carried.left:
            out.print(plain(f"left {left.recommendation}: {left.because}"), soft_wrap=True)
        for alert in cycled.alerts:
            out.print(plain(f"alert {alert.id}"), soft_wrap=True)
