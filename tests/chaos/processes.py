"""Tasks in processes of their own, each begun from nothing: hundreds of them open the stores, and most are killed.

None is a copy of another process: what an engine or a driver has made at import (threads, locks, descriptors) would be
there twice, and a hang could be the copy's fault as well as the product's.
"""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.program import Program

# Not a module that is run: a process which the worker starts to look at records would import it once more.
_COMMAND = (sys.executable, "-X", "faulthandler", "-c", "from tests.chaos.beginning import begin; begin()")
_LAST_WORDS = 12_000
_ENDS_WITHIN_S = 300.0
_TELLS_ITS_STACKS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    """Negative: the signal that ended it."""
    result: Any
    """What the task answered; None when the process was killed before."""


def run(program: Program, task: Callable[..., Any], *arguments: Any, timeout_s: float = _ENDS_WITHIN_S) -> Ended:
    """Run the task in a process of its own, with the program's settings and in its directory.

    Fails when it takes longer, with the stacks of its threads, or when it says that the program has a fault.
    """
    log, answer = program.home / "work.log", program.home / "answer"
    answer.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=program.home,
            env=program.environment(),
        )
    try:
        process.communicate(pickle.dumps((task, arguments, answer)), timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # has it write down its stacks
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TELLS_ITS_STACKS_WITHIN_S)
        raise AssertionError(f"{task.__name__}{arguments} did not end:\n{_words(log)}") from None
    finally:
        process.kill()
        process.wait()
    words = _words(log)
    assert "Traceback" not in words, words
    assert process.returncode in (0, -signal.SIGKILL), f"{task.__name__}{arguments}: {process.returncode}\n{words}"
    return Ended(process.returncode, pickle.loads(answer.read_bytes()) if answer.exists() else None)


def _words(log: Path) -> str:
    return log.read_text(errors="replace")[-_LAST_WORDS:]
