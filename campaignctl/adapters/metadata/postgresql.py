"""The metadata store on PostgreSQL 14 or newer, for any number of processes on any number of machines."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from campaignctl.adapters.metadata.accounts import AccountTables
from campaignctl.adapters.metadata.api_keys import ApiKeyTables
from campaignctl.adapters.metadata.attempts import AttemptTables
from campaignctl.adapters.metadata.audit import AuditTables
from campaignctl.adapters.metadata.campaigns import CampaignTables, facts_of, ids_among
from campaignctl.adapters.metadata.database import from_us
from campaignctl.adapters.metadata.erasures import ErasureTables
from campaignctl.adapters.metadata.idempotency import IdempotencyTables
from campaignctl.adapters.metadata.jobs import JobTables
from campaignctl.adapters.metadata.kept_facts import KEPT_S, KeptFacts
from campaignctl.adapters.metadata.letters import LetterTables
from campaignctl.adapters.metadata.members import MemberTables
from campaignctl.adapters.metadata.migrations import load_migrations, refuse_unknown_schema
from campaignctl.adapters.metadata.postgresql_errors import Address
from campaignctl.adapters.metadata.postgresql_server import ACQUIRE_S, ANSWER_S, PostgreSQLServer
from campaignctl.adapters.metadata.rates import RateTables
from campaignctl.adapters.metadata.sessions import SessionTables
from campaignctl.adapters.metadata.users import UserTables
from campaignctl.domain.campaigns import Campaign, CampaignDraft
from campaignctl.domain.jobs import Job
from campaignctl.domain.rates import Rate
from campaignctl.errors import NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.jobs import JobFilter
from campaignctl.ports.metadata import CampaignFacts, CampaignFilter, LoginBucket, MetadataStore, NativeClaim, Refusal
from campaignctl.ports.schema import AppliedMigration, Migration, MigrationTarget


class PostgreSQLMetadata(
    UserTables,
    SessionTables,
    MemberTables,
    ApiKeyTables,
    AuditTables,
    CampaignTables,
    RateTables,
    IdempotencyTables,
    JobTables,
    LetterTables,
    AccountTables,
    ErasureTables,
    AttemptTables,
):
    """Metadata in a database that exists already; its tables are made by the first migration.

    Building it connects to nothing, so a program may start before its server. Everything a call did is committed when
    it returns, as durably as the server's ``synchronous_commit`` says. ``Unavailable`` when the server is away, frozen
    or busy, within about two seconds; ``ConfigurationError`` when there is no such database, the user is refused, TLS
    is not to be had as ``sslmode`` (in libpq's words) asks, or something else than PostgreSQL answers. Before it is
    used, the store makes sure that it was set up, and not by a newer program: ``SchemaMismatch`` otherwise.

    An empty ``username`` or ``password`` leaves it to libpq's own sources. ``pool_size`` is the most connections that
    this process opens; ``acquire_s`` how long a call waits for one of them, ``answer_s`` how long for one statement.
    A pooler in between must keep sessions apart: settings and the lock of migrations belong to a session.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        database: str,
        username: str,
        password: str,
        clock: Clock,
        sslmode: str = "prefer",
        pool_size: int = 8,
        acquire_s: float = ACQUIRE_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._server = PostgreSQLServer(
            Address(host, port, database, username),
            clock,
            password=password,
            sslmode=sslmode,
            pool_size=pool_size,
            acquire_s=acquire_s,
            answer_s=answer_s,
            check=self._refuse_unknown_schema,
        )
        super().__init__(self._server, clock)
        self._kept = KeptFacts(self._facts_again)

    def close(self) -> None:
        self._kept.close()
        super().close()

    @property
    def name(self) -> str:
        return "metadata"

    def server_time(self) -> datetime:
        with self._server.reading() as tx:
            row = tx.one("server_time")
        assert row is not None  # noqa: S101 - it has no FROM
        return from_us(row["now_us"])

    def server_version(self) -> str:
        with self._server.reading() as tx:
            row = tx.one("server_version")
        assert row is not None  # noqa: S101 - it has no FROM
        return f"PostgreSQL {row['version']}"

    def migrations(self) -> Sequence[Migration]:
        return load_migrations("metadata", "migrations", "postgresql")

    def applied(self) -> Mapping[int, AppliedMigration]:
        with self._server.looking() as tx:
            rows = tx.all("fetch_applied_migrations") if tx is not None else []
        return {row["number"]: AppliedMigration(row["number"], row["name"], row["checksum"]) for row in rows}

    def migration_lock(self, wait_s: float, /) -> AbstractContextManager[None]:
        return self._server.migration_lock(wait_s)

    def apply(self, migration: Migration, /) -> None:
        with self._server.migrating() as tx:
            for statement in migration.statements:
                tx.execute(statement)
            tx.run(
                "record_migration",
                number=migration.number,
                name=migration.name,
                checksum=migration.checksum,
                now_us=self._now_us(),
            )

    # Facts are kept for half a second (``kept_facts``), and what this process writes of them is seen by it at once

    def campaign_facts(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        began_s = self._kept.now_s()
        facts = super().campaign_facts(campaign_ids)
        self._kept.note(began_s, facts, campaign_ids)
        return facts

    def facts_of_chosen(self, wanted: CampaignFilter, /) -> dict[int, CampaignFacts]:
        began_s = self._kept.now_s()
        facts = super().facts_of_chosen(wanted)
        self._kept.note(began_s, facts)
        return facts

    def facts_at_hand(self, campaign_id: int, /) -> CampaignFacts | None:
        return self._kept.find(campaign_id)

    def replace_campaign(
        self, campaign_id: int, draft: CampaignDraft, expected_version: int | None, /
    ) -> Campaign | NativeClaim | Refusal:
        with self._changing_facts():
            return super().replace_campaign(campaign_id, draft, expected_version)

    def erase_campaign(self, campaign_id: int, erased_by: int | None, /) -> Job | None:
        with self._changing_facts():
            job = super().erase_campaign(campaign_id, erased_by)
        if job is not None:
            time.sleep(KEPT_S)  # no process has facts from before it any more: from our answer on nothing answers it
        return job

    def job(self, job_id: int, /) -> Job | None:
        job = super().job(job_id)
        self._told([job] if job is not None else [])
        return job

    def list_jobs(self, wanted: JobFilter, before_id: int | None, limit: int, /) -> list[Job]:
        jobs = super().list_jobs(wanted, before_id, limit)
        self._told(jobs)
        return jobs

    # Where the shared methods would wait in a circle, or for the server once for each of thousands of values

    def take_login_attempt(self, attempt: str, buckets: Sequence[LoginBucket], window_s: float, /) -> float:
        in_one_order = sorted(buckets, key=lambda bucket: bucket.name)  # each is locked as it is counted
        return super().take_login_attempt(attempt, in_one_order, window_s)

    def claim_for_events(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        with self._server.reading() as tx:
            facts, unmarked = facts_of(tx.all_over("fetch_facts_of_campaigns", campaign_ids=ids_among(campaign_ids)))
        if not unmarked:
            return facts
        with self._server.writing() as tx:
            ids = sorted(unmarked)
            tx.run_over("mark_campaigns_as_having_events", campaign_ids=ids)
            # Only what is read now that they are marked cannot change any more.
            marked, _ = facts_of(tx.all_over("fetch_facts_of_campaigns", campaign_ids=ids))
        return {id_: fact for id_, fact in facts.items() if id_ not in unmarked} | marked

    def bump_data_versions(self, campaign_ids: Collection[int], /) -> None:
        with self._changing_facts(), self._server.writing() as tx:
            tx.run_over("bump_all_data_versions", campaign_ids=ids_among(campaign_ids))

    def put_rates(self, organization_id: int, rates: Sequence[Rate], /) -> None:
        newest = {(rate.base, rate.currency, rate.day.isoformat()): f"{rate.rate:f}" for rate in rates}
        with self._changing_facts(), self._server.writing() as tx:
            if not tx.run("raise_rates_version", organization_id=organization_id):
                raise NotFound(f"there is no organization {organization_id}")
            tx.run_over(
                "put_all_rates",
                organization_id=organization_id,
                bases=[base for base, _, _ in newest],
                currencies=[currency for _, currency, _ in newest],
                days=[day for _, _, day in newest],
                rates=list(newest.values()),
            )

    def _facts_again(self, campaign_ids: Collection[int]) -> Mapping[int, CampaignFacts]:
        return facts_of(self._server.ask("fetch_facts_of_campaigns", campaign_ids=ids_among(campaign_ids)))[0]

    def _told(self, jobs: Sequence[Job]) -> None:
        """Who is told that a job is done asks next for what it did."""
        if any(job.status.is_final for job in jobs):
            self._kept.forget()

    @contextmanager
    def _changing_facts(self) -> Iterator[None]:
        """Around what may change facts, also where it is not known whether it did."""
        try:
            yield
        finally:
            self._kept.forget()

    def _refuse_unknown_schema(self) -> None:
        refuse_unknown_schema(self.migrations(), self.applied())


if TYPE_CHECKING:

    def _conforms(adapter: PostgreSQLMetadata) -> tuple[MetadataStore, MigrationTarget]:
        return adapter, adapter
