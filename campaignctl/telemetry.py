"""Logging: one line for people or one JSON object a line, and never a secret in either.

Records go to stderr. Fields are given as ``extra={"partition": 3}`` and printed as ``partition=3``. Whatever is logged
(message, fields, exception text) is redacted twice: fields by their name, all text by what secrets look like and by
the live secrets that ``protect`` was told about. Tracebacks never show local variables.
"""

import contextlib
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(r"pass(word|wd)?$|secret|token|credential|authorization|api_?key|^key$|_key$|cookie", re.I)
_SECRET_SHAPES = (
    # what stands before the secret is kept (group 1), so that the line still says what was redacted
    re.compile(r"(?i)\b(bearer\s+|basic\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,128}:)[^\s@]{1,256}(?=@)"),
    re.compile(
        r"(?i)(\b[a-z_]{0,40}(?:password|passwd|secret|token|api_?key|authorization)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)"
        r"(?!\[redacted\])[^\s\"',;}]{4,4096}"
    ),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),  # a signed token
    re.compile(r"()\b(?:EAA[A-Za-z0-9]{20,}|ya29\.[A-Za-z0-9_-]{16,}|1//[A-Za-z0-9_-]{20,}|AQ[A-Za-z0-9_-]{40,})"),
)
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_BIDI = {code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_ESCAPES = _CONTROL | _BIDI

_live_secrets: set[str] = set()
_lock = threading.Lock()


def protect(*secrets: str) -> None:
    """Never let these texts into a log line. Texts under 8 characters are ignored: they would blank ordinary words."""
    with _lock:
        _live_secrets.update(secret for secret in secrets if len(secret) >= 8)


def redact(text: str) -> str:
    """The text without what is, or looks like, a secret."""
    for secret in sorted(_live_secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    for shape in _SECRET_SHAPES:
        text = shape.sub(rf"\1{REDACTED}", text)
    return text


def one_line(text: str) -> str:
    """The text with control and direction-changing characters spelled out, so that it cannot move a terminal."""
    return text.translate(_ESCAPES)


class _Formatter(logging.Formatter):
    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            name: REDACTED if _SECRET_NAME.search(name) else value
            for name, value in vars(record).items()
            if name not in _STANDARD_FIELDS and not name.startswith("_")
        }

    @staticmethod
    def _time(record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ConsoleFormatter(_Formatter):
    """``2026-11-23T04:05:06.789Z INFO worker.runner: landed rows=20000`` and, indented, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={one_line(redact(str(value)))}" for name, value in self._fields(record).items())
        message = one_line(redact(record.getMessage()))
        line = f"{self._time(record)} {record.levelname} {record.name}: {message}{fields}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + format_traceback(record.exc_info[1], "    ")
        return line


class JsonFormatter(_Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the fields, ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self._time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in self._fields(record).items():
            plain = value is None or isinstance(value, bool | int | float)
            entry.setdefault(name, value if plain else redact(str(value)))
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = format_traceback(record.exc_info[1])
        return json.dumps(entry)


def format_traceback(error: BaseException, indent: str = "") -> str:
    """The traceback, redacted, without local variables, safe for a terminal."""
    text = redact("".join(traceback.format_exception(error)))
    return "\n".join(indent + one_line(line) for line in text.splitlines())


def configure_logging(level: str, style: str, *, stream: TextIO | None = None) -> None:
    """Send this process's log records to ``stream`` (stderr), from ``level`` up, as ``console`` or ``json`` lines."""
    _use(logging.StreamHandler(stream or sys.stderr), level, style)


def log_to_file(path: Path, level: str = "warning") -> None:
    """Send log records to a file that only its owner may read; it is made with the first record."""
    _use(_PrivateFileHandler(path, encoding="utf-8", delay=True), level, "console")


class _PrivateFileHandler(logging.FileHandler):
    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).touch(mode=0o600)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # the file is opened here: a log must not break what it reports on
            super().emit(record)


def _use(handler: logging.Handler, level: str, style: str) -> None:
    logging.raiseExceptions = False  # a log that cannot be written must not print tracebacks instead
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("httpx2", "httpcore2", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # ClickHouse's driver warns of each statement that failed, with its text, and what it stands on of each answer that
    # was cut off, with a traceback; the adapter's error says it to whoever asked. (It sets urllib3's own level itself.)
    for driver in ("clickhouse_connect", "urllib3.connection"):
        logging.getLogger(driver).setLevel(max(logging.ERROR, root.level))


def write_traceback(path: Path, error: BaseException, context: Iterable[str] = ()) -> bool:
    """Append the error's traceback to a log file that only its owner may read; whether that worked.

    Nothing is created but the file itself: a directory that is not there is not made for a log.
    """
    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    lines = [f"{moment} {one_line(redact(' '.join(context)))}", format_traceback(error, "    "), ""]
    try:
        path.touch(mode=0o600, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines))
    except OSError:
        return False
    return True
