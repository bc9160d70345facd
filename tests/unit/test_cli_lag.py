"""``lag`` and ``freshness``: what they print, and when they fail as a gate."""

import json
from collections.abc import Callable

import pytest

from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok

PARTITIONS = [
    {"partition": 0, "committed": 10, "end": 22, "lag_records": 12, "lag_seconds": 3.25},
    {"partition": 1, "committed": None, "end": 0, "lag_records": 0, "lag_seconds": 0.0},
]
LAG = {"topic": "t", "group": "g", "lag_records": 12, "lag_seconds": 3.25, "partitions": PARTITIONS}
ITEMS = [
    {"campaign_id": 3, "campaign_name": "Diwali", "platform": "meta", "last_event_at": None, "last_report_at": None,
     "age_seconds": None},
    {"campaign_id": 3, "campaign_name": "Diwali", "platform": "google", "last_event_at": "2026-11-01T00:00:00Z",
     "last_report_at": None, "age_seconds": 120.5},
]  # fmt: skip


def _answering(lag: object = LAG, items: object = ITEMS) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if request.path.startswith("/api/v1/system"):
            return ok({"version": "1", "lag": lag, "rates": {}, "dependencies": {}, "dead_letters": None})
        return ok({"items": items, "truncated": False})

    return answer


@pytest.mark.parametrize(("most", "code"), [("11", 1), ("12", 0)])
def test_the_lag_as_a_gate(most: str, code: int, cli: Cli) -> None:
    with fake_api(_answering()) as server:
        ran = cli("--api", server.url, "lag", "--max-lag", most, "-o", "json")
    assert ran.code == code
    assert json.loads(ran.stdout) == LAG
    assert ("lag_exceeded" in ran.stderr) == bool(code)


def test_the_lag_in_other_forms(cli: Cli) -> None:
    with fake_api(_answering()) as server:
        table = cli("--api", server.url, "lag").stdout
        lines = cli("--api", server.url, "lag", "-o", "csv").stdout.splitlines()
        items = cli("--api", server.url, "lag", "-o", "ndjson").stdout.splitlines()
    assert "lag seconds" in table and "all" in table
    assert lines == ["partition,committed,end,lag_records,lag_seconds", "0,10,22,12,3.25", "1,,0,0,0.0"]
    assert [json.loads(line) for line in items] == PARTITIONS


def test_a_lag_that_cannot_be_told_is_exit_7(cli: Cli) -> None:
    with fake_api(_answering(lag=None)) as server:
        ran = cli("--api", server.url, "lag")
    assert (ran.code, ran.stdout) == (7, "")


@pytest.mark.parametrize(
    ("items", "most", "code"),
    [(ITEMS, "1d", 1), (ITEMS[1:], "2m", 1), (ITEMS[1:], "121", 0), ([], "1s", 0), (ITEMS[1:], "soon", 2)],
)
def test_freshness_as_a_gate(items: object, most: str, code: int, cli: Cli) -> None:
    with fake_api(_answering(items=items)) as server:
        ran = cli("--api", server.url, "freshness", "--max-age", most, "-o", "json")
    assert ran.code == code, ran.stderr
    if code != 2:
        assert json.loads(ran.stdout) == {"items": items, "truncated": False}


def test_freshness_asks_for_what_was_named(cli: Cli) -> None:
    with fake_api(_answering()) as server:
        out = cli("--api", server.url, "freshness", "--campaign", "3", "--platform", "meta").stdout
        asked = server.requests[-1].path
    assert "google" in out and "120.5" in out
    assert asked.endswith("/freshness?campaign=3&platform=meta")
