"""Secrets stay where they belong, and what strangers send cannot write into the log."""

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaignctl.api_client import ApiClient
from campaignctl.errors import CampaignctlError
from tests.support.program import Program, Server

CANARIES = {
    "CA_JWT_KEY": "canary-jwt-key-Zx81-Qm27-Lw93-Rt64-Yp05",
    "CA_SECRETS_KEY": "canary-secrets-key-Bn38-Vk16-Hd72-Sj94-Ge51",
}
PASSWORD = "canary password of an honest person"
HOSTILE = (
    "line\nbreak",
    "return\r\nX-Injected: 1",
    "\x1b[31mred\x1b[0m",
    "nul\0",
    "sep\u2028arator",
    "bell\a",
    "[red]markup[/red]",
)


@dataclass(frozen=True, slots=True)
class Used:
    """A server that logs everything, after much good and bad use."""

    program: Program
    server: Server
    printed: list[str]
    secrets: list[str]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    settings = CANARIES | {"CA_LOG_LEVEL": "debug", "CA_LOG_FORMAT": "json"}
    program = Program(tmp_path_factory.mktemp("secrets"), settings)
    with program.serving() as server:
        tokens = [server.published.token, *_sign_in(server)]
        printed = _use(program, server, tokens[1])
        yield Used(program, server, printed, [*CANARIES.values(), PASSWORD, *tokens])


def _use(program: Program, server: Server, token: str) -> list[str]:
    """Much use, good and bad; answers all that was printed."""
    program.settings["CA_TOKEN"] = token
    finished = [
        program.run("config", "show"),
        program.run("config", "show", "-o", "json"),
        program.run("campaigns", "create", "One", "--debug"),
        program.run("campaigns", "list", "--api", "http://127.0.0.1:1", expect=None),
        program.run("campaigns", "list", "--api", server.url, "-vv"),
        program.run("insights", "--campaign", "99", expect=None),
    ]
    for text in HOSTILE:
        now = datetime.now(UTC).isoformat()
        event = {"event_id": text, "campaign_id": 1, "platform": text, "event_time": now, "region": text}
        file = program.home / "hostile.ndjson"
        file.write_text(json.dumps(event) + "\n" + text.replace("\n", " ").replace("\r", " ") + "\n", newline="")
        finished.append(program.run("events", "send", str(file), expect=6))
        _ask_strangely(server, text)
    del program.settings["CA_TOKEN"]
    texts = [one.out + one.err for one in finished]
    texts += [server.api.get(path).content.decode() for path in ("/metrics", "/openapi.json", "/health")]
    return texts


def _sign_in(server: Server) -> list[str]:
    credentials = {"email": "honest@example.com", "password": PASSWORD}
    with ApiClient(server.url) as anyone:
        anyone.post("/api/v1/auth/register", credentials)
        answer = anyone.post("/api/v1/auth/login", credentials).json()
        with pytest.raises(CampaignctlError):
            anyone.post("/api/v1/auth/login", {"email": "honest@example.com", "password": PASSWORD + "!"})
        with pytest.raises(CampaignctlError):
            anyone.post("/api/v1/auth/register", {"email": "nobody", "password": PASSWORD})
        with pytest.raises(CampaignctlError):
            anyone.get(f"/api/v1/campaigns?token={answer['access_token']}")
    return [answer["access_token"], answer["refresh_token"]]


def _ask_strangely(server: Server, text: str) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: server.api.post("/api/v1/campaigns", {"name": text}),
        lambda: server.api.get("/api/v1/campaigns", {"q": text}),
        lambda: server.api.get("/api/v1/campaigns", {text: "1"}),
        lambda: server.api.get("/api/v1/campaigns/1/insights", {"timezone": text, "group_by": text, "after": text}),
        lambda: server.api.post("/api/v1/auth/login", {"email": text, "password": PASSWORD}),
    )
    for call in calls:
        try:
            call()
        except CampaignctlError as error:
            assert error.code != "internal_error", error.message


def test_no_secret_is_printed_anywhere(used: Used) -> None:
    logs = [path.read_text() for path in used.program.home.rglob("*.log")]
    places = [used.server.log(), *used.printed, *logs]
    for secret in used.secrets:
        assert not [place for place in places if secret in place], secret[:12]


def test_every_line_of_the_log_is_one_record(used: Used) -> None:
    lines = [line for line in used.server.log().split("\n") if line and not line.startswith(("created ", "serving "))]
    assert len(lines) > 50
    for line in lines:
        assert isinstance(json.loads(line), dict)
        assert not [character for character in line if ord(character) < 32 or character in "\x7f\u2028\u2029"], line


def test_nothing_hostile_reaches_the_terminal(used: Used) -> None:
    for text in used.printed:
        assert not [character for character in text if ord(character) < 32 and character not in "\n"], text


def test_files_are_for_this_user_alone(used: Used) -> None:
    program = used.program
    assert stat.S_IMODE(program.data_dir.stat().st_mode) == 0o700
    for name in ("server.json", "metadata.sqlite", "event_log.sqlite", "lock"):
        assert stat.S_IMODE((program.data_dir / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((program.data_dir / "analytics").stat().st_mode) == 0o700


def test_made_keys_are_private_and_are_refused_when_they_are_not(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    key = program.data_dir / "secrets" / "jwt.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    failed = program.run("campaigns", "list", expect=2)
    assert str(key) in failed.err
    assert key.read_text() not in failed.err
