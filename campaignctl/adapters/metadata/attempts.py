"""Who works on which partition, and the records that were set aside."""

from collections.abc import Collection

from campaignctl.adapters.metadata.database import Tables, Value

_NOBODY = ""


class AttemptTables(Tables):
    def begin_work(self, incarnation: str, partition: int, offset: int, owner: str, /) -> int:
        place: dict[str, Value] = {"incarnation": incarnation, "topic_partition": partition}
        with self._database.writing() as tx:
            tx.run("add_work", **place, start_offset=offset, owner=owner, now_us=self._now_us())
            before = tx.one("lock_work", **place)
            there = before is not None and before["start_offset"] == offset
            deaths = before["deaths"] if before is not None and there else 0
            if before is not None and before["owner"] not in (owner, _NOBODY):
                deaths += 1
            tx.run("set_work", **place, start_offset=offset, owner=owner, deaths=deaths, now_us=self._now_us())
            return deaths

    def end_work(self, incarnation: str, partition: int, owner: str, /) -> None:
        with self._database.writing() as tx:
            tx.run("end_work", incarnation=incarnation, topic_partition=partition, owner=owner)

    def quarantine(self, incarnation: str, partition: int, offsets: Collection[int], /) -> None:
        now_us = self._now_us()
        with self._database.writing() as tx:
            for offset in sorted(set(offsets)):
                tx.run(
                    "add_quarantined",
                    incarnation=incarnation,
                    topic_partition=partition,
                    record_offset=offset,
                    now_us=now_us,
                )

    def quarantined_records(self, incarnation: str, /) -> frozenset[tuple[int, int]]:
        with self._database.reading() as tx:
            rows = tx.all("fetch_quarantined", incarnation=incarnation)
        return frozenset((row["topic_partition"], row["record_offset"]) for row in rows)
