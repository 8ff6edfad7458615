"""From a pass of the screener to the workflows: who is started, told, and asked to stop."""

from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.instruments.routing import RequestStop, SignalTemplate, Standing, StartWorkflow, route
from portfolio_platform.instruments.screener import ScreenerPass, ScreenerRow, ScreenerTerms

TERMS = ScreenerTerms()


def screened(name, *rows):
    """Return a pass of (symbol, template), in the order of their ranks; a symbol with a dash before it is no candidate."""
    made = [
        ScreenerRow(symbol.lstrip("-"), rank, not symbol.startswith("-"), template, "up", "up", 0, 0, 900_000 - rank, (), "why")
        for rank, (symbol, template) in enumerate(rows, 1)
    ]
    return ScreenerPass(name, 1, 500_000, 500_000, tuple(made))


def test_a_new_candidate_is_started_with_its_template():
    routes, standings = route(screened("p1", ("B", "bull_trending"), ("A", "compression_breakout")), {}, TERMS)
    assert routes == (
        StartWorkflow("A", "compression_breakout", "p1", 2, 899_998),
        StartWorkflow("B", "bull_trending", "p1", 1, 899_999),
    )
    assert standings == {
        name: Standing(template, pass_id="p1") for name, template in (("A", "compression_breakout"), ("B", "bull_trending"))
    }


def test_no_workflow_is_started_for_a_template_that_trades_nothing_or_for_a_symbol_outside():
    rows = (("A", ""), ("B", "uncertain_wait"), ("-C", "bull_trending"))
    assert route(screened("p1", *rows), {}, TERMS) == ((), {})


def test_a_running_workflow_is_told_of_another_template_and_keeps_its_own_where_none_is_suggested():
    standings = {name: Standing("bull_trending", 2) for name in "ABC"}
    routes, after = route(screened("p2", ("A", "bull_trending"), ("B", "uncertain_wait"), ("C", "")), standings, TERMS)
    assert routes == (SignalTemplate("B", "uncertain_wait", "p2", 2, 899_998),)
    assert {name: one.template for name, one in after.items()} == {"A": "bull_trending", "B": "uncertain_wait", "C": "bull_trending"}
    assert {one.passes_outside for one in after.values()} == {0}


def test_after_three_passes_outside_in_a_row_a_workflow_is_asked_to_stop_once():
    standings, said = {"A": Standing("bull_trending")}, []
    for number in range(1, 6):
        routes, standings = route(screened(f"p{number}", ("-A", "bull_trending")), standings, TERMS)
        said.append(routes)
    assert said[:2] == said[3:] == [(), ()]
    assert said[2] == (RequestStop("A", "p3", 3, "no candidate of the screener in 3 passes in a row; the last: why"),)
    assert standings["A"].stopping


def test_one_pass_inside_resets_the_count():
    standings, asked = {"A": Standing("bull_trending")}, 0
    for number, inside in enumerate([False, False, True, False, False, True, False, False]):
        routes, standings = route(screened(f"p{number}", ("A" if inside else "-A", "bull_trending")), standings, TERMS)
        asked += len(routes)
    assert asked == 0 and standings["A"].passes_outside == 2


def test_a_symbol_that_left_the_universe_is_outside():
    standings = {"A": Standing("bull_trending", 2)}
    (stop,), _ = route(screened("p9", ("B", "")), standings, TERMS)
    assert stop == RequestStop("A", "p9", 3, "no candidate of the screener in 3 passes in a row; the last: not in the universe")


def test_a_stopping_workflow_is_left_alone_until_it_has_stopped_and_then_started_anew():
    standings = {"A": Standing("bull_trending", 3, stopping=True)}
    routes, after = route(screened("p4", ("A", "compression_breakout")), standings, TERMS)
    assert routes == () and after["A"] == Standing("bull_trending", 0, True, "p4")
    routes, _ = route(screened("p5", ("A", "compression_breakout")), {}, TERMS)
    assert isinstance(routes[0], StartWorkflow)


names = st.sampled_from("ABCDE")
templates = st.sampled_from(["", "uncertain_wait", "bull_trending", "bear_defensive"])
passes = st.lists(st.dictionaries(names, st.tuples(st.booleans(), templates), max_size=5), max_size=12)


@given(passes)
@settings(max_examples=60, deadline=None)
def test_the_same_pass_again_changes_nothing_and_every_count_is_that_of_the_passes_in_a_row(rows):
    standings, outside, asked = {}, dict.fromkeys("ABCDE", 0), []
    for number, held in enumerate(rows):
        one = screened(f"p{number}", *((name if inside else f"-{name}", template) for name, (inside, template) in sorted(held.items())))
        before = standings
        routes, standings = route(one, before, TERMS)
        assert route(one, standings, TERMS) == ((), standings)
        assert before.keys() <= standings.keys()
        for name in before:
            outside[name] = 0 if held.get(name, (False, ""))[0] else outside[name] + 1
            assert standings[name].passes_outside == outside[name]
        for done in routes:
            if isinstance(done, RequestStop):
                assert outside[done.symbol] == TERMS.passes_outside
                asked.append(done.symbol)
            elif isinstance(done, StartWorkflow):
                outside[done.symbol] = 0
                assert done.symbol not in before
            else:
                assert not before[done.symbol].stopping and done.template != before[done.symbol].template
    assert len(asked) == len(set(asked))  # none has stopped here, so none is asked twice
