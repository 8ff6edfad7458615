"""The loop on paper over bars: in the order of approval, halted until somebody decides, brought back after a kill with equal bytes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from portfolio_platform.desk import paper_execution as desk
from portfolio_platform.desk.approvals import Wanted as Approval
from portfolio_platform.desk.approvals import approve, withdraw
from portfolio_platform.desk.escalations import answer_escalation, cases_of
from portfolio_platform.desk.execution import Given, report
from portfolio_platform.desk.paper_run import PaperRun
from portfolio_platform.desk.prepare import prepare
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.desk.watch import watch
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.model import Account, ApprovedQueue, ApprovedTrade, Instrument, Snapshot
from portfolio_platform.orchestrator.profile import shipped_profile
from portfolio_platform.sources.pipeline import import_paths
from tests.e2e.running import portfolio
from tests.unit.desk.desk_examples import at
from tests.unit.desk.execution_examples import events, ledger_rows

CLOSE = datetime(2025, 12, 9, 21, tzinfo=UTC)
SECTORS = {"AAA": "Technology", "BBB": "Energy", "CCC": "Healthcare"}


def wanted(cash: int = 1_000_000, **sizes: int) -> desk.Wanted:
    """A portfolio of cash alone, and trades of so many thousands; prices are 100, the stop 90."""
    given = sizes or {"AAA": 100, "BBB": 100}
    trades = tuple(
        ApprovedTrade(
            trade_id=f"T{number}", ticker=ticker, sector=SECTORS[ticker], account="A", size_minor=many * 100_000,
            approved_at=CLOSE - timedelta(minutes=9 - number), stop_price=Decimal(90),
        )
        for number, (ticker, many) in enumerate(given.items(), 1)
    )  # fmt: skip
    queue = ApprovedQueue(as_of=CLOSE, source="qa", portfolio="desk", trades=trades, approved_allocations={})
    instruments = tuple(Instrument(ticker=one, sector=sector, price=Decimal(100), priced_at=CLOSE) for one, sector in SECTORS.items())
    account = Account(account="A", kind="margin", fractional=False, cash_minor=cash * 100)
    snapshot = Snapshot(portfolio="desk", currency="USD", as_of=CLOSE, source="test", accounts=(account,), instruments=instruments)
    return desk.Wanted(queue, snapshot, shipped_profile("v8.0.3"), "carol", CLOSE, slippage=100, fee=50)


def with_bars(home: Home, folder: Path, mode: str = "paper") -> Home:
    """A home with six daily bars of each symbol, at 100 but for a fifth of 80 in BBB; at its end."""
    lines = ["symbol,ts,open,high,low,close,volume"]
    for day in range(-1, 6):
        when = (CLOSE + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines += [f"{one},{when},100,101,{80 if (one, day) == ('BBB', 5) else 99},100,100000" for one in SECTORS]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    (folder / "portfolios.csv").write_text(f"portfolio,mode,base_currency\ndesk,{mode},USD\n")
    found = replace(home, as_of=CLOSE + timedelta(days=8))
    import_paths(found, [folder])
    return found


@pytest.fixture
def there(home: Home, tmp_path: Path) -> Home:
    return with_bars(home, tmp_path / "data")


def test_an_approved_queue_is_executed_in_its_order_and_its_fills_are_in_the_ledger_once(there: Home) -> None:
    begun = desk.begin(there, wanted())
    assert desk.begin(there, wanted()) == begun
    ran = desk.run_on(there, begun.execution_id)
    assert [one.status for one in ran.run.state.trades] == ["executed", "executed"]
    assert [one.executed_at for one in ran.run.state.trades] == sorted(one.executed_at for one in ran.run.state.trades)
    rows = [
        (one["symbol"], one["side"], one["quantity"], one["price"], one["fee"], one["strategy"])
        for one in sorted(ledger_rows(there), key=lambda one: one["ts"])
    ]
    assert rows == [
        ("AAA", "buy", 1000, Decimal("100.01"), Decimal("5.01"), "orchestrator"),
        ("BBB", "buy", 1000, Decimal("100.01"), Decimal("5.01"), "orchestrator"),
        ("BBB", "sell", 1000, Decimal("89.991"), Decimal("4.5"), "orchestrator"),
    ]
    log = events(there)
    again = desk.run_on(there, begun.execution_id)
    assert (again.steps, again.fills, again.imported, events(there)) == (0, 0, 0, log)


def test_bars_may_come_bit_by_bit_and_a_kill_may_come_at_any_step_and_the_bytes_are_equal(
    there: Home, copy_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(copy_home(there, tmp_path / "other"), as_of=there.as_of)
    name = desk.begin(there, wanted()).execution_id
    whole = desk.run_on(there, name).run.digest()
    desk.begin(other, wanted())
    write = desk._write
    for day in range(5):
        with monkeypatch.context() as broken:

            def killed(*given, **more):
                write(*given, **more)
                raise KeyboardInterrupt  # within the transaction: nothing of the step stays

            broken.setattr(desk, "_write", killed)
            with pytest.raises(KeyboardInterrupt):
                desk.run_on(other, name, until=CLOSE + timedelta(days=day + 1))
        with monkeypatch.context() as broken:

            def lost(_home):
                raise KeyboardInterrupt  # after the steps, before the import

            broken.setattr(desk, "bring_paper_fills", lost)
            with pytest.raises(KeyboardInterrupt):
                desk.run_on(other, name, until=CLOSE + timedelta(days=day + 1))
    done = desk.run_on(other, name)
    assert (done.run.digest(), done.imported) == (whole, 3)
    plain = [
        [{key: one[key] for key in ("execution_id", "ts", "quantity", "price", "fee")} for one in ledger_rows(home)]
        for home in (there, other)
    ]
    assert plain[0] == plain[1]


def test_it_halts_where_a_person_has_to_decide_and_goes_on_by_the_answer_as_if_no_time_had_gone_by(there: Home) -> None:
    begun = desk.begin(there, wanted(AAA=300, BBB=300, CCC=300))
    ran = desk.run_on(there, begun.execution_id)
    assert (ran.fills, ran.run.waits, "escalations answer" in ran.stopped) == (0, True, True)
    (case,) = cases_of(there, "desk")
    assert case.escalation.trigger == "buffer_would_breach"
    assert desk.run_on(there, begun.execution_id).steps == 0
    while ran.run.waits:
        answer_escalation(there, ran.run.state.waiting[0], "approve", by="eve", reason="fine", portfolio="desk")
        ran = desk.run_on(there, begun.execution_id)
    assert [one.executed_at for one in ran.run.state.trades] == [desk.nanoseconds(CLOSE + timedelta(days=day)) for day in (1, 2, 3)]


def test_an_answer_makes_a_trade_smaller_or_leaves_it_out_and_one_that_cannot_be_is_refused(there: Home) -> None:
    begun = desk.begin(there, wanted(AAA=300, BBB=300, CCC=300))
    name = desk.run_on(there, begun.execution_id).run.state.waiting[0]
    for drop, shares, accounts, said in (
        (("T9",), {}, {}, "'T9' is no trade of it"),
        ((), {"T1": Decimal("3001")}, {}, "up to the approved 3000 shares"),
        ((), {"T1": Decimal("0.5")}, {}, "no whole number of lots"),
        ((), {}, {"T1": "B"}, "there is no account 'B'"),
    ):
        with pytest.raises(WrongUse, match=said):
            desk.changes_for(there, name, drop, shares, accounts)
    with pytest.raises(WrongUse, match="of no execution on paper"):
        desk.changes_for(there, "plan-1", ("T1",), {}, {})
    ran = portfolio(
        "escalations", "answer", name, "--answer", "approve", "--by", "eve", "--reason", "less", "--shares", "T1=1000", "--drop", "T2",
        "--home", there.root, "--as-of", "2025-12-17T21:00:00Z",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.text
    found = desk.run_on(there, begun.execution_id).run.state.trades
    assert [(one.status, one.filled // 10**18) for one in found[:2]] == [("executed", 1000), ("dropped", 0)]


def test_a_halt_ends_it_with_what_was_executed_and_the_recipients_are_told(there: Home) -> None:
    from portfolio_platform.book.notifications import listed

    begun = desk.begin(there, wanted(AAA=300, BBB=700))
    ran = desk.run_on(there, begun.execution_id)
    answer_escalation(there, ran.run.state.waiting[0], "halt", by="eve", reason="no", portfolio="desk")
    ran = desk.run_on(there, begun.execution_id)
    assert ([one.status for one in ran.run.state.trades], ran.run.over) == (["halted", "halted"], True)
    with there.book.reading() as connection:
        titles = [one.title for one in listed(connection) if one.kind == "report"]
    assert [title.split("For ")[1].split(":")[0] for title in titles] == [
        "Quality-Assurance",
        "Client",
        "Stock-Analyst",
        "Master-Architect",
    ]


def test_an_answer_after_the_newest_bar_counts_from_when_it_was_given(there: Home) -> None:
    begun = desk.begin(there, wanted(AAA=300, BBB=700))
    first = replace(there, as_of=CLOSE)
    ran = desk.run_on(first, begun.execution_id)
    later = replace(there, as_of=CLOSE + timedelta(minutes=10))
    answer_escalation(later, ran.run.state.waiting[0], "approve", by="eve", reason="fine", portfolio="desk")
    ran = desk.run_on(later, begun.execution_id)
    assert ran.run.state.trades[0].submitted_at == desk.nanoseconds(CLOSE + timedelta(minutes=10))


def test_a_live_portfolio_is_refused_and_so_is_a_run_of_nobody(home: Home, tmp_path: Path) -> None:
    live = with_bars(home, tmp_path / "live", mode="live")
    with pytest.raises(WrongUse, match="'desk' is live"):
        desk.begin(live, wanted())
    with pytest.raises(WrongUse, match="--by NAME"):
        desk.begin(replace(live, as_of=CLOSE), replace(wanted(), by="", queue=wanted().queue.model_copy(update={"portfolio": "other"})))
    assert not events(live, "paper_begun")
    with pytest.raises(WrongUse, match="there is no execution on paper"):
        desk.run_on(live, "nothing")


def test_a_log_that_does_not_lead_where_it_led_is_said(there: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = desk.begin(there, wanted())
    desk.run_on(there, begun.execution_id)
    monkeypatch.setattr(PaperRun, "figures", lambda run: run.state.figures._replace(at=run.at, cash=1))
    with pytest.raises(DataProblem, match="does not lead where it led"):
        desk.run_on(there, begun.execution_id)


def test_an_approved_plan_of_a_queue_is_executed_on_paper_and_nobody_reports_it(desk_home: Home, tmp_path: Path) -> None:
    asked = Asked(
        "sample",
        profile="v8.0.3",
        queue=folder_of(desk_home) / "approved_queue.json",
        snapshot=folder_of(desk_home) / "portfolio_with_cash.json",
    )
    made = prepare(desk_home, asked)
    said = desk_home.clock.now()
    with pytest.raises(WrongUse, match="only an approved plan"):
        desk.wanted_plan(desk_home, made.execution_id, by="carol", slippage=0, fee=0, seed=0)
    outcome = approve(desk_home, Approval(made.execution_id, by="ann", reason="ok", accept_conditions=True, snapshot=asked.snapshot))
    assert outcome.refused is None, outcome.refused
    begun = desk.begin(desk_home, desk.wanted_plan(desk_home, made.execution_id, by="carol", slippage=0, fee=0, seed=0))
    with pytest.raises(WrongUse, match="is executed on paper"):
        report(desk_home, made.execution_id, Given("bob", given_up=(("T1", "x"),)))
    lines = ["symbol,ts,open,high,low,close,volume"]
    for day in range(5):
        when = (said + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines += [f"{one.ticker},{when},{one.price},{one.price},{one.price},{one.price},1000000" for one in made.papers.plan.trades]
    (tmp_path / "bars.csv").write_text("\n".join(lines) + "\n")
    later = at(desk_home, 5 * 1440)
    import_paths(later, [tmp_path / "bars.csv"])
    ran = desk.run_on(later, begun.execution_id)
    for _ in range(9):
        if not ran.run.waits:
            break
        answer_escalation(later, ran.run.state.waiting[0], "halt", by="eve", reason="no", portfolio="sample")
        ran = desk.run_on(later, begun.execution_id)
    watch(later)
    assert ran.run.state.ended_at and not any(
        case.escalation.trigger == "no_fill" and "-N" in case.escalation.escalation_id for case in cases_of(later)
    )
    from tests.unit.desk.desk_examples import plan_of

    assert plan_of(later, made.execution_id).closed is not None


def test_a_plan_that_waits_for_bars_on_paper_may_be_withdrawn_and_stands_in_nobodys_way_any_more(desk_home: Home) -> None:
    stock = folder_of(desk_home) / "portfolio_with_cash.json"
    made = prepare(desk_home, Asked("sample", profile="v8.0.3", queue=folder_of(desk_home) / "approved_queue.json", snapshot=stock))
    assert approve(desk_home, Approval(made.execution_id, by="ann", reason="ok", accept_conditions=True)).refused is None
    desk.begin(desk_home, desk.wanted_plan(desk_home, made.execution_id, by="carol", slippage=0, fee=0, seed=0))
    assert "no more bars" in desk.run_on(at(desk_home, 5), made.execution_id).stopped
    assert prepare(at(desk_home, 6), Asked("sample", snapshot=stock)).papers.plan.verdict == "BLOCKED"
    assert withdraw(at(desk_home, 7), made.execution_id, by="ann", reason="no bars").closed is not None
    assert not prepare(at(desk_home, 8), Asked("sample", snapshot=stock)).papers.snapshot.pending
    with pytest.raises(WrongUse, match=r"was withdrawn by ann \(no bars\)"):
        desk.run_on(at(desk_home, 9), made.execution_id)


@pytest.fixture
def desk_home(home: Home) -> Home:
    from tests.unit.desk.desk_examples import with_samples

    return with_samples(home)
