"""One history, two deployments, one answer: embedded stores and real servers say the same, byte for byte.

Each history has servers' places of its own but the same Redis, so that an answer of another installation would show.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from campaignctl.errors import InvalidInput
from tests.model.histories import History, random_history
from tests.model.questions import random_questions, request
from tests.support.deployment import deployed, needs_servers, own_places
from tests.support.thread import Client, open_thread

pytestmark = needs_servers

SEEDS = (1, 2)
QUESTIONS = 100
WORKERS = 3
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Both:
    history: History
    embedded: Client
    servers: Client


@pytest.fixture(scope="module", params=SEEDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    history = random_history(request.param, now=datetime.now(UTC), size=600)
    with ExitStack() as stack:
        settings = stack.enter_context(own_places())
        settings |= {"CA_KAFKA_EVENTS_PARTITIONS": str(PARTITIONS), "CA_EVENTS_RETENTION_DAYS": "400"}
        _, servers = stack.enter_context(deployed(tmp_path_factory.mktemp("servers"), settings, workers=WORKERS))
        own = {"kafka": {"events_partitions": PARTITIONS}, "jwt": {"key": settings["CA_JWT_KEY"]}}  # cursors are signed
        embedded = stack.enter_context(open_thread(tmp_path_factory.mktemp("embedded"), **own))
        stack.enter_context(embedded.working())
        assert _feed(embedded, history) == _feed(servers, history)
        yield Both(history, embedded, servers)


def _feed(client: Client, history: History) -> list[tuple[int, str]]:
    """Give it the whole history, and wait until it is counted; answers what was refused."""
    assert client.create(history.campaigns) == list(range(1, len(history.campaigns) + 1))
    client.put_rates(history.rates)
    sent = client.send(history.records)
    client.wait(sent.positions, 1)
    return sent.refused


def test_every_answer_is_the_same_bytes(both: Both) -> None:
    questions = random_questions(random.Random(both.history.seed), both.history, datetime.now(UTC), QUESTIONS)
    answered = 0
    for question in questions:
        path, params = request(question)
        one, other = _answer(both.embedded, path, params), _answer(both.servers, path, params)
        if one != other:  # an hour or a day may have begun between the two
            one = _answer(both.embedded, path, params)
        assert one == other, (path, params)
        answered += isinstance(one, bytes)
    assert answered > QUESTIONS / 2


def _answer(client: Client, path: str, params: dict[str, Any]) -> bytes | list[tuple[str, str]]:
    """The body as it came; of a refusal what is wrong, without the number that each request has of its own."""
    try:
        return client.api.get(path, params).content
    except InvalidInput as error:
        return [(one.field, one.message) for one in error.errors]
