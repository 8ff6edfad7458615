"""Templates, plans, the log: what a workflow is told, twice, late or never, and what it answers when asked."""

from portfolio_platform.instruments.encoding import command_key, event_key
from portfolio_platform.instruments.model import (
    PHASES,
    CandleClosed,
    EnvelopeIssued,
    FillReported,
    PlanProvided,
    RequestPlan,
    ScreenerUpdate,
    StopRequested,
)
from portfolio_platform.instruments.transitions import AFTER, TRANSITIONS
from portfolio_platform.instruments.workflow import query, replay
from tests.unit.instruments.workflow_examples import (
    CONFIG,
    FLATTEN,
    MONDAY,
    TERMS,
    UNIT,
    World,
    armed,
    bar,
    envelope,
    holding,
    operator,
    ordered,
    plan,
    stop,
    stored,
    when,
)

# --- templates and plans


def test_another_template_is_planned_at_once_where_idle_and_later_where_not():
    world = World()
    world.tell(ScreenerUpdate(MONDAY, "p-1", "mean_reversion", 3))
    assert world.said(RequestPlan)[-1].template == "mean_reversion" and world.state.rank == 3
    world = armed()
    before = len(world.said(RequestPlan))
    world.tell(ScreenerUpdate(world.now, "p-1", "mean_reversion", 3))
    assert len(world.said(RequestPlan)) == before and query(world.state).next_template == "mean_reversion"
    world.day(90)
    world.day(91)
    assert world.state.template == "mean_reversion" and world.said(RequestPlan)[-1].template == "mean_reversion"


def test_an_older_word_of_the_screener_changes_nothing():
    world = World()
    world.tell(ScreenerUpdate(MONDAY + 5, "p-2", "mean_reversion"))
    world.tell(ScreenerUpdate(MONDAY, "p-1", "volatile_breakout"))
    assert world.state.template == "mean_reversion"


def test_a_plan_of_another_day_is_asked_for_anew_at_a_boundary_and_the_thesis_waits_for_it():
    world = World()
    world.day(100)
    asked = world.said(RequestPlan)[-1]
    world.provided = lambda request: PlanProvided(request.at, "another request", None)  # type: ignore[method-assign]
    world.day(101)
    assert world.state.phase == "idle" and world.said(RequestPlan)[-1].day == "2024-01-02" and asked.day == "2024-01-01"
    request = world.said(RequestPlan)[-1]
    world.tell(PlanProvided(world.now, request.request_id, plan(day=request.day)))
    assert world.state.phase == "thesis_armed"


def test_a_template_that_waits_never_arms():
    world = World(plan(thesis=(), activation=()), CONFIG._replace(template="uncertain_wait"))
    world.days(100, 101, 102, 103, 104, 105, 106, 107)
    assert world.state.phase == "idle" and "another template" in query(world.state).waits_for
    world = World(config=CONFIG._replace(template="uncertain_wait"))
    world.plan = None
    world.days(100, 101, 102, 103, 104, 105, 106, 107)
    assert world.state.phase == "idle" and query(world.state).waits_for == "another template: no playbook"
    assert [one.day for one in world.said(RequestPlan)] == ["2023-12-31", "2024-01-01", "2024-01-07"]


def test_an_operator_asks_for_a_plan_at_the_next_boundary():
    world = World(plan(thesis=(("long", when("return_1", "above", 10**7)),)))
    world.day(100)
    before = len(world.said(RequestPlan))
    operator(world, "replan")
    assert len(world.said(RequestPlan)) == before
    world.day(101)
    assert len(world.said(RequestPlan)) == before + 1 and not world.state.replan


# --- what comes twice, late, or never


def test_everything_said_twice_is_said_once():
    world = holding()
    world.days(104, 105, 106)
    doubled = [one for event in world.events for one in (event, event)]
    state, again = world.state, replay(TERMS, doubled)
    assert again._replace(totals=state.totals, notices=()) == state._replace(notices=())
    assert again.totals._replace(ignored_candles=0) == state.totals
    assert again.totals.ignored_candles == 7


def test_a_late_candle_is_ignored_and_a_corrected_one_is_noted():
    world = holding()
    before = world.state
    world.tell(CandleClosed(bar(1, 50).ts, bar(1, 50)))
    assert world.state._replace(totals=before.totals) == before and world.state.totals.ignored_candles == 1
    world.tell(CandleClosed(bar(3, 50).ts, bar(3, 50)))
    assert world.state.notices[-1].kind == "corrected_candle" and world.state.windows == before.windows


def test_missing_candles_are_not_counted():
    world = armed()
    world.number += 40
    world.day(101)
    assert world.state.phase == "thesis_armed" and world.state.setup is not None and world.state.setup.bars == 1


def test_an_older_envelope_changes_nothing():
    world = holding()
    world.tell(EnvelopeIssued(world.now, envelope(1, world.now, **FLATTEN)))
    assert world.state.phase == "position_open"


def test_events_before_the_start_change_nothing():
    world = World(begin=False)
    for event in (
        CandleClosed(MONDAY, bar(0, 100)),
        StopRequested(MONDAY, "s", "x", "y"),
        FillReported(MONDAY, "e", "o", "buy", UNIT, UNIT, 0, 0),
        EnvelopeIssued(MONDAY, envelope()),
    ):
        assert world.tell(event) == ()
    assert world.state.config is None


def test_the_state_goes_on_from_its_stored_bytes_at_every_event():
    world = holding()
    world.days(104, 105, 106, 90, 91)
    whole = replay(TERMS, world.events)
    for cut in range(len(world.events)):
        assert replay(TERMS, world.events[cut:], stored(replay(TERMS, world.events[:cut]))) == whole


def test_every_event_has_a_key_of_its_own_and_so_has_every_command():
    world = holding()
    world.days(104, 105, 106, 107)
    keys = [event_key("main", "AAA", one) for one in world.events]
    assert len(set(keys)) == len(keys) and all(one.startswith("instruments/main/AAA/") for one in keys)
    corrected = CandleClosed(bar(3, 1).ts + 5, bar(3, 1))
    assert event_key("main", "AAA", corrected) in keys, "a corrected candle is the same event: the first wins"
    assert len({command_key(one) for one in world.commands}) == len(world.commands)


def test_a_question_is_answered_in_words_in_every_phase():
    assert query(World(begin=False).state).waits_for == "its start"
    assert query(armed().state).waits_for == "activation of the long thesis, within 3 closes, or its invalidation"
    assert query(ordered().state).waits_for == "a fill of its entry"
    view = query(holding().state)
    assert view.waits_for == f"stop {101 * UNIT}, target {104 * UNIT}, or 4 closes" and view.setup_count == 1
    world = holding()
    operator(world, "flatten")
    assert query(world.state).waits_for == "the ledger to say flat (ordered by alice: because)"
    world.day(103)
    assert query(world.state).waits_for == "2 closes of cooldown, then the next policy boundary"
    stop(world)
    assert query(world.state).waits_for == "nothing: it has stopped"


def test_the_table_has_one_way_for_each_cause_and_every_phase_is_left_and_reached():
    assert len(AFTER) == len(TRANSITIONS)
    assert {one.before for one in TRANSITIONS} == {one.after for one in TRANSITIONS} == set(PHASES)
