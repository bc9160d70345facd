"""The drill of docs/operations.md for a log whose data is lost: new topics, and what was not yet counted is sent again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from tests.chaos.installation import own_places, running
from tests.support.drills import clicks, events, nothing_waits
from tests.support.program import Program
from tests.support.services import SERVERS, unset
from tests.support.waiting import eventually

_MISSING = unset(*SERVERS)
_PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING)


def test_new_topics_and_sending_again_count_everything_once(tmp_path: Path) -> None:
    with own_places() as places:
        program = Program(tmp_path, places)
        program.run("init-schema")
        program.run("campaigns", "create", "--name", "Spring")
        with counting(program, "work-before"):
            program.run("events", "send", "-", "--wait", stdin=events(0, 300))
        assert clicks(program) == 300
        program.run("events", "send", "-", stdin=events(300, 400))  # acknowledged, and not counted when the log is lost

        lose(places)
        program.run("init-schema")
        program.run("init-schema", "--check")
        assert clicks(program) == 300, "what was counted is answered without a log"
        with counting(program, "work-after"):
            program.run("events", "send", "-", "--wait", stdin=events(200, 450))
            assert clicks(program) == 450
            program.run("lag", "--max-lag", "0")
        program.run("verify")


def lose(places: dict[str, str]) -> None:
    with closing(KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())) as log:
        for name in (places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_DEAD_LETTER_TOPIC"]):
            log.delete_topic(name)
            eventually(
                lambda name=name: log.topic(name) is None, "the topic to be gone", within_s=_PATIENCE_S, every_s=0.2
            )


@contextmanager
def counting(program: Program, name: str) -> Iterator[None]:
    """A worker runs meanwhile, and nothing waits in the end."""
    with running(program, name, "work"):
        yield
        eventually(lambda: nothing_waits(program), "nothing to wait", within_s=_PATIENCE_S, every_s=0.2)
