"""API keys."""

from datetime import datetime

from campaignctl.adapters.metadata.database import Row, Tables, from_us, given, is_id, to_us
from campaignctl.domain.api_keys import ApiKey, Scope
from campaignctl.ports.membership import NewApiKey


class ApiKeyTables(Tables):
    def add_api_key(self, key: NewApiKey, /) -> ApiKey:
        with self._database.writing() as tx:
            row = tx.one(
                "add_api_key",
                organization_id=key.organization_id,
                name=key.name,
                prefix=key.prefix,
                key_hash=key.key_hash,
                scopes=",".join(key.scopes),
                now_us=self._now_us(),
                expires_at_us=None if key.expires_at is None else to_us(key.expires_at),
            )
        return _api_key(given(row))

    def api_keys(self, organization_id: int | None, after_id: int, limit: int, /) -> list[ApiKey]:
        with self._database.reading() as tx:
            rows = tx.all("list_api_keys", organization_id=organization_id, after_id=after_id, limit=limit)
        return list(map(_api_key, rows))

    def api_key(self, key_id: int, /) -> ApiKey | None:
        if not is_id(key_id):
            return None
        with self._database.reading() as tx:
            row = tx.one("fetch_api_key", key_id=key_id)
        return None if row is None else _api_key(row)

    def find_api_key(self, key_hash: str, /) -> ApiKey | None:
        with self._database.reading() as tx:
            row = tx.one("find_api_key", key_hash=key_hash)
        return None if row is None else _api_key(row)

    def touch_api_key(self, key_id: int, /) -> None:
        with self._database.writing() as tx:
            tx.run("touch_api_key", key_id=key_id, now_us=self._now_us())

    def remove_api_key(self, key_id: int, /) -> bool:
        with self._database.writing() as tx:
            return tx.run("remove_api_key", key_id=key_id) > 0


def _api_key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(map(Scope, row["scopes"].split(","))),
        created_at=from_us(row["created_at_us"]),
        expires_at=_instant(row["expires_at_us"]),
        last_used_at=_instant(row["last_used_at_us"]),
    )


def _instant(instant_us: int | None) -> datetime | None:
    return None if instant_us is None else from_us(instant_us)
