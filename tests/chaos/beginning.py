"""Where a process of ``tests.chaos.processes`` begins. It imports nothing that its task does not need."""

import pickle
import sys


def begin() -> None:
    """Do the task that stands in the input, and put down what it answers."""
    task, arguments, answer = pickle.load(sys.stdin.buffer)
    result = task(*arguments)
    part = answer.with_suffix(".part")
    part.write_bytes(pickle.dumps(result))
    part.replace(answer)
