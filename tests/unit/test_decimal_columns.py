"""Columns of numbers, against the same numbers one by one."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaignctl.domain import insight_json
from campaignctl.domain.decimal_columns import columns_of, decimal_texts, ratios, whole_texts
from campaignctl.domain.insights import Metric, Ratio, Sums
from campaignctl.domain.money import micros_to_decimal_text, ratio_micros

_MOST = 2**63 - 1
_edges = [0, 1, 9_999, 10_000, 999_999, 1_000_000, 1_000_100, 1_001_000, 9_999_999_999, 10_000_000_000, _MOST]
_numbers = st.one_of(st.sampled_from(_edges), st.integers(0, 3_000_000), st.integers(0, _MOST))


@given(st.lists(_numbers, min_size=1), st.data())
@example(_edges, None)
def test_decimals(values: list[int], data: st.DataObject | None) -> None:
    other = values[::-1] if data is None else data.draw(st.permutations(values))
    found = decimal_texts([np.array(values, np.int64), np.array(other, np.int64)])
    assert found == [[micros_to_decimal_text(value) for value in column] for column in (values, other)]


@given(st.lists(_numbers, min_size=1))
@example(_edges)
def test_whole_numbers(values: list[int]) -> None:
    assert whole_texts(np.array(values, np.int64)).tolist() == [str(value) for value in values]


@given(st.sampled_from(Ratio), st.lists(st.tuples(_numbers, _numbers), min_size=1))
@example(Ratio.CPC, [(5, 2), (7, 2), (1, 0), (0, 0), (0, 3), (3, 2), (1, 3)])
@example(Ratio.CPC, [(2**62, 1)])
@example(Ratio.CPC, [(2**62 - 1, 2**62 - 1), (1, 2**62 - 1)])
def test_ratios(ratio: Ratio, parts: list[tuple[int, int]]) -> None:
    dividend_scale, divisor_scale = ratio.scales
    dividends, divisors = (np.array(column, np.int64) for column in zip(*parts, strict=True))
    found = ratios(dividends, divisors, dividend_scale, divisor_scale)
    most = max(max(over * dividend_scale, under * divisor_scale) for over, under in parts)
    if most >= 2**62:
        assert found is None
        return
    assert found is not None
    texts = [value if is_defined else None for value, is_defined in zip(*(a.tolist() for a in found), strict=True)]
    assert texts == [ratio_micros(over * dividend_scale, under * divisor_scale) for over, under in parts]


def test_halves_go_to_the_even_one() -> None:
    found = ratios(np.array([1, 3, 5, 7, 9]), np.array([2, 2, 2, 2, 2]), 1, 1)
    assert found is not None
    assert found[0].tolist() == [0, 2, 2, 4, 4]


@pytest.mark.parametrize("odd", [None, -1, 2**63])
def test_what_does_not_fit_is_told(odd: int | None) -> None:
    assert columns_of([(1, 2), (3, odd)]) is None


def test_columns_of_rows() -> None:
    found = columns_of([(1, 2), (3, 4)])
    assert found is not None
    assert [column.tolist() for column in found] == [[1, 3], [2, 4]]


_sums = st.builds(Sums, *(st.one_of(st.none(), st.integers(-5, 10**7), st.integers(0, 2**70)) for _ in Metric))


@given(st.lists(st.builds(Sums, *(_numbers for _ in Metric)), max_size=8), st.lists(_sums, max_size=2))
def test_a_page_s_rows_are_each_as_it_is_alone(several: list[Sums], odd: list[Sums]) -> None:
    rows = [*several, *odd] + [Sums()] * 64
    assert insight_json._sums_of(rows) == [insight_json._sums(row) for row in rows]
