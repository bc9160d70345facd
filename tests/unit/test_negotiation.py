"""The form of an answer that fits ``Accept``."""

import pytest

from server.negotiation import best_media_type

OFFERED = ("application/json", "text/csv", "application/x-ndjson")


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "application/json"), ("*/*", "application/json"), ("application/*", "application/json"),
        ("text/csv", "text/csv"), ("TEXT/CSV; charset=utf-8", "text/csv"), ("text/csv, */*", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"), ("text/csv;q=0.5, */*", "application/json"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"), ("text/*", "text/csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"), ("*/*, application/json;q=0", "text/csv"),
        ("text/csv;q=0", None), ("image/png", None), ("nonsense", None), ("text/csv;q=2", None),
        ("text/csv;q=x, application/json", "application/json"), (",,text/csv,", "text/csv"), ("csv", None),
    ],
)  # fmt: skip
def test_the_best_form(accept: str, best: str | None) -> None:
    assert best_media_type(accept, OFFERED) == best
