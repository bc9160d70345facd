"""What only the operator of the machine may do over HTTP."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from tests.e2e.rest import Rest, User, fields, problem


def _query(rest: Rest, body: Any) -> Any:
    return rest.client.post("/internal/query", json=body, headers=rest.operator)


def test_a_query(rest: Rest) -> None:
    answer = _query(rest, {"sql": "SELECT number AS n, {text:String} AS t FROM numbers(3)", "params": {"text": "é"}})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "columns": [{"name": "n", "type": "UInt64"}, {"name": "t", "type": "String"}],
        "rows": [[0, "é"], [1, "é"], [2, "é"]],
        "truncated": False,
    }


def test_a_query_is_bounded_and_says_so(rest: Rest) -> None:
    answer = _query(rest, {"sql": "SELECT number FROM numbers(10)", "max_rows": 2}).json()
    assert (answer["rows"], answer["truncated"]) == ([[0], [1]], True)


def test_large_integers_stay_exact(rest: Rest) -> None:
    answer = _query(rest, {"sql": "SELECT 18446744073709551615 AS n"})
    assert answer.json()["rows"] == [[2**64 - 1]]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE events",
        "INSERT INTO events VALUES (1)",
        "SELECT 1; SELECT 2",
        "SELECT * FROM file('/etc/passwd')",
        "SELEC 1",
    ],
)
def test_what_does_not_read_is_refused(rest: Rest, sql: str) -> None:
    assert problem(_query(rest, {"sql": sql}), 422, "invalid_query")["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["sql"]), ({"sql": 7}, ["sql"]), ({"sql": " "}, ["sql"]), ({"sql": "SELECT 1", "param": {}}, ["param"]),
        ({"sql": "SELECT 1", "params": {"a": 1}}, ["params"]), ({"sql": "SELECT 1", "max_rows": 0}, ["max_rows"]),
        ({"sql": "SELECT 1", "max_rows": True}, ["max_rows"]), ({"sql": "SELECT 1", "timeout_s": "x"}, ["timeout_s"]),
        ({"sql": "SELECT 1", "timeout_s": 1e9}, ["timeout_s"]), ({"sql": "SELECT 1", "mark": "a b"}, ["mark"]),
    ],
)  # fmt: skip
def test_a_bad_question_names_the_member(rest: Rest, body: Any, named: list[str]) -> None:
    assert fields(problem(_query(rest, body), 422)) == named


def test_a_query_is_stopped_by_its_mark(rest: Rest) -> None:
    body = {"sql": "SELECT sum(number) FROM numbers(10000000000000)", "mark": "m1", "timeout_s": 20}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_query, rest, body)
        while not asked.done():
            stopped = rest.client.post("/internal/query/stop", json={"mark": "m1"}, headers=rest.operator)
            assert (stopped.status_code, stopped.json()) == (200, {"mark": "m1"})
            wait([asked], 0.2)
    problem(asked.result(), 422, "query_cancelled")


@pytest.mark.parametrize("body", [{}, {"mark": ""}, {"mark": "' OR 1"}, {"mark": 1}])
def test_a_stop_needs_a_mark(rest: Rest, user: User, body: Any) -> None:
    assert fields(problem(rest.client.post("/internal/query/stop", json=body, headers=rest.operator), 422)) == ["mark"]
    problem(rest.client.post("/internal/query/stop", json={"mark": "m1"}, headers=user.headers), 403, "forbidden")


def test_nobody_else_may(rest: Rest, user: User) -> None:
    body = {"sql": "SELECT 1"}
    problem(rest.client.post("/internal/query", json=body), 401)
    problem(rest.client.post("/internal/query", json=body, headers=user.headers), 403, "forbidden")
    wrong = {"Authorization": rest.operator["Authorization"] + "x"}
    problem(rest.client.post("/internal/query", json=body, headers=wrong), 401)
