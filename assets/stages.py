"""Assets over stages: a declaration says which table an asset shows, which stages it runs, and what a person sees of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.metadata import CONSTANT, OWNERS, column_schema, newest, preview, table_metadata
from assets.pictures import pictures
from portfolio_platform.home import Home
from portfolio_platform.lake.columns import Table
from resources.platform import Platform


@dataclass(frozen=True)
class StageAsset:
    """An asset over one table.

    Attributes:
        table: the table that is shown; the asset has its name, unless `name` says another.
        stages: stages that it brings up to date, in their order.
        deps: assets that it reads.
        shown: columns of the preview.
        beside: tables that are built with it.
        charts: pictures of each portfolio.
        words: what an operator should know beyond the table's description.
        more: further metadata, such as pictures of its own.
    """

    table: Table
    stages: tuple[str, ...]
    deps: tuple[str, ...]
    shown: tuple[str, ...]
    beside: tuple[Table, ...] = ()
    charts: tuple[str, ...] = ()
    words: str = ""
    more: Callable[[Home], Mapping[str, Any]] | None = None
    name: str = ""
    kinds: frozenset[str] = field(default_factory=lambda: frozenset({"python", "deltalake"}))

    @property
    def asset_name(self) -> str:
        """Return the asset's name."""
        return self.name or self.table.name

    @property
    def description(self) -> str:
        """Return what an operator reads: the table, what is beside it, and what it means."""
        beside = f" Beside it: {', '.join(f'`{table.name}`' for table in self.beside)}." if self.beside else ""
        return f"{self.table.description} {self.words}".strip() + beside


def stage_assets(group: str, declared: Sequence[StageAsset]) -> list[dg.AssetsDefinition]:
    """Return the assets of a group."""
    return [_asset(group, item) for item in declared]


def _asset(group: str, item: StageAsset) -> dg.AssetsDefinition:
    @dg.asset(
        name=item.asset_name,
        deps=list(item.deps),
        group_name=group,
        owners=OWNERS,
        kinds=set(item.kinds),
        description=item.description,
        metadata={
            "dagster/column_schema": column_schema(item.table),
            "dagster/table_name": item.table.name,
            "key": ", ".join(item.table.key),
        },
    )
    def stage_asset(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        home = platform.open()
        for name, sentence in build(home, item.stages).items():
            context.log.info(f"{name}: {sentence}")
        return dg.MaterializeResult(metadata=shown(home, item), data_version=CONSTANT)

    return stage_asset


def build(home: Home, names: Sequence[str]) -> dict[str, str]:
    """Bring stages up to date, and return what each did in a sentence."""
    from portfolio_platform.stage import build_stage
    from portfolio_platform.stages import BY_NAME

    return {name: build_stage(home, BY_NAME[name]).sentence for name in names}


def shown(home: Home, item: StageAsset) -> dict[str, Any]:
    """Return the metadata of an asset: size and place, the newest rows, pictures."""
    metadata = table_metadata(home, item.table)
    metadata |= {f"rows of {table.name}": home.lake.row_count(table) for table in item.beside}
    if metadata["dagster/row_count"]:
        metadata["newest"] = preview(newest(home, item.table), item.shown)
    for chart in item.charts:
        metadata |= pictures(home, chart)
    if item.more is not None:
        metadata.update(item.more(home))
    return metadata
