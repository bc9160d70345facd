"""The product with nothing but one thread: workers run until the log is applied, or until they die where a test says.

Time stands still unless a test lets it pass, so whatever waits (a job for its workers, a group for a dead member) costs
nothing, and whatever happens in between is what the test has chosen.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.jobs import Job
from campaignctl.ports.event_log import NewRecord
from campaignctl.services.jobs import LEASE_S, JobContext, JobInterrupted
from campaignctl.services.reaggregator import Reaggregator
from tests.support.answers import Json, decoded
from tests.support.thread import AT_ONCE, Client, Thread, build_worker, open_thread
from worker import session
from worker.batching import FlushPolicy
from worker.commands import Commands
from worker.job_handlers import job_handlers

Failpoint = Callable[[str], None]
PARTITIONS = 2
_FIRST_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_MOST_POLLS = 3_000
# A member that is silent for so long is none any more, and nobody keeps its lease either.
_LONG_SILENCE = timedelta(seconds=70)
_DAYS_ASKED = 60


class KilledError(BaseException):
    """Stands for the end of a process: nothing in the product may catch it and go on."""


class _StandingClock:
    """A ``Clock`` that a test moves. Sleeping moves it as well, and takes no time."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._passed_s = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return time.monotonic() + self._passed_s

    def sleep(self, seconds: float, /) -> None:
        self.let_pass(timedelta(seconds=seconds))

    def let_pass(self, span: timedelta) -> None:
        self._now += span
        self._passed_s += span.total_seconds()


class World:
    """An installation on embedded stores below a directory, for as long as the ``with`` lasts."""

    def __init__(self, directory: Path) -> None:
        self._clock = _StandingClock(_FIRST_NOW)
        self._stack = ExitStack()
        opened = open_thread(directory, clock=self._clock, kafka={"events_partitions": PARTITIONS})
        self._thread: Thread = self._stack.enter_context(opened)
        # A worker without records comes round at once, and one whose process has ended says goodbye to nobody.
        self._stack.enter_context(patch.object(session, "_IDLE_POLL_S", 0.002))
        self._stack.enter_context(patch.object(session, "return_freed_pages", lambda: None))
        self._stack.enter_context(patch.object(JobContext, "pause", self._pause_of_a_job()))
        self._app = self._thread.app
        self._kafka = self._app.settings.kafka
        self._client: Client = self._thread.organization("history")
        self.newest_campaign = 0
        """Its number; the next one is one higher."""
        self._stuck: list[str] = []
        self.accident: Failpoint | None = None
        """What happens to the next worker that nothing else happens to."""

    def close(self) -> None:
        self._stack.close()

    @property
    def now(self) -> datetime:
        return self._clock.now()

    def let_pass(self, span: timedelta) -> None:
        self._clock.let_pass(span)

    # What people do

    def create(self, zone: str) -> int:
        (self.newest_campaign,) = self._client.create([{"name": "A campaign", "timezone": zone}])
        return self.newest_campaign

    def post(self, values: Sequence[bytes]) -> None:
        self._client.send(values)

    def produce(self, campaign: int, values: Sequence[bytes], *, misplaced: bool = False) -> None:
        """Straight into the log, to the campaign's partition or to one that is not its own."""
        key = str(campaign).encode()
        partition = (partition_for_key(key, PARTITIONS) + misplaced) % PARTITIONS
        self._app.event_log.produce(self._kafka.events_topic, [NewRecord(key, one, (), partition) for one in values])

    def replay(self, campaign: int, *, again: bool) -> Json:
        return self._done("POST", "/dead-letters/replay", {"campaign_id": campaign, "again": again})

    def reaggregate(self, campaign: int) -> Json:
        return self._done("POST", f"/campaigns/{campaign}/reaggregate", {})

    def erase_events(self, campaign: int, event_ids: Sequence[str]) -> Json:
        return self._done("POST", f"/campaigns/{campaign}/events/erase", {"event_ids": list(event_ids)})

    def erase(self, campaign: int) -> Json:
        return self._done("DELETE", f"/campaigns/{campaign}", None)

    def ask(self, path: str, **params: Any) -> Json:
        """Raises ``NotFound`` and the like."""
        answer: Json = decoded(self._client.api.get(f"/api/v1{path}", params).content)
        return answer

    def days(self, campaign: int, zone: str) -> dict[tuple[str, str], tuple[int, int, int]]:
        """Impressions, clicks and micros of spend by day and region."""
        start = (self.now - timedelta(days=_DAYS_ASKED)).date().isoformat()
        end = (self.now + timedelta(days=2)).date().isoformat()
        answer = self.ask(
            f"/campaigns/{campaign}/insights", start_date=start, end_date=end, timezone=zone, group_by="region"
        )
        assert answer["next_cursor"] is None
        found = {
            (row["period_start"], row["region"]): (row["impressions"], row["clicks"], int(row["spend"] * 1_000_000))
            for row in answer["rows"]
        }
        totals = tuple(map(sum, zip(*found.values(), strict=True))) or (0, 0, 0)
        shown = answer["totals"]
        assert totals == (shown["impressions"], shown["clicks"], int(shown["spend"] * 1_000_000)), "totals are no sums"
        return found

    # What operators and accidents do

    def spoil(self, campaign: int, day: str, impressions: int) -> None:
        """Make the sums of a day wrong, by events that never happened."""
        values = f"{campaign}, '{day}', 'meta', 'ZZ', 'USD', 1, {impressions}"
        columns = "campaign_id, day, platform, region, currency, events, impressions"
        with self._app.analytics._clients.writer() as client:
            client.command(f"INSERT INTO rollup_1d ({columns}) VALUES ({values})")

    def work(self, policy: FlushPolicy = AT_ONCE, failpoint: Failpoint | None = None) -> None:
        """A new worker until all is applied. A ``KilledError`` at the failpoint is the end of its process."""
        polls = 0
        if failpoint is None:
            failpoint, self.accident = self.accident, None

        def look(name: str) -> None:
            nonlocal polls
            if failpoint is not None:
                failpoint(name)
            if name == "after_poll":
                polls += 1
                if polls >= _MOST_POLLS:  # told below: a worker begins anew after whatever is raised here
                    self._stuck.append(f"a worker does not come to the end of the log: {worker.status().problems}")
                if self._stuck or self._is_applied():
                    worker.stop()

        events = self._app.settings.events
        reaggregator = Reaggregator(
            self._app.analytics,
            self._app.metadata,
            window_days=events.dedup_window_days,
            retention_days=events.retention_days,
            clock=self._clock,
        )
        commands = Commands(reaggregator, partition_of=partition_for_key)
        worker = build_worker(self._app, policy, look, commands=commands)
        try:
            with _without_goodbye():
                worker.run()
        except KilledError:
            self._clock.let_pass(_LONG_SILENCE)
        assert not self._stuck, self._stuck

    def settle(self) -> None:
        """Have everything applied. Where it is, no worker is started for it: it would find nothing to do.

        An accident that is due needs a worker to happen to.
        """
        if self.accident is not None or not self._is_applied():
            self.work()

    def work_as_zombie(self, policy: FlushPolicy, point: str) -> None:
        """A worker stands still at the point for so long that another one takes over; then it goes on."""
        slept = False

        def sleep(name: str) -> None:
            nonlocal slept
            if name == point and not slept:
                slept = True
                self._clock.let_pass(_LONG_SILENCE)
                self.work(policy)

        self.work(policy, sleep)

    def set_back(self, offsets: dict[int, int]) -> None:
        """Commit these offsets for the group, as an operator's tool does."""
        consumer = self._app.event_log.consumer(self._kafka.events_topic, self._kafka.group_id)
        try:
            while not consumer.poll(1, 0.01).gained:
                pass
            for partition, offset in offsets.items():
                consumer.commit(partition, offset, "")
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        return {number: kept.end for number, kept in self._app.event_log.watermarks(self._kafka.events_topic).items()}

    def verify(self) -> list[str]:
        """What ``campaignctl verify`` finds."""
        verification = self._app.verification
        plan = verification.plan(None, None)
        found = list(plan.findings)
        for reach in plan.reaches:
            start = reach.start
            while start < reach.end:
                piece = verification.check_log(reach.partition, start, reach.end, None)
                found += piece.findings
                start = piece.next_offset
        for campaign, rows in plan.raw_rows.items():
            found += self._app.row_verification.check_campaign(campaign, None, rows)
        return [one.message for one in found]

    def _done(self, method: str, path: str, body: Json | None) -> Json:
        """The receipt of the job that the request has started, when it and the records it produced are done."""
        answer = self._client.api.request(method, f"/api/v1{path}", body=body)
        job_id = answer.json()["job_id"]
        while (job := self._app.metadata.job(job_id)) is not None and not job.status.is_final:
            self._do_a_job()
        self.settle()
        assert isinstance(job, Job)
        assert job.status.value == "succeeded", (job.status, job.error, job.result)
        return dict(job.result or {})

    def _do_a_job(self) -> None:
        """What a process with room for one does. While a worker is long in dying the lease may end: others resume it."""
        handlers, owner = job_handlers(self._app), uuid4().hex
        job = self._app.metadata.claim_job(list(handlers), owner, LEASE_S)
        if job is not None:
            context = JobContext(job, self._app.metadata, owner, self._clock)
            with suppress(JobInterrupted):
                context.finish(handlers[job.kind].run(context))

    def _pause_of_a_job(self) -> Callable[[JobContext, float], None]:
        def pause(context: JobContext, seconds: float) -> None:
            """What others do meanwhile: other jobs, and workers."""
            context.checkpoint()
            self._clock.let_pass(timedelta(seconds=seconds))
            self._do_a_job()
            self.settle()
            context.checkpoint()

        return pause

    def _is_applied(self) -> bool:
        committed = self._app.event_log.committed(self._kafka.events_topic, self._kafka.group_id)
        return all(
            number in committed and committed[number].offset == end and not committed[number].metadata
            for number, end in self.ends().items()
        )


@contextmanager
def _without_goodbye() -> Iterator[None]:
    """A process that was killed acknowledges nothing; its connection goes with it."""
    leave = session.Session.leave

    def only_alive(ending: session.Session) -> None:
        if isinstance(sys.exc_info()[1], KilledError):
            ending._consumer._connection.close()  # type: ignore[attr-defined]
            return
        leave(ending)

    with patch.object(session.Session, "leave", only_alive):
        yield
