"""Events and reports together: every answer is that of a brute-force model, to the last digit and the last warning.

``CA_TEST_HISTORIES`` asks for more histories than the few that every run takes.
"""

import os
from collections.abc import Iterator

import pytest

from tests.contracts.analytics_server import ServerHarness
from tests.support.report_histories import Player

HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "24"))
AT_ONCE = 6
"""Histories of one test; ``python -m tests.support.report_histories SEED`` plays one alone."""
QUESTIONS = 20


@pytest.fixture(scope="module", params=[pytest.param("embedded", marks=pytest.mark.embedded), "clickhouse"])
def player(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    server = ServerHarness() if request.param == "clickhouse" else None
    made = Player(tmp_path_factory.mktemp("analytics"), server.open() if server else None)
    yield made
    made.close()
    if server:
        server.remove()


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_answers_are_those_of_the_model(player: Player, first: int) -> None:
    wrong = []
    for seed in range(first, min(first + AT_ONCE, HISTORIES)):
        wrong += player.play(seed, QUESTIONS)
    assert not wrong, "\n".join(wrong[:30])
