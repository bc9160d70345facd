"""What the end-to-end tests share."""

from collections.abc import Iterator

import pytest

from tests.e2e.rest import Rest, User, rest_over


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with rest_over(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def user(rest: Rest) -> User:
    return rest.user()


@pytest.fixture(scope="module")
def stranger(rest: Rest) -> User:
    """A user of another organization."""
    return rest.user()
