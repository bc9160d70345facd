"""The dashboard over a real ``serve`` that is stopped, frozen and started again. The long form: ``python -m tests.tui.endurance``."""

from pathlib import Path

import pytest

from tests.tui.endurance import GROWTH_BAR_BYTES, endure

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")


def test_an_api_that_goes_and_comes_back_is_told_and_costs_no_memory(tmp_path: Path) -> None:
    figures = endure(tmp_path, {}, minutes=0, rounds=2, interval_s=0.5, servers=False)
    # Each of these ended with the word that was waited for; how soon is measured by the long form.
    assert (len(figures.away_after_s), len(figures.stale_after_s), len(figures.live_after_s)) == (2, 2, 4)
    # Twice the bar: of a process this young some of it is what Python itself still takes. test_keys counts what is kept.
    assert figures.growth_bytes < 2 * GROWTH_BAR_BYTES
