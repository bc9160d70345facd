"""Jobs over HTTP: shapes, pages, roles and tenants."""

import pytest

from campaignctl.domain.jobs import Job, JobKind
from campaignctl.ports.jobs import NewJob
from tests.e2e.rest import Rest, User, fields, problem


@pytest.fixture
def job(rest: Rest, user: User) -> Job:
    me = user.ask("GET", "/auth/me").json()["id"]
    stored = rest.app.metadata.user(me)
    assert stored is not None
    made = rest.app.metadata.add_job(
        NewJob(JobKind.REPLAY, stored.organization_id, {"reason": "fixed"}, created_by=me, unit="records")
    )
    assert isinstance(made, Job)
    return made


def test_a_job_is_shown_as_promised(user: User, job: Job) -> None:
    shown = user.ask("GET", f"/jobs/{job.id}")
    assert shown.status_code == 200
    body = shown.json()
    assert body == {
        "job_id": job.id,
        "kind": "replay",
        "status": "queued",
        "campaign_id": None,
        "params": {"reason": "fixed"},
        "progress": {"done": 0, "total": None, "unit": "records"},
        "result": None,
        "error": None,
        "created_by": job.created_by,
        "created_at": body["created_at"],
        "started_at": None,
        "finished_at": None,
    }
    assert user.ask("GET", "/jobs?kind=replay&status=queued").json() == {"items": [body], "next_cursor": None}
    assert user.ask("GET", "/jobs?kind=fetch").json()["items"] == []
    assert user.ask("GET", "/jobs?campaign_id=5").json()["items"] == []


def test_a_job_is_cancelled_once(user: User, job: Job) -> None:
    cancelled = user.ask("POST", f"/jobs/{job.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    problem(user.ask("POST", f"/jobs/{job.id}/cancel"), 409, "job_finished")


def test_another_tenants_job_is_not_found(rest: Rest, job: Job) -> None:
    stranger = rest.user()
    problem(stranger.ask("GET", f"/jobs/{job.id}"), 404)
    problem(stranger.ask("POST", f"/jobs/{job.id}/cancel"), 404)
    assert stranger.ask("GET", "/jobs").json()["items"] == []
    shown = rest.client.get(f"/api/v1/jobs/{job.id}", headers=rest.operator)
    assert shown.json()["job_id"] == job.id


@pytest.mark.parametrize("query", ["kind=feed", "status=done", "campaign_id=x", "campaign_id=0", "limit=0", "cursor=x"])
def test_a_wrong_filter_is_named(user: User, query: str) -> None:
    assert fields(problem(user.ask("GET", f"/jobs?{query}"), 422)) == [query.partition("=")[0]]


@pytest.mark.parametrize("job_id", ["0", "x", "99999999999999999999", "-1"])
def test_what_cannot_be_a_job_is_not_found(user: User, job_id: str) -> None:
    problem(user.ask("GET", f"/jobs/{job_id}"), 404)
