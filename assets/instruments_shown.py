"""What the instruments' assets show: a pass of the screener, the state of a workflow, and how paper portfolios stand."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.metadata import picture
from portfolio_platform.home import Home
from portfolio_platform.render.text import markdown_text, one_line

NONE = "No paper portfolio runs in this home; `portfolio paper run` begins one, and new bars then advance it."
NEWEST_ASKS = 8


def candidates_shown(home: Home) -> dict[str, Any]:
    """Return the newest pass of the screener as a table, with its weights; that there are no bars where there are none."""
    from portfolio_platform.control.views import instant, share
    from portfolio_platform.days import end_of_day_ns
    from portfolio_platform.instruments.screener import ScreenerTerms, screen
    from portfolio_platform.instruments.universe import UniverseBars
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS

    bars = active.read(home.lake, BARS)
    if not len(bars):
        return {"dagster/row_count": 0, "candidates": "none: there are no bars"}
    terms = ScreenerTerms()
    found = screen(UniverseBars.of_table(bars, active.read(home.lake, CORPORATE_ACTIONS)), end_of_day_ns(home.last_ended_day), terms)
    rows: list[dict[str, str | int | float | bool | None]] = [
        {
            "rank": one.rank,
            "symbol": one_line(one.symbol),
            "candidate": one.candidate,
            "template": one.template,
            "compression": share(one.compression),
            "expansion": share(one.expansion),
            "composite": share(one.composite),
            "why": one.why,
        }
        for one in found.rows
    ]
    return {
        "dagster/row_count": len(rows),
        "candidates": ", ".join(one_line(one.symbol) for one in found.candidates) or "none",
        "pass": dg.MetadataValue.table([dg.TableRecord(row) for row in rows[:100]]),
        "pass id": found.pass_id,
        "at": instant(found.at) or "",
        "weight of compression": share(terms.compression_weight),
        "weight of expansion": share(terms.expansion_weight),
        "weights of the features": {scale.feature: share(scale.weight) for scale in terms.scales},
        "at most so many candidates": terms.top,
        "stopped after passes outside": terms.passes_outside,
        "regimes of cohorts, advice only": _cohorts(home),
    }


def _cohorts(home: Home) -> dg.MetadataValue:
    """Return each cohort's regime in words; why there is none where the bars cannot be put into one index."""
    from portfolio_platform.days import end_of_day_ns
    from portfolio_platform.errors import PortfolioError
    from portfolio_platform.paper.cohorts import cohort_regimes_at
    from portfolio_platform.paper.market import read_market

    try:
        found = cohort_regimes_at(read_market(home, (), {}, "USD"), end_of_day_ns(home.last_ended_day))
    except PortfolioError as error:
        return dg.MetadataValue.text(str(error))
    rows = [
        f"- **{markdown_text(one.cohort)}** {one.label or 'unknown'}: {one.why} ({markdown_text(', '.join(one.symbols))})" for one in found
    ]
    return dg.MetadataValue.md("\n".join(rows) or "no symbol has a cohort")


def state_shown(home: Home, key: str) -> dict[str, Any]:
    """Return what a workflow says of itself, for its partition."""
    from portfolio_platform.paper.resuming import of_partition
    from portfolio_platform.paper.views import show_view

    portfolio, symbol = of_partition(key)
    view = show_view(home, portfolio, symbol)
    plan, position = view["plan"], view["position"]
    shown: dict[str, Any] = {
        "phase": view["phase"],
        "waits for": view["waits_for"],
        "template": view["template"] or "none",
        "plan": f"{plan['playbook']} {plan['version']} of {plan['day']}" if plan else view["plan_reason"] or "none",
        "position": f"{position['quantity']} at {position['average_entry']}, stop {position['stop']}" if position else "none",
        "mode": view["mode"] or "no envelope",
        "new risk at most": view["max_new_risk"] or "none",
        "binds": view["binding"] or "nothing",
        "regime": view["regime"] or "not known yet",
        "trades": view["trades"],
        "sum of R": float(view["r"]),
        "events": view["last_event"]["version"],
        "newest event": f"{view['last_event']['type']} of {view['last_event']['at']}",
        "next": dg.MetadataValue.md(f"`portfolio instruments why {markdown_text(symbol)} -p {markdown_text(portfolio)}`"),
    }
    asks = view["asked_and_got"][:NEWEST_ASKS]
    if asks:
        shown["asked and got"] = dg.MetadataValue.table([_asked(one) for one in asks])
    return shown


def _asked(one: Mapping[str, Any]) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "asked": one["at"],
            "wanted": one["wanted_risk"],
            "requested": one["requested_risk"],
            "got": one["got_risk"],
            "answer": one["code"] or "not asked",
            "became": one["became"],
        }
    )


def portfolios_shown(home: Home, rows: Mapping[str, int]) -> dict[str, Any]:
    """Return how every paper portfolio stands, with its equity, its workflows' phases and its page."""
    from portfolio_platform.paper.record import portfolios_of
    from portfolio_platform.paper.shown import shown_of, write_page
    from portfolio_platform.render import paper_charts

    with home.book.reading() as connection:
        names = portfolios_of(connection)
    records, shown = [], dict[str, Any]()
    for name in names:
        run = shown_of(home, name)
        if not run.sessions:
            continue
        last, label = run.sessions[-1], one_line(name)
        records.append(
            dg.TableRecord(
                {
                    "portfolio": label,
                    "last": last.day.isoformat(),
                    "equity": f"{last.equity:,.2f}",
                    "drawdown": f"{last.drawdown:.1%}",
                    "workflows": last.running,
                    "positions": last.held,
                    "rows": rows.get(name, 0),
                }
            )
        )
        for chart in ("equity", "phases"):
            words = f"{chart} of {label}"
            shown[words] = picture(paper_charts.png(chart, run), markdown_text(words))
        shown[f"page of {label}"] = dg.MetadataValue.path(str(write_page(home, name, run=run)))
    if not records:
        return {"dagster/row_count": 0, "portfolios": dg.MetadataValue.md(NONE)}
    return {"dagster/row_count": len(records), "portfolios": dg.MetadataValue.table(records)} | shown
