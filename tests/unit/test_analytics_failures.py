"""What the engine's errors become for a caller."""

import errno
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.analytics.failures import (
    console_failures,
    question_failures,
    short_message,
    store_failures,
)
from campaignctl.errors import (
    CampaignctlError,
    ConfigurationError,
    InvalidInput,
    SchemaMismatch,
    StorageFull,
    Unavailable,
)

FULL = DatabaseError(
    "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)", code=243
)
NO_TABLE = DatabaseError("Code: 60. DB::Exception: Table events does not exist. (UNKNOWN_TABLE)", code=60)
SLOW = DatabaseError("Code: 159. DB::Exception: Timeout exceeded: elapsed 8001 ms. (TIMEOUT_EXCEEDED)", code=159)
LARGE = DatabaseError("Code: 241. DB::Exception: Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", code=241)
AWAY = OperationalError("Error connecting: [Errno 111] Connection refused")
CLOSED = ProgrammingError("The client has been closed")
DISK = OSError(errno.ENOSPC, "No space left on device")
SYNTAX = DatabaseError(
    "Code: 62. DB::Exception: Syntax error: failed at position 1 (SELEC) (line 1, col 1): SELEC 1. Expected one of:"
    " Query, SELECT query. (SYNTAX_ERROR) (version 26.5.1.1)",
    code=62,
)


@pytest.mark.parametrize(
    ("failures", "error", "expected", "code"),
    [
        (store_failures, FULL, StorageFull, "storage_full"),
        (store_failures, DISK, StorageFull, "storage_full"),
        (store_failures, NO_TABLE, SchemaMismatch, "schema_mismatch"),
        (store_failures, SLOW, Unavailable, "unavailable"),
        (store_failures, LARGE, Unavailable, "unavailable"),
        (store_failures, AWAY, Unavailable, "unavailable"),
        (store_failures, CLOSED, Unavailable, "unavailable"),
        (store_failures, RuntimeError("gone"), Unavailable, "unavailable"),
        (question_failures, LARGE, InvalidInput, "query_limit"),
        (question_failures, SLOW, Unavailable, "unavailable"),
        (question_failures, NO_TABLE, SchemaMismatch, "schema_mismatch"),
        (console_failures, SYNTAX, InvalidInput, "invalid_query"),
        (console_failures, NO_TABLE, InvalidInput, "invalid_query"),
        (console_failures, SLOW, InvalidInput, "query_limit"),
        (console_failures, LARGE, InvalidInput, "query_limit"),
        (console_failures, AWAY, Unavailable, "unavailable"),
        (console_failures, FULL, StorageFull, "storage_full"),
    ],
)
def test_errors(
    failures: Callable[[], AbstractContextManager[None]],
    error: Exception,
    expected: type[CampaignctlError],
    code: str,
) -> None:
    with pytest.raises(CampaignctlError) as caught, failures():
        raise error
    assert type(caught.value) is expected
    assert caught.value.code == code
    assert "DB::" not in caught.value.message
    assert caught.value.__cause__ is error


def test_what_is_already_ours_passes() -> None:
    ours = Unavailable("busy", service="analytics")
    with pytest.raises(Unavailable) as caught, store_failures():
        raise ours
    assert caught.value is ours


def test_messages_are_short() -> None:
    assert short_message(SYNTAX) == (
        "Syntax error: failed at position 1 (SELEC) (line 1, col 1): SELEC 1. Expected one of: Query, SELECT query"
    )
    assert len(short_message(DatabaseError("Code: 1. DB::Exception: " + "x" * 5_000))) == 303
    traced = DatabaseError("Code: 1. DB::Exception: wrong. (WRONG)\nTraceback (most recent call last):\n  File ...")
    assert short_message(traced) == "wrong"
    scoped = DatabaseError(
        "Code: 46. DB::Exception: Function with name `f` does not exist. In scope SELECT f(1). (UNKNOWN)"
    )
    assert short_message(scoped) == "Function with name `f` does not exist"


def test_the_engine_may_not_be_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "chdb", None)
    with pytest.raises(ConfigurationError) as caught:
        open_embedded_analytics(tmp_path / "analytics")
    assert "campaignctl[embedded]" in caught.value.hint


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        open_embedded_analytics(tmp_path / "file" / "analytics")
