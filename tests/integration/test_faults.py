"""Each server frozen and killed under load, and all of them missing at the start.

The short form of ``python -m tests.chaos``. It needs the servers for itself, so ``make integration`` gives it a set of its own.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.chaos.installation import Process, installation, own_places, running
from tests.chaos.table import KINDS, SERVICES, Bench
from tests.support.program import Program
from tests.support.services import SERVERS, Faults, unset, using
from tests.support.waiting import eventually

_MISSING = unset(*SERVERS, "CA_TEST_SERVICES")
_SECONDS = 6.0
_LOCKED = ("kafka", "clickhouse", "redis")
"""An own database keeps others from doing faults to PostgreSQL."""

pytestmark = [pytest.mark.faults, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]


def _status(url: str, path: str) -> int:
    try:
        return httpx2.get(url + path, timeout=5).status_code
    except httpx2.HTTPError:
        return 0


def test_nothing_is_lost_or_counted_twice_and_the_rest_stays_up(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for service in _LOCKED:
            stack.enter_context(using(service, alone=True))
        bench = stack.enter_context(Bench(stack.enter_context(installation(tmp_path))))
        for row in bench.run([(service, kind) for service in SERVICES for kind in KINDS], _SECONDS, print):
            assert (row.lost, row.doubled, row.wrong_sums, row.events > 0) == (0, 0, 0, True), row.fault
            answers = row.window.kinds
            assert answers["liveness"].outcomes.keys() == {"200"}, row.fault
            assert answers["posts"].outcomes.keys() <= {"202", "503"}, row.fault
            assert answers["reads"].outcomes.keys() <= {"200", "stale"}, row.fault
            assert answers["logins"].outcomes.keys() <= {"200", "503"}, row.fault
            if "postgres" not in row.fault:
                assert "503" not in answers["logins"].outcomes, row.fault
            if "kafka" not in row.fault:
                assert row.rebalances == 0, row.fault


def test_a_signal_ends_everything_in_time_whatever_is_silent(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for service in _LOCKED:
            stack.enter_context(using(service, alone=True))
        installed = stack.enter_context(installation(tmp_path))
        load = stack.enter_context(Bench(installed)).load
        load.start()
        time.sleep(2)
        with Faults("kafka").frozen(), Faults("clickhouse").frozen():
            time.sleep(2)
            with ThreadPoolExecutor(4) as pool:
                ended = list(pool.map(Process.stop, (*installed.workers, *installed.servers)))
        load.stop()
        assert [code for code, _ in ended] == [143] * 4
        assert max(seconds for _, seconds in ended) < 27, ended  # 25, and what a busy machine adds


def test_all_servers_missing_at_the_start_and_coming_one_by_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for service in _LOCKED:
            stack.enter_context(using(service, alone=True))
        program = Program(tmp_path, stack.enter_context(own_places()))
        away = {service: ExitStack() for service in SERVICES}
        for service, gone in away.items():
            stack.enter_context(gone).enter_context(Faults(service).killed())
        assert program.run("insights", expect=7, timeout_s=60).err.startswith("error[")
        worker = stack.enter_context(running(program, "work", "work"))
        serve = stack.enter_context(running(program, "serve", "serve", "--port", "0", "--workers", "2"))
        url = serve.wait_for(r"serving on (\S+)")
        for service in ("redis", "clickhouse", "kafka", "postgres"):
            assert (_status(url, "/health/live"), _status(url, "/health/ready")) == (200, 503)
            assert httpx2.get(url + "/api/v1/campaigns").json()["code"] == "not_ready"
            away[service].close()
        assert _status(url, "/health/ready") == 503  # no schema yet
        program.run("init-schema")
        # Each of the two processes looks once a second for itself: 20 answers in a row are of both.
        eventually(
            lambda: all(_status(url, "/health/ready") == 200 for _ in range(20)), serve.log(), within_s=90, every_s=0.2
        )
        worker.wait_for("counting the events")
        assert httpx2.get(url + "/api/v1/campaigns").status_code == 401
        for name in ("metadata", "analytics", "event_log"):
            assert f"{name}: well again" in serve.log(), serve.log()
