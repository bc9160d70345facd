"""For every suite."""

import signal

from tests.support.services import check_required

# A shell that starts the tests in the background has them ignore SIGINT, and so would every process they start; what a
# handler stands for here is the default in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    check_required()
