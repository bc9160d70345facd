"""The pictures in the documents show what the program shows now."""

import os
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")

from tests.tui.screenshots import PICTURES, in_utc, path_of, picture


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    in_utc()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.anyio
@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_is_what_the_program_draws(name: str) -> None:
    drawn = await picture(name)
    assert drawn == path_of(name).read_text(encoding="utf-8"), "draw it again: python -m tests.tui.screenshots"
