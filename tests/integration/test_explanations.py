"""Explanations of numbers of random histories: the value is that of insights and of the model, and it adds up.

``CA_TEST_HISTORIES`` asks for more histories than the few that every run takes.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.explanations import Explainer

HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "16"))
AT_ONCE = 4
"""Histories of one test; ``python -m tests.support.explanations SEED`` plays one alone."""
QUESTIONS = 8


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explainer]:
    made = Explainer(tmp_path_factory.mktemp("explained"))
    yield made
    made.close()


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_numbers_are_what_they_are_made_of(explainer: Explainer, first: int) -> None:
    wrong = []
    for seed in range(first, min(first + AT_ONCE, HISTORIES)):
        wrong += explainer.play(seed, QUESTIONS)
    assert not wrong, "\n".join(wrong[:30])
    assert explainer.reached
