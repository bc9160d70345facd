"""A new version and its schema beside the one before, under load; ``python -m tests.chaos.upgrade`` does it for longer."""

from contextlib import ExitStack
from pathlib import Path

from tests.chaos.upgrade import SHORTEST, rehearse
from tests.chaos.versions import next_version
from tests.support.program import REPOSITORY
from tests.support.services import using, variable

_SERVERS = {
    "kafka": "CA_TEST_KAFKA_BROKERS",
    "clickhouse": "CA_TEST_CLICKHOUSE_HOST",
    "postgres": "CA_TEST_POSTGRES_HOST",
    "redis": "CA_TEST_REDIS_ADDR",
}


def test_an_upgrade_fails_no_request_and_loses_no_event(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for server, place in _SERVERS.items():
            variable(place)
            stack.enter_context(using(server))
        seen = rehearse(tmp_path, REPOSITORY, next_version(tmp_path / "after"), SHORTEST, print)
    print(seen.told())
    assert seen.failed == 0, seen.told()
    assert (seen.lost, seen.doubled, seen.wrong_sums) == (0, 0, 0), seen.told()
    assert seen.signals == {"serve": 1, "work": 1}
    assert seen.answered["before"] and seen.counted["before"] and seen.counted["after"], "both versions were at work"
