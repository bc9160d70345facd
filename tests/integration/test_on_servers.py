"""The whole event files on real servers: two workers and an API process, every answer exactly as on embedded stores.

Needs all four servers (``CA_TEST_KAFKA_BROKERS``, ``CA_TEST_CLICKHOUSE_HOST``, ``CA_TEST_POSTGRES_HOST``,
``CA_TEST_REDIS_ADDR``, with their ports and users); skipped by name otherwise.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.answers import differences
from tests.support.deployment import deployed, needs_servers, own_places
from tests.support.program import Program
from tests.support.scenarios import Scenario, load_scenario, scenario_folders
from tests.support.thread import Client

WORKERS = 2

pytestmark = needs_servers


@dataclass(frozen=True, slots=True)
class Played:
    scenario: Scenario
    program: Program
    client: Client


@pytest.fixture(scope="module", params=scenario_folders(), ids=lambda folder: folder.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    scenario = load_scenario(request.param)
    with ExitStack() as stack:
        settings = stack.enter_context(own_places())
        home = tmp_path_factory.mktemp(scenario.folder.name)
        program, client = stack.enter_context(deployed(home, settings, workers=WORKERS))
        assert client.create(scenario.campaigns) == list(range(1, len(scenario.campaigns) + 1))
        client.put_rates(scenario.rates)
        sent = client.send(scenario.lines)
        assert sent.refused == scenario.refused
        client.wait(sent.positions, 1)
        yield Played(scenario, program, client)


def test_every_answer_is_exact(played: Played) -> None:
    wrong = []
    for question in played.scenario.questions:
        answer = played.client.ask(question.path, question.params)
        wrong += [f"{question}: {text}" for text in differences(answer, question.expected)[:5]]
    assert not wrong, "\n".join(wrong[:40])


def test_sending_the_file_again_changes_no_answer(played: Played) -> None:
    sent = played.client.send(played.scenario.lines)
    played.client.wait(sent.positions, 1)
    for question in played.scenario.questions[::7]:
        assert not differences(played.client.ask(question.path, question.params), question.expected), question


def test_a_command_beside_the_servers_reads_the_same_rows(played: Played) -> None:
    counted = played.program.run("query", "SELECT count(), uniqExact(campaign_id, event_id) FROM events", "-o", "json")
    ((rows, distinct),) = (tuple(row) for row in _rows(counted.json()))
    assert rows == distinct > 0


def _rows(answer: object) -> list[list[int]]:
    assert isinstance(answer, dict)
    return [list(row.values()) if isinstance(row, dict) else list(row) for row in answer["rows"]]
