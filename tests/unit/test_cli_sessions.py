"""Kept sessions: private, renewed in time, and by one process only."""

import json
import threading
import time
from pathlib import Path

import pytest

from campaignctl.cli.connection import KeptSession
from campaignctl.cli.sessions import Session, SessionFile
from campaignctl.errors import ConfigurationError
from tests.unit.cli_support import Answer, Request, fake_api, ok, problem


def session(token: str = "a1", ends_in_s: float = 900) -> Session:
    return Session(token, "r1", time.time() + ends_in_s)


def test_a_session_is_kept_per_server_and_readable_by_its_user_alone(tmp_path: Path) -> None:
    file = SessionFile(tmp_path / "deep" / "sessions.json")
    file.put("http://one/", session("a1"))
    file.put("http://two", session("a2"))
    assert (file.token("http://ONE"), file.token("http://two"), file.token("http://three")) == ("a1", "a2", None)
    file.put("http://one", None)
    assert file.token("http://one") is None
    assert file.path.stat().st_mode & 0o077 == 0
    assert file.path.parent.stat().st_mode & 0o077 == 0
    assert "a2" not in repr(file.get("http://two"))


def test_the_file_lies_where_the_desktop_standard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert SessionFile().path == tmp_path / "campaignctl" / "sessions.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SessionFile().path == tmp_path / ".config" / "campaignctl" / "sessions.json"


def test_a_file_that_others_may_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    file = SessionFile(tmp_path / "sessions.json")
    file.put("http://one", session())
    file.path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="other users"):
        file.token("http://one")
    file.path.chmod(0o600)
    for damaged in ("[]", "{", '{"http://one": {"token": 1}}'):
        file.path.write_text(damaged)
        with pytest.raises(ConfigurationError, match="damaged"):
            file.token("http://one")


def test_what_runs_for_long_renews_as_often_as_a_token_ends_and_takes_up_a_new_login(tmp_path: Path) -> None:
    used: list[str] = []

    def answer(request: Request) -> Answer:
        used.append(json.loads(request.body)["refresh_token"])
        return ok({"access_token": f"a{len(used) + 1}", "refresh_token": f"r{len(used) + 1}", "expires_in": 900})

    file = SessionFile(tmp_path / "sessions.json")
    with fake_api(answer) as server:
        kept = KeptSession(file, server.url)
        assert (kept.token, kept.renew()) == (None, None)
        file.put(server.url, session())
        assert kept.renew() == "a1"
        assert [kept.renew(), kept.renew(), kept.renew()] == ["a2", "a3", "a4"]
        file.put(server.url, None)
        assert kept.renew() is None
        file.put(server.url, session("another"))
        assert kept.renew() == "another"
    assert used == ["r1", "r2", "r3"]


def test_a_token_about_to_end_is_renewed_once_whoever_asks(tmp_path: Path) -> None:
    used: list[bytes] = []

    def answer(request: Request) -> Answer:
        used.append(request.body)
        time.sleep(0.05)
        return ok({"access_token": f"a{len(used) + 1}", "refresh_token": "r2", "expires_in": 900})

    file = SessionFile(tmp_path / "sessions.json")
    tokens: list[str | None] = []
    with fake_api(answer) as server:
        file.put(server.url, session("a1", ends_in_s=5))
        threads = [threading.Thread(target=lambda: tokens.append(file.token(server.url))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert tokens == ["a2"] * 5
    assert used == [b'{"refresh_token": "r1"}']


def test_a_session_that_is_over_is_forgotten(tmp_path: Path) -> None:
    file = SessionFile(tmp_path / "sessions.json")
    with fake_api(lambda _: problem(401, "not_signed_in")) as server:
        file.put(server.url, session("a1", ends_in_s=-5))
        assert file.token(server.url) is None
        assert file.get(server.url) is None
