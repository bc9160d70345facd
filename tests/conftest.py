"""For every suite."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.services import check_required

# A shell that starts the tests in the background has them ignore SIGINT, and so would every process they start; what a
# handler stands for here is the default in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    check_required()


@pytest.fixture
def hangups() -> Iterator[None]:
    """A hangup ends a program, also where whoever runs the tests has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
