"""The data directory: its lock, the running server's address, and secrets, with processes that race and die."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from campaignctl.adapters.data_directory import DataDirectory, RunningServer
from campaignctl.adapters.process_identity import ProcessIdentity, is_known_dead, this_process
from campaignctl.errors import ConfigurationError, DirectoryInUse

ROOT = Path(__file__).parents[2]

HOLD = """if True:
    import sys, time
    from pathlib import Path
    from campaignctl.adapters.data_directory import DataDirectory
    directory = DataDirectory(Path(sys.argv[1]))
    lock = directory.lock(5.0, "serve")
    directory.publish_server("http://127.0.0.1:8080", "operator-token")
    print("ready", flush=True)
    sys.stdin.readline()
    lock.release()
    print("released", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "home" / ".campaignctl")


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def holder(directory: DataDirectory) -> Iterator[subprocess.Popen[str]]:
    with start(HOLD, directory.path) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> str:
    assert process.stdin and process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The directory


def test_it_is_made_for_this_user_only(directory: DataDirectory) -> None:
    assert mode(directory.path) == 0o700
    DataDirectory(directory.path)


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("here")
    for path in (file, file / "below"):
        with pytest.raises(ConfigurationError, match=r"data_dir: .*file of that name") as caught:
            DataDirectory(path)
        assert "CA_DATA_DIR" in caught.value.hint


def test_a_place_where_nothing_can_be_made_is_named() -> None:
    with pytest.raises(ConfigurationError, match="data_dir: /proc/"):
        DataDirectory(Path("/proc/campaignctl"))


def test_a_read_only_directory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o500)
    if os.geteuid() == 0:  # nothing is read-only for root
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="may not read and write"):
        DataDirectory(path)


# The lock


def test_the_lock_has_one_holder_and_names_it(directory: DataDirectory) -> None:
    with holder(directory) as process:
        started = time.monotonic()
        with pytest.raises(DirectoryInUse, match=rf"process {process.pid} \(serve\)") as caught:
            directory.lock(0.5, "init-schema")
        assert 0.4 < time.monotonic() - started < 15
        assert caught.value.hint
        assert caught.value.service == "analytics"


def test_a_lock_waits_until_it_is_free(directory: DataDirectory) -> None:
    with holder(directory) as process:
        assert tell(process) == "released\n"
        with directory.lock(10, "init-schema"):
            pass


def test_the_lock_is_free_at_once_when_its_holder_is_killed(directory: DataDirectory) -> None:
    with holder(directory) as process:
        process.kill()
        process.wait()
        with directory.lock(0, "serve"):
            assert directory.running_server() is None


def test_the_lock_holds_against_the_same_process_too(directory: DataDirectory) -> None:
    with directory.lock(0, "work"), pytest.raises(DirectoryInUse, match=f"process {os.getpid()} "):
        DataDirectory(directory.path).lock(0, "work")
    lock = directory.lock(0, "work")
    lock.release()
    lock.release()


def test_five_processes_take_turns(directory: DataDirectory) -> None:
    script = """if True:
        import sys, time
        from pathlib import Path
        from campaignctl.adapters.data_directory import DataDirectory
        directory = DataDirectory(Path(sys.argv[1]))
        for _ in range(3):
            with directory.lock(30.0, "init-schema"):
                mark = directory.path / "inside"
                mark.touch(exist_ok=False)
                time.sleep(0.01)
                mark.unlink()
    """
    processes = [start(script, directory.path) for _ in range(5)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 5


def test_a_forked_child_does_not_keep_the_lock(directory: DataDirectory) -> None:
    script = """if True:
        import os, sys, time
        from pathlib import Path
        from campaignctl.adapters.data_directory import DataDirectory
        lock = DataDirectory(Path(sys.argv[1])).lock(5.0, "serve")
        if os.fork() == 0:
            print("forked", os.getpid(), flush=True)
            time.sleep(60)
        os._exit(0)
    """
    with start(script, directory.path) as process:
        assert process.stdout
        _, child = process.stdout.readline().split()
        process.wait()
        try:
            directory.lock(2.0, "serve").release()
        finally:
            os.kill(int(child), 9)


# The running server


def test_a_running_server_is_found(directory: DataDirectory) -> None:
    assert directory.running_server() is None
    with holder(directory) as process:
        found = directory.running_server()
        assert found == RunningServer("http://127.0.0.1:8080", "operator-token", process.pid)
        assert "operator-token" not in repr(found)
        assert mode(directory.path / "server.json") == 0o600
        assert tell(process) == "released\n"
        assert not (directory.path / "server.json").exists()
        assert directory.running_server() is None


def test_a_killed_server_is_not_found_and_its_file_stays_for_the_next_holder(directory: DataDirectory) -> None:
    with holder(directory) as process:
        process.kill()
        process.wait()
        assert directory.running_server() is None
        assert (directory.path / "server.json").exists()
        with directory.lock(0, "init-schema"):
            assert not (directory.path / "server.json").exists()
            assert directory.running_server() is None


def test_another_holder_is_not_taken_for_the_server_that_died(directory: DataDirectory) -> None:
    with holder(directory) as process:
        stale = (directory.path / "server.json").read_text()
        process.kill()
    with directory.lock(0, "init-schema"):
        (directory.path / "server.json").write_text(stale)
        assert directory.running_server() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": "u", "token": "t", "process": {"pid": 1}}'])
def test_an_unreadable_address_is_no_server(directory: DataDirectory, text: str) -> None:
    with directory.lock(0, "serve"):
        (directory.path / "server.json").write_text(text)
        assert directory.running_server() is None


def test_looking_for_the_server_does_not_disturb_who_takes_the_lock(directory: DataDirectory) -> None:
    script = """if True:
        import sys, time
        from pathlib import Path
        from campaignctl.adapters.data_directory import DataDirectory
        directory = DataDirectory(Path(sys.argv[1]))
        print("ready", flush=True)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            directory._is_locked()
    """
    with start(script, directory.path) as process:
        assert process.stdout and process.stdout.readline()
        for _ in range(20):
            directory.lock(0, "serve").release()


# Secrets


def test_a_secret_is_made_once(directory: DataDirectory) -> None:
    secret = directory.secret("jwt.key")
    assert len(secret) >= 43  # 32 bytes in base64
    assert directory.secret("jwt.key") == DataDirectory(directory.path).secret("jwt.key") == secret
    assert directory.secret("secrets.key", 64) != secret
    assert mode(directory.path / "secrets" / "jwt.key") == 0o600
    assert sorted(p.name for p in (directory.path / "secrets").iterdir()) == ["jwt.key", "secrets.key"]


def test_five_processes_get_the_same_secret(directory: DataDirectory) -> None:
    script = """if True:
        import sys, time
        from pathlib import Path
        from campaignctl.adapters.data_directory import DataDirectory
        directory = DataDirectory(Path(sys.argv[1]))
        time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
        print(*[directory.secret(f"key-{i}") for i in range(50)])
    """
    at = time.time() + 1.0
    processes = [start(script, directory.path, at) for _ in range(5)]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert len(answers) == 1
    assert len(answers.pop().split()) == 50
    assert len(list((directory.path / "secrets").iterdir())) == 50


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o660])
def test_a_secret_that_others_may_read_is_refused(directory: DataDirectory, bits: int) -> None:
    secret = directory.secret("jwt.key")
    path = directory.path / "secrets" / "jwt.key"
    path.chmod(bits)
    with pytest.raises(ConfigurationError, match="other users") as caught:
        directory.secret("jwt.key")
    assert "chmod 600" in caught.value.hint
    assert secret not in caught.value.message + caught.value.hint
    path.chmod(0o600)
    assert directory.secret("jwt.key") == secret


def test_an_empty_secret_is_refused(directory: DataDirectory) -> None:
    directory.secret("jwt.key")
    (directory.path / "secrets" / "jwt.key").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        directory.secret("jwt.key")


@pytest.mark.parametrize("name", ["", "../jwt", "a/b", ".hidden", "UPPER"])
def test_a_secrets_name_is_no_path(directory: DataDirectory, name: str) -> None:
    with pytest.raises(ValueError, match="not a secret's name"):
        directory.secret(name)


# Processes


def test_which_process_is_alive() -> None:
    me = this_process()
    assert not is_known_dead(me)
    with start("import sys; sys.stdin.read()") as child:
        alive = ProcessIdentity(me.boot_id, me.pid_namespace, child.pid, _started(child.pid))
        assert not is_known_dead(alive)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_known_dead(alive)  # dead, though its parent has not asked yet
    assert is_known_dead(alive)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_what_is_known_about_other_machines_and_containers() -> None:
    me = this_process()
    assert is_known_dead(ProcessIdentity("another start of the machine", me.pid_namespace, me.pid, me.started))
    assert is_known_dead(ProcessIdentity(me.boot_id, me.pid_namespace, me.pid, "1"))  # the id was used again
    assert not is_known_dead(ProcessIdentity(me.boot_id, "another container", 1, "1"))  # nobody can know


def _started(pid: int) -> str:
    script = "from campaignctl.adapters.process_identity import _started; import sys; print(_started(int(sys.argv[1])))"
    return subprocess.run(
        [sys.executable, "-c", script, str(pid)], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_lock_file_says_who_holds_it(directory: DataDirectory) -> None:
    with directory.lock(0, "serve"):
        text = json.loads((directory.path / "lock").read_text())
        assert (text["purpose"], text["process"]["pid"]) == ("serve", os.getpid())
        assert mode(directory.path / "lock") == 0o600
    assert (directory.path / "lock").read_text() == ""
