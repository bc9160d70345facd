"""A disk that runs full under the stores: writes say so, reads go on, and what was acknowledged is counted once."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaignctl.errors import CampaignctlError, Unavailable
from tests.support.mounts import small_disk
from tests.support.program import Program, Server

DISK_MIB = 64
ROUNDS = 3
PAD = "x" * 2_000
"""In a member that the product keeps in the log only."""


class Sender:
    """Posts batches of events; every acknowledged one must be counted, every one once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made = 0
        self.acknowledged = 0
        self.in_doubt: list[bytes] = []
        """Lines of requests that were not acknowledged: there or not."""
        self.positions: list[str] = []

    def send(self, count: int = 200) -> None:
        """Post ``count`` new events; raises what the server says."""
        first = self._made
        self._made += count
        lines = [self._event(number) for number in range(first, self._made)]
        self.in_doubt += lines
        self.positions.append(self._server.api.send_events(b"\n".join(lines)).json()["position"])
        self.in_doubt = self.in_doubt[: -len(lines)]
        self.acknowledged += count

    def repeat_what_is_in_doubt(self) -> None:
        while self.in_doubt:
            lines = self.in_doubt[:200]
            self.positions.append(self._server.api.send_events(b"\n".join(lines)).json()["position"])
            self.acknowledged += len(lines)
            self.in_doubt = self.in_doubt[200:]

    @staticmethod
    def _event(number: int) -> bytes:
        members = {"event_id": f"e{number}", "campaign_id": 1, "platform": "meta", "clicks": 1, "pad": f"{number}{PAD}"}
        return json.dumps(members | {"event_time": datetime.now(UTC).isoformat()}).encode()


@pytest.mark.timeout(600)
def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", DISK_MIB) as disk:
        program = Program(tmp_path, {"CA_DATA_DIR": str(disk / "data"), "CA_LOG_LEVEL": "error"})
        with program.serving() as server:
            server.client.create([{"name": "One"}])
            sender = Sender(server)
            sender.send()
            server.client.wait(sender.positions, 1)
            for _ in range(ROUNDS):
                ballast = _fill(disk)
                error = _send_until_refused(sender)
                assert error.code == "storage_full", error.message
                assert error.retry_after_s > 0
                _reads_go_on(server)
                ballast.unlink()
                _eventually(sender.send)
                sender.repeat_what_is_in_doubt()
            server.client.wait(sender.positions, 1, timeout_s=90)
            assert _clicks(server) == sender.acknowledged
        with program.serving() as server:  # and the stores are whole when they are opened again
            assert _clicks(server) == sender.acknowledged
            counted = program.run(
                "query", "SELECT count() AS n, uniqExact(event_id) AS ids FROM events", "-o", "csv"
            ).out
            assert counted.split()[1] == f"{sender.acknowledged},{sender.acknowledged}"


def _fill(disk: Path) -> Path:
    """Take nearly all the space that is left; a megabyte stays, so that the stores run full by themselves."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        left = _free_bytes(disk) - (1 << 20)
        for _ in range(left // (1 << 16)):
            file.write(b"\0" * (1 << 16))
    return ballast


def _free_bytes(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def _send_until_refused(sender: Sender) -> Unavailable:
    for _ in range(500):
        try:
            sender.send()
        except Unavailable as error:
            return error
    raise AssertionError("the disk never ran full")


def _reads_go_on(server: Server) -> None:
    """Campaigns, insights that no cache has, and health: for as long as a worker and a client keep trying to write."""
    deadline_s = time.monotonic() + 2
    sort = ("clicks", "spend", "revenue", "impressions", "conversions", "ctr", "cpc")
    asked = 0
    while time.monotonic() < deadline_s or asked <= 2:
        assert server.client.ask("/api/v1/campaigns")["items"]
        answer = server.client.ask(
            "/api/v1/campaigns/1/insights",
            {"granularity": "hourly", "sort": sort[asked % len(sort)], "group_by": "device"},
        )
        assert answer["totals"]["clicks"] > 0
        server.client.ask("/health/live")
        asked += 1
        time.sleep(0.2)


def _eventually(action: Callable[[], None]) -> None:
    deadline_s = time.monotonic() + 60
    while True:
        try:
            action()
        except CampaignctlError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.5)
        else:
            return


def _clicks(server: Server) -> int:
    answer = server.client.ask("/api/v1/campaigns/1/insights", {"granularity": "total"})
    return int(answer["totals"]["clicks"])
