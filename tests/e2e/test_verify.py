"""``verify``: rows taken out, put in twice, sums spoilt: each is named exactly, mended, and clean afterwards."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from campaignctl.adapters.analytics.verification import VerifiedEvents
from campaignctl.cli.app import run
from campaignctl.services import row_verification
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User, problem, running
from tests.e2e.test_replay import event, to_log
from worker.lifecycle import working


@pytest.fixture(scope="module")
def url(rest: Rest) -> Iterator[str]:
    with working(rest.app), running(rest.app) as (address, _):
        yield address


@pytest.fixture(autouse=True)
def _operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)


class Verified:
    def __init__(self, code: int, text: str, told: str) -> None:
        self.code = code
        self.told = told
        self.body: dict[str, Any] = json.loads(text)

    @property
    def found(self) -> list[tuple[Any, ...]]:
        return [(one["kind"], one["event_id"] or one["day"]) for one in self.body["findings"]]


@pytest.fixture
def verify(url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*flags: str) -> Verified:
        code = run(["--api", url, "verify", "-o", "json", *flags])
        said = capsys.readouterr()
        return Verified(code, said.out, said.err)

    return call


def spoil(rest: Rest, statement: str) -> None:
    with rest.app.analytics._clients.writer() as client:
        client.command(statement)


def made(rest: Rest, events: int = 30) -> tuple[User, int]:
    """A campaign with events of three clicks each, on two days."""
    user = rest.user()
    campaign_id = user.campaign()["id"]
    times = ("2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z")
    values = [event(campaign_id, f"e{n}", clicks=3, event_time=times[n % 2]) for n in range(events)]
    to_log(rest, campaign_id, *values, values[0], event(campaign_id, "bad", region="nowhere"), b"{")
    return user, campaign_id


def clicks(user: User, campaign_id: int, **params: Any) -> int:
    asked = {"start_date": "2026-11-01", "end_date": "2026-11-02", "granularity": "total"} | params
    answer = user.ask("GET", f"/campaigns/{campaign_id}/insights", params=asked)
    return int(answer.json()["totals"]["clicks"])


def test_what_is_right_is_clean(rest: Rest, verify: Any) -> None:
    _, campaign_id = made(rest)
    to_log(rest, campaign_id, event(10**9, "of an unknown campaign"))
    verified = verify()
    assert (verified.code, verified.found) == (0, [])
    assert verified.body["checked"]["records"] >= 34
    assert verified.body["repair"] is None


def test_holes_are_named_and_counted_again(rest: Rest, verify: Any) -> None:
    user, campaign_id = made(rest)
    spoil(
        rest,
        f"ALTER TABLE events DELETE WHERE campaign_id = {campaign_id} AND event_id IN ('e3', 'e8') "
        "SETTINGS mutations_sync = 2",
    )
    verified = verify("--campaign", str(campaign_id))
    assert verified.code == 1
    assert sorted(verified.found) == [("drift", "2026-11-01"), ("drift", "2026-11-02"), ("hole", "e3"), ("hole", "e8")]
    mended = verify("--campaign", str(campaign_id), "--repair")
    assert (mended.code, mended.found) == (0, [])
    assert mended.body["repair"]["filled"] == 2
    assert "found drift 2, hole 2; 2 records counted again, 0 rows removed" in mended.told
    assert verify().code == 0
    assert clicks(user, campaign_id) == clicks(user, campaign_id, group_by="device") == 90


@pytest.fixture
def moved(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge comes between finding a row and removing it, once, and one row is removed at a time."""
    merges = iter(["OPTIMIZE TABLE events FINAL"])
    right = VerifiedEvents.remove_rows

    def after_a_merge(self: Any, *given: Any) -> None:
        for merge in merges:
            spoil(rest, merge)
        right(self, *given)

    monkeypatch.setattr(VerifiedEvents, "remove_rows", after_a_merge)
    monkeypatch.setattr(row_verification, "_ROWS_AT_ONCE", 1)


@pytest.mark.parametrize("meanwhile", ["undisturbed", "moved"])
def test_a_row_that_is_there_twice_is_named_and_removed(
    rest: Rest, verify: Any, meanwhile: str, request: pytest.FixtureRequest
) -> None:
    if meanwhile == "moved":
        request.getfixturevalue("moved")
    user, campaign_id = made(rest)
    of = f"campaign_id = {campaign_id}"
    spoil(rest, f"INSERT INTO events SELECT * FROM events WHERE {of} AND event_id = 'e5' "
                f"SETTINGS insert_deduplication_token = 'twice {campaign_id}'")  # fmt: skip
    spoil(rest, f"INSERT INTO events SELECT * REPLACE (koff + 1000000 AS koff) FROM events WHERE {of} "
                f"AND event_id = 'e6' SETTINGS insert_deduplication_token = 'another {campaign_id}'")  # fmt: skip
    verified = verify("--campaign", str(campaign_id))
    overlaps = [one for one in verified.body["findings"] if one["kind"] == "overlap"]
    assert sorted((one["event_id"], one["message"][:10]) for one in overlaps) == [
        ("e5", "two rows o"),
        ("e6", "counts alr"),
    ]
    assert verified.code == 1
    mended = verify("--campaign", str(campaign_id), "--repair")
    assert (mended.code, mended.found) == (0, [])
    assert mended.body["repair"]["removed"] == 2
    assert clicks(user, campaign_id) == clicks(user, campaign_id, group_by="device") == 90


def test_drift_is_named_and_mended(rest: Rest, verify: Any) -> None:
    user, campaign_id = made(rest)
    spoil(
        rest,
        "INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, clicks) "
        f"VALUES ({campaign_id}, '2026-11-02', 'meta', 'ZZ', 'USD', 7)",
    )
    verified = verify("--campaign", str(campaign_id))
    assert verified.found == [("drift", "2026-11-02")]
    assert "clicks -7" in verified.body["findings"][0]["message"]
    assert verified.code == 1
    assert verify("--campaign", str(campaign_id), "--since", "2026-11-20T00:00:00Z").code == 0
    mended = verify("--campaign", str(campaign_id), "--repair")
    assert (mended.code, mended.found) == (0, [])
    assert clicks(user, campaign_id) == 90


def test_it_is_for_the_operator_of_the_machine(rest: Rest, user: User) -> None:
    for path in ("plan", "reach", "log", "campaign", "fill", "surplus"):
        problem(rest.client.post(f"/internal/verify/{path}", json={}, headers=user.headers), 403, "forbidden")
        wrong = rest.client.post(f"/internal/verify/{path}", json={"x": 1}, headers=rest.operator)
        problem(wrong, 422)
