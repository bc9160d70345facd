"""For every suite."""

import gc
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.services import check_required

# A shell that starts the tests in the background has them ignore SIGINT, and so would every process they start; what a
# handler stands for here is the default in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    check_required()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: looking through it for reference cycles takes two fifths of collecting thousands."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def hangups() -> Iterator[None]:
    """A hangup ends a program, also where whoever runs the tests has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
