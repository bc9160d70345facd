"""Jobs: who may see and stop them, and the threads of a worker that do them, whatever happens meanwhile."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Conflict, Forbidden, NotFound, Unavailable
from campaignctl.ports.jobs import JobScope, NewJob
from campaignctl.services import jobs as jobs_module
from campaignctl.services.jobs import JobContext, JobInterrupted, JobResult, JobService
from campaignctl.services.schema import SchemaService
from tests.support.waiting import eventually
from worker.jobs import JobMetrics, JobRunner

DONE = JobResult(JobStatus.SUCCEEDED, {"rows": 3})


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[SQLiteMetadata]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", SystemClock())
    SchemaService([store]).apply(1)
    yield store
    store.close()


@pytest.fixture
def operator(metadata: SQLiteMetadata) -> Actor:
    return Actor(metadata.ensure_organization("acme"), Role.OPERATOR, user_id=1, session_id=1)


@pytest.fixture
def service(metadata: SQLiteMetadata) -> JobService:
    return JobService(metadata)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.jobs._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("worker.jobs._FIRST_RETRY_S", 0.01)


class Handler:
    """Does a job as it is told; remembers those it did."""

    def __init__(self, act: Callable[[JobContext], JobResult] = lambda _: DONE) -> None:
        self.act = act
        self.ran: list[int] = []

    def run(self, context: JobContext) -> JobResult:
        self.ran.append(context.job.id)
        return self.act(context)


def new(actor: Actor, kind: JobKind = JobKind.REPLAY, **members: object) -> NewJob:
    return NewJob(kind, actor.organization_id, {}, created_by=actor.user_id, **members)  # type: ignore[arg-type]


def runner(
    metadata: SQLiteMetadata, handler: Handler, *, kind: JobKind = JobKind.REPLAY, per_lane: int = 2
) -> JobRunner:
    return JobRunner(metadata, {kind: handler}, SystemClock(), JobMetrics(CollectorRegistry()), per_lane=per_lane)


def stored(metadata: SQLiteMetadata, job: Job) -> Job:
    found = metadata.job(job.id)
    assert found is not None
    return found


# The service


def test_a_viewer_sees_jobs_and_starts_none(service: JobService, operator: Actor) -> None:
    viewer = Actor(operator.organization_id, Role.VIEWER, user_id=2, session_id=2)
    job = service.submit(new(operator), operator)
    assert service.get(job.id, viewer) == job
    assert service.list(viewer).items == (job,)
    with pytest.raises(Forbidden):
        service.submit(new(viewer), viewer)
    with pytest.raises(Forbidden):
        service.cancel(job.id, viewer)


def test_another_organizations_job_does_not_exist(
    service: JobService, operator: Actor, metadata: SQLiteMetadata
) -> None:
    stranger = Actor(metadata.ensure_organization("rival"), Role.ADMIN, user_id=9, session_id=9)
    job = service.submit(new(operator), operator)
    machine = Actor.machine_operator()
    own = service.submit(new(machine), machine)
    for hidden in (job, own):
        with pytest.raises(NotFound):
            service.get(hidden.id, stranger)
        with pytest.raises(NotFound):
            service.cancel(hidden.id, stranger)
    assert service.list(stranger).items == ()
    assert service.list(machine).items == (own, job)


def test_pages_lead_from_the_newest_to_the_oldest(service: JobService, operator: Actor) -> None:
    made = [service.submit(new(operator), operator).id for _ in range(5)]
    seen: list[int] = []
    cursor = None
    while True:
        page = service.list(operator, limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == made[::-1]


def test_an_overlapping_job_names_the_one_in_its_way(service: JobService, operator: Actor) -> None:
    scoped = new(operator, JobKind.REAGGREGATE, campaign_id=5, scope=JobScope())
    job = service.submit(scoped, operator)
    with pytest.raises(Conflict, match=f"job {job.id} "):
        service.submit(scoped, operator)


def test_a_finished_job_cannot_be_cancelled(service: JobService, operator: Actor) -> None:
    job = service.submit(new(operator), operator)
    assert service.cancel(job.id, operator).status is JobStatus.CANCELLED
    with pytest.raises(Conflict, match="cancelled already"):
        service.cancel(job.id, operator)


# The runner


def test_jobs_are_done_and_say_how_far_they_are(metadata: SQLiteMetadata, service: JobService, operator: Actor) -> None:
    def act(context: JobContext) -> JobResult:
        context.checkpoint(Progress(3, 3, "records"))
        return DONE

    handler = Handler(act)
    jobs = [service.submit(new(operator), operator) for _ in range(5)]
    running = runner(metadata, handler).start()
    eventually(lambda: all(stored(metadata, job).status.is_final for job in jobs))
    assert running.stop(10)
    assert sorted(handler.ran) == [job.id for job in jobs]
    done = stored(metadata, jobs[0])
    assert (done.status, done.result, done.progress) == (JobStatus.SUCCEEDED, {"rows": 3}, Progress(3, 3, "records"))


def test_a_job_of_a_kind_without_handler_waits(metadata: SQLiteMetadata, service: JobService, operator: Actor) -> None:
    other = service.submit(new(operator, JobKind.FETCH), operator)
    job = service.submit(new(operator), operator)
    running = runner(metadata, Handler()).start()
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    assert stored(metadata, other).status is JobStatus.QUEUED


def test_a_store_that_is_away_has_the_job_tried_again_from_its_state(
    metadata: SQLiteMetadata, service: JobService, operator: Actor
) -> None:
    seen: list[object] = []

    def act(context: JobContext) -> JobResult:
        seen.append(context.state.get("at"))
        if len(seen) < 4:
            context.checkpoint(state={"at": len(seen)})
            raise Unavailable("away", service="analytics")
        return DONE

    job = service.submit(new(operator), operator)
    running = runner(metadata, Handler(act)).start()
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    assert stored(metadata, job).status is JobStatus.SUCCEEDED
    assert seen == [None, 1, 2, 3]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (NotFound("there is no campaign 5"), JobError("not_found", "there is no campaign 5")),
        (
            ZeroDivisionError("a secret"),
            JobError("internal_error", "something unexpected went wrong (ZeroDivisionError)"),
        ),
    ],
)
def test_an_error_fails_the_job_in_words_for_people(
    metadata: SQLiteMetadata, service: JobService, operator: Actor, raised: Exception, error: JobError
) -> None:
    def act(_: JobContext) -> JobResult:
        raise raised

    job = service.submit(new(operator), operator)
    running = runner(metadata, Handler(act)).start()
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    assert (stored(metadata, job).status, stored(metadata, job).error) == (JobStatus.FAILED, error)


def test_a_running_job_stops_at_its_next_checkpoint(
    metadata: SQLiteMetadata, service: JobService, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "RENEW_EVERY_S", 0.0)

    def act(context: JobContext) -> JobResult:
        while True:
            context.pause(0.01)

    job = service.submit(new(operator), operator)
    running = runner(metadata, Handler(act)).start()
    eventually(lambda: stored(metadata, job).status is JobStatus.RUNNING)
    service.cancel(job.id, operator)
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    assert stored(metadata, job).status is JobStatus.CANCELLED


def test_a_worker_that_stops_gives_its_job_back(metadata: SQLiteMetadata, service: JobService, operator: Actor) -> None:
    def act(context: JobContext) -> JobResult:
        context.checkpoint(state={"at": 1})
        while True:
            context.pause(0.01)

    first = Handler(act)
    job = service.submit(new(operator), operator)
    running = runner(metadata, first).start()
    eventually(lambda: stored(metadata, job).state)
    assert running.stop(10)
    assert stored(metadata, job).status is JobStatus.RUNNING
    second = Handler(lambda context: JobResult(JobStatus.SUCCEEDED, dict(context.state)))
    running = runner(metadata, second).start()
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    assert stored(metadata, job).result == {"at": 1}


def test_whoever_lost_the_lease_stops_and_changes_nothing(
    metadata: SQLiteMetadata, service: JobService, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "RENEW_EVERY_S", 0.0)
    begun, interrupted = threading.Event(), threading.Event()

    def act(context: JobContext) -> JobResult:
        begun.set()  # who loses the lease before has nothing to stop
        try:
            while True:
                context.pause(0.01)
        except JobInterrupted:
            interrupted.set()
            raise

    job = service.submit(new(operator), operator)
    running = runner(metadata, Handler(act)).start()
    assert begun.wait(60)
    assert metadata.take_job(job.id, "the partition", 60) is not None
    assert interrupted.wait(60)
    assert running.stop(60)
    assert metadata.finish_job(job.id, "the partition", JobStatus.SUCCEEDED, {}, None)


def test_one_kind_does_not_take_all_places(metadata: SQLiteMetadata, service: JobService, operator: Actor) -> None:
    free = threading.Event()

    def act(_: JobContext) -> JobResult:
        free.wait(20)
        return DONE

    handler = Handler(act)
    for _ in range(5):
        service.submit(new(operator), operator)
    running = runner(metadata, handler, per_lane=2).start()
    eventually(lambda: len(handler.ran) == 2)
    assert not running.turn()
    free.set()
    eventually(lambda: len(handler.ran) == 5)
    assert running.stop(10)


def test_a_lane_does_not_take_the_places_of_another(
    metadata: SQLiteMetadata, service: JobService, operator: Actor
) -> None:
    free = threading.Event()

    def act(context: JobContext) -> JobResult:
        if context.job.lane == "":  # all it waits for from now on is of the slow lane
            context.lane = "slow"
        if context.lane == "slow":
            assert free.wait(60)
        return DONE

    handler = Handler(act)
    moving = [service.submit(new(operator), operator) for _ in range(3)]
    slow = [service.submit(new(operator, lane="slow"), operator) for _ in range(3)]
    quick = [service.submit(new(operator, lane="quick"), operator) for _ in range(3)]
    running = runner(metadata, handler, per_lane=2).start()
    eventually(lambda: all(stored(metadata, job).status is JobStatus.SUCCEEDED for job in quick))
    eventually(lambda: all(stored(metadata, job).status is JobStatus.RUNNING for job in moving))
    assert sum(stored(metadata, job).status is JobStatus.QUEUED for job in slow) >= 1
    free.set()
    eventually(lambda: all(stored(metadata, job).status is JobStatus.SUCCEEDED for job in [*moving, *slow]))
    assert running.stop(10)


def test_a_job_that_takes_every_process_down_is_given_up(
    metadata: SQLiteMetadata, service: JobService, operator: Actor
) -> None:
    job = service.submit(new(operator), operator)
    for number in range(20):
        assert metadata.claim_job([JobKind.REPLAY], f"process {number}", 0.0) is not None
    handler = Handler()
    running = runner(metadata, handler).start()
    eventually(lambda: stored(metadata, job).status.is_final)
    assert running.stop(10)
    failed = stored(metadata, job)
    assert failed.error is not None
    assert (failed.status, failed.error.code, handler.ran) == (JobStatus.FAILED, "gave_up", [])
