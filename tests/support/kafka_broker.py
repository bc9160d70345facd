"""A Kafka broker of a test's own, with a listener that demands TLS and a password (and a plain one beside it).

Needs what ``tests/services`` needs for Kafka from packages: a JDK, and the jars, which are fetched once.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import places
from tests.services.servers import kafka_command, kafka_settings

HOST = places.HOST
USER, PASSWORD = "alice", "in-wonderland-865"
_STORE_PASSWORD = "only-for-this-test"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class SecureBroker:
    """``secure`` and ``plain`` are the listeners, as ``host:port``."""

    secure: str
    plain: str
    ca_file: Path
    """The authority that signed the broker's certificate."""
    other_ca_file: Path
    """One that did not."""


@contextmanager
def secure_broker(directory: Path) -> Iterator[SecureBroker]:
    if shutil.which("keytool") is None:
        (pytest.fail if os.environ.get("CA_TEST_REQUIRE_SERVERS") else pytest.skip)("a JDK is not installed (keytool)")
    keys = _keys(directory, "broker")
    other_ca_file = _keys(directory, "other").with_suffix(".pem")
    secure, plain, controller = _free_ports(3)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            kafka_command(
                directory,
                _settings(directory, keys, secure=secure, plain=plain, controller=controller),
                "--add-scram",
                f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]",
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_listens(process, (secure, plain), directory / "log")
        yield SecureBroker(f"{HOST}:{secure}", f"{HOST}:{plain}", keys.with_suffix(".pem"), other_ca_file)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _settings(directory: Path, keys: Path, *, secure: int, plain: int, controller: int) -> dict[str, object]:
    listeners = f"SASL_SSL://{HOST}:{secure},PLAINTEXT://{HOST}:{plain}"
    jaas = "org.apache.kafka.common.security.{}LoginModule required"
    return {
        **kafka_settings(directory, controller),
        "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,PLAIN",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{jaas.format('scram.Scram')};",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{jaas.format("plain.Plain")} user_{USER}="{PASSWORD}";',
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": keys,
        "ssl.keystore.password": _STORE_PASSWORD,
    }


def _keys(directory: Path, name: str) -> Path:
    """A key with a certificate that it signed itself, in a key store; beside it the certificate as PEM."""
    store = directory / f"{name}.p12"
    common = ["-alias", name, "-storetype", "PKCS12", "-keystore", str(store), "-storepass", _STORE_PASSWORD]
    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2", "-dname", "CN=localhost"]
    _keytool("-genkeypair", *common, *key, "-ext", f"san=dns:localhost,ip:{HOST}")
    _keytool("-exportcert", "-rfc", *common, "-file", str(store.with_suffix(".pem")))
    return store


def _keytool(*words: str) -> None:
    subprocess.run(["keytool", *words], check=True, capture_output=True, timeout=60)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", ports: tuple[int, ...], log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    for port in ports:
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                said = log.read_text(errors="replace")[-2_000:]
                assert process.poll() is None, said
                assert time.monotonic() < deadline_s, said
                time.sleep(0.1)
