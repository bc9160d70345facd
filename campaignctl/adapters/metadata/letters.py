"""Which dead letters were produced again."""

from collections.abc import Sequence
from datetime import datetime

from campaignctl.adapters.metadata.database import Tables, from_us


class LetterTables(Tables):
    def mark_replayed(self, incarnation: str, letters: Sequence[tuple[int, int]], job_id: int, /) -> None:
        now_us = self._now_us()
        with self._database.writing() as tx:
            for partition, offset in sorted(set(letters)):
                tx.run(
                    "mark_replayed",
                    incarnation=incarnation,
                    topic_partition=partition,
                    letter_offset=offset,
                    job_id=job_id,
                    now_us=now_us,
                )

    def replayed_letters(self, incarnation: str, partition: int, first: int, end: int, /) -> dict[int, datetime]:
        with self._database.reading() as tx:
            rows = tx.all(
                "fetch_replayed", incarnation=incarnation, topic_partition=partition, first_offset=first, end_offset=end
            )
        return {row["letter_offset"]: from_us(row["replayed_at_us"]) for row in rows}

    def forget_replayed(self, incarnation: str, partition: int, start: int, /) -> None:
        with self._database.writing() as tx:
            tx.run("forget_replayed", incarnation=incarnation, topic_partition=partition, start_offset=start)
