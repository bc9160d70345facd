"""Health is read from verdicts, also when a store hangs."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.errors import ConfigurationError, NewerSchema, SchemaMismatch, StorageFull, Unavailable
from campaignctl.services.health import Check, HealthService, Status
from tests.support.waiting import eventually


def _well() -> None:
    """All is well."""


def _raises(error: Exception) -> Callable[[], None]:
    def probe() -> None:
        raise error

    return probe


@pytest.fixture
def started() -> Iterator[Callable[..., HealthService]]:
    services: list[HealthService] = []

    def start(*checks: Check, deadline_s: float = 0.2) -> HealthService:
        service = HealthService(checks, SystemClock(), interval_s=0.01, deadline_s=deadline_s)
        services.append(service)
        service.start()
        return service

    yield start
    for service in services:
        service.stop()


def test_before_the_first_look_nothing_is_well() -> None:
    report = HealthService([Check("metadata", _well)], SystemClock()).report()
    assert report.status is Status.FAILING
    assert not report.ready
    assert report.checks["metadata"].detail == "not checked yet"


def test_all_well(started: Callable[..., HealthService]) -> None:
    service = started(Check("metadata", _well), Check("analytics", _well))
    eventually(lambda: service.report().status is Status.OK)
    assert service.report().ready
    assert service.report().checks["analytics"].latency_ms >= 0


def test_what_is_not_needed_only_degrades(started: Callable[..., HealthService]) -> None:
    service = started(
        Check("metadata", _well), Check("cache", _raises(Unavailable("x", service="cache")), needed=False)
    )
    eventually(lambda: service.report().status is Status.DEGRADED)
    assert service.report().ready


def test_a_newer_schema_leaves_it_ready(started: Callable[..., HealthService]) -> None:
    service = started(Check("schema", _raises(NewerSchema("migration 12"))), Check("metadata", _well))
    eventually(lambda: service.report().status is Status.DEGRADED)
    assert service.report().ready
    assert "replace this process" in service.report().checks["schema"].detail


def test_who_leaves_is_not_ready_however_well(started: Callable[..., HealthService]) -> None:
    service = started(Check("metadata", _well))
    eventually(lambda: service.report().ready)
    service.leave()
    assert not service.report().ready
    assert service.report().checks["process"].detail == "is about to stop"
    assert service.report().checks["metadata"].status is Status.OK


def test_it_recovers(started: Callable[..., HealthService]) -> None:
    broken = threading.Event()
    broken.set()

    def probe() -> None:
        if broken.is_set():
            raise Unavailable("away", service="metadata")

    service = started(Check("metadata", probe))
    eventually(lambda: service.report().checks["metadata"].detail == "cannot be reached")
    broken.clear()
    eventually(lambda: service.report().ready)
    broken.set()
    eventually(lambda: not service.report().ready)


def test_a_frozen_store_is_seen_while_its_probe_hangs(started: Callable[..., HealthService]) -> None:
    thaw = threading.Event()
    calls: list[float] = []

    def probe() -> None:
        calls.append(time.monotonic())
        thaw.wait(60)

    service = started(Check("metadata", probe), deadline_s=0.05)
    eventually(lambda: "no answer" in service.report().checks["metadata"].detail)
    begin = time.monotonic()
    assert not service.report().ready
    assert time.monotonic() - begin < 30
    assert len(calls) == 1  # one thread is stuck, not one a second
    thaw.set()
    eventually(lambda: service.report().ready)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("10.1.2.3:5432 password=hunter2", service="metadata"),
        StorageFull("/var/lib/hunter2", service="event_log"),
        SchemaMismatch("hunter2"),
        ConfigurationError("hunter2"),
        RuntimeError("hunter2"),
    ],
)
def test_details_hold_no_text_of_a_driver(error: Exception, started: Callable[..., HealthService]) -> None:
    service = started(Check("metadata", _raises(error)))
    eventually(lambda: service.report().checks["metadata"].detail != "not checked yet")
    detail = service.report().checks["metadata"].detail
    assert detail and "hunter2" not in detail and "10.1.2.3" not in detail


def test_a_check_can_join_later(started: Callable[..., HealthService]) -> None:
    service = started(Check("metadata", _well))
    service.add(Check("worker", _well))
    eventually(lambda: service.report().ready)
    assert set(service.report().checks) == {"metadata", "worker"}
    with pytest.raises(ValueError, match="worker"):
        service.add(Check("worker", _well))


def test_a_costly_check_is_looked_at_less_often(started: Callable[..., HealthService]) -> None:
    looks: list[float] = []
    service = started(Check("metadata", _well), Check("schema", lambda: looks.append(time.monotonic()), interval_s=60))
    eventually(lambda: service.report().ready)
    time.sleep(0.1)
    assert len(looks) == 1
    assert service.report().ready


def test_stopping_ends_the_threads() -> None:
    service = HealthService([Check("metadata", _well)], SystemClock(), interval_s=60)
    service.start()
    service.start()
    service.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "health-metadata"]
