"""Accounts on ad platforms, and the platforms' answers as they came."""

import json
import zlib
from collections.abc import Sequence
from datetime import datetime

from campaignctl.adapters.metadata.database import Row, Tables, Value, from_us, is_id, seconds_to_us, to_us
from campaignctl.domain.accounts import AccountDraft, PlatformAccount
from campaignctl.domain.conversions import ChosenDefinition, Definition
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown
from campaignctl.errors import NotFound
from campaignctl.ports.accounts import AccountWatch, ClaimedNative, FetchWindow, KeptPage, SealedCredentials, ToldFacts


class AccountTables(Tables):
    def add_account(self, organization_id: int, draft: AccountDraft, sealed: str, /) -> PlatformAccount | None:
        with self._database.writing() as tx:
            row = tx.one(
                "add_account",
                organization_id=organization_id,
                platform=draft.platform.value,
                account_id=draft.account_id,
                account_key=draft.key,
                name=draft.name,
                timezone=draft.timezone,
                currency=draft.currency,
                credentials=sealed,
                now_us=self._now_us(),
            )
        return None if row is None else _account(row)

    def account(self, account_id: int, /) -> PlatformAccount | None:
        row = self._row(account_id)
        return None if row is None else _account(row)

    def find_account(self, organization_id: int, platform: str, key: str, /) -> PlatformAccount | None:
        with self._database.reading() as tx:
            row = tx.one("find_account", organization_id=organization_id, platform=platform, account_key=key)
        return None if row is None else _account(row)

    def list_accounts(self, organization_id: int | None, after_id: int, limit: int, /) -> list[PlatformAccount]:
        with self._database.reading() as tx:
            rows = tx.all("list_accounts", organization_id=organization_id, after_id=after_id, limit=limit)
        return list(map(_account, rows))

    def replace_account(self, account_id: int, draft: AccountDraft, sealed: str | None, /) -> PlatformAccount | None:
        with self._database.writing() as tx:
            row = tx.one(
                "replace_account",
                account_id=account_id,
                name=draft.name,
                timezone=draft.timezone,
                currency=draft.currency,
                credentials=sealed,
                now_us=self._now_us(),
            )
        return None if row is None else _account(row)

    def remove_account(self, account_id: int, /) -> bool:
        with self._database.writing() as tx:
            return tx.run("remove_account", account_id=account_id) > 0

    def credentials_of_account(self, account_id: int, /) -> SealedCredentials | None:
        row = self._row(account_id)
        return None if row is None else SealedCredentials(_account(row), row["credentials"])

    def reseal_account(self, account_id: int, known: str, sealed: str, /) -> bool:
        with self._database.writing() as tx:
            return tx.run("reseal_account", account_id=account_id, known=known, sealed=sealed) > 0

    def keep_facts(self, account_id: int, facts: ToldFacts, /) -> None:
        with self._database.writing() as tx:
            tx.run(
                "keep_account_facts",
                account_id=account_id,
                name=facts.name,
                timezone=facts.timezone,
                currency=facts.currency,
                expires_at_us=None if facts.expires_at is None else to_us(facts.expires_at),
                now_us=self._now_us(),
            )

    def chosen_definitions(self, account_id: int, limit: int, /) -> list[ChosenDefinition]:
        with self._database.reading() as tx:
            rows = tx.all("chosen_definitions", account_id=account_id, limit=limit)
        return [
            ChosenDefinition(
                Definition(row["version"], tuple(json.loads(row["actions"]))),
                bool(row["is_own"]),
                from_us(row["chosen_at_us"]),
            )
            for row in rows
        ]

    def choose_definition(self, account_id: int, definition: Definition, /, *, is_own: bool) -> None:
        with self._database.writing() as tx:
            tx.run("lock_account", account_id=account_id)
            tx.run(
                "choose_definition",
                account_id=account_id,
                version=definition.version,
                actions=json.dumps(definition.actions),
                is_own=int(is_own),
                now_us=self._now_us(),
            )

    def actions_of_definition(self, version: str, /) -> tuple[str, ...] | None:
        with self._database.reading() as tx:
            row = tx.one("actions_of_definition", version=version)
        return None if row is None else tuple(json.loads(row["actions"]))

    def watched_accounts(self) -> list[AccountWatch]:
        with self._database.reading() as tx:
            rows = tx.all("watched_accounts")
        return [
            AccountWatch(
                account_id=row["id"],
                platform=row["platform"],
                is_claimed=row["claims"] > 0,
                connected_at=from_us(row["created_at_us"]),
                expires_at=_instant(row["expires_at_us"]),
                fetched_at=_instant(row["fetched_at_us"]),
            )
            for row in rows
        ]

    def claim_due_accounts(self, kind: str, now: datetime, next_at: datetime, limit: int, /) -> Sequence[int]:
        with self._database.reading() as tx:
            asked: dict[str, Value] = {"now_us": to_us(now), "limit": limit}
            due = tx.all("due_accounts_whole", **asked) if kind == "whole" else tx.all("due_accounts_recent", **asked)
        claimed = [int(row["id"]) for row in due]
        return [account_id for account_id in claimed if self._take_due(kind, account_id, now, next_at)]

    def _take_due(self, kind: str, account_id: int, now: datetime, next_at: datetime) -> bool:
        """False when another process was first."""
        taken: dict[str, Value] = {"account_id": account_id, "now_us": to_us(now), "next_at_us": to_us(next_at)}
        with self._database.writing() as tx:
            if kind == "whole":
                return tx.run("take_due_account_whole", **taken) > 0
            return tx.run("take_due_account_recent", **taken) > 0

    def hold_account(self, account_id: int, owner: str, seconds: float, /) -> bool:
        now_us = self._now_us()
        with self._database.writing() as tx:
            until_us = now_us + seconds_to_us(seconds)
            return tx.run("hold_account", account_id=account_id, owner=owner, now_us=now_us, until_us=until_us) > 0

    def claimed_natives(self, organization_id: int, platform: str, key: str, /) -> list[ClaimedNative]:
        with self._database.reading() as tx:
            rows = tx.all(
                "claimed_natives_of_account", organization_id=organization_id, platform=platform, account_key=key
            )
        return [ClaimedNative(row["level"], row["native_key"]) for row in rows]

    def add_page(self, window: FetchWindow, job_id: int, page: KeptPage, raw: bytes, /) -> None:
        with self._database.writing() as tx:
            tx.run(
                "add_report_page",
                **_place(window),
                job_id=job_id,
                number=page.number,
                fetched_at_us=to_us(page.fetched_at),
                resume=page.resume,
                raw=zlib.compress(raw, 1),
            )

    def pages_of(self, window: FetchWindow, job_id: int, /) -> list[KeptPage]:
        with self._database.reading() as tx:
            rows = tx.all("fetch_report_pages", **_place(window), job_id=job_id)
        return [KeptPage(row["number"], from_us(row["fetched_at_us"]), row["resume"]) for row in rows]

    def raw_page(self, window: FetchWindow, job_id: int, number: int, /) -> bytes:
        with self._database.reading() as tx:
            row = tx.one("fetch_raw_page", **_place(window), job_id=job_id, number=number)
        if row is None:
            raise NotFound(f"page {number} of the report is not kept any more")
        return zlib.decompress(row["raw"])

    def drop_pages(self, window: FetchWindow, job_id: int, /) -> None:
        with self._database.writing() as tx:
            tx.run("drop_report_pages", **_place(window), job_id=job_id)

    def complete_window(self, window: FetchWindow, job_id: int, started_at: datetime, /) -> None:
        with self._database.writing() as tx:
            tx.run("complete_report_window", **_place(window), job_id=job_id, started_at_us=to_us(started_at))
            tx.run("drop_other_report_pages", **_place(window), job_id=job_id)

    def completed_since(self, window: FetchWindow, since: datetime, /) -> bool:
        with self._database.reading() as tx:
            return tx.one("find_completed_window", **_place(window), since_us=to_us(since)) is not None

    def completed_windows(self, account_id: int, /) -> list[tuple[FetchWindow, int]]:
        with self._database.reading() as tx:
            rows = tx.all("fetch_completed_windows", account_id=account_id)
        return [(_window(row), int(row["job_id"])) for row in rows]

    def forget_pages_before(self, instant: datetime, /) -> int:
        with self._database.writing() as tx:
            tx.run("forget_report_windows", before_us=to_us(instant))
            return tx.run("forget_report_pages", before_us=to_us(instant))

    def _row(self, account_id: int) -> Row | None:
        if not is_id(account_id):
            return None
        with self._database.reading() as tx:
            return tx.one("fetch_account", account_id=account_id)


def _account(row: Row) -> PlatformAccount:
    return PlatformAccount(
        id=row["id"],
        organization_id=row["organization_id"],
        platform=Platform(row["platform"]),
        account_id=row["account_id"],
        name=row["name"],
        timezone=row["timezone"],
        currency=row["currency"],
        has_credentials=bool(row["credentials"]),
        expires_at=_instant(row["expires_at_us"]),
        verified_at=_instant(row["verified_at_us"]),
        created_at=from_us(row["created_at_us"]),
        updated_at=from_us(row["updated_at_us"]),
    )


def _instant(instant_us: int | None) -> datetime | None:
    return None if instant_us is None else from_us(instant_us)


def _place(window: FetchWindow) -> dict[str, Value]:
    return {
        "account_id": window.account_id,
        "level": window.level,
        "breakdown": window.breakdown.value,
        "first_day": window.first_day,
        "last_day": window.last_day,
        "scope": window.scope,
    }


def _window(row: Row) -> FetchWindow:
    return FetchWindow(
        row["account_id"],
        row["level"],
        Breakdown(row["breakdown"]),
        row["first_day"],
        row["last_day"],
        row["scope"],
    )
