"""The deduplication window, against a dict."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from campaignctl.domain.dedup_window import NEVER, DedupWindow, event_keys, short_fingerprints

DAY_MS = 86_400_000

entries = st.tuples(st.integers(0, 40), st.integers(0, 2**64 - 1), st.integers(0, 4_000))


def as_arrays(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keys, fingerprints, times = zip(*rows, strict=True)
    return np.array(keys, np.uint64), np.array(fingerprints, np.uint64), np.array(times, np.int64)


@settings(max_examples=200)
@given(
    batches=st.lists(st.lists(entries, min_size=1, max_size=30), min_size=1, max_size=12), span_ms=st.integers(1, 2_000)
)
def test_it_says_what_a_dict_says_within_the_span(batches: list[list[tuple[int, int, int]]], span_ms: int) -> None:
    window, model, now_ms = DedupWindow(span_ms), dict[int, tuple[int, int]](), 0
    for batch in batches:
        window.add(*as_arrays(batch))
        for key, fingerprint, time_ms in batch:
            if time_ms >= model.get(key, (NEVER, 0))[0]:
                model[key] = time_ms, fingerprint
        now_ms = max(now_ms, max(time_ms for _, _, time_ms in batch))
        window.forget_before(now_ms)
        asked = np.arange(50, dtype=np.uint64)
        found = window.find(asked)
        for key in range(50):
            time_ms, _ = model.get(key, (NEVER, 0))
            if time_ms != NEVER and now_ms - time_ms <= span_ms:
                assert found.times_ms[key] == time_ms
            else:
                assert found.times_ms[key] in (NEVER, time_ms)


@settings(max_examples=60)
@given(rows=st.lists(entries, min_size=1, max_size=60))
def test_the_newest_of_a_key_stays_with_its_fingerprint(rows: list[tuple[int, int, int]]) -> None:
    window, model = DedupWindow(10 * DAY_MS), dict[int, tuple[int, set[int]]]()
    window.add(*as_arrays(rows))
    for key, fingerprint, time_ms in rows:
        best_ms, fingerprints = model.get(key, (NEVER, set()))
        if time_ms > best_ms:
            model[key] = time_ms, {fingerprint}
        elif time_ms == best_ms:
            fingerprints.add(fingerprint)
    found = window.find(np.array(list(model), np.uint64))
    for place, (time_ms, fingerprints) in enumerate(model.values()):
        assert found.times_ms[place] == time_ms
        assert int(found.fingerprints[place]) in {fingerprint >> 32 for fingerprint in fingerprints}


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 1_500), min_size=1, max_size=40),
    distinct=st.sampled_from([50, 2_000, 10**6]),
    span_ms=st.sampled_from([500, 20_000]),
    seed=st.integers(0, 2**32),
)
def test_it_grows_and_forgets_as_a_dict_does(sizes: list[int], distinct: int, span_ms: int, seed: int) -> None:
    """Batches of any size one after the other, with copies within one and among many, out of order, and forgetting."""
    random = np.random.default_rng(seed)
    spread = random.integers(0, 2**64, distinct, dtype=np.uint64)
    window, model, now_ms = DedupWindow(span_ms), dict[int, tuple[int, set[int]]](), 0
    for size in sizes:
        keys = random.choice(spread, size)
        fingerprints = random.integers(0, 2**64, size, dtype=np.uint64)
        times = now_ms + random.integers(0, 300, size, dtype=np.int64)
        window.add(keys, fingerprints, times)
        short = short_fingerprints(fingerprints)
        for key, fingerprint, time_ms in zip(keys.tolist(), short.tolist(), times.tolist(), strict=True):
            best_ms, said = model.get(key, (NEVER, set()))
            if time_ms >= best_ms:
                model[key] = time_ms, {fingerprint} | (said if time_ms == best_ms else set())
        now_ms = int(times.max())
        window.forget_before(now_ms)
    asked = np.concatenate([np.array(list(model), np.uint64), random.integers(0, 2**64, 1_000, dtype=np.uint64)])
    found = window.find(asked)
    for place, key in enumerate(asked.tolist()):
        time_ms, said = model.get(key, (NEVER, set()))
        if found.times_ms[place] == NEVER:
            assert time_ms == NEVER or now_ms - time_ms > span_ms
            assert found.fingerprints[place] == 0
        else:
            assert found.times_ms[place] == time_ms
            assert int(found.fingerprints[place]) in said


def test_a_million_keys_with_copies_agree_with_a_set_in_sixteen_bytes_each() -> None:
    random = np.random.default_rng(11)
    window, seen = DedupWindow(7 * DAY_MS), set[int]()
    for batch in range(40):
        keys = random.integers(0, 3_000_000, 25_000, dtype=np.uint64) * np.uint64(2**40 + 1)
        known = window.find(keys).times_ms != NEVER
        assert known.tolist() == [key in seen for key in keys.tolist()]
        window.add(keys[~known], keys[~known], np.full(int((~known).sum()), batch, np.int64))
        seen.update(keys.tolist())
    assert window.size_bytes == 16 * len(window)
    assert len(seen) <= len(window) <= 1.01 * len(seen)  # copies within a batch leave with the first merge


def test_a_key_that_counts_again_and_again_is_held_once() -> None:
    window = DedupWindow(DAY_MS)
    for time_ms in range(100):
        window.add(np.arange(500, dtype=np.uint64), np.zeros(500, np.uint64), np.full(500, time_ms, np.int64))
    assert len(window) == 500
    assert (window.find(np.arange(500, dtype=np.uint64)).times_ms == 99).all()


def test_nothing_can_be_asked_and_added() -> None:
    window, nothing = DedupWindow(DAY_MS), np.zeros(0, np.uint64)
    assert len(window.find(nothing).times_ms) == 0
    window.add(nothing, nothing, np.zeros(0, np.int64))
    assert len(window) == 0
    window.add(np.array([5], np.uint64), np.array([2**63], np.uint64), np.array([9], np.int64))
    assert len(window.find(nothing).times_ms) == 0
    assert window.find(np.array([5], np.uint64)).fingerprints.tolist() == [2**31]


def test_keys_that_share_their_low_bits_are_told_apart() -> None:
    window = DedupWindow(DAY_MS)
    keys = np.arange(3_000, dtype=np.uint64) << np.uint64(48)
    window.add(keys, keys + np.uint64(7 << 32), np.full(len(keys), 5, np.int64))
    found = window.find(keys)
    assert (found.fingerprints == short_fingerprints(keys + np.uint64(7 << 32))).all()
    assert (window.find(keys + np.uint64(1)).times_ms == NEVER).all()


def test_old_generations_leave_and_needed_ones_stay() -> None:
    window = DedupWindow(7 * DAY_MS)
    for day in range(40):
        window.add(np.array([day], np.uint64), np.array([0], np.uint64), np.array([day * DAY_MS], np.int64))
        window.forget_before(day * DAY_MS)
        needed = np.arange(max(0, day - 7), day + 1, dtype=np.uint64)
        assert (window.find(needed).times_ms != NEVER).all()
        assert len(window) <= 12


def test_a_window_longer_than_49_days_keeps_exact_times() -> None:
    window = DedupWindow(400 * DAY_MS)
    times = np.arange(0, 400 * DAY_MS, 13 * DAY_MS + 1, dtype=np.int64)
    keys = np.arange(len(times), dtype=np.uint64)
    window.add(keys, keys, times)
    assert window.find(keys).times_ms.tolist() == times.tolist()


def test_keys_depend_on_the_campaign_and_on_the_id() -> None:
    campaigns = np.array([1, 1, 2, 2], np.int64)
    keys = event_keys(campaigns, ["a", "b", "a", "b"])
    assert len(set(keys.tolist())) == 4
    assert event_keys(campaigns[:1], ["a"])[0] == keys[0]
