"""The statements of migrations as a cluster needs them.

Rows lie in the tables of a second database, ``<database>_local``, on the server that they were sent to. In the database
itself stand Distributed tables of the same names, so that questions need not know of it. On replicated shards tables
are made ``ON CLUSTER``, which the servers' Keeper brings to all of them; without replicas there may be no Keeper, and
whoever migrates runs the same statements on one server after the other.

Only the kinds of statements that migrations have so far are known: of any other one it would be a guess what a cluster
needs.
"""

import re
from dataclasses import dataclass

_WINDOW_S = 604_800
"""How long a replicated table remembers tokens, as many as it may; the engine's default is an hour."""

_COMMENTS = re.compile(r"(?:\s*--[^\n]*\n)+")
_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)\n(?P<columns>\(\n.*\n\))\n"
    r"ENGINE = (?P<engine>\w*MergeTree)\n(?P<rest>(?:PARTITION BY|ORDER BY) .*)",
    re.DOTALL,
)
_VIEW = re.compile(
    r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\n"
    r"(?P<columns>SELECT\n(?:(?!\bFROM\b|\bJOIN\b).)*)\nFROM (?P<source>\w+) AS (?P<rest>(?:(?!\bFROM\b|\bJOIN\b).)*)",
    re.DOTALL,
)
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")


@dataclass(frozen=True, slots=True)
class ClusterForm:
    """How tables of one database are made on a cluster. All names are plain ones."""

    cluster: str
    database: str
    replicated: bool

    @property
    def local_database(self) -> str:
        return f"{self.database}_local"

    @property
    def databases(self) -> tuple[str, ...]:
        """What makes both databases."""
        return tuple(
            f"CREATE DATABASE IF NOT EXISTS `{name}`{self._everywhere}" for name in (self.local_database, self.database)
        )

    def of(self, statement: str) -> tuple[str, ...]:
        """The statements that do on a cluster what a migration's ``statement`` does on one server.

        Raises ``ValueError`` for a statement of another kind than the known ones.
        """
        text = _COMMENTS.sub("", statement, count=1) if statement.startswith("--") else statement
        table = _TABLE.fullmatch(text)
        if table is not None:
            return self._table(table)
        view = _VIEW.fullmatch(text)
        if view is not None:
            return (self._view(view),)
        raise ValueError(f"no form for a cluster is known of this statement: {text[:80]!r}")

    @property
    def _everywhere(self) -> str:
        return f" ON CLUSTER `{self.cluster}`" if self.replicated else ""

    def _table(self, table: re.Match[str]) -> tuple[str, ...]:
        name, engine, rest = table["name"], table["engine"], table["rest"]
        if self.replicated:
            path = f"/clickhouse/tables/{self.cluster}/{{shard}}/{self.local_database}/{name}"
            engine = f"Replicated{engine}('{path}', '{{replica}}')"
            rest = _WINDOW.sub(
                rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {_WINDOW_S}", rest
            )
        local = f"`{self.local_database}`.{name}"
        return (
            f"CREATE TABLE IF NOT EXISTS {local}{self._everywhere}\n{table['columns']}\nENGINE = {engine}\n{rest}",
            f"CREATE TABLE IF NOT EXISTS `{self.database}`.{name}{self._everywhere} AS {local}\n"
            f"ENGINE = Distributed('{self.cluster}', '{self.local_database}', '{name}')",
        )

    def _view(self, view: re.Match[str]) -> str:
        local = f"`{self.local_database}`"
        return (
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {local}.{view['name']}{self._everywhere}"
            f" TO {local}.{view['target']} AS\n{view['columns']}\nFROM {local}.{view['source']} AS {view['rest']}"
        )
