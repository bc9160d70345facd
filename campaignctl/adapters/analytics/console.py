"""Read-only SQL by hand.

The engine's ``readonly`` refuses writes and changed settings, but not everything: embedded, it still runs several
statements in one text, writes ``INTO OUTFILE``, kills queries and describes files. So the text is looked at first.
"""

import json
import re
from collections.abc import Mapping

from campaignctl.adapters.analytics.clients import Clients, Settings
from campaignctl.adapters.analytics.failures import console_failures, store_failures
from campaignctl.adapters.sql_files import load_statements
from campaignctl.domain.sql_text import Token, blanked, tokens_of
from campaignctl.errors import InvalidInput
from campaignctl.ports.analytics import SqlAnswer, SqlColumn, SqlValue

_READING = ("SELECT", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS")
# What stands behind FROM with an argument list may read files or other servers: these do.
_REACHING_OUT = """
    arrowflight azureblobstorage azureblobstoragecluster cluster clusterallreplicas cosn deltalake deltalakeazure
    deltalakecluster deltalakelocal deltalakes3 dictionary executable file filecluster filesystem format fuzzjson
    fuzzquery gcs hdfs hdfscluster hudi hudicluster iceberg icebergazure icebergcluster iceberghdfs iceberglocal
    icebergs3 input jdbc loop mongodb mysql odbc oss paimon postgresql prometheusquery prometheusqueryrange python
    redis remote remotesecure s3 s3cluster sqlite timeseriesdata timeseriesmetrics timeseriesselector timeseriestags
    url urlcluster viewexplain viewifpermitted ytsaurus
"""
_SOURCES = frozenset(_REACHING_OUT.split())
# Of an inner SELECT the engine takes settings even when it is read-only.
_CLAUSES = {
    "format": "FORMAT is not allowed; choose the output format with -o",
    "settings": "SETTINGS is not allowed; there are --max-rows and --timeout",
}
_MAX_BYTES = 64 * 1024 * 1024
_MAX_ROWS = 1_000_000

_PARAMETER = re.compile(r"\{\s*(\w+)\s*:\s*(\w+)")
_COMPOUND = frozenset({"Array", "Tuple", "Map", "Nested"})
_FORM = "JSONCompactEachRowWithNamesAndTypes"
_SQL = load_statements("clickhouse", "queries", "console.sql")


class Console:
    """An ``SqlConsole``: each statement has a connection of its own, which is read-only before it sees the text."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def run_sql(
        self, statement: str, parameters: Mapping[str, str], /, *, max_rows: int, timeout_s: float, mark: str = ""
    ) -> SqlAnswer:
        text = read_only(statement)
        max_rows = min(max_rows, _MAX_ROWS)
        settings = {**_marked(mark), **_limits(max_rows, timeout_s)}
        with console_failures(added=f" FORMAT {_FORM}"), self._clients.own(settings) as client:
            raw = client.raw_query(text, parameters=_bound(text, parameters), fmt=_FORM)
        return _answer(raw, max_rows)

    def stop_sql(self, mark: str, /) -> None:
        with store_failures(), self._clients.own({}) as client:
            client.command(_SQL["stop"], parameters=_marked(mark))


def _marked(mark: str) -> dict[str, str]:
    """The setting that a statement is found by again. Not the query's id: the embedded engine gives its own."""
    return {"log_comment": f"campaignctl query {mark}"} if mark else {}


class _Literal:
    """A value of a compound type, which is read as it is written; the driver escapes what looks like a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def _bound(statement: str, parameters: Mapping[str, str]) -> dict[str, object]:
    compound = {name for name, type_ in _PARAMETER.findall(statement) if type_ in _COMPOUND}
    return {name: _Literal(value) if name in compound else value for name, value in parameters.items()}


def read_only(statement: str) -> str:
    """The statement with blanks for its comments; ``InvalidInput`` unless it is one statement that only reads."""
    tokens = _readable(statement)
    while tokens and tokens[-1].kind == "end":
        tokens.pop()
    meaning = [token for token in tokens if token.kind != "space"]
    if not meaning:
        raise _refused("there is no statement")
    if any(token.kind == "end" for token in meaning):
        raise _refused("one statement at a time, please")
    first = next((token for token in meaning if token.text != "("), meaning[0])
    if first.kind != "word" or first.text.upper() not in _READING:
        raise _refused(f"only reading is allowed: {', '.join(_READING)}")
    for token, following in zip(meaning, [*meaning[1:], Token("end", "")], strict=True):
        _refuse_reaching_out(token, following)
    return "".join(token.text for token in tokens)


def _readable(statement: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    for token in tokens_of(statement):
        if token.kind in ("open", "unread"):
            shown = statement[at : at + 20].split("\n")[0]
            position = len(statement[:at].encode()) + 1
            raise _refused(f"cannot be read from position {position} on: {shown!r}")
        tokens.append(Token("space", blanked(token.text)) if token.kind == "comment" else token)
        at += len(token.text)
    return tokens


def _refuse_reaching_out(token: Token, following: Token) -> None:
    if token.name == "into" and following.name == "outfile":
        raise _refused("INTO OUTFILE is not allowed; redirect the output instead")
    if token.kind == following.kind == "word" and token.name in _CLAUSES:
        raise _refused(_CLAUSES[token.name])
    if token.name in _SOURCES and following.text == "(":
        raise _refused(f"{token.text}() is not allowed: only the analytics tables can be read")
    if token.name == "default" and following.text == ".":
        raise _refused("the database default is not allowed: it reaches the files of this machine")


def _limits(max_rows: int, timeout_s: float) -> Settings:
    """The order matters: nothing can be set any more once ``readonly`` is."""
    return {
        "max_threads": 2,
        "limit": max_rows + 1,
        "max_execution_time": timeout_s,
        "timeout_overflow_mode": "throw",
        "max_memory_usage": 512 * 1024 * 1024,
        "max_result_bytes": _MAX_BYTES,
        "result_overflow_mode": "throw",
        "output_format_json_quote_64bit_integers": 0,
        "output_format_json_quote_decimals": 1,
        "output_format_json_quote_denormals": 0,
        "output_format_json_named_tuples_as_objects": 1,
        "date_time_output_format": "iso",
        "readonly": 1,
    }


def _answer(raw: bytes, max_rows: int) -> SqlAnswer:
    lines = raw.decode(errors="replace").split("\n")
    if len(lines) < 2:
        return SqlAnswer((), [], truncated=False)
    names, types = json.loads(lines[0]), json.loads(lines[1])
    rows: list[list[SqlValue]] = [json.loads(line) for line in lines[2:] if line]
    columns = tuple(SqlColumn(name, type_) for name, type_ in zip(names, types, strict=True))
    return SqlAnswer(columns, rows[:max_rows], truncated=len(rows) > max_rows)


def _refused(message: str) -> InvalidInput:
    return InvalidInput((), message=message, code="invalid_query")
