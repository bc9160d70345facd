"""A command that waits for news ends when nobody reads what it prints any more."""

import os
import signal
import threading
from pathlib import Path

import pytest

from campaignctl.cli.closed_pipe import ends_with_its_reader

_PATIENCE_S = 120.0


def test_a_pipe_without_a_reader_ends_a_wait() -> None:
    reading, writing = os.pipe()
    before = signal.getsignal(signal.SIGURG)
    with os.fdopen(writing, "w") as stream, pytest.raises(BrokenPipeError), ends_with_its_reader(stream):
        os.close(reading)
        threading.Event().wait(_PATIENCE_S)
        pytest.fail("the wait was never ended")
    assert signal.getsignal(signal.SIGURG) is before


def test_a_pipe_that_is_read_and_a_file_change_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe, os.fdopen(reading) as reader, (tmp_path / "out").open("w") as file:
        for stream in (pipe, file):
            with ends_with_its_reader(stream):
                stream.write("a number\n")
        pipe.flush()
        assert reader.readline() == "a number\n"


def test_an_own_error_is_told_as_it_is() -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(writing, "w") as stream,
        os.fdopen(reading),
        pytest.raises(ValueError, match="of the caller"),
        ends_with_its_reader(stream),
    ):
        raise ValueError("of the caller")


def test_outside_of_the_main_thread_nothing_is_set() -> None:
    reading, writing = os.pipe()
    seen: list[object] = []

    def somewhere() -> None:
        with ends_with_its_reader(stream):
            seen.append(signal.getsignal(signal.SIGURG))

    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        thread = threading.Thread(target=somewhere)
        thread.start()
        thread.join(_PATIENCE_S)
    assert seen == [signal.getsignal(signal.SIGURG)]
