"""Insights as files over HTTP: negotiated, made of the same answer as JSON, and plain about what they hold."""

import csv
import io
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from campaignctl.cli.embedded_worker import working
from campaignctl.tabular import decode
from tests.e2e.rest import Rest, User, problem

CSV, NDJSON = "text/csv", "application/x-ndjson"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
EVENTS = [
    {"event_id": "1", "impressions": 1000, "clicks": 30, "spend": "0.1", "platform": "meta", "ad_id": "=1+1"},
    {
        "event_id": "2",
        "impressions": 9007199254740993,
        "clicks": 1,
        "conversions": "0.333333",
        "spend": "123456.654321",
    },
    {"event_id": "3", "event_type": "adjustment", "spend": "-7", "currency": "CHF", "platform": "tiktok"},
]


@pytest.fixture(scope="module", autouse=True)
def worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


@pytest.fixture(scope="module")
def path(user: User) -> str:
    """A question about a campaign whose events are counted: with a formula, a missing rate and great numbers."""
    campaign = user.campaign(timezone="Asia/Kolkata", currency="EUR")
    fixed = {"campaign_id": campaign["id"], "platform": "google", "event_time": "2026-11-01T22:00:00Z"}
    sent = user.ask("POST", "/events", json=[fixed | one for one in EVENTS])
    assert sent.json()["rejected"] == [], sent.text
    path = f"/campaigns/{campaign['id']}/insights?start_date=2026-11-01&end_date=2026-11-03&group_by=platform,ad"
    assert user.ask("GET", f"{path}&after={sent.json()['position']}").status_code == 200
    return path


def _accept(media_type: str) -> dict[str, str]:
    return {"Accept": media_type}


def _rows(content: bytes, media_type: str) -> list[dict[str, Any]]:
    match media_type:
        case "text/csv":
            return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
        case "application/x-ndjson":
            return [decode(line) for line in content.splitlines()]
        case "application/vnd.apache.parquet":
            rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
            return rows
    found: list[dict[str, Any]] = pa.ipc.open_stream(content).read_all().to_pylist()
    return found


@pytest.mark.parametrize("media_type", [CSV, NDJSON, PARQUET, ARROW])
@pytest.mark.parametrize("granularity", ["hourly", "daily", "total"])
def test_a_file_has_the_rows_of_the_json(user: User, path: str, media_type: str, granularity: str) -> None:
    asked = f"{path}&granularity={granularity}"
    answer = user.ask("GET", asked, headers=_accept(media_type))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    body = decode(user.ask("GET", asked).content)
    found = _rows(answer.content, media_type)
    assert len(found) == len(body["rows"]) == 3
    for row, expected in zip(found, body["rows"], strict=True):
        for name, value in expected.items():
            assert _same(row[name], value), (name, row[name], value)
    assert answer.headers["x-currency"] == "EUR" and answer.headers["x-timezone"] == "Asia/Kolkata"
    assert answer.headers["x-warnings"] == "missing_rate"
    assert answer.headers["content-disposition"].startswith('attachment; filename="campaign-')


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, str) and not isinstance(expected, str):  # a cell of csv
        return found == (
            "" if expected is None else str(expected).lower() if isinstance(expected, bool) else str(expected)
        )
    if isinstance(expected, str) and expected.startswith("="):
        return str(found) in (expected, "'" + expected)
    if isinstance(found, date):  # and instants
        return found.isoformat() == expected
    return bool(found == expected)


def test_a_spreadsheet_sees_no_formula(user: User, path: str) -> None:
    rows = _rows(user.ask("GET", path, headers=_accept(CSV)).content, CSV)
    assert [row["ad_id"] for row in rows if "1+1" in row["ad_id"]] == ["'=1+1"]
    assert {(row["currency"], row["timezone"]) for row in rows} == {("EUR", "Asia/Kolkata")}


def test_arrow_says_types_units_and_warnings(user: User, path: str) -> None:
    table = parquet.read_table(io.BytesIO(user.ask("GET", path, headers=_accept(PARQUET)).content))
    assert table.schema.field("impressions").type == pa.int64()
    assert table.schema.field("spend").type == table.schema.field("roas").type == pa.decimal128(38, 6)
    assert table.schema.field("period_start").type == pa.date32()
    assert table.schema.metadata[b"timezone"] == b"Asia/Kolkata" and table.schema.metadata[b"currency"] == b"EUR"
    assert b"missing_rate" in table.schema.metadata[b"warnings"]
    assert max(table["spend"].to_pylist(), key=lambda one: one or 0) == Decimal("123456.654321")


def test_each_form_has_a_version_of_its_own(user: User, path: str) -> None:
    answers = [user.ask("GET", path, headers=_accept(one)) for one in ("application/json", CSV, NDJSON, PARQUET, ARROW)]
    tags = [answer.headers["etag"] for answer in answers]
    assert len(set(tags)) == 5
    assert all("accept" in answer.headers["vary"].lower().split(", ") for answer in answers)
    again = user.ask("GET", path, headers=_accept(CSV) | {"If-None-Match": tags[1]})
    assert (again.status_code, again.content) == (304, b"")
    assert user.ask("GET", path, headers=_accept(CSV) | {"If-None-Match": tags[0]}).status_code == 200


def test_pages_go_on_by_the_link(user: User, path: str) -> None:
    found: list[dict[str, Any]] = []
    following = f"/api/v1{path}&limit=2"
    while following:
        answer = user.rest.client.get(following, headers=user.headers | _accept(CSV))
        found += _rows(answer.content, CSV)
        following = answer.headers.get("link", "").removeprefix("<").partition(">")[0]
    assert found == _rows(user.ask("GET", path, headers=_accept(CSV)).content, CSV)


def test_several_campaigns(user: User, path: str) -> None:
    asked = "/insights?granularity=total&group_by=campaign&currency=EUR&timezone=UTC"
    answer = user.ask("GET", asked, headers=_accept(PARQUET))
    expected = decode(user.ask("GET", asked).content)["rows"]
    assert [row["campaign_id"] for row in _rows(answer.content, PARQUET)] == [row["campaign_id"] for row in expected]


def test_what_there_is_not_is_said(user: User, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = problem(user.ask("GET", path, headers=_accept("application/vnd.ms-excel")), 406, "not_acceptable")
    assert "text/csv" in refused["hint"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = problem(user.ask("GET", path, headers=_accept(PARQUET)), 406, "not_acceptable")
    assert "campaignctl[export]" in refused["hint"]
    either = user.ask("GET", path, headers=_accept(f"{PARQUET}, {CSV};q=0.5"))
    assert either.headers["content-type"].startswith(CSV)
    problem(user.ask("GET", f"{path}&sort=x", headers=_accept(CSV)), 422)
