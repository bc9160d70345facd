"""The program that starts servers for tests: with Docker Compose (a stand-in for it), and for the length of a command."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services import __main__ as program
from tests.services import places
from tests.services.backends import Backend, Compose, Processes, choose
from tests.services.processes import living
from tests.services.servers import SERVERS, Redis
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERVICES_DIR", str(tmp_path / "services"))
    monkeypatch.delenv("SERVICES_FROM", raising=False)
    return tmp_path


@pytest.fixture
def docker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for docker that writes down what it is asked, and answers that all runs."""
    asked = home / "asked"
    stand_in = home / "bin" / "docker"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$KAFKA_PORT $*" >> {asked}\ncase "$*" in *" ps "*) echo container;; esac\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")
    return asked


class Pretended(Backend):
    """Servers that answer as soon as they were started."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)
        self.forgotten: list[str] = []

    def runs(self, name: str) -> bool:
        return name in self.running

    def start(self, name: str) -> None:
        self.running.add(name)

    def prepare(self, name: str) -> None:
        assert name in self.running

    def stop(self, name: str) -> None:
        self.running.remove(name)

    def forget(self, name: str) -> None:
        self.forgotten.append(name)

    def fault(self, verb: str, name: str) -> None:
        raise AssertionError((verb, name))

    def how_it_ended(self, name: str) -> str:
        return "by SIGSEGV"

    def log_end(self, name: str) -> str:
        return name


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    backend = Pretended("redis")
    monkeypatch.setattr(program, "choose", lambda: backend)
    monkeypatch.setattr(program, "wait_until_ready", lambda made, name: made.prepare(name))
    return backend


def test_an_engine_that_answers_is_used(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(choose(), Compose)
    monkeypatch.setenv("SERVICES_FROM", "packages")
    assert isinstance(choose(), Processes)


def test_an_engine_that_does_not_answer_is_not_used(docker: Path, home: Path) -> None:
    (home / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert isinstance(choose(), Processes)


def test_faults_are_compose_s_own(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "4711")
    for verb in ("kill", "freeze", "thaw"):
        program.main([verb, "kafka"])
    asked = [line.split()[-2:] for line in docker.read_text().splitlines() if "--file" in line]
    assert asked == [["kill", "kafka"], ["pause", "kafka"], ["unpause", "kafka"]]
    assert {line.split()[0] for line in docker.read_text().splitlines() if "--file" in line} == {"4711"}


def test_what_was_started_for_a_command_ends_with_it(pretended: Pretended) -> None:
    said = Path(places.home()).parent / "said"
    code = program.main(["run", "sh", "-c", f"echo $CA_TEST_KAFKA_BROKERS $CA_TEST_SERVICES > {said}; exit 3"])
    assert code == 3
    assert said.read_text().split() == [f"127.0.0.1:{places.port('kafka')}", str(places.PROGRAM)]
    assert pretended.running == {"redis"}  # it ran before
    assert sorted(pretended.forgotten) == ["clickhouse", "kafka", "postgres"]


def test_a_server_that_ends_meanwhile_is_told_of(
    pretended: Pretended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = subprocess.run

    def lose_kafka(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        pretended.running.remove("kafka")
        return running(command, env=env, check=False)

    monkeypatch.setattr(program.subprocess, "run", lose_kafka)
    assert program.main(["run", "false"]) == 1
    said = capsys.readouterr().err
    assert "kafka ended while it was used, by SIGSEGV" in said
    assert "redis ended" not in said


@pytest.mark.parametrize(("script", "said"), [("kill -SEGV $$", "by SIGSEGV"), ("exit 3", "with exit code 3")])
def test_how_a_process_ended_is_known(script: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(Redis):
        def command(self, directory: Path) -> list[str]:
            return ["sh", "-c", script]

    monkeypatch.setenv("REDIS_PORT", "1")  # where nothing answers
    monkeypatch.setitem(SERVERS, "redis", Short())
    processes = Processes()
    processes.start("redis")
    eventually(lambda: not processes.runs("redis"), "the process to end")
    assert processes.how_it_ended("redis") == said
    assert "not known" in Processes().how_it_ended("redis")


def test_what_another_command_uses_stays(pretended: Pretended) -> None:
    with program._held(program.places.state() / "used", program.fcntl.LOCK_SH):
        assert program.main(["run", "true"]) == 0
        assert pretended.running == set(places.DEFAULT)
    assert program.main(["run", "true"]) == 0
    assert pretended.running == {"redis"}


def test_what_was_started_by_hand_stays(pretended: Pretended) -> None:
    with program._held(program.places.state() / "used", program.fcntl.LOCK_SH):
        program.main(["run", "true"])
    program.main(["up"])
    program.main(["run", "true"])
    assert pretended.running == set(places.DEFAULT)
    program.main(["down"])
    assert not pretended.running


@pytest.mark.parametrize("words", [["up", "mysql"], ["freeze", "mysql"]])
def test_an_unknown_server_is_named(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="'mysql' is none of kafka, clickhouse, postgres, redis, zookeeper"):
        program.main(words)


def test_a_process_is_known_by_its_file_until_it_ends(home: Path) -> None:
    file = home / "pid"
    assert living(file) is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        file.write_text(str(process.pid))
        assert living(file) == process.pid
        process.kill()
        deadline_s = time.monotonic() + 60
        while living(file) is not None:  # a zombie until it is waited for
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


@pytest.mark.parametrize("named", [True, False])
def test_a_run_that_requires_servers_skips_none(named: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CA_", "PYTEST"))}
    servers = places.test_variables() if named else {}
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--collect-only",
            "-p",
            "no:cacheprovider",
            "tests/unit/test_intents.py",
        ],
        capture_output=True,
        text=True,
        env={**environment, **servers, "CA_TEST_REQUIRE_SERVERS": "1"},
        cwd=Path(__file__).parents[2],
    )
    assert (ran.returncode == 0) is named
    assert named or "CA_TEST_KAFKA_BROKERS" in ran.stderr
