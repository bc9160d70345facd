"""ClickHouse servers that know each other as a cluster, on loopback, for one test module.

They are the library of ``tests/services`` with a file of settings, so they have no port for each other's replicas and no
queue for ``ON CLUSTER``: Distributed tables work, replicated ones can be made where ZooKeeper is, and take no rows.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import clickhouse_library, packages, places

NAME = "test_shards"
BACKUPS = "backups"
"""The disk of each server that it may keep backups on."""
_PATIENCE_S = 60.0


@dataclass(slots=True)
class Node:
    """One server: the only replica of its shard, or one of the only shard's."""

    directory: Path
    http_port: int
    native_port: int
    shard: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        ports = (str(self.http_port), str(self.native_port))
        command = [sys.executable, clickhouse_library.__file__, str(_library()), str(self.directory / "data"), *ports]
        environment = {**os.environ, "CLICKHOUSE_CONFIG": str(self.directory / "config.xml")}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.directory
            )
        _wait(self.process, self._answers, self.directory / "log")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"http://{places.HOST}:{self.http_port}/ping", timeout=1) as answer:
            return bool(answer.read() == b"Ok.\n")


@contextmanager
def running_nodes(
    directory: Path, shards: Sequence[int], *, zookeeper_port: int | None = None
) -> Iterator[Sequence[Node]]:
    """A server for each number, which is that of its shard; skips the test where they cannot be had."""
    ports = _free_ports(2 * len(shards))
    nodes = [
        Node(directory / f"node-{n}", http_port=ports[2 * n], native_port=ports[2 * n + 1], shard=shard)
        for n, shard in enumerate(shards)
    ]
    with ExitStack() as stack:
        for node in nodes:
            node.directory.mkdir(parents=True)
            (node.directory / "config.xml").write_text(_config(nodes, node, zookeeper_port))
            stack.callback(node.kill)
            node.start()
        yield nodes
        ended = {node.directory.name: node.process.poll() for node in nodes if node.process is not None}
        assert not any(ended.values()), f"servers ended by themselves: {ended}"


@contextmanager
def running_zookeeper(directory: Path) -> Iterator[int]:
    """The port of a ZooKeeper; skips the test where it cannot be had."""
    try:
        jars = packages.zookeeper_jars()
    except (SystemExit, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"there is no ZooKeeper: {error}")
    directory.mkdir(parents=True)
    (port,) = _free_ports(1)
    config = directory / "zoo.cfg"
    config.write_text(
        f"tickTime=2000\ndataDir={directory / 'data'}\nclientPort={port}\n"
        f"clientPortAddress={places.HOST}\nadmin.enableServer=false\n"
    )
    command = ["java", "-Xmx128m", "-cp", jars, "org.apache.zookeeper.server.ZooKeeperServerMain", str(config)]

    def answers() -> bool:
        with socket.create_connection((places.HOST, port), timeout=1) as connection:
            connection.sendall(b"srvr")
            return b"Mode:" in connection.makefile("rb").read()

    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(process, answers, directory / "log")
        yield port
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(OSError):  # not yet
            if answers():
                return
        told = log.read_text(errors="replace")[-2_000:]
        assert process.poll() is None and time.monotonic() < deadline_s, f"it did not start:\n{told}"
        time.sleep(0.1)


def _library() -> Path:
    try:
        return packages.clickhouse_library()
    except (SystemExit, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"there is no library of ClickHouse: {error}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((places.HOST, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _config(nodes: Sequence[Node], node: Node, zookeeper_port: int | None) -> str:
    replicas: dict[int, str] = {}
    for one in nodes:
        place = f"<replica><host>{places.HOST}</host><port>{one.native_port}</port></replica>"
        replicas[one.shard] = replicas.get(one.shard, "") + place
    shards = "".join(f"<shard>{some}</shard>" for some in replicas.values())
    keeper = f"<zookeeper><node><host>{places.HOST}</host><port>{zookeeper_port}</port></node></zookeeper>"
    disk = f"<{BACKUPS}><type>local</type><path>{node.directory / 'backups'}/</path></{BACKUPS}>"
    return (
        f"<clickhouse>{keeper if zookeeper_port else ''}"
        f"<storage_configuration><disks>{disk}</disks></storage_configuration>"
        f"<backups><allowed_disk>{BACKUPS}</allowed_disk></backups>"
        f"<macros><shard>{node.shard}</shard><replica>{node.directory.name}</replica></macros>"
        f"<remote_servers><{NAME}>{shards}</{NAME}></remote_servers></clickhouse>"
    )
