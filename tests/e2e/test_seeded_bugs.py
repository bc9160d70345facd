"""The safety net itself: each bug that is put into the product must make a history differ from the model."""

import subprocess
import sys

import pytest

from tests.seeded_bugs import BUGS
from tests.support.program import REPOSITORY


@pytest.mark.parametrize("name", BUGS)
def test_the_histories_find_it(name: str) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "tests.seeded_bugs", name], capture_output=True, text=True, cwd=REPOSITORY, timeout=240
    )
    assert played.returncode == 0, played.stdout + played.stderr
