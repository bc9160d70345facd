"""Times that are spelled alike, read all at once: the same as one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaignctl.domain.events.times import parse_time, parse_times

DATES = st.tuples(
    st.one_of(st.sampled_from([0, 1, 1900, 2000, 2024, 9999]), st.integers(0, 9999)),
    st.integers(0, 13),
    st.one_of(st.integers(0, 32), st.sampled_from([28, 29, 30, 31])),
)
CLOCKS = st.tuples(st.integers(0, 24), st.integers(0, 60), st.integers(0, 61))
TAILS = st.sampled_from(["Z", "z", "+", "-"])


def agrees(texts: list[str]) -> None:
    times_us, refused = parse_times(texts)
    for place, text in enumerate(texts):
        expected = parse_time(text)
        assert (place in refused) == (expected is None), text
        assert expected is None or times_us[place] == expected, text


@settings(max_examples=300)
@given(
    st.integers(0, 7).flatmap(
        lambda digits: st.tuples(
            TAILS,
            st.lists(
                st.tuples(
                    DATES,
                    CLOCKS,
                    st.text("0123456789", min_size=digits, max_size=digits),
                    st.integers(0, 24),
                    st.integers(0, 60),
                ),
                min_size=1,
                max_size=8,
            ),
        )
    )
)
def test_times_of_one_layout(given: tuple[str, list[tuple[tuple[int, ...], tuple[int, ...], str, int, int]]]) -> None:
    tail, times = given
    agrees(
        [
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}".format(
                *date,
                *clock,
                f".{fraction}" if fraction else "",
                f"{tail}{hours:02}:{minutes:02}" if tail in "+-" else tail,
            )
            for date, clock, fraction, hours, minutes in times
        ]
    )


@pytest.mark.parametrize(
    "other",
    [
        "2026-11-23T10:00:00.123+05:45",
        "2026-11-23T10:00:00.123-05:30",
        "2026-11-23t10:00:00.123+05:30",
        "2026-11-23T10:00:00.123 05:30",
        "2026-11-23 10:00:00.123+05:30",
        "2026-11-23T10:00:00,123+05:30",
        "2026-11-23T10:0x:00.123+05:30",
        "2026-11-23T10:00:00.12\u0663+05:30",
        "2026-02-29T10:00:00.123+05:30",
        "2024-02-29T23:59:60.123+23:59",
        "2026-11-23T10:00:00.1234+05:30",
        "",
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_that_differs_among_times_that_are_alike(other: str, place: int) -> None:
    texts = ["2026-11-23T10:00:00.123+05:30"] * 4
    texts.insert(place, other)
    agrees(texts)


def test_no_times() -> None:
    times_us, refused = parse_times([])
    assert (times_us.tolist(), refused) == ([], [])
