"""Where all copies of an event agree, it never matters in which order, how often or in which requests events arrive."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.model.make_example import RETENTION_DAYS, SENT_AT, make
from tests.support.answers import differences
from tests.support.clock import SteeredClock
from tests.support.scenarios import Scenario, load_scenario
from tests.support.thread import Client, Thread, open_thread

_CAMPAIGN = re.compile(rb'(?<="campaign_id": )[0-9.eE+-]+')
_OF_ONE = re.compile(r"/campaigns/([12])/")

ORDERS = ("reversed", "shuffled", "shuffled again", "each three times", "one request an event")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    folder = tmp_path_factory.mktemp("agreeing")
    for name, content in make(conflicts=False).items():
        (folder / name).write_bytes(content)
    return load_scenario(folder)


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thread]:
    directory = tmp_path_factory.mktemp("data")
    with open_thread(
        directory,
        clock=SteeredClock(SENT_AT),
        events={"retention_days": RETENTION_DAYS},
        kafka={"events_partitions": 3},
    ) as made:
        yield made


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_arrival_changes_no_answer(thread: Thread, scenario: Scenario, order: str) -> None:
    client = thread.organization(order)
    ids = dict(enumerate(client.create([campaign | {"platforms": []} for campaign in scenario.campaigns]), 1))
    client.put_rates(scenario.rates)
    lines = [_of_campaigns(line, ids) for line in scenario.lines]
    send(thread, client, arranged(lines, order), ids[1])
    wrong = []
    for question in scenario.questions:
        if _OF_ONE.search(question.path):
            path = _OF_ONE.sub(lambda found: f"/campaigns/{ids[int(found[1])]}/", question.path)
            wrong += [
                f"{question}: {text}" for text in differences(client.ask(path, question.params), question.expected)
            ]
    assert wrong == []


def arranged(lines: Sequence[bytes], order: str) -> list[list[bytes]]:
    """The requests in which the lines are sent."""
    rng, size = random.Random(order), 60
    match order:
        case "reversed":
            sent = list(lines[::-1])
        case "each three times":
            sent = rng.sample([*lines] * 3, len(lines) * 3)
        case _:
            sent = rng.sample(lines, len(lines))
            size = 1 if order == "one request an event" else size
    return [sent[start : start + size] for start in range(0, len(sent), size)]


def send(thread: Thread, client: Client, requests: Sequence[list[bytes]], campaign_id: int) -> None:
    """Half of the requests, then a worker that counts them; another worker for the other half."""
    half = len(requests) // 2
    for part in (requests[:half], requests[half:]):
        positions = [position for request in part for position in client.send(request).positions]
        with thread.working():
            client.wait(positions, campaign_id)


def _of_campaigns(line: bytes, ids: Mapping[float, int]) -> bytes:
    def other(found: re.Match[bytes]) -> bytes:
        return str(ids.get(float(found[0]), found[0].decode())).encode()  # numbers are spelled in many ways: 10E-1

    return _CAMPAIGN.sub(other, line)
