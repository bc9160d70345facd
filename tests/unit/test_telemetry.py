"""Logging: one line a record whatever is in it, and no secret in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl import telemetry


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield stream
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level = before
    telemetry._live_secrets.clear()


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_record_is_one_line(style: str, lines: io.StringIO) -> None:
    telemetry.configure_logging("info", style, stream=lines)
    log = logging.getLogger("campaignctl.test")
    for nasty in ("a\nb", "a\r\x1b[31m", "\x00", "\u2028", "\x9b5m", "\u202e"):
        log.info("campaign %s", nasty, extra={"campaign_name": nasty, "rows": 3})
    log.debug("not this")
    written = lines.getvalue().splitlines()
    assert len(written) == 6
    for line in written:
        assert line.isprintable()
        if style == "json":
            entry = json.loads(line)
            assert (entry["level"], entry["logger"], entry["rows"]) == ("info", "campaignctl.test", 3)
        else:
            assert "INFO campaignctl.test: campaign " in line
            assert line.endswith(" rows=3")


CANARIES = {
    "by field": lambda log, secret: log.info("x", extra={"password": secret, "jwt_key": secret, "accessToken": secret}),
    "bearer": lambda log, secret: log.info("Authorization: Bearer %s", secret),
    "address": lambda log, secret: log.info("postgresql://user:%s@host/db", secret),
    "assignment": lambda log, secret: log.info("password=%s refresh_token: '%s'", secret, secret),
    "json": lambda log, secret: log.info('{"client_secret": "%s"}', secret),
    "live": lambda log, secret: log.info("an innocent sentence with %s in it", secret),
    "exception": lambda log, secret: _fail(log, secret),
    "field text": lambda log, secret: log.info("x", extra={"url": f"redis://:{secret}@cache:6379"}),
}


def _fail(log: logging.Logger, secret: str) -> None:
    local = secret
    try:
        raise ValueError(f"token={local}")
    except ValueError:
        log.exception("failed with password=%s", secret)


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize("way", list(CANARIES))
def test_secrets_are_redacted(way: str, style: str, lines: io.StringIO) -> None:
    secret = "Canary+8f1e/77aa=5d21"
    telemetry.configure_logging("debug", style, stream=lines)
    if way == "live":
        telemetry.protect(secret, "ab")
    CANARIES[way](logging.getLogger("x"), secret)
    assert secret not in lines.getvalue()
    assert telemetry.REDACTED in lines.getvalue()


@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRva2Vu",
        "EAAGm0PX4ZCpsBAKZC0ZCexampletokentext",
        "ya29.a0AfH6SMBx-example-token-text",
        "1//0gexample-refresh-token-text",
    ],
)
def test_tokens_are_known_by_their_looks(token: str) -> None:
    assert telemetry.redact(f"got {token} back") == f"got {telemetry.REDACTED} back"


@pytest.mark.parametrize(
    "sentence",
    [
        "sign in with: campaignctl login, or set CA_TOKEN",
        "the key of record 42 is 42",
        "landed 20000 rows of campaign-events[3] in 812.5 ms",
        "http://127.0.0.1:8080/api/v1/campaigns/42/insights",
    ],
)
def test_ordinary_sentences_stay(sentence: str) -> None:
    assert telemetry.redact(sentence) == sentence


def test_redaction_is_linear_in_the_length_of_a_line() -> None:
    for hostile in ("password" * 5_000, "a" * 40_000, "x://" + ":" * 40_000, "Bearer " * 5_000, "eyJ" + "a." * 20_000):
        telemetry.redact(hostile)  # the suite's time limit is the assertion


def test_the_log_file_is_private_and_holds_no_local_variables(tmp_path: Path) -> None:
    path = tmp_path / "campaignctl.log"
    local = "a-local-canary"
    try:
        raise ValueError("what happened\x1b[2J")
    except ValueError as error:
        assert telemetry.write_traceback(path, error, ["campaignctl", "serve"])
    text = path.read_text()
    assert "ValueError: what happened\\x1b[2J" in text
    assert local not in text.replace('local = "a-local-canary"', "")
    assert path.stat().st_mode & 0o077 == 0
    assert not telemetry.write_traceback(tmp_path / "missing" / "x.log", ValueError(), [])


def test_a_log_in_a_file_is_private_and_made_only_when_needed(tmp_path: Path, lines: io.StringIO) -> None:
    path = tmp_path / "campaignctl.log"
    telemetry.log_to_file(path)
    log = logging.getLogger("campaignctl.test")
    log.info("not this")
    assert not path.exists()
    log.warning("this\nline", extra={"token": "t"})
    assert "WARNING campaignctl.test: this\\nline token=[redacted]" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_a_log_that_cannot_be_written_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], lines: io.StringIO
) -> None:
    telemetry.log_to_file(tmp_path / "missing" / "x.log")
    logging.getLogger("campaignctl.test").error("lost")
    assert capfd.readouterr() == ("", "")


def test_what_drivers_say_of_failures_is_left_to_the_adapters(lines: io.StringIO) -> None:
    telemetry.configure_logging("debug", "console", stream=lines)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # as ClickHouse's driver does when it is imported
    logging.getLogger("urllib3.connection").warning("Failed to parse headers")
    logging.getLogger("clickhouse_connect.driver").warning("Failed statement")
    assert lines.getvalue() == ""
