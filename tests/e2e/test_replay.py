"""Replaying dead letters: each event counts once however often, what is still bad comes back, tenants stay apart."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from campaignctl.cli.app import run
from campaignctl.domain.jobs import JobKind
from campaignctl.ports.event_log import NewRecord
from campaignctl.ports.jobs import NewJob
from campaignctl.services.jobs import JobContext
from tests.e2e.rest import Rest, User, fields, problem
from tests.e2e.test_rest_dead_letters import letters, refuse
from tests.support.waiting import eventually
from worker.job_handlers import job_handlers
from worker.lifecycle import working


@pytest.fixture(scope="module", autouse=True)
def _worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


def applied(rest: Rest) -> bool:
    """Whether everything in the events topic is applied."""
    kafka = rest.app.settings.kafka
    committed = rest.app.event_log.committed(kafka.events_topic, kafka.group_id)
    return all(
        marks.end == 0 or (number in committed and committed[number].offset == marks.end)
        for number, marks in rest.app.event_log.watermarks(kafka.events_topic).items()
    )


def to_log(rest: Rest, campaign_id: int, *values: bytes) -> None:
    """Records of a producer that writes to the log itself; returns when they are applied."""
    records = [NewRecord(str(campaign_id).encode(), value) for value in values]
    rest.app.event_log.produce(rest.app.settings.kafka.events_topic, records)
    eventually(lambda: applied(rest), "the records to be applied")


def event(campaign_id: int, event_id: str, **members: Any) -> bytes:
    named = {"event_id": event_id, "campaign_id": campaign_id, "platform": "meta", "event_time": "2026-11-01T12:00:00Z"}
    return json.dumps(named | {"clicks": 1} | members).encode()


def replay(user: User, **body: Any) -> dict[str, Any]:
    """The result of a replay, when it and what it produced are done."""
    started = user.ask("POST", "/dead-letters/replay", json=body)
    assert started.status_code == 202, started.text
    path = started.headers["location"].removeprefix("/api/v1")
    eventually(lambda: user.ask("GET", path).json()["finished_at"] is not None, "the job")
    job = user.ask("GET", path).json()
    assert job["kind"] == "replay"
    assert job["progress"]["done"] == job["progress"]["total"]
    eventually(lambda: applied(user.rest), "the replayed records to be applied")
    return {"status": job["status"], **{name: count for name, count in job["result"].items() if count}}


def clicks(user: User, campaign_id: int) -> int:
    answer = user.ask("GET", f"/campaigns/{campaign_id}/insights?start_date=2026-11-01&granularity=total")
    return int(answer.json()["totals"]["clicks"])


def test_events_of_a_campaign_that_came_too_late_count_once(rest: Rest) -> None:
    user = rest.user()
    ahead = user.campaign()["id"] + 1
    to_log(rest, ahead, *(event(ahead, f"e{number}") for number in range(5)))
    assert user.campaign()["id"] == ahead
    assert {one["code"] for one in letters(user)} == {"unknown_campaign"}
    assert replay(user, reason="unknown_campaign") == {"status": "succeeded", "replayed": 5}
    assert clicks(user, ahead) == 5
    shown = letters(user)
    assert len(shown) == 5
    assert all(one["replayed_at"] is not None for one in shown)
    assert replay(user, campaign_id=ahead) == {"status": "succeeded", "already_replayed": 5}
    assert replay(user, campaign_id=ahead, again=True) == {"status": "succeeded", "replayed": 5}
    assert replay(user, ids=[shown[0]["id"], shown[1]["id"]]) == {"status": "succeeded", "replayed": 2}
    assert clicks(user, ahead) == 5


def test_what_is_still_bad_becomes_a_dead_letter_again(rest: Rest) -> None:
    user = rest.user()
    campaign_id = user.campaign()["id"]
    bad = event(campaign_id, "bad", clicks=1.5)
    to_log(rest, campaign_id, bad)
    (first,) = letters(user)
    assert first["replay_of"] is None
    assert replay(user)["replayed"] == 1
    again, origin = letters(user)
    assert origin["id"] == first["id"]
    assert (again["replay_of"], again["code"], again["value"]) == (first["id"], "invalid_type", bad.decode())
    assert (again["replayed_at"], origin["replayed_at"] is None) == (None, False)


def test_another_organizations_campaign_stays_unknown(rest: Rest) -> None:
    mine, theirs = rest.user(), rest.user()
    campaign_id = mine.campaign()["id"]
    refuse(theirs, event(campaign_id, "stolen"))
    (first,) = letters(theirs)
    assert replay(theirs, ids=[first["id"]]) == {"status": "succeeded", "refused_again": 1}
    again, _ = letters(theirs)
    assert (again["code"], again["replay_of"], again["source"]) == ("unknown_campaign", first["id"], "http")
    assert clicks(mine, campaign_id) == 0
    assert letters(mine) == []


def test_a_replay_sees_only_its_own_organization(rest: Rest) -> None:
    mine, theirs = rest.user(), rest.user()
    campaign_id = mine.campaign()["id"]
    to_log(rest, campaign_id, event(campaign_id, "bad", region="nowhere"))
    (first,) = letters(mine)
    assert replay(theirs) == {"status": "succeeded"}
    assert fields(problem(theirs.ask("POST", "/dead-letters/replay", json={"ids": [first["id"]]}), 422)) == ["ids"]
    assert letters(mine)[0]["replayed_at"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": []}, "ids"),
        ({"ids": [7]}, "ids"),
        ({"ids": ["nonsense"]}, "ids"),
        ({"ids": ["0-0"], "reason": "too_large"}, "ids"),
        ({"reason": "nonsense"}, "reason"),
        ({"since": "yesterday"}, "since"),
        ({"again": "yes"}, "again"),
        ({"resaon": "too_large"}, "resaon"),
        ([], "body"),
    ],
)
def test_wrong_requests_are_named(user: User, body: Any, field: str) -> None:
    assert fields(problem(user.ask("POST", "/dead-letters/replay", json=body), 422)) == [field]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["mark_replayed", "renew_job"])
def test_a_replay_that_is_killed_is_resumed_and_counts_once(
    rest: Rest, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = rest.user()
    ahead = user.campaign()["id"] + 1
    to_log(rest, ahead, *(event(ahead, f"k{number}") for number in range(30)))
    user.campaign()
    monkeypatch.setattr("campaignctl.services.letter_replay._LETTERS_AT_ONCE", 7)
    app, store = rest.app, rest.app.metadata
    handler = job_handlers(app)[JobKind.REPLAY]
    organization_id = store.campaign_facts([ahead])[ahead].organization_id
    job = store.add_job(NewJob(JobKind.REPLAY, organization_id, {"campaign_id": ahead, "again": False}))
    real, calls = getattr(store, moment), 0

    def dying(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        return real(*arguments)

    taken = store.take_job(job.id, "test", 600.0)
    assert taken is not None
    with monkeypatch.context() as patched:
        patched.setattr(store, moment, dying)
        with pytest.raises(Killed):
            handler.run(JobContext(taken, store, "test", app.clock))
    again = store.take_job(job.id, "test", 600.0)
    assert again is not None
    context = JobContext(again, store, "test", app.clock)
    ended = handler.run(context)
    assert context.finish(ended)
    eventually(lambda: applied(rest), "the replayed records to be applied")
    assert clicks(user, ahead) == 30
    assert all(one["replayed_at"] is not None for one in letters(user))


def test_the_command_line_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["0-1", "--all"], ["--all", "--reason", "too_large"]):
        assert run(["dlq", "replay", *arguments]) == 2
        assert "say which, in one way" in capsys.readouterr().err
