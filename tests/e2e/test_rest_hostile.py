"""Hostile bodies on every route that takes one: always a 4xx problem, never an echo, never a 5xx, and at once."""

import gzip
import json
import time
from functools import partial
from typing import Any

import pytest

from tests.e2e.rest import JSON, NDJSON, Rest, User, problem

# Without the time of day: parameters of tests are the same in every process.
_packed = partial(gzip.compress, mtime=0)


MARK = "hunter2-of-the-tests"

JSON_BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "null": b"null",
    "a number": b"7",
    "a string": b'"text"',
    "true": b"true",
    "half an object": b'{"name": ',
    "two values": b"{}{}",
    "a trailing comma": b'{"name": "a",}',
    "single quotes": b"{'name': 'a'}",
    "no quotes": b"{name: 1}",
    "a comment": b'{"name": "a"} // x',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": "a", "budget": Infinity}',
    "1e400": b'{"name": "a", "budget": 1e400}',
    "1e-400": b'{"name": "a", "budget": 1e-400}',
    "1e999999999999": b'{"name": "a", "budget": 1e999999999999}',
    "5,000 digits": b'{"name": "a", "budget": ' + b"9" * 5_000 + b"}",
    "a leading zero": b'{"name": "a", "budget": 007}',
    "a leading plus": b'{"name": "a", "budget": +7}',
    "a bare point": b'{"name": "a", "budget": .5}',
    "hexadecimal": b'{"name": "a", "budget": 0x10}',
    "a lone high surrogate": b'{"name": "\\ud800"}',
    "a lone low surrogate": b'{"name": "\\udc00x"}',
    "a surrogate in a name": b'{"na\\ud800me": "a"}',
    "a million brackets": b"[" * 1_000_000,
    "a million braces": b'{"a":' * 190_000,
    "closed nesting": b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    "100,000 names": b"{" + b",".join(b'"a%d":1' % n for n in range(80_000)) + b"}",
    "a name of 500 KB": b'{"' + b"a" * 500_000 + b'": 1}',
    "a value of 900 KB": b'{"name": "' + b"a" * 900_000 + b'"}',
    "more than 1 MiB": b'{"name": "' + b"a" * (1 << 20) + b'"}',
    "NUL in a string": b'{"name": "a\\u0000b"}',
    "NUL in a name": b'{"na\\u0000me": "b"}',
    "raw NUL": b'{"name": "a\x00b"}',
    "a control character": b'{"name": "a\x1bb"}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"name": "a"}'.encode("utf-16-le"),
    "UTF-32": '{"name": "a"}'.encode("utf-32"),
    "UTF-7": b'{"name": "+AGE-" ',
    "Latin-1": '{"name": "é"}'.encode("latin-1"),
    "an overlong byte": b'{"name": "\xc0\xaf"}',
    "a cut character": b'{"name": "\xe2\x82"}',
    "a raw surrogate": b'{"name": "\xed\xa0\x80"}',
    "an unknown member": b'{"nmae": "a"}',
    "a prototype": b'{"__proto__": {"admin": true}}',
    "an array in place": b'[{"name": "a"}]',
    "an object as name": b'{"name": {"$gt": ""}}',
    "true as name": b'{"name": true}',
    "gzip unasked": _packed(b'{"name": "a"}'),
    "a form": b"name=a&budget=1",
    "XML": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "a pickle": b"\x80\x04\x95.",
    "YAML": b"name: !!python/object/apply:os.system ['true']",
    "SQL": b"'; DROP TABLE campaigns; --",
}

BODY_ROUTES = [
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/password"),
    ("POST", "/campaigns"),
    ("PUT", "/campaigns/{id}"),
    ("PUT", "/currency-rates"),
]


@pytest.fixture(scope="module")
def path_of(user: User) -> Any:
    campaign = user.campaign()
    return lambda path: path.replace("{id}", str(campaign["id"]))


@pytest.mark.parametrize(("method", "path"), BODY_ROUTES)
@pytest.mark.parametrize("name", JSON_BODIES)
def test_no_body_does_more_than_be_refused(user: User, path_of: Any, method: str, path: str, name: str) -> None:
    begin = time.perf_counter()
    headers = {"Content-Type": JSON, "If-Match": "*"}
    answer = user.ask(method, path_of(path), content=JSON_BODIES[name], headers=headers)
    seconds = time.perf_counter() - begin
    assert 400 <= answer.status_code < 500, answer.text[:300]
    problem(answer, answer.status_code)
    assert len(answer.content) < 20_000
    assert seconds < 2, f"{name} took {seconds:.2f} s"


@pytest.mark.parametrize("name", [n for n in JSON_BODIES if n not in ("more than 1 MiB", "SQL")])
def test_events_judge_the_body_or_each_record(user: User, name: str) -> None:
    as_array = user.ask("POST", "/events", content=JSON_BODIES[name], headers={"Content-Type": JSON})
    as_lines = user.ask("POST", "/events", content=JSON_BODIES[name], headers={"Content-Type": NDJSON})
    for answer in (as_array, as_lines):
        if answer.status_code == 202:
            assert answer.json()["accepted"] == 0
        else:
            assert 400 <= answer.status_code < 500, answer.text[:300]
            problem(answer, answer.status_code)


@pytest.mark.parametrize(("method", "path"), [*BODY_ROUTES, ("POST", "/events")])
@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
             "application/xml", "application/json; charset=utf-16", "application/problem+json", "a/b/c", ";"],
)  # fmt: skip
def test_other_media_types(user: User, path_of: Any, method: str, path: str, kind: str | None) -> None:
    headers = {"Content-Type": kind, "If-Match": "*"} if kind is not None else {"If-Match": "*"}
    problem(user.ask(method, path_of(path), content=b'{"name": "a"}', headers=headers), 415)


@pytest.mark.parametrize(("method", "path"), BODY_ROUTES)
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, gzip"])
def test_encodings_are_for_events_only(user: User, path_of: Any, method: str, path: str, encoding: str) -> None:
    headers = {"Content-Type": JSON, "Content-Encoding": encoding, "If-Match": "*"}
    problem(user.ask(method, path_of(path), content=_packed(b"{}"), headers=headers), 415)


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (_packed(b"[]"), "gzip", 202),
        (_packed(b"[") + _packed(b"]"), "gzip", 202),
        (b"[]", "identity", 202),
        (b"[]", "gzip", 400),
        (_packed(b"[]")[:-3], "gzip", 400),
        (_packed(b"[]") + b"rest", "gzip", 400),
        (_packed(b"") * 20_000, "gzip", 400),
        (_packed(_packed(b" " * (64 << 20))), "gzip", 400),
        (_packed(b" " * (33 << 20)), "gzip", 413),
        (_packed(b"\n" * (33 << 20)), "gzip", 413),
        (_packed(b"[]"), "br", 415),
        (_packed(b"[]"), "gzip, gzip", 415),
    ],
)
def test_packed_events_are_bounded(user: User, content: bytes, encoding: str, status: int) -> None:
    begin = time.perf_counter()
    headers = {"Content-Type": JSON, "Content-Encoding": encoding}
    answer = user.ask("POST", "/events", content=content, headers=headers)
    assert time.perf_counter() - begin < 20
    assert answer.status_code == status, answer.text
    if status != 202:
        problem(answer, status)


def test_nothing_that_came_in_goes_out(rest: Rest, user: User, path_of: Any) -> None:
    bodies = [
        {"email": MARK, "password": MARK, MARK[:5]: 1}, {"email": 7, "password": MARK}, [MARK], MARK,
        {"current_password": MARK, "new_password": MARK}, {"refresh_token": MARK}, {"name": [MARK]},
    ]  # fmt: skip
    for method, path in BODY_ROUTES:
        for body in bodies:
            for content in (json.dumps(body).encode(), json.dumps(body).encode()[:-1]):
                answer = user.ask(
                    method, path_of(path), content=content, headers={"Content-Type": JSON, "If-Match": "*"}
                )
                assert 400 <= answer.status_code < 500
                assert MARK not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/api/v1/campaigns/", "/API/V1/campaigns", "/api/v1//campaigns", "/api/v1/../v1/x", "/docs", "/redoc", "/",
     "/api/v1/api-keyz", "/internal", "/api/v1/campaigns/1/insights/x", "/%2e%2e/etc/passwd", "/api/v1/campaigns%00"],
)  # fmt: skip
def test_there_is_nothing_else(user: User, path: str) -> None:
    problem(user.rest.client.get(path, headers=user.headers), 404, "not_found")


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "X" * 100])
def test_other_methods(user: User, method: str) -> None:
    answer = user.ask(method, "/campaigns")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_method_override_has_no_effect(user: User, name: str) -> None:
    campaign = user.campaign()
    path = f"/campaigns/{campaign['id']}"
    assert user.ask("GET", path, headers={name: "PUT", "If-Match": "*"}).json() == campaign


def test_no_origin_is_let_in(user: User) -> None:
    answer = user.ask("GET", "/campaigns", headers={"Origin": "https://example.com"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    answer = user.ask("OPTIONS", "/campaigns", headers=preflight)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]
