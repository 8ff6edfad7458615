"""From a playbook and the screener's template to the plan of a symbol for a day.

The provider is an interface, for whoever else makes plans; the default one is a pure function of its playbooks and of what it is asked:
equal requests have equal plans, byte for byte, in any process. What it keeps by (symbol, template, day) saves work and decides nothing.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.codec import encode
from portfolio_platform.instruments.mean_r import MeanR
from portfolio_platform.instruments.model import (
    TEMPLATES,
    Condition,
    Direction,
    ExitRule,
    Expectation,
    InstrumentConfig,
    Plan,
    PlanProvided,
    RequestPlan,
    Trigger,
)
from portfolio_platform.instruments.playbook import ALL, Playbook, Requirement, Stage, Statistic, ppm
from portfolio_platform.instruments.playbook_loading import Shelf

PER_CENT = 10_000
"""Parts per million in one per cent."""
LEAST_N = 10
"""Trades below which a statistic says nothing about which of two playbooks is the better one."""
MOST_KEPT = 8192
"""Plans that are kept; more than are asked for on a day."""
NO_EXIT = ExitRule("none")
DIRECTIONS: tuple[Direction, ...] = ("long", "short")


class PlanProvider(Protocol):
    """Makes the plan that a workflow asks for."""

    def provide(self, request: RequestPlan, config: InstrumentConfig) -> PlanProvided:
        """Return the plan, or None in its place and the reason, with the request's time and id."""
        ...


class PlaybookPlans:
    """Plans of playbooks; one for each (symbol, template, plan date).

    A template's playbook is chosen by `chosen`, in the regime that comes with the first request of a key. Where another request of the
    same key names another regime (a second one inside one day), the day's plan stays; a process that begins in the middle of a day is
    given the plans of that day out of the log.
    """

    def __init__(self, shelf: Shelf, kept: Iterable[Plan] = ()) -> None:
        """Take playbooks, and plans that were provided before, such as those in a log: their keys are answered with them."""
        self.shelf = shelf
        self._plans: dict[tuple[str, str, str], Plan] = {(plan.symbol, plan.template, plan.day): plan for plan in kept}
        self._outlines: dict[str, Plan] = {}

    def provide(self, request: RequestPlan, config: InstrumentConfig) -> PlanProvided:
        """Return the plan of a request; None where no playbook of its template fits the symbol's timeframes and directions, and why."""
        key = (request.symbol, request.template, request.day)
        plan = self._plans.get(key)
        if plan is None or not _runs_on(plan, config):
            playbook, reason = chosen(self.shelf, request.template, request.regime, config)
            if playbook is None:
                return PlanProvided(request.at, request.request_id, None, reason)
            plan = self._plans[key] = self._made(playbook, request)
        return PlanProvided(request.at, request.request_id, for_directions(plan, config.shorts), f"playbook {plan.playbook} {plan.version}")

    def _made(self, playbook: Playbook, request: RequestPlan) -> Plan:
        while len(self._plans) >= MOST_KEPT:
            # what is asked again is asked on its own day: the oldest go first
            del self._plans[next(iter(self._plans))]
        outline = self._outlines.get(playbook.name)
        if outline is None:
            outline = self._outlines[playbook.name] = outline_of(playbook)
        return for_day(outline, request.symbol, request.day)


def chosen(shelf: Shelf, template: str, regime: str, config: InstrumentConfig) -> tuple[Playbook | None, str]:
    """Return the playbook for a template in a regime, or None and why.

    Of those that fit the timeframes: one whose regimes include the regime before one whose do not; then the higher lower bound of mean R in
    the regime where that rests on at least `LEAST_N` trades, else over all regimes, and one without such a sample last; then the name.
    """
    if template not in TEMPLATES:
        return None, f"there is no template {template!r}; the templates are {', '.join(TEMPLATES)}"
    of_template = shelf.of_template(template)
    if not of_template:
        return None, f"no playbook has the template {template}; add one to the home's playbooks"
    fitting = [playbook for playbook in of_template if _fits(playbook, config)]
    if not fitting:
        names = ", ".join(playbook.name for playbook in of_template)
        return None, f"no playbook of {template} ({names}) fits timeframes {', '.join(config.timeframes)} with shorts {config.shorts}"
    return min(fitting, key=lambda playbook: _order(playbook, regime)), ""


def _fits(playbook: Playbook, config: InstrumentConfig) -> bool:
    if not playbook.trades:
        return True
    stages = [stage for stage in (playbook.thesis, playbook.activation, playbook.invalidation) if stage is not None]
    right_timeframes = playbook.execution == config.timeframes[0] and all(stage.timeframe in config.timeframes for stage in stages)
    return right_timeframes and (config.shorts or "long" in playbook.directions)


def _runs_on(plan: Plan, config: InstrumentConfig) -> bool:
    """Say whether a workflow has the timeframes of a plan."""
    stages = (*plan.thesis, *plan.activation, *plan.invalidation)
    return all(trigger.timeframe in config.timeframes for _, trigger in stages) and all(
        trigger.timeframe == config.timeframes[0] for _, trigger in plan.activation
    )


def _order(playbook: Playbook, regime: str) -> tuple[bool, bool, int, str]:
    eligible = not playbook.regimes or regime in playbook.regimes
    bound = _bound(playbook.statistic(regime))
    if bound is None:
        bound = _bound(playbook.statistic(ALL))
    return (not eligible, bound is None, -(bound or 0), playbook.name)


def _bound(statistic: Statistic | None) -> int | None:
    """Return the lower bound of a mean R, one-sided 90 %, or None where it rests on too few trades or its spread is not known."""
    if statistic is None or statistic.n < LEAST_N or not statistic.sd_r:
        return None
    return MeanR(statistic.n, ppm(statistic.mean_r), ppm(statistic.sd_r)).lower


def plan_of(playbook: Playbook, symbol: str, day: str) -> Plan:
    """Return a playbook made concrete for a symbol and a day; its id is the hash of the playbook's content, the symbol and the day."""
    return for_day(outline_of(playbook), symbol, day)


def outline_of(playbook: Playbook) -> Plan:
    """Return the plan of a playbook for no symbol and no day; its id is the hash of its content and of the playbook's."""
    stop, target, time_exit, risk = playbook.stop, playbook.target, playbook.time_exit, playbook.risk
    plan = Plan(
        plan_id="",
        symbol="",
        template=playbook.template,
        playbook=playbook.name,
        version=playbook.version,
        day="",
        regimes=playbook.regimes,
        thesis=_stage(playbook.thesis),
        activation=_stage(playbook.activation),
        invalidation=_any_of(playbook.invalidation),
        timeout_bars=playbook.activation.timeout_bars if playbook.activation else 0,
        stop=stop.rule() if stop else NO_EXIT,
        target=target.rule() if target else NO_EXIT,
        time_exit_bars=time_exit.bars if time_exit else 0,
        minimum_r_ppm=ppm(risk.minimum_r) if risk else 0,
        trail=playbook.trail.rule(),
        cooldown_bars=risk.cooldown_bars if risk else 0,
        risk_ppm=ppm(risk.share_pct, PER_CENT) if risk else 0,
        expectations=expectations(playbook),
    )
    return plan._replace(plan_id=_identity(playbook.hash, encode(plan, Plan)))


def for_day(outline: Plan, symbol: str, day: str) -> Plan:
    """Return an outline made concrete for a symbol and a day."""
    return outline._replace(plan_id=_identity(outline.plan_id, symbol, day), symbol=symbol, day=day)


def for_directions(plan: Plan, shorts: bool) -> Plan:
    """Return a plan as it is where selling short is not allowed: without its short side, under an id of its own."""
    if shorts or not any(direction == "short" for direction, _ in (*plan.thesis, *plan.activation)):
        return plan

    def long_only(stage: tuple[tuple[Direction, Trigger], ...]) -> tuple[tuple[Direction, Trigger], ...]:
        return tuple(item for item in stage if item[0] == "long")

    return plan._replace(
        plan_id=_identity(plan.plan_id, "long only"),
        thesis=long_only(plan.thesis),
        activation=long_only(plan.activation),
        invalidation=long_only(plan.invalidation),
    )


def _identity(*parts: Any) -> str:
    return f"plan-{content_hash(canonical_bytes(parts, floats=False))[:32]}"


def expectations(playbook: Playbook) -> tuple[Expectation, ...]:
    """Return what a playbook expects, by regime; where it has no statistics over all, its holding time with n = 0 stands there."""
    found = tuple(
        Expectation(
            regime=item.regime,
            n=item.n,
            win_rate=ppm(item.win_rate_pct, PER_CENT),
            mean_r=ppm(item.mean_r),
            hold_p50=item.hold_p50,
            hold_p90=item.hold_p90,
            mae_p50=ppm(item.mae_p50),
            mfe_p50=ppm(item.mfe_p50),
        )
        for item in playbook.expectations
    )
    if playbook.holding is None or any(item.regime == ALL for item in found):
        return found
    return (Expectation(ALL, 0, 0, 0, playbook.holding.p50, playbook.holding.p90), *found)


def _conditions(wanted: tuple[Requirement, ...]) -> tuple[Condition, ...]:
    return tuple(Condition(item.feature, item.relation, ppm(item.value)) for item in wanted)


def _stage(stage: Stage | None) -> tuple[tuple[Direction, Trigger], ...]:
    """Return a trigger for each direction: all of its conditions must hold."""
    if stage is None:
        return ()
    return tuple((direction, Trigger(stage.timeframe, _conditions(stage.of(direction)))) for direction in DIRECTIONS if stage.of(direction))


def _any_of(stage: Stage | None) -> tuple[tuple[Direction, Trigger], ...]:
    """Return a trigger for each condition: any of them ends the thesis."""
    if stage is None:
        return ()
    return tuple(
        (direction, Trigger(stage.timeframe, (condition,))) for direction in DIRECTIONS for condition in _conditions(stage.of(direction))
    )
