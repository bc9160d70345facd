"""The values that configuration keys take, read from text. No error repeats a value: it may be a secret."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

MIN_KEY_BYTES = 32
"""RFC 7518 asks as many bytes of an HS256 key as the hash has."""
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PLACEHOLDERS = ("change", "placeholder", "example", "your-", "your_", "secretsecret", "insert", "todo", "xxxx")


def _duration(value: object) -> object:
    """Whole seconds, or a number with a unit: ``900``, ``"900"``, ``"15m"``, ``"12h"``, ``"30d"``."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError("must be a whole number of seconds, or a number with s, m, h or d: 900, 15m, 30d")
    return timedelta(seconds=int(match[1]) * _UNIT_S[match[2] or "s"])


def _comma_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _host(value: object) -> object:
    if isinstance(value, str) and re.search(r"[\s/@]", value):
        raise ValueError("must be a host name or an address alone, without scheme, user or path")
    return value


def address(value: object) -> object:
    if isinstance(value, str) and value and not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+):\d{1,5}", value):
        raise ValueError("must be host:port, without scheme, user or path")
    return value


def network(value: str) -> None:
    """Raise ``ValueError`` unless it is an IP address or a network such as 10.0.0.0/8, but not the whole internet."""
    try:
        found = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("must be an IP address or a network such as 10.0.0.0/8") from None
    if not found.prefixlen:
        raise ValueError("must not be every address: then anyone could claim to be anyone")


def _url(value: object) -> object:
    if isinstance(value, str) and value and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
        raise ValueError("must begin with http:// or https:// and hold no user, query or fragment")
    return value.rstrip("/") if isinstance(value, str) else value


def strong_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        return value
    if len(text.encode()) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes; make one with: openssl rand -base64 48")
    if len(set(text)) < 8 or any(word in text.lower() for word in _PLACEHOLDERS):
        raise ValueError("looks like a placeholder; make a key with: openssl rand -base64 48")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
Host = Annotated[str, BeforeValidator(_host)]
Address = Annotated[str, BeforeValidator(address)]
Url = Annotated[str, BeforeValidator(_url)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Days = Annotated[int, Field(ge=1, le=36_500)]


def format_duration(value: timedelta) -> str:
    """The shortest spelling that reads back as the same duration: ``15m``, ``30d``, ``90s``."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNIT_S[unit] == 0)
    return f"{seconds // _UNIT_S[unit]}{unit}"
