"""A worker as a process: it counts, and ends on a signal with everything it counted acknowledged."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from campaignctl.domain.campaigns import CampaignDraft
from campaignctl.ports.event_log import NewRecord
from tests.e2e.worker_process import EVENTS, Stores

ROOT = Path(__file__).parents[2]
_RUN = """
import sys
from pathlib import Path
from campaignctl.bootstrap import open_app
from campaignctl.config import load_settings
from worker.lifecycle import run_worker
with open_app(load_settings(flags={"data_dir": sys.argv[1]}, environ={}), create=True) as app:
    print("ready", flush=True)
    code = run_worker(app)
sys.exit(code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_its_exit_code_and_nothing_undone(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    stores = None
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        stores = Stores(tmp_path)
        stores.metadata.add_campaign(stores.metadata.ensure_organization("test"), CampaignDraft("one"))
        event = {"campaign_id": 1, "platform": "meta", "event_time": int(time.time() * 1_000)}
        values = [json.dumps({**event, "event_id": f"e{n}"}).encode() for n in range(500)]
        stores.log.produce(EVENTS, [NewRecord(b"1", value) for value in values])
        deadline = time.monotonic() + 60
        while not stores.is_drained() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        started = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == code, errors
        assert time.monotonic() - started < 25
        assert stores.is_drained()
    finally:
        process.kill()
        process.communicate()
        if stores is not None:
            stores.close()
