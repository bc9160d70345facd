"""The property that matters most: whatever happens, the product answers what the model answers, to the last digit.

``CA_TEST_HISTORIES`` asks for another number of histories than every run takes; each costs about a second of CPU.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.histories import play
from tests.support.mounts import in_memory
from tests.support.one_engine import OneEngine

HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "500"))
AT_ONCE = 10
"""Histories of one test; a failure names the seed, and ``python -m tests.support.histories SEED`` plays it alone."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneEngine]:
    with in_memory(tmp_path_factory.mktemp("engine")) as directory:
        opened = OneEngine(directory)
        yield opened
        opened.close()


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_the_product_agrees_with_the_model(first: int, engine: OneEngine, tmp_path: Path) -> None:
    wrong: list[str] = []
    with in_memory(tmp_path) as directory:
        for seed in range(first, min(first + AT_ONCE, HISTORIES)):
            wrong += play(seed, directory / str(seed), engine=engine)
    assert not wrong, "\n".join(wrong[:30])
