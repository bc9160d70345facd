"""Bodies and queries are read strictly."""

from decimal import Decimal

import pytest

from campaignctl.errors import CampaignctlError, InvalidInput, MalformedRequest
from server.bodies import media_type, read_json, read_query, text_members
from server.problem import HttpError, problem_of

JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"spend": 0.1}', {"spend": Decimal("0.1")}),
        (b"12345678901234567890.123456", Decimal("12345678901234567890.123456")),
        (b"[1e3, -0, true, null]", [Decimal("1e3"), 0, True, None]),
        ('"Zoë 🎉"'.encode(), "Zoë 🎉"),
        (b'"\\ud83c\\udf89"', "🎉"),
    ],
)
def test_values_are_exact(body: bytes, value: object) -> None:
    assert read_json(body, JSON) == value


HOSTILE = {
    "empty": b"",
    "blank": b"  ",
    "half": b'{"a": ',
    "two values": b"{} {}",
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a comment": b"{} // x",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a huge exponent": b'{"a": 1e400}',
    "a tiny exponent": b'{"a": 1e-99999999999}',
    "5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "5,000 decimal places": b'{"a": 0.' + b"9" * 5_000 + b"}",
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate in a name": b'{"\\udfff": 1}',
    "a million brackets": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 200_000,
    "closed nesting": b"[" * 40 + b"]" * 40,
    "NUL in a string": b'{"a": "x\\u0000y"}',
    "NUL in a name": b'{"a\\u0000": 1}',
    "NUL alone": b"\x00",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "an overlong slash": b'{"a": "\xc0\xaf"}',
    "a control character": b'{"a": "\n"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(CampaignctlError) as caught:
        read_json(body, JSON)
    assert problem_of(caught.value).status in (400, 422)


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/xml", "application/json; charset=utf-16", "json"]
)
def test_other_media_types_are_refused(kind: str | None) -> None:
    with pytest.raises(HttpError) as caught:
        read_json(b"{}", kind)
    assert caught.value.problem.status == 415


def test_a_charset_of_utf8_is_fine() -> None:
    assert media_type('Application/JSON; charset="UTF-8"') == JSON


def test_a_million_names_are_refused_at_once() -> None:
    body = b"{" + b",".join(b'"a%d":1' % n for n in range(80_000)) + b"}"
    with pytest.raises(InvalidInput) as caught:
        text_members(read_json(body, JSON), "email")
    assert len(caught.value.errors) <= 21


def test_text_members_say_all_that_is_wrong() -> None:
    with pytest.raises(InvalidInput) as caught:
        text_members({"emial": "a@b.c", "password": 7}, "email", "password", optional=["name"])
    said = {error.field: error.message for error in caught.value.errors}
    assert "did you mean email?" in said["emial"]
    assert said["password"] == "must be a string"
    assert said["email"] == "is required"
    for value in (None, [], "text", 7, True):
        with pytest.raises(InvalidInput):
            text_members(value, "email")


def test_queries_know_their_names() -> None:
    known = {"platform": True, "limit": False}
    assert read_query(b"platform=meta&platform=google,tiktok&limit=5", known) == {
        "platform": ["meta", "google,tiktok"],
        "limit": ["5"],
    }
    assert read_query(b"", known) == {}
    for query, field, said in (
        (b"limt=5", "limt", "did you mean limit?"),
        (b"zzz=5", "zzz", "known are platform, limit"),
        (b"limit=5&limit=6", "limit", "once"),
        (b"platform=a%00b", "platform", "NUL"),
    ):
        with pytest.raises(InvalidInput) as caught:
            read_query(query, known)
        assert caught.value.errors[0].field == field
        assert said in caught.value.errors[0].message


@pytest.mark.parametrize("query", [b"limit=%ff", b"limit=\xff", b"&".join(b"limit=1" for _ in range(300))])
def test_queries_that_do_not_parse_are_refused(query: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_query(query, {"limit": True})
