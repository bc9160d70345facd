"""Processes in an image's root, held as tightly as ``docker run --read-only --cap-drop ALL --tmpfs /tmp`` would.

Namespaces of one's own for mounts alone: the network is this machine's, so that its servers are on loopback. The root is
mounted read-only; ``/tmp``, ``/dev/shm`` and the data directory are in memory. The process is the image's user, without a
capability and without a way to get one.
"""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.images.building import Image

_PATIENCE_S = 240.0
_FROM_THE_MACHINE = ("/etc/hosts", "/etc/resolv.conf")
_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Running:
    """A command that has not ended by itself."""

    process: "subprocess.Popen[bytes]"
    log_path: Path
    stopped_s: float = field(default=0.0)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM, as a container's stop does; answers the exit code."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self.stopped_s = time.monotonic() - began_s
        return code


@dataclass(frozen=True)
class Container:
    """``docker run``, again and again, with one data directory (``data``) for all of them: a volume."""

    image: Image
    data: Path
    environment: Mapping[str, str]

    def run(self, *command: str, expect: int | None = 0, stdin: bytes = b"") -> Ran:
        """A command of the program to its end."""
        return self.execute([*self.image.config["Entrypoint"], *command], expect=expect, stdin=stdin)

    def execute(self, command: Sequence[str], *, expect: int | None = 0, stdin: bytes = b"") -> Ran:
        """Any command to its end."""
        ran = subprocess.run(
            self._held(command),
            input=stdin,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        done = Ran(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
        shown = (
            f"{self.image.target}: {shlex.join(command)}: exit {done.code}\n{done.out[-3_000:]}\n{done.err[-3_000:]}"
        )
        assert "Traceback" not in done.err, shown
        assert expect is None or done.code == expect, shown
        return done

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Running]:
        """The image's own command with these arguments behind it; ended by SIGTERM, within the 25 s that it may take."""
        with tempfile.NamedTemporaryFile(prefix=f"{self.image.target}-", suffix=".log") as output:
            process = subprocess.Popen(
                self._held([*self.image.command, *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            running = Running(process, Path(output.name))
            try:
                yield running
                if process.poll() is None:
                    code = running.stop()
                    assert code == 143, running.log()[-4_000:]
                    assert running.stopped_s < 27, f"{self.image.target} took {running.stopped_s:.1f} s to stop"
            except AssertionError as error:
                error.add_note(running.log()[-4_000:])
                raise
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(30)
            assert "Traceback" not in running.log(), running.log()[-8_000:]

    def _held(self, command: Sequence[str]) -> list[str]:
        """It keeps its process id through all of this, so that a signal to it is one to the program."""
        root, (uid, gid) = self.image.root, self.image.user
        for name in _FROM_THE_MACHINE:
            (root / name[1:]).touch()
        home = self.image.config["WorkingDir"]
        inside = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--inh-caps=-all"]
        inside += ["--bounding-set=-all", "--no-new-privs", "env", "-i", "-C", home]
        inside += [f"{name}={value}" for name, value in {**self.image.environment, **self.environment}.items()]
        inside += command
        q = shlex.quote
        steps = [
            "set -e",
            f"mount --bind {q(str(root))} {q(str(root))}",
            f"cd {q(str(root))}",
            "mount -t tmpfs -o mode=1777,size=64m none tmp",
            "mount -t tmpfs -o mode=755,size=1m none dev",
            f"for d in {' '.join(_DEVICES)}; do touch dev/$d; mount --bind /dev/$d dev/$d; done",
            "mkdir dev/shm",
            "mount -t tmpfs -o mode=1777,size=64m none dev/shm",
            "mount --rbind -o ro /proc proc",
            *(f"mount --bind {name} .{name}; mount -o remount,bind,ro .{name}" for name in _FROM_THE_MACHINE),
            f"mount --bind {q(str(self.data))} .{q(home)}",
            f"mount -o remount,bind,ro {q(str(root))}",
            f"exec chroot . {shlex.join(inside)}",
        ]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(steps)]
