"""Where Dagster keeps runs and events: its own SQLite files, at a third of what an event costs otherwise.

Dagster 1.13 opens and closes its event log four times for each event of an asset: each time with a new engine, for which
SQLAlchemy compiles every statement anew, and each time SQLite brings what it has written to the file and waits for the disk.
A backfill of five years writes ten thousand events, a run of one day two hundred. Files and schema are Dagster's own: with
`storage: sqlite` in `dagster.yaml` the same folder is read as before.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool, QueuePool

KEPT_ENGINES = 16
"""Files whose engine is kept: the index of all runs, and the newest runs."""


class EventLog(SqliteEventLogStorage):
    """Dagster's event log with one engine for each file, and one connection to the index of all runs that stays open.

    The file of a run is closed after each event, as before: closing brings the event to the file, where Dagster's UI notices it.
    """

    def __init__(self, base_dir: str) -> None:
        """Open the log in a folder, which is made where there is none."""
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._process = os.getpid()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():
            # a connection is not to be used, nor closed, on both sides of a fork
            for engine in self._engines.values():
                engine.dispose(close=False)
            self._engines, self._process = OrderedDict(), os.getpid()
        if shard not in self._engines:
            self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool if shard == INDEX_SHARD_NAME else NullPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
        self._engines.move_to_end(shard)
        while len(self._engines) > KEPT_ENGINES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()


class Storage(DagsterSqliteStorage):
    """What `dagster.yaml` names: Dagster's SQLite storage with this event log."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open runs, events and schedules below a folder."""
        super().__init__(base_dir, inst_data)
        self._event_log_storage = EventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> "Storage":
        """Return the storage that the configuration describes."""
        return cls.from_local(inst_data=inst_data, **config_value)
