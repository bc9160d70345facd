"""Sums beyond 64 bits as numbers."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from campaignctl.domain.insight_sums import LIMB_BITS, WideSums

_halves = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-100, 100),
    st.sampled_from([2**34 - 1, 2**34, -(2**34), 2**62 - 1, 2**62, -(2**62), 1 - 2**62]),
)


@given(st.lists(st.tuples(_halves, _halves)))
@example([(2**34 - 1, 2**62 - 1)])
@example([(1 - 2**34, 1 - 2**62)])
@example([(-(2**63), -(2**63)), (0, 0)])
def test_each_is_exact(pairs: list[tuple[int, int]]) -> None:
    high, low = (np.array([pair[half] for pair in pairs], np.int64) for half in (0, 1))
    assert WideSums(high, low).all() == [(high << LIMB_BITS) + low for high, low in pairs]
