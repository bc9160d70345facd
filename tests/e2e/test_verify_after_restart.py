"""A row that was lost while no worker ran: the next worker does not know its event, and counts it from the log."""

import json
from pathlib import Path

import pytest

from campaignctl.cli.app import run
from tests.e2e.rest import OPERATOR_TOKEN, rest_over, running
from tests.e2e.test_replay import event, to_log
from tests.e2e.test_verify import clicks, made, spoil
from worker.lifecycle import working


def test_a_hole_that_a_worker_does_not_know_of_is_counted_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    with rest_over(tmp_path) as rest:
        with working(rest.app):
            user, campaign_id = made(rest)
        spoil(rest, "ALTER TABLE events DELETE WHERE event_id = 'e3' SETTINGS mutations_sync = 2")
        with working(rest.app), running(rest.app) as (address, _):
            assert run(["--api", address, "verify", "--repair", "-o", "json"]) == 0
            to_log(rest, campaign_id, event(campaign_id, "e3", clicks=3, event_time="2026-11-02T12:00:00Z"))
            assert json.loads(capsys.readouterr().out)["repair"]["filled"] == 1
            assert clicks(user, campaign_id) == clicks(user, campaign_id, group_by="device") == 90
