"""The raw records behind a number, and the statements that are run to answer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date

import numpy as np

from campaignctl.adapters.analytics.clients import Clients, reads_noted
from campaignctl.adapters.analytics.failures import question_failures
from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.analytics.questions import question_parameters, wide_sums
from campaignctl.adapters.sql_files import load_statements, parameters_of
from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import Timeline
from campaignctl.ports.analytics import SumsQuestion
from campaignctl.ports.evidence import RunStatement, StreamedRecords

_FILES = ("insights.sql", "reports.sql", "evidence.sql")
_STATEMENTS = {name: load_statements("clickhouse", "queries", name) for name in _FILES}
_SQL = _STATEMENTS["evidence.sql"]
_ORIGINS = {text: (file, name) for file, found in _STATEMENTS.items() for name, text in found.items()}


class Evidence:
    """An ``EvidenceStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def streamed_records(self, question: SumsQuestion, day: Timeline, /) -> list[StreamedRecords]:
        if not day.owners:  # a day that the zone left out
            return []
        table = _read(
            self._clients, "streamed_records", {**question_parameters(question), **_when(day, question.as_of_us)}
        )
        rows = np.arange(table.rows)
        sums = {metric: wide_sums(table, metric, rows).all() for metric in Metric}
        columns = zip(
            table.strings("platform"),
            table.strings("currency"),
            *(
                table.integers(name).tolist()
                for name in (
                    "ktopic", "kpart", "counted", "first_offset", "last_offset", "first_us", "last_us", "taken_ms",
                )
            ),
            ({metric: values[row] for metric, values in sums.items()} for row in rows.tolist()),
            strict=True,
        )  # fmt: skip
        return [StreamedRecords(*row) for row in columns]

    def summed_events(self, question: SumsQuestion, day: date, /) -> Mapping[str, int]:
        table = _read(self._clients, "summed_events", {**question_parameters(question), "day": day})
        return dict(zip(table.strings("platform"), table.integers("counted").tolist(), strict=True))

    def count_conflicts(self, campaign_id: int, day: Timeline, as_of_us: int | None, /) -> int:
        if not day.owners:
            return 0
        table = _read(self._clients, "count_conflicts", {"campaign": campaign_id, **_when(day, as_of_us)})
        counted: int = table.integers("counted").tolist()[0]
        return counted

    @contextmanager
    def run_statements(self) -> Iterator[list[RunStatement]]:
        told: list[RunStatement] = []
        with reads_noted(lambda *noted: told.append(_run_statement(*noted))):
            yield told


def _read(clients: Clients, statement: str, parameters: Mapping[str, object]) -> Table:
    with question_failures():
        return clients.read(_SQL[statement], parameters)


def _when(day: Timeline, as_of_us: int | None) -> dict[str, object]:
    edges = list(day.edges_us[:-1])
    return {
        "from_us": day.edges_us[0],
        "until_us": day.edges_us[-1],
        "edges": edges,
        "inside": [edge for edge, owner in zip(edges, day.owners, strict=True) if owner >= 0],
        "to_this_day": as_of_us is None,
        "as_of_ms": (as_of_us or 0) // 1_000,
    }


def _run_statement(statement: str, text: str, parameters: Mapping[str, object]) -> RunStatement:
    file, name = _ORIGINS.get(statement, ("", ""))
    named = set(parameters_of(text))
    return RunStatement(
        f"sql/clickhouse/queries/{file}" if file else "",
        name,
        text,
        {name: _written(value) for name, value in parameters.items() if name in named},
    )


def _written(value: object) -> str:
    """As the engine reads a parameter's value."""
    from clickhouse_connect.driver.binding import format_bind_value

    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(format_bind_value(value))
