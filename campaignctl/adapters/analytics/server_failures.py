"""What a server's failures mean, each in one sentence that names the server and no secret."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, ProgrammingError, StreamFailureError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from campaignctl.adapters.analytics.failures import short_message
from campaignctl.errors import ConfigurationError, Unavailable

_REFUSED_USER = frozenset({192, 193, 194, 516})
_NO_RIGHT = frozenset({164, 497})
_UNKNOWN_SETTING = 115
_STATUS = re.compile(r"HTTP status (\d{3})")
_WRAPPING = re.compile(r"^Received ClickHouse exception, code: \d+(?:, server response: )?")
_URL = re.compile(r" ?\(for url [^)]*\)$")
_NATIVE_PORT = "clickhouse-client"
_CUT_OFF = "Failed to read response data"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is."""

    host: str
    port: int
    secure: bool

    def __str__(self) -> str:
        return f"ClickHouse at {self.place}"

    @property
    def place(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.place}"


def explained(error: Exception, server: Server, *, console: bool) -> Exception:
    """The failure in our words; the engine's own error, in its words alone, where ``failures`` knows what it means.

    In the ``console`` a lacking right or an unknown setting is the statement's fault, elsewhere the configuration's.
    """
    code = getattr(error, "code", None)
    if code is None and not isinstance(error, ProgrammingError):
        return _without_code(error, server)
    if code in _REFUSED_USER:
        return ConfigurationError(
            f"{server} does not accept the user name or the password",
            hint="set clickhouse.username and clickhouse.password",
        )
    told = DatabaseError(_URL.sub("", _WRAPPING.sub("", str(error))), code=code)
    if (code is None or code in _NO_RIGHT) and not console:  # the driver itself refuses to set what it may not
        return ConfigurationError(
            f"{server} does not let the user do what is needed: {short_message(told)}",
            hint="grant it, or name another user in clickhouse.username",
        )
    if code == _UNKNOWN_SETTING and not console:
        return ConfigurationError(f"{server} is too old: {short_message(told)}", hint="upgrade the server")
    return told


def native_port(server: Server) -> ConfigurationError:
    return ConfigurationError(
        f"{server}: {server.port} is the native port, and HTTP is needed",
        hint="set clickhouse.port to the HTTP port: 8123, or 8443 with TLS",
    )


def _without_code(error: Exception, server: Server) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause, server)
        if isinstance(cause, NameResolutionError):
            return _away(server, "cannot be reached: the host name is not known")
        if isinstance(cause, ReadTimeoutError):
            return _away(server, "does not answer in time")
        if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
            return _away(server, "cannot be reached: it does not answer")
        if isinstance(cause, ConnectionRefusedError):
            return _away(server, "cannot be reached: the connection was refused")
    for cause in _causes(error):
        if isinstance(cause, (OSError, HTTPError)) and not isinstance(cause, ClickHouseError):
            return _away(server, f"cannot be reached: {_reason(cause)}")
    return _of_status(error, server)


def _of_tls(error: ssl.SSLError, server: Server) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"the certificate of {server} cannot be trusted: {error.verify_message}",
            hint="name the authority's PEM file in clickhouse.ssl_ca_file, or the server by the name it was made for",
        )
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}:
        return ConfigurationError(
            f"{server} does not speak TLS", hint="set clickhouse.secure to false, or clickhouse.port to the HTTPS port"
        )
    return _away(server, f"cannot be reached: TLS failed ({error.reason})")


def _of_status(error: Exception, server: Server) -> Exception:
    text = str(error)
    if _NATIVE_PORT in text:
        return native_port(server)
    status = _STATUS.search(text)
    if status is not None and int(status[1]) >= 500:
        return _away(server, f"answers HTTP {status[1]}")
    if _CUT_OFF in text or isinstance(error, StreamFailureError):
        return _away(server, "broke off its answer")
    said = f" (it answers HTTP {status[1]})" if status is not None else ""
    return ConfigurationError(
        f"what is at {server.place} is not ClickHouse's HTTP interface{said}",
        hint="check clickhouse.host, clickhouse.port and clickhouse.secure",
    )


def _away(server: Server, what: str) -> Unavailable:
    return Unavailable(f"{server} {what}", service="analytics")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection was closed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was made from: the driver and its HTTP library wrap one into the other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "reason", None) or next((one for one in error.args if isinstance(one, Exception)), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
