"""Campaigns and rates over HTTP: exact values, versions, pages, tenants, idempotency."""

import json
from typing import Any

import pytest

from tests.e2e.rest import JSON, Rest, User, fields, problem


def test_what_is_created_is_shown(user: User) -> None:
    link = {"platform": "meta", "account_id": "act_1", "external_id": "c1"}
    created = user.ask("POST", "/campaigns", json={"name": "Spring", "platforms": [link], "timezone": "Asia/Kolkata"})
    assert created.status_code == 201
    body = created.json()
    assert isinstance(body["id"], int)
    assert created.headers["location"] == f"/api/v1/campaigns/{body['id']}"
    assert body["platforms"] == [link | {"level": "campaign", "valid_from": None, "valid_to": None}]
    shown = user.ask("GET", f"/campaigns/{body['id']}")
    assert shown.json() == body
    assert shown.headers["etag"] == created.headers["etag"]
    assert shown.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("100.50", "100.5"),
        ('"100.50"', "100.5"),
        ("0.1", "0.1"),
        ("1e3", "1000"),
        ("123456789012.123456",) * 2,
        ("null", "null"),
    ],
)
def test_money_is_exact(user: User, sent: str, shown: str) -> None:
    content = f'{{"name": "Money", "budget": {sent}}}'
    answer = user.ask("POST", "/campaigns", content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 201, answer.text
    assert f'"budget":{shown},' in answer.text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "a" * 201}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"name": "a", "budget": -1}, ["budget"]),
        ({"name": "a", "budget": True}, ["budget"]),
        ({"name": "a", "budget": "12 dollars"}, ["budget"]),
        ({"name": "a", "currency": "XXQ"}, ["currency"]),
        ({"name": "a", "timezone": "Asia/Calcuta"}, ["timezone"]),
        ({"name": "a", "start_date": "2026-02-30"}, ["start_date"]),
        ({"name": "a", "start_date": "2026-02-02", "end_date": "2026-02-01"}, ["end_date"]),
        ({"name": "a", "status": "aktiv"}, ["status"]),
        ({"name": "a", "platforms": {}}, ["platforms"]),
        ({"name": "a", "platforms": [{"platform": "x"}]}, ["platforms.0.platform", "platforms.0.account_id", "platforms.0.external_id"]),
        ({"name": "a", "id": 7}, ["id"]),
        ({"name": "a", "__proto__": {}}, ["__proto__"]),
        ({"name": "a", "organization_id": 1}, ["organization_id"]),
    ],
)  # fmt: skip
def test_a_bad_campaign_names_the_member(user: User, body: dict[str, Any], named: list[str]) -> None:
    campaign = user.campaign()
    put = {"If-Match": f'"campaign-{campaign["id"]}-1"'}
    for answer in (
        user.ask("POST", "/campaigns", json=body),
        user.ask("PUT", f"/campaigns/{campaign['id']}", json=body, headers=put),
    ):
        assert sorted(fields(problem(answer, 422))) == sorted(named)


def test_versions(user: User) -> None:
    campaign = user.campaign()
    path = f"/campaigns/{campaign['id']}"
    first = user.ask("GET", path).headers["etag"]
    for held in (first, f"W/{first}", f'"other", {first}', "*"):
        unchanged = user.ask("GET", path, headers={"If-None-Match": held})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == first
    assert user.ask("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200
    problem(user.ask("PUT", path, json={"name": "b"}), 428)
    problem(user.ask("PUT", path, json={"name": "b"}, headers={"If-Match": '"campaign-1-99"'}), 412)
    problem(user.ask("PUT", path, json={"name": "b"}, headers={"If-Match": f"W/{first}"}), 412)
    replaced = user.ask("PUT", path, json={"name": "b"}, headers={"If-Match": first})
    assert (replaced.status_code, replaced.json()["name"]) == (200, "b")
    assert replaced.headers["etag"] != first
    problem(user.ask("PUT", path, json={"name": "c"}, headers={"If-Match": first}), 412)
    assert user.ask("GET", path, headers={"If-None-Match": first}).json()["name"] == "b"


def test_a_large_campaign_can_be_read_and_replaced(user: User) -> None:
    links = [{"platform": "google", "account_id": "1", "external_id": f"big-{n}"} for n in range(50)]
    campaign = user.campaign(platforms=links)
    shown = user.ask("GET", f"/campaigns/{campaign['id']}", headers={"Accept-Encoding": "gzip"})
    body = {"name": "b", "platforms": links}
    replaced = user.ask("PUT", f"/campaigns/{campaign['id']}", json=body, headers={"If-Match": shown.headers["etag"]})
    assert replaced.status_code == 200


def test_pages(rest: Rest) -> None:
    user = rest.user()
    names = [user.campaign(name=f"Campaign {n}", status="paused" if n % 2 else "active")["name"] for n in range(5)]
    seen, path = [], "/api/v1/campaigns?limit=2"
    while path:
        page = rest.client.get(path, headers=user.headers)
        assert page.status_code == 200
        seen += [item["name"] for item in page.json()["items"]]
        link = page.headers.get("link", "")
        assert bool(link) is (page.json()["next_cursor"] is not None)
        path = link.removeprefix("<").partition(">")[0]
        assert not path or (path.startswith("/api/v1/campaigns?") and 'rel="next"' in link)
    assert seen == names
    assert len(user.ask("GET", "/campaigns?status=paused").json()["items"]) == 2
    assert len(user.ask("GET", "/campaigns?q=campaign%203").json()["items"]) == 1
    assert user.ask("GET", "/campaigns?platform=META").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=-1", "limit"), ("limit=1e2", "limit"), ("limit=", "limit"),
        ("limit=١", "limit"), ("limit=1&limit=2", "limit"), ("limt=1", "limt"), ("status=x", "status"),
        ("platform=x", "platform"), ("cursor=x", "cursor"), ("q=" + "a" * 201, "q"), ("q=%00", "q"), ("page=2", "page"),
    ],
)  # fmt: skip
def test_a_bad_query_names_the_parameter(user: User, query: str, named: str) -> None:
    assert fields(problem(user.ask("GET", f"/campaigns?{query}"), 422)) == [named]


@pytest.mark.parametrize(
    "campaign_id", ["0", "-1", "x", "1.0", "007", "1" * 25, "9223372036854775808", "٤", "1%00", "%20"]
)
def test_what_is_no_id_is_not_found(user: User, campaign_id: str) -> None:
    problem(user.ask("GET", f"/campaigns/{campaign_id}"), 404)
    problem(user.ask("GET", f"/campaigns/{campaign_id}/insights"), 404)


def test_another_organization_does_not_see_it(user: User, stranger: User) -> None:
    campaign = user.campaign()
    missing = problem(stranger.ask("GET", "/campaigns/999999"), 404)
    for answer in (
        stranger.ask("GET", f"/campaigns/{campaign['id']}"),
        stranger.ask("GET", f"/campaigns/{campaign['id']}", headers={"If-None-Match": "*"}),
        stranger.ask("PUT", f"/campaigns/{campaign['id']}", json={"name": "x"}, headers={"If-Match": "*"}),
        stranger.ask("GET", f"/campaigns/{campaign['id']}/insights"),
    ):
        body = problem(answer, 404, "not_found")
        assert body["detail"] == missing["detail"].replace("999999", str(campaign["id"]))
    assert campaign["id"] not in [item["id"] for item in stranger.ask("GET", "/campaigns").json()["items"]]


def test_a_repeated_post_is_done_once(user: User, stranger: User) -> None:
    key = {"Idempotency-Key": "create-1"}
    first = user.ask("POST", "/campaigns", json={"name": "Once"}, headers=key)
    again = user.ask("POST", "/campaigns", json={"name": "Once"}, headers=key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    assert (again.headers["location"], again.headers["etag"]) == (first.headers["location"], first.headers["etag"])
    problem(user.ask("POST", "/campaigns", json={"name": "Twice"}, headers=key), 422, "idempotency_key_reused")
    other = stranger.ask("POST", "/campaigns", json={"name": "Once"}, headers=key)
    assert other.status_code == 201 and other.json()["id"] != first.json()["id"]


def test_errors_are_not_kept(user: User) -> None:
    key = {"Idempotency-Key": "create-2"}
    problem(user.ask("POST", "/campaigns", json={"nam": "x"}, headers=key), 422)
    assert user.ask("POST", "/campaigns", json={"name": "x"}, headers=key).status_code == 201


@pytest.mark.parametrize("key", ["", "a" * 256, "tab\there"])
def test_a_bad_key_is_named(user: User, key: str) -> None:
    answer = user.ask("POST", "/campaigns", json={"name": "x"}, headers={"Idempotency-Key": key})
    assert fields(problem(answer, 422)) == ["Idempotency-Key"]


def test_rates(user: User, stranger: User) -> None:
    rates = [
        {"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": "1.083400"},
        {"date": "2026-10-02", "currency": "jpy", "base": "USD", "rate": 0.0066},
        {"date": "2026-10-02", "currency": "KWD", "base": "USD", "rate": 1e2},
    ]
    stored = user.ask("PUT", "/currency-rates", content=json.dumps(rates), headers={"Content-Type": JSON})
    assert stored.json() == {"stored": 3}
    listed = user.ask("GET", "/currency-rates")
    assert '"rate":1.0834}' in listed.text and '"rate":0.0066}' in listed.text and '"rate":100}' in listed.text
    page = user.ask("GET", "/currency-rates?limit=1&currency=EUR&start_date=2026-10-01&end_date=2026-10-01").json()
    assert page == {"items": [rates[0] | {"rate": 1.0834}], "next_cursor": None}
    assert stranger.ask("GET", "/currency-rates").json()["items"] == []
    for body, named in (
        ({}, "body"), ([7], "0"), ([rates[0] | {"rate": 0}], "0.rate"), ([rates[0] | {"base": "EUR"}], "0.base"),
        ([rates[0] | {"rat": 1}], "0.rat"), ([rates[0] | {"rate": True}], "0.rate"),
    ):  # fmt: skip
        assert named in fields(problem(user.ask("PUT", "/currency-rates", json=body), 422))
    assert fields(problem(user.ask("GET", "/currency-rates?start_date=x"), 422)) == ["start_date"]
    assert fields(problem(user.ask("GET", "/currency-rates?base=ZZQ"), 422)) == ["base"]
