"""The `portfolio` command: its commands and their help."""

import typer

from portfolio_platform.cli import (
    alerts,
    control,
    control_cycle,
    control_orders,
    control_sign,
    counterfactual,
    data,
    escalations,
    execution,
    explain,
    instruments,
    operators,
    orchestrate,
    paper,
    paper_compare,
    platform,
    playbooks,
    policy,
    recommendations,
    reflections,
    reports,
    upkeep,
)
from portfolio_platform.version import __version__

app = typer.Typer(
    name="portfolio",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Monitor a portfolio of trading strategies: import a ledger, account for it exactly, say every day what it is doing.",
    epilog="Exit code 0: done; 1: a problem in the data or a store; 2: wrong use.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version.")) -> None:
    del version


app.command("init")(platform.init)
app.command("doctor")(platform.doctor)
app.command("import")(data.import_)
app.command("quarantine")(data.quarantine)
app.command("build")(platform.build)
app.command("compact")(platform.compact)
app.command("backup")(upkeep.backup)
app.command("restore")(upkeep.restore)
app.command("upgrade")(upkeep.upgrade)
app.command("show")(data.show)
app.command("report")(reports.report)
app.command("reflection")(reflections.reflection)
app.add_typer(alerts.alerts, name="alerts")
app.add_typer(recommendations.recommendations, name="recommendations")
app.add_typer(operators.operators, name="operators")
app.add_typer(paper.paper, name="paper")
paper.paper.command("compare")(paper_compare.compare)
app.add_typer(policy.policy, name="policy")
app.add_typer(playbooks.playbooks, name="playbooks")
app.add_typer(execution.execution, name="execution")
app.add_typer(control.control, name="control")
app.add_typer(orchestrate.orchestrate, name="orchestrate")
app.add_typer(instruments.instruments, name="instruments")
app.add_typer(escalations.escalations, name="escalations")
assert control_cycle and control_orders and control_sign, "their commands add themselves to `portfolio control`"
control.control.command("counterfactual")(counterfactual.counterfactual)
control.control.command("calibrate")(counterfactual.calibrate)
app.command("annotate")(alerts.annotate)
app.command("why")(explain.why)
app.command("verify")(explain.verify)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
