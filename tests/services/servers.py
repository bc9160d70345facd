"""How each server is set up, started and asked whether it answers, when it runs from packages."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path

from tests.services import packages, places
from tests.services.processes import living

_PROTOCOL_3 = 3 << 16  # PostgreSQL's
_LOG4J = """\
rootLogger.level=WARN
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c %m%n
"""


class Server(ABC):
    """One kind of server; ``directory`` is its own."""

    name: str
    stop_signal = "SIGTERM"

    @property
    def port(self) -> int:
        return places.port(self.name)

    @abstractmethod
    def command(self, directory: Path) -> list[str]:
        """What to run in the foreground, once the directory is prepared."""

    def answers(self) -> bool:
        try:
            with socket.create_connection((places.HOST, self.port), timeout=1) as connection:
                return self._greets(connection)
        except OSError:
            return False

    def _greets(self, _connection: socket.socket) -> bool:
        return True


class Kafka(Server):
    """One broker that is its own controller. Topics are made on purpose only, as in any sane production."""

    name = "kafka"

    def command(self, directory: Path) -> list[str]:
        return kafka_command(directory, self._settings(directory))

    def _settings(self, directory: Path) -> dict[str, object]:
        return {
            **kafka_settings(directory, self.port + 1),
            "listeners": f"PLAINTEXT://{places.HOST}:{self.port},CONTROLLER://{places.HOST}:{self.port + 1}",
            "advertised.listeners": f"PLAINTEXT://{places.HOST}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }


def kafka_settings(directory: Path, controller_port: int) -> dict[str, object]:
    """What every broker of one node needs; its listeners are its own matter."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{places.HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": directory / "logs",
        "num.partitions": 4,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
    }


def kafka_command(directory: Path, settings: dict[str, object], *format_options: str) -> list[str]:
    """What runs a broker with the settings; its store is made when there is none."""
    (directory / "log4j2.properties").write_text(_LOG4J)
    config = directory / "server.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    java = ["java", "-Xms256m", "-Xmx768m", "-XX:+UseSerialGC"]
    java += [f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}", "-cp", packages.kafka_jars()]
    if not (directory / "logs" / "meta.properties").exists():
        tool = [*java, "kafka.tools.StorageTool"]
        made = subprocess.run([*tool, "random-uuid"], check=True, capture_output=True, text=True)
        format_it = [*tool, "format", "-t", made.stdout.split()[-1], "-c", str(config), *format_options]
        subprocess.run(format_it, check=True, capture_output=True)
    return [*java, "kafka.Kafka", str(config)]


class ZooKeeper(Server):
    name = "zookeeper"

    def command(self, directory: Path) -> list[str]:
        jars = packages.zookeeper_jars()
        config = directory / "zoo.cfg"
        config.write_text(
            f"tickTime=2000\ndataDir={directory / 'data'}\nclientPort={self.port}\n"
            f"clientPortAddress={places.HOST}\nadmin.enableServer=false\n"
        )
        return ["java", "-Xmx256m", "-cp", jars, "org.apache.zookeeper.server.ZooKeeperServerMain", str(config)]


class ClickHouse(Server):
    """See ``clickhouse_library``; ``CLICKHOUSE_CONFIG`` names one more file of settings."""

    name = "clickhouse"

    def command(self, directory: Path) -> list[str]:
        runner, library = Path(__file__).with_name("clickhouse_library.py"), packages.clickhouse_library()
        native_port = self.port + 877  # 9000 for 8123
        return [sys.executable, str(runner), str(library), str(directory / "data"), str(self.port), str(native_port)]

    def _greets(self, _connection: socket.socket) -> bool:
        with urllib.request.urlopen(f"http://{places.HOST}:{self.port}/ping", timeout=1) as answer:
            return answer.read() == b"Ok.\n"


class Redis(Server):
    name = "redis"

    def command(self, directory: Path) -> list[str]:
        options = {"port": self.port, "bind": places.HOST, "dir": directory, "appendonly": "yes"}
        program = packages.program("redis-server")
        return [program, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]

    def _greets(self, connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


class PostgreSQL(Server):
    """Runs as the user postgres when root starts it: it refuses to be root itself."""

    name = "postgres"
    stop_signal = "SIGINT"  # without waiting for clients to leave

    def command(self, directory: Path) -> list[str]:
        programs, data = packages.postgres_programs(), directory / "data"
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if prefix:
            shutil.chown(directory, "postgres")
            for parent in directory.parents:
                if not parent.stat().st_mode & 0o001:
                    sys.exit(f"services: user postgres cannot enter {parent}; set SERVICES_DIR to a folder it can")
        if not (data / "PG_VERSION").exists():
            make = [programs / "initdb", "-D", data, "-U", places.USER, "-A", "trust", "-E", "UTF8"]
            subprocess.run([*prefix, *map(str, make)], check=True, stdout=subprocess.DEVNULL, cwd="/")
        if not living(data / "postmaster.pid"):  # a killed one that nobody reaped still looks alive to PostgreSQL
            (data / "postmaster.pid").unlink(missing_ok=True)
        options = ["-c", "unix_socket_directories=", "-c", f"listen_addresses={places.HOST}"]
        return [*prefix, str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *options]

    def _greets(self, connection: socket.socket) -> bool:
        """Sign in: a server that is only about to be ready refuses with an error, one that is ready does not."""
        words = b"".join(word.encode() + b"\0" for word in ("user", places.USER, "database", "postgres", ""))
        connection.sendall(struct.pack("!ii", 8 + len(words), _PROTOCOL_3) + words)
        return connection.recv(1) == b"R"


def create_database() -> None:
    """The product's database, which ``init-schema`` expects to be there."""
    program = packages.postgres_programs() / "psql"
    place = ["-h", places.HOST, "-p", str(places.port("postgres")), "-U", places.USER, "-d", "postgres"]

    def ask(statement: str) -> str:
        asked = [str(program), *place, "-tAc", statement]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    if ask(f"SELECT 1 FROM pg_database WHERE datname = '{places.DATABASE}'") != "1":
        ask(f"CREATE DATABASE {places.DATABASE}")


_ALL = (Kafka(), ClickHouse(), PostgreSQL(), Redis(), ZooKeeper())
SERVERS: dict[str, Server] = {server.name: server for server in _ALL}
